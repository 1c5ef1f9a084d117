"""Simulated sensors with their errors: inertial units on the body and the skeleton of a depth camera."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edgehar.signals.clip import Floats, Times
from edgehar.signals.modality import KINECT_JOINTS, KINECT_PARENTS, ModalitySpec
from edgehar.simulation.body import JOINTS, Doubles, Motion, rotation_matrix, rotation_vector
from edgehar.simulation.curves import GRAVITY_MPS2


@dataclass(frozen=True)
class Placement:
    """Position of an inertial unit on the body.

    Attributes:
        segment: joint at the start of its segment, without side.
        end: joint at the end of the segment.
        along: position along the segment, 0 at its start, 1 at its end.
        out_m: offset along z from the bone.
    """

    segment: str
    end: str
    along: float
    out_m: float


@dataclass(frozen=True)
class InertialUnit:
    """Data-sheet values of an inertial unit: range, white noise and offset of accelerometer and gyroscope."""

    spec: ModalitySpec
    placement: Placement
    range_g: float = 4.0
    range_dps: float = 1000.0
    noise_g: float = 0.012
    noise_dps: float = 0.8
    bias_g: float = 0.02
    bias_dps: float = 1.5


SKELETON = ModalitySpec("skeleton", 60, "m", 30.0, 4, joints=KINECT_JOINTS, parents=KINECT_PARENTS)
WRIST = InertialUnit(ModalitySpec("wrist", 6, "g and deg/s", 50.0, 8), Placement("elbow", "wrist", 0.88, -0.03))
THIGH = InertialUnit(ModalitySpec("thigh", 6, "g and deg/s", 100.0, 12), Placement("hip", "knee", 0.45, -0.07))
INERTIAL_UNITS = (WRIST, THIGH)

# Noise of a joint in the camera's skeleton, relative to the trunk.
_JOINT_NOISE: Doubles = np.array(
    [
        2.2 if joint.endswith(("hand", "foot")) else 1.6 if joint.endswith(("wrist", "ankle", "elbow")) else 1.0
        for joint in KINECT_JOINTS
    ]
)[:, None]
_EXTREMITIES = np.flatnonzero(_JOINT_NOISE[:, 0] > 1)
_AXES: Doubles = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""The sensor's axes as columns in the segment's frame: the first along the limb, away from the trunk."""


class Rig(NamedTuple):
    """Sensor set-up of a subject.

    Attributes:
        side: "left" or "right", the side of the units.
        mounting: modality -> (3, 3) rotation from the sensor's axes to the segment's.
        bias: modality -> (6,) offset in g and deg/s.
        distance_m: distance from the camera.
        camera_height_m: height of the camera above the floor.
        camera_pitch_deg: downward tilt of the camera.
    """

    side: str
    mounting: dict[str, Doubles]
    bias: dict[str, Doubles]
    distance_m: float
    camera_height_m: float
    camera_pitch_deg: float


def draw_rig(seed: int, number: int, side: str, style: float, noise: float) -> Rig:
    """Random set-up of subject `number`; `style` scales the mounting angles, `noise` the sensors' offsets."""
    rng = np.random.default_rng((seed, 3, number))
    mounting: dict[str, Doubles] = {}
    bias: dict[str, Doubles] = {}
    for unit in INERTIAL_UNITS:
        mounting[unit.spec.name] = rotation_matrix(style * np.radians(rng.normal(0, 9, 3))) @ _AXES
        bias[unit.spec.name] = noise * rng.normal(0, [unit.bias_g] * 3 + [unit.bias_dps] * 3)
    distance_m, height_m, pitch_deg = rng.uniform((2.6, 0.7, -4), (3.4, 1.1, 8))
    return Rig(side, mounting, bias, float(distance_m), float(height_m), float(pitch_deg))


