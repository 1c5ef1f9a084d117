"""Improvised motion: another one each time, the same for the same numbers, and no activity of the default data set."""

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
    """Where the hand goes, (T, 3) metres from the pelvis."""
    joints = simulate_motion(activity, PERSON, 2.7, 150.0, np.random.default_rng(trial)).positions
    return joints[:, HAND] - joints[:, PELVIS]


def apart(activity: str) -> float:
    """How far the hand of one performance is from that of the next at most; of six in a row the closest two."""
    paths = [hand(activity, trial) for trial in range(6)]
    return min(float(np.abs(one - other).max()) for one, other in itertools.pairwise(paths))


def test_no_improvisation_is_like_another_but_the_same_numbers_give_the_same():
    assert apart("draw_circle") < 0.3 < apart(IMPROVISED)
    np.testing.assert_array_equal(hand(IMPROVISED, 3), hand(IMPROVISED, 3))


def test_it_moves_and_begins_and_ends_at_rest():
    rest = hand("draw_circle", 0)[0]
    for trial in range(6):
        path = hand(IMPROVISED, trial)
        assert np.abs(path[[0, -1]] - rest).max() < 0.15
        assert np.ptp(path, axis=0).max() > 0.15


def test_it_is_simulated_on_request_only():
    assert IMPROVISED not in SimulatorConfig().labels
    assert SimulatorConfig(activities=(IMPROVISED,)).labels == (IMPROVISED,)
