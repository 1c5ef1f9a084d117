"""A recording whose gravity points elsewhere is named; one way for all, or any way, is not."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgehar.data.recordings.suspicions.gravity import elsewhere
from edgehar.data.recordings.suspicions.recorded import Recorded
from edgehar.signals.modality import ModalitySpec

Doubles = NDArray[np.float64]
WATCH = ModalitySpec("watch", 3, "g", 50, 5)
UP = np.array([0.1, 0.9, 0.3])
SEEDS = st.integers(0, 9999)


def recorded(direction: Doubles, name: str, subject: str, seed: int, label: int = 0) -> Recorded:
    values = direction / np.linalg.norm(direction) + 0.1 * np.random.default_rng(seed).normal(size=(200, 3))
    return Recorded(name, name, subject, label, values.astype(np.float32), np.ones(200, bool), None)


def folder(directions: dict[str, Doubles], seed: int, recordings: int = 2) -> list[Recorded]:
    """Recordings of two labels of each person, whose sensor was worn in a direction."""
    return [
        recorded(direction, f"{who}{label}{number}", who, seed + number, label)
        for who, direction in directions.items()
        for label in (0, 1)
        for number in range(recordings)
    ]


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_one_recording_is_named(seed: int) -> None:
    files = folder(dict.fromkeys("abcd", UP), seed)
    files[5] = recorded(UP[[1, 0, 2]] * [1, -1, 1], "b11", "b", seed, 1)
    (problem,) = elsewhere(WATCH, 0, files)
    assert (problem.file, "gravity points" in problem.message) == ("b11", True)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_nothing_is_said_where_everybody_differs(seed: int) -> None:
    directions = np.eye(3)[[0, 1, 2, 0, 1, 2]] * np.array([1, 1, 1, -1, -1, -1])[:, None]
    people = dict(zip("abcdef", directions, strict=True))
    assert elsewhere(WATCH, 0, folder(people, seed, recordings=1)) == []


def test_a_posture_that_changes_is_not_compared() -> None:
    files = folder(dict.fromkeys("abcd", UP), 0)
    first, second = recorded(UP, "d11", "d", 1), recorded(-UP + [0.5, 0, 0], "d11", "d", 2)
    values = np.concatenate([first.values[:90], second.values])
    files[-1] = Recorded("d11", "d11", "d", 1, values, np.ones(len(values), bool), None)
    assert elsewhere(WATCH, 0, files) == []
