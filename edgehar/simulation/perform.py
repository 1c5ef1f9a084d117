"""Performs an activity: joint angles of a subject, then the motion of a body that stands on the ground.

The path of the pelvis follows from the feet: their lowest point is on the floor, and points in contact do not slide.
So walking moves the body forward, a squat lowers it, and sitting moves it behind the feet.
"""

from typing import NamedTuple

import numpy as np

from edgehar.errors import DataError
from edgehar.signals.modality import KINECT_JOINTS
from edgehar.simulation.activities import ACTIVITIES
from edgehar.simulation.body import (
    JOINTS,
    ROOT_JOINT,
    Doubles,
    Motion,
    forward_kinematics,
    joint_rotations,
    mirrored,
    rotation_matrix,
)
from edgehar.simulation.curves import LIFT, MANNER_PARAMETERS, Course
from edgehar.simulation.subjects import Subject

_ALIASES = {"pelvis": "hip_centre", "trunk": "spine", "chest": "shoulder_centre"}
_AXES = ("flexion", "abduction", "twist")
_HIPS, _KNEES, _ANKLES, _FEET = (
    [KINECT_JOINTS.index(f"{side}_{part}") for side in ("left", "right")] for part in ("hip", "knee", "ankle", "foot")
)
_HEEL_M = np.array([0.0, -0.06, 0.04])
"""Position of the heel relative to the ankle."""
_SOFT_M = 0.008
"""Foot points whose heights differ by less than about this share the weight."""

# Standard deviation of the idle sway in degrees: part -> (flexion, abduction, twist).
_SWAY: dict[str, tuple[float, float, float]] = {
    "spine": (0.7, 0.6, 0.8),
    "shoulder_centre": (0.8, 0.5, 1.0),
    "shoulder": (1.4, 1.2, 1.5),
    "elbow": (1.8, 0.0, 2.0),
    "wrist": (2.0, 2.0, 0.0),
    "hip": (0.5, 0.5, 0.3),
    "knee": (0.5, 0.0, 0.0),
}
_SWAY_DEG: Doubles = np.array(
    [_SWAY.get(joint.removeprefix("left_").removeprefix("right_"), (0.0, 0.0, 0.0)) for joint in KINECT_JOINTS]
)


class Pose(NamedTuple):
    """Joint angles (T, 20, 3) in degrees, see `edgehar.simulation.body`, and height of the feet (T,) in metres."""

    angles_deg: Doubles
    lift_m: Doubles


def _channel(name: str) -> tuple[int, int]:
    part, _, axis = name.rpartition("_")
    return KINECT_JOINTS.index(_ALIASES.get(part, part)), _AXES.index(axis)


def perform(activity: str, subject: Subject, time_s: Doubles, seconds: float, rng: np.random.Generator) -> Pose:
    """A performance of an activity from 0 to `seconds`, evaluated at `time_s`, which may exceed this range.

    Raises DataError for an unknown activity.
    """
    if activity not in ACTIVITIES:
        raise DataError(f"activity {activity!r}: expected one of {', '.join(ACTIVITIES)}")
    movement, _, cadence_hz, fills_clip, level_soles = ACTIVITIES[activity]
    before, after = np.clip(subject.rest + rng.normal(0, 0.03, 2), 0.01, 0.3)
    cadence_hz *= subject.tempo * np.exp(rng.normal(0, 0.04))
    phase = rng.random()
    manner = subject.manner[activity] + rng.normal(0, 0.12, MANNER_PARAMETERS)
    gain = subject.gain * np.exp(rng.normal(0, 0.04))
    if fills_clip:
        before = after = 0.0
    share = 1 - before - after
    progress = np.clip((time_s / seconds - before) / share, 0, 1)
    progress = progress + subject.skew * progress * (1 - progress)
    cycle = phase + cadence_hz * time_s
    angles = np.zeros((len(time_s), JOINTS, 3))
    lift = np.zeros(len(time_s))
    for name, curve in movement(Course(progress, cycle, seconds * share), manner).items():
        if name == LIFT:
            lift = curve
        else:
            joint, axis = _channel(name)
            angles[:, joint, axis] = curve * gain[joint]
    if level_soles:
        level = angles[:, _KNEES, 0] - angles[:, _HIPS, 0] + angles[:, ROOT_JOINT, 0][:, None]
        angles[:, _ANKLES, 0] += 40 * np.tanh(level / 40)
    return Pose(angles, lift)


