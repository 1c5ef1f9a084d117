"""Pseudo-labels of the teachers, as they are or aligned to equal shares of all activities per subject."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from edgehar.choices import NO_PSEUDO_LABELS
from edgehar.data import recordings
from edgehar.data.registry import DataOptions
from edgehar.errors import CheckpointError, ConfigError, DataError
from edgehar.signals.clip import Dataset
from edgehar.signals.windows import UNLABELLED
from edgehar.simulation.dataset import SimulatorConfig, simulate
from edgehar.student.distill import main as distill
from edgehar.student.distillation.ensemble import TeacherEnsemble
from edgehar.student.distillation.pseudo_labels import (
    EQUAL,
    LIKELY,
    equal_shares,
    labelled_subset,
    pseudo_labelled,
    training_selection,
)
from edgehar.teacher.finetune import main as finetune
from edgehar.teacher.training.checkpoint import load_checkpoint
from edgehar.teacher.training.stage import StageData, load_stage_data, predict

ACTIVITIES = ("walk", "wave", "squat")
SPLIT = "list:s1,s3:s2"
CPU = torch.device("cpu")


def mean_prediction(logits: Tensor) -> Tensor:
    return logits.softmax(1).mean(0)


def test_alignment_removes_a_bias_towards_some_activities():
    draw = torch.Generator().manual_seed(0)
    truth = torch.arange(30) % 3
    clean = 4 * torch.nn.functional.one_hot(truth, 3) + 0.3 * torch.randn(30, 3, generator=draw, dtype=torch.float64)
    biased = clean + torch.tensor([3.0, -3.0, 0.0])
    assert (biased.argmax(1) == truth).float().mean() < 0.7
    corrected = biased + equal_shares(biased)
    torch.testing.assert_close(
        mean_prediction(corrected), torch.full((3,), 1 / 3, dtype=torch.float64), atol=1e-5, rtol=0
    )
    assert torch.equal(corrected.argmax(1), truth)


def test_alignment_does_not_change_equal_shares():
    logits = torch.eye(4, dtype=torch.float64).repeat(5, 1)
    torch.testing.assert_close(equal_shares(logits), torch.zeros(4, dtype=torch.float64))


@pytest.fixture(scope="module")
def recorded() -> Dataset:
    return simulate(SimulatorConfig(subjects=3, trials=5, activities=ACTIVITIES))


@pytest.fixture(scope="module")
def folder(recorded: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings in `data` and a teacher in `one`, which predicts every activity but not equally often."""
    path = tmp_path_factory.mktemp("labels")
    recordings.write(recorded, path / "data")
    own = ("--data", str(path / "data"), "--split", SPLIT, "--out", str(path / "one"))
    assert finetune([*own, "--preset", "tiny", "--updates", "10", "--batch", "8"]) == 0
    return path


@pytest.fixture(scope="module")
def teachers(folder: Path) -> TeacherEnsemble:
    return TeacherEnsemble([load_checkpoint(folder / "one", ("teacher",))])


def data_of(path: Path) -> StageData:
    return load_stage_data(DataOptions(str(path), split=SPLIT))


@pytest.fixture(scope="module")
def data(folder: Path) -> StageData:
    return data_of(folder / "data")


def test_given_labels_are_kept_and_others_are_the_most_probable(data: StageData, teachers: TeacherEnsemble):
    train = data.train
    predicted = predict(teachers, train, CPU).argmax(1)
    labelled = np.arange(0, len(train), 4)
    wrong = train.keep_labels(labelled)
    wrong.label[labelled] = (predicted[labelled] + 1) % 3  # not what the teachers predict
    found = pseudo_labelled(wrong, teachers, LIKELY, CPU).label
    others = np.setdiff1d(np.arange(len(train)), labelled)
    np.testing.assert_array_equal(found[labelled], wrong.label[labelled])
    np.testing.assert_array_equal(found[others], predicted[others])


def test_equal_shares_per_subject(data: StageData, teachers: TeacherEnsemble):
    train = data.train
    labelled = np.asarray([int(np.flatnonzero(train.label == number)[0]) for number in range(3)])

    def inequality(kind: str) -> int:
        label = pseudo_labelled(train.keep_labels(labelled), teachers, kind, CPU).label
        counts = [np.bincount(label[train.subject == person], minlength=3) for person in ("s1", "s3")]
        return int(sum(np.abs(count - 5).sum() for count in counts))

    assert inequality(EQUAL) < inequality(LIKELY)


