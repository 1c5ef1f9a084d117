"""What a triaxial sensor measures is found from gravity, however the sensor is worn."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgehar.data.recordings.suspicions.recorded import Recorded
from edgehar.data.recordings.suspicions.triaxial import gravity_direction, rest_magnitude, turning
from edgehar.data.recordings.suspicions.units import declared_units, mixed_units, triaxial_groups
from edgehar.signals.modality import ModalitySpec
from tests.edgehar.data.good_folder import GRAVITY_MPS2, Doubles, inertial

RATE_HZ = 25.0
WATCH = ModalitySpec("watch", 6, "m/s2 and rad/s", RATE_HZ, 5)
SEEDS = st.integers(0, 10_000)


def watch(seed: int, strength: float = 0.5) -> Doubles:
    """(T, 6) of a watch that swings for 12 s."""
    times_s = np.arange(300) / RATE_HZ
    return inertial(times_s, seed % 9, strength, GRAVITY_MPS2, np.random.default_rng(seed))


def worn(values: Doubles, seed: int) -> Doubles:
    """The same sensor, fastened in another direction."""
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    rotation *= np.linalg.det(rotation)  # no mirror
    return np.concatenate([values[:, :3] @ rotation.T, values[:, 3:] @ rotation.T], axis=1)


def recorded(values: Doubles, name: str) -> Recorded:
    return Recorded(name, name, "ann", 0, values.astype(np.float32), np.ones(len(values), bool), None)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, scale=st.floats(1e-3, 1e3))
def test_gravity_at_rest_scales_with_the_unit(seed: int, scale: float) -> None:
    level = rest_magnitude(scale * worn(watch(seed, 0.1), seed)[:, :3], RATE_HZ)
    assert level == pytest.approx(scale * GRAVITY_MPS2, rel=0.05)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_gravity_turns_as_the_angular_rate_says(seed: int) -> None:
    values = worn(watch(seed), seed)
    pair = turning(values[:, :3], values[:, 3:], RATE_HZ)
    assert pair is not None
    assert pair == (pytest.approx(1, abs=0.1), pytest.approx(1, abs=0.05))
    in_degrees = turning(values[:, :3], np.degrees(values[:, 3:]), RATE_HZ)
    assert in_degrees is not None
    assert in_degrees[0] == pytest.approx(math.radians(1), rel=0.1)
    axis = seed % 3  # in a mirror everything turns the other way
    mirrored = values * np.where(np.arange(6) % 3 == axis, -1.0, 1.0)
    opposite = turning(mirrored[:, :3], mirrored[:, 3:], RATE_HZ)
    assert opposite is not None
    assert opposite[0] == pytest.approx(-1, abs=0.1)


def test_a_still_sensor_says_nothing_about_rotation() -> None:
    still = np.tile([0.0, 9.81, 0.0], (300, 1))
    assert turning(still, np.zeros((300, 3)), RATE_HZ) is None
    assert turning(np.zeros((300, 3)), np.zeros((300, 3)), RATE_HZ) is None
    assert turning(still[:5], still[:5], RATE_HZ) is None
    assert rest_magnitude(still[:3], RATE_HZ) is None
    assert gravity_direction(np.zeros((9, 3))) is None


def test_units_are_found_in_a_sensor_that_was_worn_in_many_ways() -> None:
    files = [recorded(worn(watch(seed), seed), f"r{seed}") for seed in range(8)]
    acceleration, rate = triaxial_groups(WATCH, files)
    assert (acceleration.group, acceleration.kind, acceleration.unit) == (0, "acceleration", "m/s2")
    assert (rate.group, rate.kind, rate.unit) == (1, "angular rate", "rad/s")
    assert declared_units("watch", WATCH, [acceleration, rate]) == []
    assert mixed_units(WATCH, files, [acceleration, rate]) == []
    wrong = ModalitySpec("watch", 6, "g and deg/s", RATE_HZ, 5)
    messages = [problem.message for problem in declared_units("watch", wrong, [acceleration, rate])]
    assert len(messages) == 2
    assert "as in m/s2; unit says 'g and deg/s'" in messages[0]
    assert "as in rad/s; unit says 'g and deg/s'" in messages[1]


def test_a_gyroscope_whose_axis_is_reversed_everywhere_is_named() -> None:
    reversed_x = np.array([1.0, 1.0, 1.0, -1.0, -1.0, -1.0])
    files = [recorded(watch(seed) * reversed_x, f"r{seed}") for seed in range(8)]
    (problem,) = declared_units("watch", WATCH, triaxial_groups(WATCH, files))
    assert "channels 4 to 6: gravity turns against the angular rate" in problem.message


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_neither(seed: int) -> None:
    rng = np.random.default_rng(seed)
    files = [recorded(rng.normal(size=(300, 6)), f"r{file}") for file in range(6)]
    assert triaxial_groups(WATCH, files) == []
