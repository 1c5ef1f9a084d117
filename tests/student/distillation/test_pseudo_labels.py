"""Labels that are not known are made up by teachers, who may be told how often everyone does everything."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

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
    NONE,
    chosen_windows,
    equal_shares,
    labelled_subset,
    pseudo_labelled,
)
from edgehar.teacher.finetune import main as finetune
from edgehar.teacher.training.checkpoint import load_checkpoint
from edgehar.teacher.training.stage import StageData, load_stage_data, predict

ACTIVITIES = ("walk", "wave", "squat")
SPLIT = "list:s1,s3:s2"
CPU = torch.device("cpu")


def shares_of(logits: Tensor) -> Tensor:
    return logits.softmax(1).mean(0)


def test_a_leaning_towards_some_activities_goes_and_the_answers_become_right():
    draw = torch.Generator().manual_seed(0)
    truth = torch.arange(30) % 3
    clean = 4 * torch.nn.functional.one_hot(truth, 3) + 0.3 * torch.randn(30, 3, generator=draw, dtype=torch.float64)
    leaning = clean + torch.tensor([3.0, -3.0, 0.0])
    assert (leaning.argmax(1) == truth).float().mean() < 0.7
    corrected = leaning + equal_shares(leaning)
    torch.testing.assert_close(shares_of(corrected), torch.full((3,), 1 / 3, dtype=torch.float64), atol=1e-5, rtol=0)
    assert torch.equal(corrected.argmax(1), truth)


def test_teachers_that_are_even_already_stay_as_they_are():
    logits = torch.eye(4, dtype=torch.float64).repeat(5, 1)
    torch.testing.assert_close(equal_shares(logits), torch.zeros(4, dtype=torch.float64))


@pytest.fixture(scope="module")
def recorded() -> Dataset:
    return simulate(SimulatorConfig(subjects=3, trials=5, activities=ACTIVITIES))


@pytest.fixture(scope="module")
def place(recorded: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings in `data` and a teacher of few updates in `one`."""
    path = tmp_path_factory.mktemp("labels")
    recordings.write(recorded, path / "data")
    own = ("--data", str(path / "data"), "--split", SPLIT, "--out", str(path / "one"))
    assert finetune([*own, "--preset", "tiny", "--updates", "4", "--batch", "8"]) == 0
    return path


@pytest.fixture(scope="module")
def teachers(place: Path) -> TeacherEnsemble:
    return TeacherEnsemble([load_checkpoint(place / "one", ("teacher",))])


def data_of(folder: Path) -> StageData:
    return load_stage_data(DataOptions(str(folder), split=SPLIT))


def test_known_labels_stay_and_the_most_likely_activity_is_the_others(place: Path, teachers: TeacherEnsemble):
    train = data_of(place / "data").train
    said = predict(teachers, train, CPU).argmax(1)
    told = np.arange(0, len(train), 4)
    wrong = train.keep_labels(told)
    wrong.label[told] = (said[told] + 1) % 3  # whatever the teachers say of them
    found = pseudo_labelled(wrong, teachers, LIKELY, CPU).label
    others = np.setdiff1d(np.arange(len(train)), told)
    np.testing.assert_array_equal(found[told], wrong.label[told])
    np.testing.assert_array_equal(found[others], said[others])


def test_everyone_does_everything_equally_often_if_so_told(place: Path, teachers: TeacherEnsemble):
    train = data_of(place / "data").train
    told = np.asarray([int(np.flatnonzero(train.label == number)[0]) for number in range(3)])

    def uneven(kind: str) -> int:
        label = pseudo_labelled(train.keep_labels(told), teachers, kind, CPU).label
        counts = [np.bincount(label[train.subject == person], minlength=3) for person in ("s1", "s3")]
        return int(sum(np.abs(count - 5).sum() for count in counts))

    assert uneven(EQUAL) < uneven(LIKELY)