def test_selection_is_the_same_for_every_copy_of_the_windows(data: StageData, teachers: TeacherEnsemble):
    labelled = labelled_subset(data.train, 0.5, 0)
    louder = replace(data.train, features={name: 2 * part for name, part in data.train.features.items()})
    cases = (
        (False, NO_PSEUDO_LABELS, len(labelled)),
        (True, NO_PSEUDO_LABELS, 30),
        (False, EQUAL, 30),
        (True, LIKELY, 30),
    )
    for uses_teachers, kind, count in cases:
        select = training_selection(data, labelled, uses_teachers, kind, teachers, CPU)
        one, other = select(data.train), select(louder)
        assert len(one) == len(other) == count
        np.testing.assert_array_equal(one.label, other.label)
        np.testing.assert_array_equal(one.clip, other.clip)
        assert (one.label == UNLABELLED).sum() == (15 if uses_teachers and kind == NO_PSEUDO_LABELS else 0)


def test_clips_without_a_label_are_selected_with_pseudo_labels_only(
    recorded: Dataset, teachers: TeacherEnsemble, tmp_path: Path
):
    clips = tuple(replace(clip, label=None) if clip.trial == "t1" else clip for clip in recorded.clips)
    assert sum(clip.label is None for clip in clips) == 9
    recordings.write(replace(recorded, clips=clips), tmp_path / "data")
    data = data_of(tmp_path / "data")
    labelled = labelled_subset(data.train, 1.0, 0)
    assert len(labelled) == 24
    assert len(training_selection(data, labelled, True, NO_PSEUDO_LABELS, teachers, CPU)(data.train)) == 24
    everything = training_selection(data, labelled, False, LIKELY, teachers, CPU)(data.train)
    assert len(everything) == 30
    assert (everything.label != UNLABELLED).all()


def test_too_few_windows_to_label_are_refused(data: StageData, teachers: TeacherEnsemble):
    train = data.train
    with pytest.raises(ConfigError, match="--pseudo-labels likely: all 30 windows"):
        pseudo_labelled(train, teachers, LIKELY, CPU)
    one_of_each = np.unique(train.label, return_index=True)[1]
    few = train.keep_labels(one_of_each).take(np.arange(17))
    with pytest.raises(ConfigError, match=r"--pseudo-labels equal: .*s3 has 2 windows.*3 activities"):
        pseudo_labelled(few, teachers, EQUAL, CPU)


def test_activity_without_any_label_is_never_predicted(data: StageData, teachers: TeacherEnsemble):
    train = data.train
    labelled = train.keep_labels(np.flatnonzero(train.label != 2)[::3])
    assert set(labelled.label.tolist()) == {UNLABELLED, 0, 1}
    for kind in (LIKELY, EQUAL):
        assert set(pseudo_labelled(labelled, teachers, kind, CPU).label.tolist()) == {0, 1}


def test_subject_with_labelled_windows_only_may_have_few(data: StageData, teachers: TeacherEnsemble):
    few = data.train.take(np.arange(17))  # two of s3
    label = few.label.copy()
    label[1:15:2] = UNLABELLED
    found = pseudo_labelled(replace(few, label=label), teachers, EQUAL, CPU).label
    np.testing.assert_array_equal(found[15:], few.label[15:])


def test_recordings_without_any_label_are_refused(recorded: Dataset, tmp_path: Path):
    bare = tuple(replace(clip, label=None) if clip.subject != "s2" else clip for clip in recorded.clips)
    recordings.write(replace(recorded, clips=bare), tmp_path / "data")
    with pytest.raises(DataError, match="label"):
        labelled_subset(data_of(tmp_path / "data").train, 1.0, 0)


def test_recordings_with_other_activities_than_the_teacher_are_refused(recorded: Dataset, folder: Path):
    swapped = replace(recorded, info=replace(recorded.info, labels=("squat", "wave", "walk")))
    recordings.write(swapped, folder / "other")
    words = ["--teacher", str(folder / "one"), "--data", str(folder / "other"), "--out", str(folder / "student")]
    with pytest.raises(CheckpointError, match="squat, wave, walk"):
        distill([*words, "--preset", "tiny", "--updates", "2"])
