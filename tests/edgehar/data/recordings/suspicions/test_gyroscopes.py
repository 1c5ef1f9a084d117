"""Degrees among radians, and rates that no sensor measures in the declared unit, are named; movement alone is not."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgehar.data.recordings.suspicions.gyroscopes import gyroscopes, other_units
from edgehar.data.recordings.suspicions.recorded import Recorded
from edgehar.data.recordings.suspicions.units import exchanged, triaxial_groups
from edgehar.signals.modality import ModalitySpec

Doubles = NDArray[np.float64]
GYROSCOPE = ModalitySpec("gyroscope", 3, "rad/s", 50, 5)
DEGREES = replace(GYROSCOPE, unit="deg/s")
WATCH = ModalitySpec("watch", 6, "m/s2 and rad/s", 50, 5)
REST, WALK = 0, 1
SEEDS = st.integers(0, 9999)
MOVED = {f"{who}{WALK}" for who in "abcd"}


def rates(seed: int, label: int) -> Doubles:
    """(T, 3) rad/s of a person at rest, or who walks."""
    rng = np.random.default_rng(seed)
    swing = np.sin(np.arange(400)[:, None] / 5 + rng.uniform(0, 6, 3)) * rng.uniform(1.5, 3, 3)
    return swing * label + rng.normal(0, 0.02, (400, 3))


def folder(seed: int, factors: dict[str, float], people: str = "abcd") -> list[Recorded]:
    """Recordings of each person at rest and walking; `factors` scales those of a person or of one recording."""
    files: list[Recorded] = []
    for number, who in enumerate(people):
        for label in (REST, WALK):
            name = f"{who}{label}"
            values = rates(seed + 10 * number + label, label) * factors.get(who, 1.0) * factors.get(name, 1.0)
            files.append(Recorded(name, name, who, label, values.astype(np.float32), np.ones(400, bool), None))
    return files


def messages(spec: ModalitySpec, files: list[Recorded], moved: set[str] = MOVED) -> list[str]:
    found = gyroscopes(spec, files, moved)
    return [f"{problem.file}: {problem.message}" for problem in other_units("folder", spec, found, [], set())]


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_ordinary_rates_are_not_suspicious(seed: int) -> None:
    degrees = dict.fromkeys("abcd", 57.3)
    for moved in (MOVED, set[str]()):
        assert messages(GYROSCOPE, folder(seed, {}), moved) == []
        assert messages(DEGREES, folder(seed, degrees), moved) == []
    assert messages(DEGREES, [each for each in folder(seed, degrees) if each.label == REST], set()) == []


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, people=st.sampled_from(["abc", "abcd"]))
def test_a_person_in_another_unit_is_named(seed: int, people: str) -> None:
    (message,) = messages(GYROSCOPE, folder(seed, {"c": 57.3}, people))
    assert "angular rate of person 'c' is" in message
    assert "times that of the other people: deg/s among rad/s" in message
    (message,) = messages(DEGREES, folder(seed, {who: 57.3 for who in people if who != "c"}, people))
    assert "rad/s among deg/s" in message


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_a_recording_in_another_unit_is_named(seed: int) -> None:
    (message,) = messages(GYROSCOPE, folder(seed, {f"b{WALK}": 57.3}))
    assert message.startswith(f"b{WALK}: channels 1 to 3: angular rate is ")


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_the_wrong_unit_of_everybody_is_named(seed: int) -> None:
    (message,) = messages(GYROSCOPE, folder(seed, dict.fromkeys("abcd", 57.3)))
    assert "as in deg/s; unit says 'rad/s'" in message
    (message,) = messages(DEGREES, folder(seed, {}))
    assert "as in rad/s; unit says 'deg/s'" in message
    assert messages(DEGREES, folder(seed, {}), set()) == []  # perhaps nobody moves


def test_one_of_two_people_is_named_by_what_sensors_measure() -> None:
    (message,) = messages(GYROSCOPE, folder(0, {"b": 57.3}, "ab"))
    assert "the fastest movements of 'b' turn at" in message


def test_a_gyroscope_is_never_called_acceleration() -> None:
    values = np.random.default_rng(0).normal(size=(400, 3)) * 0.02 + [0.0, 1.0, 0.0]  # turns at 1 rad/s
    files = [Recorded(name, name, name, 0, values.astype(np.float32), np.ones(400, bool), None) for name in "abcd"]
    assert triaxial_groups(GYROSCOPE, files) == []
    assert [each.unit for each in triaxial_groups(replace(GYROSCOPE, name="watch", unit="g"), files)] == ["g"]


def test_exchanged_columns_are_named() -> None:
    def watch(swapped: str) -> list[Recorded]:
        files: list[Recorded] = []
        for each in folder(0, {}):
            gravity = np.random.default_rng(1).normal([0, 9.8, 0], 0.2, (400, 3))
            values = np.concatenate([gravity, each.values], 1)
            values = values[:, [3, 4, 5, 0, 1, 2]] if each.subject in swapped else values
            files.append(replace(each, values=values.astype(np.float32)))
        return files

    def named(swapped: str) -> list[str]:
        files = watch(swapped)
        found = exchanged("watch", WATCH, files, triaxial_groups(WATCH, files))
        assert all("seem to be exchanged" in problem.message for problem in found)
        return [problem.file for problem in found]

    assert named("") == []
    assert named("c") == [f"c{REST}", f"c{WALK}"]
    assert named("abcd") == ["watch"]