def test_windows_of_the_choice_are_those_of_every_copy(place: Path, teachers: TeacherEnsemble):
    data = data_of(place / "data")
    told = labelled_subset(data.train, 0.5, 0)
    louder = replace(data.train, features={name: 2 * part for name, part in data.train.features.items()})
    for taught, kind, count in ((False, NONE, len(told)), (True, NONE, 30), (False, EQUAL, 30), (True, LIKELY, 30)):
        choose = chosen_windows(data, told, taught, kind, teachers, CPU)
        one, other = choose(data.train), choose(louder)
        assert len(one) == len(other) == count
        np.testing.assert_array_equal(one.label, other.label)
        np.testing.assert_array_equal(one.clip, other.clip)
        assert (one.label == UNLABELLED).sum() == (15 if taught and kind == NONE else 0)


def test_clips_that_never_had_a_label_are_learnt_from_where_teachers_label_them(
    recorded: Dataset, teachers: TeacherEnsemble, tmp_path: Path
):
    clips = tuple(replace(clip, label=None) if clip.trial == "t1" else clip for clip in recorded.clips)
    assert sum(clip.label is None for clip in clips) == 9
    recordings.write(replace(recorded, clips=clips), tmp_path / "data")
    data = data_of(tmp_path / "data")
    told = labelled_subset(data.train, 1.0, 0)
    assert len(told) == 24
    assert len(chosen_windows(data, told, True, NONE, teachers, CPU)(data.train)) == 24
    everything = chosen_windows(data, told, False, LIKELY, teachers, CPU)(data.train)
    assert len(everything) == 30
    assert (everything.label != UNLABELLED).all()


def test_what_cannot_be_labelled_is_refused(place: Path, teachers: TeacherEnsemble):
    train = data_of(place / "data").train
    with pytest.raises(ConfigError, match="all 30 windows have a label that is used; give a smaller --label-share"):
        pseudo_labelled(train, teachers, LIKELY, CPU)
    one_of_each = np.unique(train.label, return_index=True)[1]
    few = train.keep_labels(one_of_each).take(np.arange(17))
    with pytest.raises(ConfigError, match=r"s3 has 2 windows of 3 activities.*use --pseudo-labels likely"):
        pseudo_labelled(few, teachers, EQUAL, CPU)


def test_an_activity_of_which_no_label_is_known_is_never_made_up(place: Path, teachers: TeacherEnsemble):
    train = data_of(place / "data").train
    told = train.keep_labels(np.flatnonzero(train.label != 2)[::3])
    assert set(told.label.tolist()) == {UNLABELLED, 0, 1}
    for kind in (LIKELY, EQUAL):
        assert set(pseudo_labelled(told, teachers, kind, CPU).label.tolist()) == {0, 1}


def test_whose_windows_are_all_known_may_have_few(place: Path, teachers: TeacherEnsemble):
    few = data_of(place / "data").train.take(np.arange(17))  # two of s3
    label = few.label.copy()
    label[1:15:2] = UNLABELLED
    found = pseudo_labelled(replace(few, label=label), teachers, EQUAL, CPU).label
    np.testing.assert_array_equal(found[15:], few.label[15:])


def test_recordings_without_any_label_are_a_clear_error(recorded: Dataset, tmp_path: Path):
    bare = tuple(replace(clip, label=None) if clip.subject != "s2" else clip for clip in recorded.clips)
    recordings.write(replace(recorded, clips=bare), tmp_path / "data")
    with pytest.raises(DataError, match="no training window has a label; expected one or more of every activity"):
        labelled_subset(data_of(tmp_path / "data").train, 1.0, 0)


def test_recordings_with_other_activities_than_the_teacher_knows_are_refused(recorded: Dataset, place: Path):
    swapped = replace(recorded, info=replace(recorded.info, labels=("squat", "wave", "walk")))
    recordings.write(swapped, place / "other")
    words = ["--teacher", str(place / "one"), "--data", str(place / "other"), "--out", str(place / "student")]
    with pytest.raises(CheckpointError, match="activities: found squat, wave, walk in the recordings; expected walk"):
        distill([*words, "--preset", "tiny", "--updates", "2"])
