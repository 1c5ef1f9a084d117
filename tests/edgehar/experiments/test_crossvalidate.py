"""Cross-validation uses the training subjects of the outer split only, and writes the files for calibration."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgehar.data import recordings
from edgehar.metrics.out_of_fold import read_out_of_fold
from edgehar.signals.clip import Clip, Dataset
from edgehar.simulation.dataset import SimulatorConfig, simulate
from tests.edgehar.experiments.in_process import Finished, edgehar

SHORT = ("--preset", "tiny", "--update-share", "0.1")
OUTER = ("--outer", "odd-even")
PRUNED = ("--until", "prune", "--prune=--macs 0.5 --updates 20 --source noise")


def small_dataset() -> Dataset:
    return simulate(SimulatorConfig(subjects=4, trials=2, activities=("walk", "wave", "squat")))


def scrambled(clip: Clip) -> Clip:
    """The recording with random values if it is of an outer test subject."""
    if clip.subject not in ("s2", "s4"):
        return clip
    rng = np.random.default_rng(0)
    drawn = {name: rng.normal(size=values.shape).astype(np.float32) for name, values in clip.signals.items()}
    return replace(clip, signals=drawn)


def crossvalidate(data: Path, out: Path, *more: str) -> Finished:
    return edgehar("crossvalidate", "--data", str(data), "--out", str(out), *more)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own") / "data"
    recordings.write(small_dataset(), folder)
    return folder


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("runs") / "cv"
    done = crossvalidate(data, out, *SHORT, *OUTER, *PRUNED)
    assert done.returncode == 0, done.stderr[-3000:]
    return out, done.stdout


def result_of(out: Path) -> dict[str, Any]:
    return json.loads((out / "cv.json").read_text())


def test_every_training_subject_is_left_out_once_and_counted(finished: tuple[Path, str]) -> None:
    out, output = finished
    result = result_of(out)
    assert [(fold["subject"], fold["split"]) for fold in result["folds"]] == [
        ("s1", "odd-even/loso:s1"),
        ("s3", "odd-even/loso:s3"),
    ]
    assert [fold["train_subjects"] for fold in result["folds"]] == [["s3"], ["s1"]]
    for network in ("teacher", "student", "pruned"):
        assert set(result["total"][network]) == {"skeleton+wrist+thigh", "skeleton", "wrist", "thigh"}
        for fed, total in result["total"][network].items():
            wrong = [error for error in result["errors"] if (error["network"], error["fed"]) == (network, fed)]
            assert total["total"] == 2 * 3 * 2
            assert total["correct"] == total["total"] - len(wrong)
            assert all(error["true"] != error["predicted"] for error in wrong)
            assert f"{total['correct']}/{total['total']}" in output
    assert {error["clip"].split("_")[-2] for error in result["errors"]} <= {"s1", "s3"}


def test_scores_of_a_fold_are_those_of_its_checkpoints(finished: tuple[Path, str]) -> None:
    out, _ = finished
    for fold in result_of(out)["folds"]:
        for network in ("teacher", "student"):
            checkpoint = json.loads((out / fold["subject"] / network / "checkpoint.json").read_text())
            assert checkpoint["data"]["test_subjects"] == [fold["subject"]]
            counted = fold["networks"][network]["scores"]["skeleton+wrist+thigh"]
            assert counted["correct"] == checkpoint["facts"]["evaluation"]["correct"]


@pytest.mark.parametrize(("network", "file"), [("student", "out_of_fold.npz"), ("pruned", "out_of_fold_pruned.npz")])
def test_out_of_fold_predictions_are_of_the_training_subjects(
    network: str, file: str, finished: tuple[Path, str]
) -> None:
    out, _ = finished
    predictions = read_out_of_fold(out / file)
    assert predictions.subjects == ("s1", "s3")
    assert predictions.modalities == ("skeleton", "wrist", "thigh")
    assert predictions.labels == ("walk", "wave", "squat")
    correct = int((predictions.logits.argmax(axis=1) == predictions.label).sum())
    assert correct == result_of(out)["total"][network]["skeleton+wrist+thigh"]["correct"]


def test_pruned_network_keeps_the_requested_share(finished: tuple[Path, str]) -> None:
    out, _ = finished
    for fold in result_of(out)["folds"]:
        assert fold["networks"]["pruned"]["macs"] <= 0.5 * fold["networks"]["student"]["macs"]
    command = result_of(out)["command"]
    assert "--until prune" in command
    assert "--prune='--macs 0.5 --updates 20 --source noise'" in command


def test_recordings_of_the_outer_test_subjects_have_no_effect(finished: tuple[Path, str], tmp_path: Path) -> None:
    """With noise in place of their recordings, every count, error and logit is the same."""
    out, _ = finished
    dataset = small_dataset()
    other = tmp_path / "other"
    recordings.write(replace(dataset, clips=tuple(scrambled(clip) for clip in dataset.clips)), other)
    done = crossvalidate(other, tmp_path / "cv", *SHORT, *OUTER, *PRUNED)
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = result_of(out), result_of(tmp_path / "cv")
    assert one["errors"] == two["errors"]
    assert one["total"] == two["total"]
    with np.load(out / "out_of_fold.npz") as first, np.load(tmp_path / "cv" / "out_of_fold.npz") as second:
        np.testing.assert_array_equal(first["logits"], second["logits"])


def test_run_with_another_student_keeps_the_teachers(data: Path, finished: tuple[Path, str], tmp_path: Path) -> None:
    before, _ = finished
    teachers = {subject: (before / subject / "teacher/weights.safetensors").read_bytes() for subject in ("s1", "s3")}
    copied = tmp_path / "cv"
    done = crossvalidate(data, copied, *SHORT, *OUTER, "--folds", "s3", "--until", "finetune")
    assert done.returncode == 0, done.stderr[-3000:]
    assert not (copied / "out_of_fold.npz").exists()
    assert list(result_of(copied)["total"]) == ["teacher"]
    weights = copied / "s3/teacher/weights.safetensors"
    assert weights.read_bytes() == teachers["s3"]
    trained = weights.stat().st_mtime_ns
    more = "--distill=--updates 50 --width 16"
    done = crossvalidate(data, copied, *SHORT, *OUTER, "--folds", "s3", more)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("(done before)") == 2
    assert weights.stat().st_mtime_ns == trained
    checkpoint = json.loads((copied / "s3/student/checkpoint.json").read_text())
    assert checkpoint["network"]["width"] == 16
    assert "--distill='--updates 50 --width 16'" in result_of(copied)["command"]
    kept = {name: (copied / name).read_bytes() for name in ("cv.json", "out_of_fold.npz")}
    for fewer in (("--folds", "s1"), ("--folds", "s3", "--until", "finetune")):
        done = crossvalidate(data, copied, *SHORT, *OUTER, *fewer)
        assert done.returncode == 2
        assert "--out" in done.stderr
    assert kept == {name: (copied / name).read_bytes() for name in kept}


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (("--folds", "s2"), "--folds s2"),
        (("--split", "odd-even"), "--outer"),
        (("--until", "export"), "--until export"),
        (("--prune", "--macs 0.5"), "--prune with --until distill"),
        (("--distill", "--width 8 --seed 3"), "sets --seed"),
        (("--distill", "--width '8"), "quote"),
        (("--outer", "list:s1:s2"), "recordings of one subject"),
    ],
)
def test_impossible_options_give_one_line_and_no_folder(
    more: tuple[str, ...], named: str, data: Path, tmp_path: Path
) -> None:
    done = crossvalidate(data, tmp_path / "cv", *SHORT, *OUTER, *more)
    assert done.returncode == 2
    assert named in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "cv").exists()


def test_options_of_a_late_training_are_checked_before_the_first(data: Path, tmp_path: Path) -> None:
    done = crossvalidate(data, tmp_path / "cv", *SHORT, *OUTER, "--until", "prune", "--prune=--macs 7")
    assert done.returncode == 2
    assert "--macs 7.0" in done.stderr
    assert not list((tmp_path / "cv").rglob("weights.safetensors"))
