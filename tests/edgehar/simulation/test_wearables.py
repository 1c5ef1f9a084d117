"""Readings of the inertial units agree with the motion."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehar.signals.clip import Dataset
from edgehar.signals.modality import KINECT_JOINTS
from edgehar.simulation.body import Motion, rotation_matrix
from edgehar.simulation.curves import GRAVITY_MPS2
from edgehar.simulation.perform import simulate_motion
from edgehar.simulation.subjects import Subject
from edgehar.simulation.wearables import (
    THIGH,
    WRIST,
    InertialUnit,
    add_sensor_errors,
    draw_rig,
    ideal_readings,
    worn_readings,
)

RATE_HZ = 150.0


def moved(activity: str, subject: Subject, trial: int = 1) -> Motion:
    return simulate_motion(activity, subject, 2.7, RATE_HZ, np.random.default_rng(trial))


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3))
def test_unit_at_rest_reads_one_g_upwards_in_any_mounting(vector: list[float]) -> None:
    mounting = np.broadcast_to(rotation_matrix(np.array(vector)), (5, 3, 3))
    readings = ideal_readings(np.ones((5, 3)), mounting, RATE_HZ)
    np.testing.assert_allclose(np.linalg.norm(readings[:, :3], axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(mounting[0] @ readings[0, :3], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(readings[:, 3:], 0, atol=1e-9)


def test_accelerometer_matches_a_circular_motion() -> None:
    time_s = np.arange(400) / 1000
    radius_m, rate = 0.4, 2 * np.pi * 1.5
    turn = rotation_matrix(np.stack([0 * time_s, rate * time_s, 0 * time_s], axis=1))
    readings = ideal_readings(turn @ np.array([radius_m, 1.0, 0.0]), turn, 1000.0)
    expected = np.array([-radius_m * rate**2 / GRAVITY_MPS2, 1, 0, 0, np.degrees(rate), 0])
    np.testing.assert_allclose(readings, np.tile(expected, (400, 1)), atol=0.02)


@pytest.mark.parametrize("activity", ["walk", "throw", "sit_down"])
def test_integrated_acceleration_is_the_path_of_the_wrist(activity: str, subject: Subject) -> None:
    motion = moved(activity, subject)
    rig = draw_rig(0, 2, "right", 1.0, 1.0)
    force = worn_readings(motion, WRIST, rig, RATE_HZ)[:, :3]
    elbow, wrist = (KINECT_JOINTS.index(f"right_{part}") for part in ("elbow", "wrist"))
    forearm = motion.orientations[:, elbow]
    path = motion.positions[:, elbow] + 0.88 * (motion.positions[:, wrist] - motion.positions[:, elbow])
    path = path + forearm @ np.array([0, 0, -0.03])
    to_world = forearm @ rig.mounting["wrist"]
    acceleration = (np.einsum("tij,tj->ti", to_world, force) - [0, 1, 0]) * GRAVITY_MPS2
    velocity = (path[1] - path[0]) * RATE_HZ + np.cumsum(acceleration[1:-1], axis=0) / RATE_HZ
    again = path[1] + np.cumsum(velocity, axis=0) / RATE_HZ
    np.testing.assert_allclose(again, path[2:], atol=1e-6)


@pytest.mark.parametrize("unit", [WRIST, THIGH], ids=["wrist", "thigh"])
@pytest.mark.parametrize("activity", ["jog", "throw", "kick"])
def test_integrated_angular_rate_is_the_change_of_orientation(
    activity: str, unit: InertialUnit, subject: Subject
) -> None:
    motion = moved(activity, subject)
    rig = draw_rig(0, 2, "right", 1.0, 1.0)
    rate_dps = worn_readings(motion, unit, rig, RATE_HZ)[:, 3:]
    start = KINECT_JOINTS.index(f"right_{unit.placement.segment}")
    truth = motion.orientations[:, start] @ rig.mounting[unit.spec.name]
    turned = truth[1]
    for middle in 0.5 * (rate_dps[1:-2] + rate_dps[2:-1]):
        turned = turned @ rotation_matrix(np.radians(middle) / RATE_HZ)
    error = np.degrees(np.arccos(np.clip((np.trace(turned.T @ truth[-2]) - 1) / 2, -1, 1)))
    assert error < 2.0


def test_readings_are_clipped_to_the_range(dataset: Dataset) -> None:
    rig = draw_rig(0, 1, "right", 1.0, 1.0)
    wild = np.full((50, 6), 1e5) * np.array([1, -1, 1, -1, 1, -1])
    readings = add_sensor_errors(wild, WRIST, rig, 1.0, np.random.default_rng(0))
    np.testing.assert_array_equal(np.abs(readings), np.tile([4, 4, 4, 1000, 1000, 1000], (50, 1)))
    for clip in dataset.clips:
        for name in ("wrist", "thigh"):
            assert np.abs(clip.signals[name][:, :3]).max() <= 4
            assert np.abs(clip.signals[name][:, 3:]).max() <= 1000
