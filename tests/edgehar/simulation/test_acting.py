"""The truth of explanations: which parts act in a simulated clip, and when."""

import numpy as np
import pytest

from edgehar.errors import DataError
from edgehar.signals.modality import KINECT_JOINTS
from edgehar.simulation.acting import acting_parts
from edgehar.simulation.dataset import SimulatorConfig, equip, simulate_clip

CONFIG = SimulatorConfig(subjects=4, trials=2)
STEPS = 16


@pytest.mark.parametrize("name", ["wave_s1_t1", "punch_s2_t2", "kick_s3_t1"])
def test_truth_is_the_motion_that_the_clip_shows(name: str) -> None:
    activity, person, trial = name.split("_")
    subject, rig = equip(CONFIG, int(person[1:]))
    clip = simulate_clip(CONFIG, subject, rig, activity, int(trial[1:]))
    joints = clip.signals["skeleton"].reshape(-1, len(KINECT_JOINTS), 3)
    relative = joints - joints[:, KINECT_JOINTS.index("hip_centre"), None]
    acting = acting_parts(CONFIG, name, STEPS)["skeleton"]
    parts = np.array_split(np.linalg.norm(np.diff(relative, axis=0), axis=2) * 30, STEPS)
    speed = np.asarray([part.mean(axis=0) for part in parts])
    assert speed[acting].mean() > 3 * np.median(speed[~acting])


def test_only_the_waving_arm_acts() -> None:
    subject, _ = equip(CONFIG, 1)
    side = "left" if subject.left_handed else "right"
    acting = acting_parts(CONFIG, "wave_s1_t1", STEPS)
    moved = {
        joint
        for joint, moves in zip(KINECT_JOINTS, np.asarray(acting["skeleton"].any(axis=0)).tolist(), strict=True)
        if moves
    }
    assert {f"{side}_hand", f"{side}_wrist"} <= moved
    assert not moved & {"left_knee", "right_knee", "left_foot", "right_foot"}
    assert acting["wrist"].any()
    assert not acting["thigh"].any()


def test_nothing_acts_in_a_standing_person() -> None:
    assert not any(acts.any() for acts in acting_parts(CONFIG, "stand_s1_t1", STEPS).values())


@pytest.mark.parametrize("name", ["fly_s1_t1", "wave", "wave_s1", "wave_sx_t1", ""])
def test_unknown_clip_is_an_error(name: str) -> None:
    with pytest.raises(DataError, match="wave_s2_t1"):
        acting_parts(CONFIG, name, STEPS)
