"""Improvised motion: different each time, reproducible by seed, not in the default data set."""

import itertools
from dataclasses import replace

import numpy as np

from edgehar.signals.modality import KINECT_JOINTS
from edgehar.simulation.activities import IMPROVISED
from edgehar.simulation.body import Doubles
from edgehar.simulation.dataset import SimulatorConfig
from edgehar.simulation.perform import simulate_motion
from edgehar.simulation.subjects import draw_subject

PERSON = replace(draw_subject(0, 2), left_handed=False, heading_deg=0.0)
HAND, PELVIS = (KINECT_JOINTS.index(name) for name in ("right_hand", "hip_centre"))


def hand(activity: str, trial: int) -> Doubles:
    """Path of the hand, (T, 3) metres from the pelvis."""
    joints = simulate_motion(activity, PERSON, 2.7, 150.0, np.random.default_rng(trial)).positions
    return joints[:, HAND] - joints[:, PELVIS]


def least_difference(activity: str) -> float:
    """Largest distance of the hand between consecutive performances; the smallest value of six performances."""
    paths = [hand(activity, trial) for trial in range(6)]
    return min(float(np.abs(one - other).max()) for one, other in itertools.pairwise(paths))


def test_improvisations_differ_and_are_reproducible() -> None:
    assert least_difference("draw_circle") < 0.3 < least_difference(IMPROVISED)
    np.testing.assert_array_equal(hand(IMPROVISED, 3), hand(IMPROVISED, 3))


def test_improvisation_moves_and_starts_and_ends_at_rest() -> None:
    rest = hand("draw_circle", 0)[0]
    for trial in range(6):
        path = hand(IMPROVISED, trial)
        assert np.abs(path[[0, -1]] - rest).max() < 0.15
        assert np.ptp(path, axis=0).max() > 0.15


def test_improvisation_is_not_among_the_default_activities() -> None:
    assert IMPROVISED not in SimulatorConfig().labels
    assert SimulatorConfig(activities=(IMPROVISED,)).labels == (IMPROVISED,)
