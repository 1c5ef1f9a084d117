"""A person who wears a sensor otherwise than all others is named, with the cause."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgehar.data.recordings.suspicions.people import outlying_people
from edgehar.data.recordings.suspicions.recorded import Recorded
from edgehar.signals.modality import ModalitySpec

Doubles = NDArray[np.float64]
WATCH = ModalitySpec("watch", 3, "g", 50, 5)
UP = np.array([0.1, 0.9, 0.3])
SEEDS = st.integers(0, 9999)
SWINGS = np.array([[0.6, 0.2, 0.4], [0.3, 0.1, 0.5]])
"""Direction of the movement of each of two activities; along x and z at once."""


def recorded(gravity: Doubles, subject: str, label: int, seed: int, axes: Doubles | None = None) -> Recorded:
    """Two seconds of an activity: gravity, a swing, and noise; `axes` (3, 3) are those of the sensor."""
    rng = np.random.default_rng(seed)
    swing = np.sin(np.arange(100) / 5 + rng.uniform(0, 6))[:, None] * SWINGS[label]
    values = gravity / np.linalg.norm(gravity) + swing + 0.1 * rng.normal(size=(100, 3))
    worn = values if axes is None else values @ axes.T
    name = f"{subject}{label}{seed}"
    return Recorded(name, name, subject, label, worn.astype(np.float32), np.ones(100, bool), None)


def folder(people: Mapping[str, Doubles | None], seed: int, gravity: Doubles = UP) -> list[Recorded]:
    """Two activities of each person, who wears the sensor with these axes and somewhat tilted."""
    files: list[Recorded] = []
    for number, (who, axes) in enumerate(people.items()):
        tilt = 0.1 * np.random.default_rng(seed + number).normal(size=3)
        files += [recorded(gravity + tilt, who, label, seed + 10 * number + label, axes) for label in (0, 1)]
    return files


def messages(files: Sequence[Recorded]) -> dict[str, str]:
    return {each.person: each.message for each in outlying_people(WATCH, 0, files)}


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, people=st.sampled_from(["abc", "abcde"]))
def test_one_person_is_named_with_the_change_of_axes_that_explains_it(seed: int, people: str) -> None:
    alike: dict[str, Doubles | None] = dict.fromkeys(people)
    assert messages(folder(alike, seed)) == {}
    for signs, cause in (([1, -1, 1], "y were negated;"), ([1, -1, -1], "y and z were negated (a half turn about x);")):
        found = messages(folder(alike | {"c": np.diag(np.array(signs, float))}, seed))
        assert list(found) == ["c"]
        assert found["c"].startswith("channels 1 to 3: gravity of person 'c' points 1")
        assert f"as if {cause} check how the sensor was worn" in found["c"]


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_an_axis_without_gravity_is_found_by_what_moves_together(seed: int) -> None:
    people: dict[str, Doubles | None] = dict.fromkeys("abcde")
    upright = np.array([0.0, 1.0, 0.05])
    assert messages(folder(people, seed, upright)) == {}
    found = messages(folder(people | {"d": np.diag([-1.0, 1.0, 1.0])}, seed, upright))
    assert list(found) == ["d"]
    assert "axes of person 'd' move against each other" in found["d"]
    assert "as if x were negated; worn on the other side of the body?" in found["d"]


def test_a_person_with_another_gain_is_named() -> None:
    files = folder(dict.fromkeys("abcd"), 0)
    weak = [recorded(UP, "b", label, 7 + label) for label in (0, 1)]
    for each in weak:
        each.values[:] = each.values.mean(0) + 0.3 * (each.values - each.values.mean(0))
    found = messages([each for each in files if each.subject != "b"] + weak)
    assert list(found) == ["b"]
    assert "movement of person 'b' differs in size from everybody else's (x 0.3" in found["b"]


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_nothing_is_said_where_everybody_differs_or_either_may_be_wrong(seed: int) -> None:
    orders = [np.roll(sign * np.eye(3), shift, 0) for sign in (1, -1) for shift in (0, 1, 2)]
    assert messages(folder(dict(zip("abcdef", orders, strict=True)), seed)) == {}
    assert messages(folder({"a": None, "b": -np.eye(3)}, seed)) == {}


@pytest.mark.parametrize("label", [0, 1])
def test_one_recording_does_not_make_a_person_outlying(label: int) -> None:
    files = folder(dict.fromkeys("abcd"), 0)
    other = next(each for each in files if (each.subject, each.label) == ("c", label))
    other.values[:] = -other.values
    assert messages(files) == {}


def test_people_are_compared_in_the_activities_that_others_did_too() -> None:
    standing, lying = UP, np.array([0.9, -0.1, 0.3])
    files = [recorded(standing, who, 0, number) for number, who in enumerate("abcd")]
    files += [recorded(lying, who, 1, number) for number, who in enumerate("efgh")]
    files += [recorded(lying, "a", 1, 20)]
    assert messages(files) == {}
