"""A suite trains, measures and leaves one file per run, once; what it compares is split by subject."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgehar.data import recordings
from edgehar.data.registry import DataOptions
from edgehar.experiments.recipe import Recipe
from edgehar.experiments.suite.command import contents_of, key_of
from edgehar.experiments.suite.options import SEEDS, SuiteOptions
from edgehar.experiments.suite.plan import drawn_activities, plan_runs
from edgehar.signals.clip import Dataset
from edgehar.simulation.activities import ACTIVITIES
from edgehar.simulation.dataset import SimulatorConfig, simulate

LABELS = ("walk", "wave", "squat", "clap")
SIMULATOR = SimulatorConfig(subjects=4, trials=2, activities=LABELS)
SHORT = ("--preset", "tiny", "--update-share", "0.1", "--split", "odd-even", "--modalities", "skeleton,wrist")


@cache
def simulated() -> Dataset:
    return simulate(SIMULATOR)


def command(*arguments: str) -> list[str]:
    words = [sys.executable, "-m", "edgehar.cli", "evaluate", "--suite"]
    return [*words, *arguments, "--data", "own", "--results", "results"]


def suite(folder: Path, *arguments: str) -> str:
    done = subprocess.run(command(*arguments), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def only_result(folder: Path, pattern: str) -> dict[str, Any]:
    (path,) = (folder / "results").glob(pattern)
    return json.loads(path.read_text())


def write_out_of_fold(path: Path) -> None:
    """Answers that are right three times of four and far too sure."""
    label = np.arange(16) % 4
    said = np.where(np.arange(16) < 12, label, (label + 1) % 4)
    np.savez(
        path,
        logits=20 * np.eye(4, dtype=np.float32)[said],
        label=label.astype(np.int64),
        subject=np.asarray(["s1", "s3"] * 8),
        clip=np.asarray([f"clip{row}" for row in range(16)]),
        labels=np.asarray(LABELS),
        modalities=np.asarray(["skeleton", "wrist"]),
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suite")
    recordings.write(simulated(), folder / "own")
    return folder


@pytest.fixture(scope="module")
def accuracy(place: Path) -> dict[str, Any]:
    write_out_of_fold(place / "answers.npz")
    suite(place, "accuracy", "--seeds", "3", *SHORT, "--out-of-fold", "answers.npz")
    return only_result(place, "*-accuracy-*.json")


def test_a_run_has_every_network_and_every_sensor_alone(accuracy: dict[str, Any]) -> None:
    assert set(accuracy["networks"]) == {"teacher", "student", "student-fp32", "nano"}
    for network in accuracy["networks"].values():
        assert set(network["scores"]) == {"skeleton+wrist", "skeleton", "wrist"}
        for found in network["scores"].values():
            assert found["total"] == accuracy["dataset"]["test_windows"] == 2 * 4 * 2
            assert set(found["per_subject"]) == {"s2", "s4"}
            assert sum(one["correct"] for one in found["per_class"].values()) == found["correct"]
            assert sum(pair["count"] for pair in found["confused"]) == found["total"] - found["correct"]
            assert 0 <= found["ece"] <= 1
    sizes = {name: network["parameters"] for name, network in accuracy["networks"].items()}
    assert sizes["nano"] < sizes["student"] < sizes["teacher"]
    assert accuracy["networks"]["student"]["bytes"] < accuracy["networks"]["student-fp32"]["bytes"]
    for name in ("student", "nano"):
        assert len(accuracy["networks"][name]["faults"]["scenarios"]) == 25


def test_a_run_says_what_gives_it_again(accuracy: dict[str, Any]) -> None:
    assert accuracy["format"] == "edgehar-run"
    assert accuracy["seed"] == 3
    assert accuracy["command"].startswith("edgehar evaluate --suite accuracy --data own --split odd-even")
    assert "--seeds 3" in accuracy["command"]
    assert accuracy["config"]["trainings"]["distill"]["train"]["updates"] > 0
    assert accuracy["dataset"]["train_subjects"] == ["s1", "s3"]
    assert accuracy["dataset"]["train_windows"] == 2 * 4 * 2
    assert {"python", "numpy", "torch"} <= set(accuracy["versions"])
    assert all(stage["seconds"] > 0 for stage in accuracy["stages"])
    assert accuracy["peak_resident_mb"] > 100


def test_only_the_network_with_out_of_fold_answers_is_calibrated(accuracy: dict[str, Any]) -> None:
    found = {name: network["scores"]["skeleton+wrist"] for name, network in accuracy["networks"].items()}
    assert found["student"]["temperature"] > 1
    assert found["nano"]["temperature"] == 1


def test_a_result_is_known_by_what_was_recorded_and_not_by_where_it_lies(tmp_path: Path) -> None:
    def key(folder: str, dataset: Dataset) -> str:
        place = tmp_path / folder / "own"
        recordings.write(dataset, place)
        options = SuiteOptions(("sensors",), seeds=(0,), data=DataOptions(str(place), split="odd-even"))
        loaded = options.data.load()
        return key_of(plan_runs(options, loaded)[0], options, contents_of(loaded))

    first = key("a", simulated())
    assert key("b", simulated()) == first
    clip = simulated().clips[0]
    longer = {name: np.concatenate([part, part[-1:]]) for name, part in clip.signals.items()}
    valid = {name: np.append(part, True) for name, part in clip.valid.items()}
    changed = (replace(clip, signals=longer, valid=valid), *simulated().clips[1:])
    assert key("c", replace(simulated(), clips=changed)) != first


def test_what_was_measured_is_not_measured_again(place: Path, accuracy: dict[str, Any]) -> None:
    (path,) = (place / "results").glob("*-accuracy-*.json")
    before = path.stat().st_mtime_ns
    said = suite(place, "accuracy", "--seeds", "3", *SHORT, "--out-of-fold", "answers.npz")
    assert "measured before" in said
    assert path.stat().st_mtime_ns == before
    said = suite(place, "accuracy", "--seeds", "3", *SHORT, "--out-of-fold", "answers.npz", "--replace")
    assert said.count("(done before)") == len(accuracy["stages"])
    assert path.stat().st_mtime_ns > before
    again = json.loads(path.read_text())
    assert again["networks"] == accuracy["networks"]
    assert again["peak_resident_mb"] == accuracy["peak_resident_mb"]
    assert again["key"] == accuracy["key"]
    assert again["stages"] == accuracy["stages"]  # with the dates of the trainings


def test_a_killed_suite_goes_on_and_labels_are_counted(place: Path) -> None:
    words = command("labels", *SHORT, "--shares", "0.25,1.0", "--draws", "1")
    with (place / "log").open("w") as log:
        victim = subprocess.Popen(words, cwd=place, stdout=log, stderr=log)
    while not list((place / "runs/suite").glob("*-labels-*/.finetune-0.25-0-scratch.lock")):
        assert victim.poll() is None, (place / "log").read_text()[-3000:]
        time.sleep(0.01)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    assert not list((place / "results").glob("*-labels-*"))
    students = ("--student-shares", "0.25", "--pseudo-labels", "equal")
    said = suite(place, "labels", *SHORT, "--shares", "0.25,1.0", "--draws", "1", *students)
    assert said.count("(done before)") == 2
    entries = only_result(place, "*-labels-*.json")["labels"]
    kinds = [(entry["network"], entry["share"], entry["pretrained"], entry["train_windows"]) for entry in entries]
    assert kinds == [
        ("teacher", 0.25, True, 4),
        ("teacher", 0.25, False, 4),
        ("teacher", 1.0, True, 16),
        ("teacher", 1.0, False, 16),
        ("student", 0.25, True, 4),
        ("student", 0.25, True, 4),
    ]
    assert [(entry["distilled"], entry["pseudo_labels"]) for entry in entries[4:]] == [(False, "none"), (True, "equal")]
    asked = [line for line in said.splitlines() if "edgehar distill" in line]
    assert ["--pseudo-labels equal" in line for line in asked] == [False, True]
    assert [line.count("-scratch") for line in asked] == [0, 1]  # by both teachers
    assert all(entry["accuracy"] == entry["correct"] / entry["total"] for entry in entries)


def test_suites_begin_with_the_networks_of_the_suite_accuracy_and_train_them_not_again(
    place: Path, accuracy: dict[str, Any]
) -> None:
    few = "--updates 40 --batch 4 --inverted 8 --inversion-steps 2 --people 1"
    suites = ("compression", "compression-teacher", "distillation", "ablation")
    asked = ("--kept", "0.5", "--sources", "noise,recordings", "--criteria", "l1,random", f"--prune={few}")
    said = suite(place, ",".join(suites), "--seeds", "3", *SHORT, *asked)
    assert said.count("(done before)") == 3 * len(suites)  # pretrain, finetune, distill
    found = only_result(place, "*-compression-skeleton*.json")
    for name in ("teacher", "student-fp32"):
        before, again = (run["networks"][name]["scores"]["skeleton+wrist"] for run in (accuracy, found))
        assert again["per_class"] == before["per_class"]
    kinds = [(entry["network"], *entry["source"]) for entry in found["pruned"]]
    assert kinds == [("student", "means"), ("student", "inverted"), ("student", "recordings")]
    for entry in found["pruned"]:
        assert 0.3 < entry["macs"] / entry["macs_before"] <= 0.5
        assert entry["total"] == entry["removed"]["total"] == found["dataset"]["test_windows"]
    (packaged,) = (name for name in found["networks"] if name.startswith("pruned-student-50"))
    assert found["networks"][packaged]["bytes"] < accuracy["networks"]["student"]["bytes"]
    assert {entry["network"] for entry in only_result(place, "*-compression-teacher-*.json")["pruned"]} == {"teacher"}
    alone = only_result(place, "*-distillation-*.json")["networks"]
    assert list(alone) == ["teacher", "student-fp32", "student-alone"]
    assert alone["student-alone"]["parameters"] == alone["student-fp32"]["parameters"]
    entries = only_result(place, "*-ablation-*.json")["pruned"]
    assert [(*entry["source"], entry["criterion"]) for entry in entries] == [
        ("noise", "l1"), ("noise", "random"), ("recordings", "l1"), ("recordings", "random"),
    ]  # fmt: skip


def test_activities_left_out_are_neither_trained_nor_counted(place: Path) -> None:
    suite(place, "unknown", "--seeds", "0", *SHORT, "--left-out", "1")
    result = only_result(place, "*-unknown-*.json")
    (left_out,) = result["unknown"]["activities"]
    assert left_out in LABELS
    assert left_out not in result["dataset"]["labels"]
    assert result["unknown"]["unknown_windows"] == 2 * 2
    assert result["unknown"]["known_windows"] == result["networks"]["student"]["scores"]["skeleton+wrist"]["total"]
    assert 0 <= result["unknown"]["auroc"] <= 1


@pytest.mark.parametrize("name", ["loso", "folds"])
def test_every_subject_is_tested_in_one_run_and_trains_in_the_others(name: str) -> None:
    dataset = simulated()
    runs = plan_runs(SuiteOptions((name,), folds=2), dataset)
    splits = [run.data.make_split(dataset) for run in runs]
    assert sorted(subject for split in splits for subject in split.test) == ["s1", "s2", "s3", "s4"]
    for run, split in zip(runs, splits, strict=True):
        assert set(split.train) | set(split.test) == set(dataset.subjects)
        pretrain = run.stages[0].arguments
        assert pretrain[pretrain.index("--split") + 1] == split.name


def test_a_suite_has_its_usual_seeds_and_names_of_its_own() -> None:
    dataset = simulated()
    options = SuiteOptions(tuple(SEEDS), folds=4, left_out=2)
    names = [run.name for run in plan_runs(options, dataset)]
    assert len(set(names)) == len(names) == 5 + 5 * 3 + 4 + 4 + 1 + 5 + 5 + 5 + 5 + 3 + 5
    quick = plan_runs(replace(options, recipe=Recipe("tiny")), dataset)
    assert not {run.name for run in quick} & set(names)


def test_networks_for_one_sensor_see_no_other() -> None:
    runs = plan_runs(SuiteOptions(("sensors",), seeds=(0,), only=("wrist",)), simulated())
    assert [run.name for run in runs] == ["simulated-sensors-wrist-seed0"]
    pretrain = runs[0].stages[0].arguments
    assert pretrain[pretrain.index("--modalities") + 1] == "wrist"


def test_a_teacher_from_scratch_skips_pretraining_and_says_so() -> None:
    recipe = Recipe("tiny", pretraining=False)
    runs = plan_runs(SuiteOptions(("accuracy",), seeds=(0,), recipe=recipe), simulated())
    names = [stage.name for stage in runs[0].stages]
    assert names[:2] == ["finetune", "distill"]
    finetune = runs[0].stages[0].arguments
    assert "--pretrained" not in finetune
    assert finetune[finetune.index("--data") + 1] == "simulated"
    assert "--no-pretraining" in recipe.words()
    assert "--no-pretraining" not in Recipe("tiny").words()


def test_labels_alone_are_labels_alone_whatever_a_recipe_asks_for() -> None:
    recipe = Recipe("tiny", distill="--pseudo-labels likely --contrastive 0.3")
    options = SuiteOptions(("labels",), student_shares=(0.1,), recipe=recipe, data=DataOptions("simulated"))
    stages = plan_runs(options, simulate(SimulatorConfig(subjects=2, trials=1)))[0].stages
    alone = [stage.arguments for stage in stages if stage.name.endswith("-alone")]
    assert len(alone) == 5
    for words in alone:
        last = {name: words[place + 1] for place, name in enumerate(words[:-1]) if name.startswith("--")}
        assert (last["--pseudo-labels"], last["--contrastive"], last["--soft"], last["--hard"]) == (
            "none",
            "0",
            "0",
            "1",
        )


def test_draws_of_unknown_activities_differ_by_seed() -> None:
    labels = tuple(ACTIVITIES)
    drawn = [drawn_activities(labels, 3, seed) for seed in range(5)]
    assert len(set(drawn)) > 1
    assert all(len(set(activities)) == 3 for activities in drawn)
