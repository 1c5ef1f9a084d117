"""A good folder, perturbed in hundreds of ways: each is read with the right values, or named. Nothing is silent."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgehar.data.recordings.check import survey
from edgehar.data.recordings.problem import Problem
from edgehar.signals.clip import Dataset
from tests.edgehar.data.good_folder import write_good_folder
from tests.edgehar.data.perturbed_files import files, texts
from tests.edgehar.data.perturbed_signals import axes, clocks, gaps, lost, units, values
from tests.edgehar.data.perturbing import GOOD, RIGHT, VICTIM, Perturbation, change_samples, frozen, written

TABLE = [case for part in (units, axes, clocks, gaps, values, lost, texts, files) for case in part()]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("good")
    write_good_folder(root)
    return root


def assert_right(dataset: Dataset | None, problems: list[Problem], case: Perturbation) -> None:
    """Compare every sample that was read with the good signal at its time."""
    assert dataset is not None, problems
    clip = next(clip for clip in dataset.clips if clip.name == VICTIM)
    for sensor, samples in GOOD[VICTIM].items():
        valid = clip.valid[sensor]
        times_s, values = clip.times_s[sensor][valid], clip.signals[sensor][valid]
        assert valid.sum() >= (1 - case.lost) * len(samples.times_s)
        for channel in range(values.shape[1]):
            known = ~np.isnan(values[:, channel])
            right = np.interp(times_s[known], samples.times_s, samples.values[:, channel])
            assert np.abs(values[known, channel] - right).max(initial=0) <= case.tolerance, (sensor, channel)


def test_the_good_folder_has_neither_errors_nor_warnings(good: Path) -> None:
    dataset, problems = survey(good)
    assert problems == []
    assert_right(dataset, problems, Perturbation("nothing", lambda root: None))


def test_the_table_has_two_hundred_perturbations() -> None:
    assert len({case.name for case in TABLE}) == len(TABLE) >= 200


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.name)
def test_a_perturbation_is_read_right_or_named(good: Path, tmp_path: Path, case: Perturbation) -> None:
    root = tmp_path / "perturbed"
    shutil.copytree(good, root)
    case.apply(root)
    dataset, problems = survey(root)
    cause = case.cause or case.also_named
    if case.cause == RIGHT:
        assert_right(dataset, problems, case)
    if cause:
        named = [
            problem
            for problem in problems
            if case.where in problem.file.removeprefix(str(root)) and re.search(cause, problem.message)
        ]
        assert named, [str(problem).replace(str(root), "") for problem in problems]


@pytest.mark.parametrize("sensor", ["watch", "strap", "body"])
def test_samples_of_zeros_and_frozen_ones_are_named_by_nothing_else(good: Path, tmp_path: Path, sensor: str) -> None:
    for number, change in enumerate((written(slice(None), slice(30, 70), 0.0), frozen(slice(30, 70)))):
        root = tmp_path / f"perturbed{number}"
        shutil.copytree(good, root)
        change_samples(sensor, change)(root)
        _, problems = survey(root)
        assert len(problems) == 1, problems
