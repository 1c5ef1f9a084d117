"""Recordings of one person and many labels, from the folder to a package and its scores."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edgehar.data import recordings
from edgehar.data.registry import DataOptions
from edgehar.deploy.packaging.calibrate import check_out_of_fold
from edgehar.errors import DataError
from edgehar.experiments.pipeline import summary
from edgehar.metrics.out_of_fold import read_out_of_fold
from edgehar.package.folder import EdgePackage
from edgehar.signals.clip import Clip, Dataset, DatasetInfo
from edgehar.signals.modality import ModalitySpec, WindowSpec
from edgehar.teacher.augmentation.sensor_faults import FaultConfig, faulty_windows
from edgehar.teacher.training.stage import load_stage_data
from tests.edgehar.experiments.in_process import edgehar
from tests.edgehar.report.run_results import full_results

SHORT = ("--preset", "tiny", "--update-share", "0.02")
LABELS = 110
WATCH = ModalitySpec("watch", 6, "g and deg/s", 20.0, 1)


def made(labels: int, people: tuple[str, ...], trials: int) -> Dataset:
    """Clips of one second; each label has its own movement."""
    generator = np.random.default_rng(0)
    movement = generator.normal(size=(labels, 20, 6))
    clips = tuple(
        Clip(
            name=f"{person}_{label}_{trial}",
            subject=person,
            trial=str(trial),
            signals={"watch": (movement[label] + generator.normal(0, 0.3, (20, 6))).astype(np.float32)},
            valid={"watch": np.ones(20, bool)},
            label=label,
        )
        for person in people
        for label in range(labels)
        for trial in range(trials)
    )
    names = tuple(f"sign {number}" for number in range(labels))
    return Dataset(DatasetInfo("signs", (WATCH,), names, WindowSpec("clip", 4, 0.25)), clips)


@pytest.fixture(scope="module")
def one_person(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recordings of one person and 110 labels, `data`, a run up to the student, and its package."""
    folder = tmp_path_factory.mktemp("one")
    recordings.write(made(LABELS, ("ann",), 3), folder / "data")
    done = edgehar("pipeline", "--data", "data", *SHORT, "--until", "distill", "--out", "run", folder=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith(
        "recordings of one person (ann): split by trial (trial:0of5), 220 for training, 110 for the test; this does "
        "not show how well other people are recognised\n"
    )
    # A baseline that cannot be fitted stops nothing, and is tried again without repeating what is done.
    assert "stage baseline-minirocket skipped: minirocket: found windows of 4 frames; expected 9 or more" in done.stdout
    again = edgehar("pipeline", "--data", "data", *SHORT, "--until", "distill", "--out", "run", folder=folder)
    assert again.stdout.count("(done before)") == 2
    done = edgehar("export", "run/student", "--out", "package", folder=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_the_package_says_that_it_was_tested_on_the_same_person(one_person: Path) -> None:
    package = one_person / "package"
    provenance = EdgePackage.open(package).manifest.provenance
    assert (provenance["split"], provenance["train_subjects"], provenance["test_subjects"]) == (
        "trial:0of5",
        ["ann"],
        ["ann"],
    )
    assert len(provenance["train_recordings"]) == 220
    card = (package / "MODEL_CARD.md").read_text()
    assert "recordings of the same people; how well others are recognised was not measured." in card


def test_only_recordings_that_were_not_trained_on_are_scored(one_person: Path) -> None:
    evaluate = ("evaluate", "package", "--data", "data", "--json", "score.json")
    done = edgehar(*evaluate, folder=one_person)
    assert done.returncode == 0, done.stderr
    result = json.loads((one_person / "score.json").read_text())
    tested = {f"ann_{label}_0" for label in range(LABELS)}
    assert {row["clip"] for row in result["predictions"]} == tested
    for split in ("all", "trial:1of5"):
        refused = edgehar(*evaluate, "--split", split, folder=one_person)
        assert refused.returncode == 2
        assert re.search(r"recording ann_0_1, .* trained this package", refused.stderr)
    new = made(LABELS, ("ann",), 1)
    renamed = tuple(replace(clip, name=f"new_{clip.name}") for clip in new.clips)
    recordings.write(replace(new, clips=renamed), one_person / "later")
    done = edgehar("evaluate", "package", "--data", "later", "--split", "all", folder=one_person)
    assert "of 110 windows correct" in done.stdout, done.stderr


def test_cross_validation_and_calibration_by_trial(one_person: Path) -> None:
    cross = ("crossvalidate", "--data", "data", *SHORT, "--folds", "1of2")
    done = edgehar(*cross, "--outer", "trial:0of5", "--out", "inside", folder=one_person)
    assert done.returncode == 0, done.stderr[-3000:]
    folds = json.loads((one_person / "inside" / "cv.json").read_text())["folds"]
    assert [fold["split"] for fold in folds] == ["trial:0of5/trial:1of2"]
    done = edgehar("calibrate", "package", "--out-of-fold", "inside/out_of_fold.npz", folder=one_person)
    assert done.returncode == 0, done.stderr
    assert EdgePackage.open(one_person / "package").manifest.calibration is not None
    stored = read_out_of_fold(one_person / "inside" / "out_of_fold.npz")
    tested = np.asarray(["ann_0_0"] * len(stored.clip))
    with pytest.raises(DataError, match=r"recording ann_0_0 .* is no training recording of the package"):
        check_out_of_fold(EdgePackage.open(one_person / "package").manifest, replace(stored, clip=tested))


def test_the_end_of_a_run_and_its_report_say_so(tmp_path: Path) -> None:
    results = full_results()
    assert "windows of subjects not trained on" in summary(results, "out")
    caveat = "Training and test have different recordings of the same people (ann)."
    results["dataset"] |= {"train_recordings": ["r1"], "caveats": [caveat]}
    shown = summary(results, "out")
    assert "windows of recordings not trained on, of the same people" in shown
    assert caveat in shown
    (tmp_path / "results.json").write_text(json.dumps(results | {"example": {}}))
    assert edgehar("report", str(tmp_path)).returncode == 0
    page = (tmp_path / "report.html").read_text()
    assert "on recordings of the same people, not in training" in page
    assert caveat in page


@pytest.mark.parametrize(
    "name",
    ["odd-even", "loso:p2", "fold:1of3", "list:p1:p2", "trial:0of4", "odd-even/loso:p3", "trial:0of4/trial:1of3",
     "trial:0of4/loso:p1", "fold:0of3/trial:0of2"],
)  # fmt: skip
def test_what_is_tested_has_no_effect_on_what_is_trained_on(name: str, tmp_path: Path) -> None:
    """With noise in place of the test recordings, windows, scales and faulty copies of training are the same."""
    data = made(2, ("p1", "p2", "p3"), 8)
    recordings.write(data, tmp_path / "data")
    found = load_stage_data(DataOptions(str(tmp_path / "data"), split=name))
    tested, trained = set(found.test.clip), set(found.train.clip)
    assert tested
    assert not tested & trained
    noise = tuple(
        replace(clip, signals={"watch": clip.signals["watch"] * 100}) if clip.name in tested else clip
        for clip in data.clips
    )
    recordings.write(replace(data, clips=noise), tmp_path / "other")
    other = load_stage_data(DataOptions(str(tmp_path / "other"), split=name))
    assert set(other.test.clip) == tested
    np.testing.assert_array_equal(found.train.features["watch"], other.train.features["watch"])
    np.testing.assert_array_equal(found.normalisation.scale["watch"], other.normalisation.scale["watch"])
    copies = [
        faulty_windows(one, FaultConfig(faulty_copies=1, faulty_share=1.0), 0, torch.device("cpu")).rows(
            np.arange(len(found.train)), torch.Generator().manual_seed(0)
        )[0]["watch"]
        for one in (found, other)
    ]
    assert torch.equal(*copies)
    assert not torch.equal(copies[0], torch.as_tensor(found.train.features["watch"]))


def test_tables_by_label_are_in_the_checkpoint_and_not_in_the_manifest(one_person: Path) -> None:
    manifest = json.loads((one_person / "package" / "manifest.json").read_text())
    evaluation = manifest["metrics"]["torch"]["evaluation"]
    assert {"accuracy", "per_subject"} <= set(evaluation)
    assert not {"confusion", "confused", "per_class"} & set(evaluation)
    kept = json.loads((one_person / "run" / "student" / "checkpoint.json").read_text())["facts"]["evaluation"]
    assert sum(pair["count"] for pair in kept["confused"]) == kept["total"] - kept["correct"]


def test_the_summary_of_many_labels_is_short(one_person: Path) -> None:
    done = edgehar("data", "info", "data", folder=one_person)
    assert len(done.stdout.splitlines()) < 50
    assert "... 90 more" in done.stdout
