"""Files of out-of-fold predictions as teachers: made by MiniRocket, checked against recordings, mixed by mixup."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgehar.data import recordings
from edgehar.data.registry import DataOptions
from edgehar.errors import CheckpointError, ConfigError, DataError
from edgehar.files.atomic import read_json
from edgehar.metrics.out_of_fold import read_out_of_fold
from edgehar.simulation.dataset import SimulatorConfig, simulate
from edgehar.student.baseline import main as baseline
from edgehar.student.baselines.out_of_fold import fold_of_windows, out_of_fold_logits
from edgehar.student.distill import DistillOptions
from edgehar.student.distill import main as distill
from edgehar.student.distillation.stored_targets import StoredTargets, load_targets
from edgehar.teacher.augmentation.compose import Augmentation
from edgehar.teacher.augmentation.geometric import AugmentConfig
from edgehar.teacher.augmentation.part_swap import ExchangeConfig
from edgehar.teacher.finetune import main as finetune
from edgehar.teacher.training.batches import update_generator
from edgehar.teacher.training.stage import StageData, load_stage_data

SPLIT = "list:s1,s3,s4:s2"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings in `data`, a teacher in `teacher` and predictions of MiniRocket in `rocket.npz`."""
    path = tmp_path_factory.mktemp("stored")
    config = SimulatorConfig(subjects=4, trials=2, activities=("walk", "wave", "squat"))
    recordings.write(simulate(config), path / "data")
    own = ("--data", str(path / "data"), "--split", SPLIT, "--preset", "tiny", "--out")
    rocket = ("--kernels", "84", "--out-of-fold", str(path / "rocket.npz"))
    assert baseline(["minirocket", *own, str(path / "rocket.json"), *rocket]) == 0
    assert finetune([*own, str(path / "teacher"), "--updates", "2", "--batch", "8", "--time-blocks", "1"]) == 0
    return path


@pytest.fixture(scope="module")
def data(folder: Path) -> StageData:
    return load_stage_data(DataOptions(str(folder / "data"), split=SPLIT))


def test_the_file_has_every_training_window_and_no_test_window(folder: Path, data: StageData):
    found = read_out_of_fold(folder / "rocket.npz")
    assert set(found.subject) == {"s1", "s3", "s4"}
    assert found.clip.tolist() == data.train.clip.tolist()
    assert (found.logits.argmax(1) == found.label).mean() > 0.6
    assert "out_of_fold" not in read_json(folder / "rocket.json")["options"]


def test_no_window_is_predicted_by_a_fit_to_its_person(data: StageData):
    seen: list[str] = []

    def predict(train: Any, test: Any) -> Any:
        assert not set(train.subject) & set(test.subject)
        seen.extend(test.clip.tolist())
        return np.eye(3)[test.label].astype(np.float32)

    logits = out_of_fold_logits(data.train, predict)
    assert (logits.argmax(1) == data.train.label).all()
    assert sorted(seen) == sorted(data.train.clip.tolist())
    alone = data.train.of_subjects(["s1"])
    assert len(set(fold_of_windows(alone).tolist())) == 5  # folds of recordings
    together = replace(data.train, subject=np.where(data.train.subject == "s4", "s3+s4", data.train.subject))
    assert len(set(fold_of_windows(together).tolist())) == 2


def test_a_student_learns_from_a_checkpoint_and_a_file(folder: Path, tmp_path: Path):
    words = ("--preset", "tiny", "--updates", "2", "--batch", "8", "--faulty-copies", "0", "--out")
    teachers = f"{folder / 'teacher'},{folder / 'rocket.npz'}"
    assert distill(["--teacher", teachers, "--teacher-weights", "1,3", *words, str(tmp_path / "student")]) == 0
    with pytest.raises(CheckpointError, match="found no checkpoint"):
        distill(["--teacher", str(folder / "rocket.npz"), *words, str(tmp_path / "other")])


def test_targets_are_the_weighted_mean_of_the_probabilities():
    stored = StoredTargets(torch.eye(2), 0.25)
    combined = stored.combine(torch.zeros(2, 2), stored.probabilities)
    torch.testing.assert_close(combined.exp(), torch.tensor([[0.625, 0.375], [0.375, 0.625]]))


def test_mixup_mixes_stored_targets_as_it_mixes_labels(data: StageData):
    info, train = data.dataset.info, data.train
    features = {name: torch.as_tensor(array) for name, array in train.features.items()}
    valid = {name: torch.as_tensor(array) for name, array in train.valid.items()}
    label = torch.as_tensor(train.label)
    augmentation = Augmentation(info, AugmentConfig(), ExchangeConfig(), 0.0, 0.5)
    targets = [
        augmentation.apply((features, valid, own), (features, valid, label), update_generator(0, 0))[2]
        for own in (label, torch.eye(3)[label])
    ]
    assert torch.equal(*targets)
    assert ((targets[0] > 0).sum(1) > 1).any()


Change = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda old: {"labels": old["labels"][::-1]}, "labels"),
        (lambda old: {"modalities": old["modalities"][::-1]}, "modalities"),
        (lambda old: {"subject": np.where(old["subject"] == "s1", "s2", old["subject"])}, "s2 is a test subject"),
        (lambda old: {"start_s": old["start_s"] + 1}, "no prediction for 18 of 18 training windows"),
        (lambda old: {"label": (old["label"] + 1) % 3}, "18 of 18 windows have another label"),
        (lambda old: {"logits": old["logits"] * np.nan}, "not finite"),
        (lambda old: {"recordings": np.asarray("0" * 64)}, "other signals"),
        (lambda old: {"start_s": None}, "no starts of windows"),
    ],
    ids=["labels", "sensors", "split", "windows", "label", "nan", "signals", "older"],
)
def test_a_file_that_does_not_fit_is_refused(
    change: Change, problem: str, folder: Path, data: StageData, tmp_path: Path
):
    with np.load(folder / "rocket.npz") as archive:
        arrays = dict(archive)
    arrays |= change(arrays)
    np.savez(tmp_path / "other.npz", **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(DataError, match=re.escape(str(tmp_path / "other.npz")) + ".*" + problem):
        load_targets([tmp_path / "other.npz"], [1.0], 1.0, data, data.train)


def test_options_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match=r"--teacher-weights 1.0: expected 2 numbers"):
        DistillOptions(("one", "two.npz"), "out", teacher_weights=(1.0,))
    files = DistillOptions(("one", "two.npz"), "out")
    with pytest.raises(ConfigError, match=r"two.npz: a file of predictions was fitted to all labels"):
        replace(files, distill=replace(files.distill, label_share=0.5))
    with pytest.raises(ConfigError, match=r"--out-of-fold x.npz of lstm"):
        baseline(["lstm", "--out", "x.json", "--out-of-fold", "x.npz"])
