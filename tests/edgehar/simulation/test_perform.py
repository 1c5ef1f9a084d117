"""Motion of the activities: feet on the floor, constant bones, differences between activities."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehar.errors import DataError
from edgehar.signals.modality import KINECT_JOINTS, KINECT_PARENTS
from edgehar.simulation.activities import ACTIVITIES
from edgehar.simulation.body import JOINTS, REST_OFFSETS_M, Motion, bone_offsets
from edgehar.simulation.perform import gaussian_smooth, simulate_motion
from edgehar.simulation.subjects import Subject

RATE_HZ = 150.0
FEET = [KINECT_JOINTS.index(name) for name in ("left_foot", "right_foot", "left_ankle", "right_ankle")]
HEAD, PELVIS = (KINECT_JOINTS.index(name) for name in ("head", "hip_centre"))


def moved(activity: str, subject: Subject, trial: int = 1) -> Motion:
    return simulate_motion(activity, subject, 2.7, RATE_HZ, np.random.default_rng(trial))


@pytest.mark.parametrize("activity", ACTIVITIES)
def test_feet_stand_on_the_floor_and_bones_keep_their_length(activity: str, subject: Subject) -> None:
    motion = moved(activity, subject)
    lowest = motion.positions[:, FEET, 1].min(axis=1)
    assert lowest.min() > -0.03
    assert np.median(lowest) < 0.07
    bones = np.linalg.norm(motion.positions - motion.positions[:, KINECT_PARENTS], axis=2)
    np.testing.assert_allclose(
        bones, np.broadcast_to(np.linalg.norm(subject.offsets_m, axis=1), bones.shape), atol=1e-9
    )


def test_every_activity_differs_from_every_other(subject: Subject) -> None:
    motions = {name: moved(name, subject).positions for name in ACTIVITIES}
    bodies = {name: joints - joints[:, [PELVIS]] for name, joints in motions.items()}
    for one in bodies:
        for other in bodies:
            if one < other:
                assert np.abs(bodies[one] - bodies[other]).max() > 0.15, (one, other)


def test_motions_match_their_activity(subject: Subject) -> None:
    head = {name: moved(name, subject).positions[:, HEAD, 1] for name in ACTIVITIES}
    upright = head["stand"].mean()
    assert np.ptp(head["stand"]) < 0.05
    assert head["sit_down"][-1] < upright - 0.25 < head["sit_down"][0]
    assert head["stand_up"][0] < upright - 0.25 < head["stand_up"][-1]
    assert head["squat"].min() < upright - 0.3
    assert head["bend"].min() < upright - 0.3
    assert head["jump"].max() > upright + 0.08
    walk, jog = (moved(name, subject).positions[:, PELVIS] for name in ("walk", "jog"))
    assert 0.5 < (walk[0, 2] - walk[-1, 2]) / 2.7 < 1.8
    assert (jog[0, 2] - jog[-1, 2]) > 1.3 * (walk[0, 2] - walk[-1, 2])
    hands = {name: moved(name, subject).positions[:, KINECT_JOINTS.index("right_hand")] for name in ACTIVITIES}
    for name in ("throw", "wave", "draw_circle", "punch"):
        assert hands[name][:, 1].max() > 1.1, name


def test_left_handed_subjects_use_the_left_hand(subject: Subject) -> None:
    lefty = moved("wave", replace(subject, left_handed=True)).positions
    left, right = (lefty[:, KINECT_JOINTS.index(f"{side}_hand"), 1] for side in ("left", "right"))
    assert left.max() > right.max() + 0.3


def test_motion_with_other_bone_lengths(subject: Subject) -> None:
    lengths = np.linalg.norm(REST_OFFSETS_M, axis=1) * 0.6
    small = simulate_motion(
        "squat", replace(subject, offsets_m=bone_offsets(lengths)), 2.0, 60.0, np.random.default_rng(0)
    )
    assert small.positions.shape == (120, JOINTS, 3)
    assert small.orientations.shape == (120, JOINTS, 3, 3)
    assert 0.8 < small.positions[0, HEAD, 1] < 1.1


def test_unknown_activity_is_refused(subject: Subject) -> None:
    with pytest.raises(DataError, match="activity 'fly'"):
        moved("fly", subject)


@given(st.floats(-50, 50), st.floats(0.5, 12))
def test_smoothing_a_constant_changes_nothing(value: float, width: float) -> None:
    np.testing.assert_allclose(gaussian_smooth(np.full((40, 2), value), width), value, atol=1e-9)