def ideal_readings(points_m: Doubles, orientations: Doubles, rate_hz: float) -> Doubles:
    """Readings of an ideal inertial unit: (T, 6) specific force in g and angular rate in deg/s.

    Specific force is acceleration minus gravity in the sensor's frame, 1 g upwards at rest. Derivatives are central
    differences; the first and last frame repeat their neighbours.

    Args:
        points_m: (T, 3) position of the sensor, y up.
        orientations: (T, 3, 3) rotation from the sensor to the world.
        rate_hz: frames per second.
    """
    readings = np.empty((len(points_m), 6))
    acceleration = (points_m[2:] - 2 * points_m[1:-1] + points_m[:-2]) * rate_hz**2
    force = acceleration / GRAVITY_MPS2 + np.array([0.0, 1.0, 0.0])
    readings[1:-1, :3] = (force[:, None] @ orientations[1:-1])[:, 0]
    step = np.swapaxes(orientations[:-2], 1, 2) @ orientations[2:]
    readings[1:-1, 3:] = np.degrees(rotation_vector(step)) * rate_hz / 2
    readings[0], readings[-1] = readings[1], readings[-2]
    return readings


def interpolate_frames(values: Doubles, times_s: Times, rate_hz: float) -> Doubles:
    """Linear interpolation of frames (T, ...) that start at 0 s, at times within their range."""
    index = np.clip(times_s * rate_hz, 0, len(values) - 1 - 1e-9)
    left = index.astype(np.intp)
    weight = (index - left).reshape(-1, *[1] * (values.ndim - 1))
    return values[left] * (1 - weight) + values[left + 1] * weight


def worn_readings(motion: Motion, unit: InertialUnit, rig: Rig, rate_hz: float) -> Doubles:
    """Ideal readings (T, 6) of a unit on a moving body."""
    start = KINECT_JOINTS.index(f"{rig.side}_{unit.placement.segment}")
    end = KINECT_JOINTS.index(f"{rig.side}_{unit.placement.end}")
    along = unit.placement.along
    outward = np.array([0.0, 0.0, unit.placement.out_m])
    points = motion.positions[:, start] * (1 - along) + motion.positions[:, end] * along
    points = points + motion.orientations[:, start] @ outward
    return ideal_readings(points, motion.orientations[:, start] @ rig.mounting[unit.spec.name], rate_hz)


def add_sensor_errors(perfect: Doubles, unit: InertialUnit, rig: Rig, noise: float, rng: np.random.Generator) -> Floats:
    """Readings (T, 6) with offset and white noise, clipped to the unit's range."""
    white = rng.normal(0, 1, perfect.shape) * ([unit.noise_g] * 3 + [unit.noise_dps] * 3)
    limit = np.array([unit.range_g] * 3 + [unit.range_dps] * 3)
    return np.clip(perfect + rig.bias[unit.spec.name] + noise * white, -limit, limit).astype(np.float32)


def camera_skeleton(positions_m: Doubles, rig: Rig, noise: float, rng: np.random.Generator) -> Floats:
    """Skeleton (T, 60) in metres as the camera measures it, of joints (T, 20, 3) in the world.

    Adds white noise, slow drift, and jumps of a hand, elbow or foot for a few frames. The camera is at least 1.2 m
    from the body.
    """
    frames = len(positions_m)
    middle = positions_m[:, :, 2].mean()
    distance_m = max(rig.distance_m, middle - positions_m[:, :, 2].min() + 1.2)
    camera = np.array([positions_m[:, :, 0].mean(), rig.camera_height_m, middle - distance_m])
    tilt = rotation_matrix(np.radians(np.array([-rig.camera_pitch_deg, 0.0, 0.0])))
    seen = (positions_m - camera) @ tilt.T
    knots = rng.normal(0, 0.006, (frames // 8 + 2, JOINTS, 3))
    wander = interpolate_frames(knots, np.arange(frames) / 8, 1.0)
    seen += noise * _JOINT_NOISE * (wander + rng.normal(0, 0.003, seen.shape))
    for _ in range(rng.poisson(0.006 * frames)):
        joint, start, length = rng.choice(_EXTREMITIES), rng.integers(frames), rng.integers(2, 5)
        seen[start : start + length, joint] += noise * rng.normal(0, 0.09, 3)
    return seen.reshape(frames, -1).astype(np.float32)