def gaussian_smooth(values: Doubles, width: float) -> Doubles:
    """Gaussian filter along the first axis, `width` samples of standard deviation, with constant extrapolation."""
    pad = int(np.ceil(4 * width))
    padded = np.concatenate([np.repeat(values[:1], pad, axis=0), values, np.repeat(values[-1:], pad, axis=0)])
    frequency = np.fft.rfftfreq(len(padded))
    damping = np.exp(-2 * (np.pi * width * frequency) ** 2).reshape(-1, *[1] * (values.ndim - 1))
    return np.fft.irfft(np.fft.rfft(padded, axis=0) * damping, len(padded), axis=0)[pad : pad + len(values)]


def _sway(time_s: Doubles, subject: Subject, rng: np.random.Generator) -> Doubles:
    """Idle sway angles (T, 20, 3): the sum of two slow sines per angle."""
    moving = _SWAY_DEG > 0
    rate_hz = rng.uniform(0.12, 0.6, (2, JOINTS, 3))[:, moving]
    phase = rng.random((2, JOINTS, 3))[:, moving]
    sines = np.sin(2 * np.pi * (rate_hz * time_s[:, None, None] + phase)).sum(axis=1)
    angles = np.zeros((len(time_s), JOINTS, 3))
    angles[:, moving] = subject.sway * _SWAY_DEG[moving] * sines
    return angles


def plant_feet(motion: Motion, lift_m: Doubles, rate_hz: float) -> Motion:
    """Move a body so that its weight-bearing feet are on the floor and do not slide.

    Args:
        motion: the body, with its root at the origin.
        lift_m: (T,) height of the feet above the floor.
        rate_hz: frames per second.
    """
    heels = motion.positions[:, _ANKLES] + motion.orientations[:, _ANKLES] @ _HEEL_M
    points = np.concatenate([heels, motion.positions[:, _FEET]], axis=1)  # (T, 4, 3)
    lowest = points[..., 1].min(axis=1)
    closeness = np.exp((lowest[:, None] - points[..., 1]) / _SOFT_M)
    height = _SOFT_M * np.log(closeness.sum(axis=1) / 2) - lowest
    weight = closeness / closeness.sum(axis=1, keepdims=True)
    velocity = -(weight[..., None] * np.gradient(points, axis=0)).sum(axis=1) * rate_hz  # (T, 3)
    root = gaussian_smooth(np.cumsum(velocity, axis=0) / rate_hz, 0.03 * rate_hz)
    root[:, 1] = gaussian_smooth(height + lift_m, 0.025 * rate_hz)
    return Motion(motion.positions + root[:, None], motion.orientations)


def pose_to_motion(
    pose: Pose, subject: Subject, time_s: Doubles, rate_hz: float, heading_deg: Doubles, rng: np.random.Generator
) -> Motion:
    """Motion of a subject: applies smoothing, handedness, posture, sway and heading, and plants the feet.

    Args:
        pose: T frames of a right-handed person in neutral posture.
        subject: the person.
        time_s: (T,) seconds.
        rate_hz: frames per second.
        heading_deg: (T,) heading to the camera.
        rng: source of the sway.
    """
    moving = pose.angles_deg.any(axis=0)
    angles = np.zeros_like(pose.angles_deg)
    angles[:, moving] = gaussian_smooth(pose.angles_deg[:, moving], subject.smooth_s * rate_hz)
    if subject.left_handed:
        angles = mirrored(angles)
    local = joint_rotations(angles + subject.posture_deg + _sway(time_s, subject, rng))
    turn = np.zeros((len(time_s), 3))
    turn[:, 1] = np.radians(heading_deg)
    local[:, ROOT_JOINT] = rotation_matrix(turn) @ local[:, ROOT_JOINT]
    body = forward_kinematics(local, subject.offsets_m, np.zeros((len(time_s), 3)))
    return plant_feet(body, pose.lift_m, rate_hz)


def simulate_motion(
    activity: str, subject: Subject, seconds: float, rate_hz: float, rng: np.random.Generator, margin_s: float = 0.0
) -> Motion:
    """Motion of one performance: T = round(seconds * rate_hz) frames, with the floor at y = 0.

    Args:
        activity: a key of `edgehar.simulation.activities.ACTIVITIES`.
        subject: the person; `dataclasses.replace(subject, offsets_m=bone_offsets(lengths))` for another build.
        seconds: duration of the performance.
        rate_hz: frames per second.
        rng: source of the differences between trials.
        margin_s: extra time simulated before the start and after the end.

    Raises DataError for an unknown activity.
    """
    margin = round(margin_s * rate_hz)
    time_s = (np.arange(round(seconds * rate_hz) + 2 * margin) - margin) / rate_hz
    pose = perform(activity, subject, time_s, seconds, rng)
    heading_deg = np.full(len(time_s), subject.heading_deg + rng.normal(0, 6))
    return pose_to_motion(pose, subject, time_s, rate_hz, heading_deg, rng)
