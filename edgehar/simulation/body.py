"""Forward kinematics of a body with the 20 Kinect joints.

World axes: x to the right-hand side of a person who faces the camera, y up, z from the camera to the person, so that
a person with heading 0 looks along -z.

Joint angles are (flexion, abduction, twist) in degrees in the anatomical sense, equal for left and right. Flexion and
abduction are the components of one rotation vector, the swing, so that no posture is singular; the twist about the
segment's axis acts before the swing (swing-twist decomposition).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError
from edgehar.signals.modality import KINECT_JOINTS, KINECT_PARENTS

Doubles = NDArray[np.float64]

JOINTS = len(KINECT_JOINTS)
ROOT_JOINT = KINECT_JOINTS.index("hip_centre")
STANDARD_HEIGHT_M = 1.75


class Motion(NamedTuple):
    """Positions and orientations of a body over time.

    Attributes:
        positions: (T, 20, 3) metres.
        orientations: (T, 20, 3, 3) rotation to the world from the segment that starts at the joint.
    """

    positions: Doubles
    orientations: Doubles


def _offset(joint: str) -> tuple[float, float, float]:
    """Vector from the parent to a joint in metres, upright at the standard height."""
    side = 1.0 if joint.startswith("right") else -1.0
    match joint.removeprefix("right_").removeprefix("left_"):
        case "head":
            return 0.0, 0.19, -0.02
        case "shoulder_centre":
            return 0.0, 0.36, 0.0
        case "spine":
            return 0.0, 0.06, 0.0
        case "shoulder":
            return side * 0.17, -0.09, 0.0
        case "elbow":
            return 0.0, -0.28, 0.0
        case "wrist":
            return 0.0, -0.25, 0.0
        case "hand":
            return 0.0, -0.08, 0.0
        case "hip":
            return side * 0.085, -0.08, 0.0
        case "knee":
            return 0.0, -0.45, 0.0
        case "ankle":
            return 0.0, -0.40, 0.0
        case "foot":
            return 0.0, -0.06, -0.11
        case _:
            return 0.0, 0.0, 0.0


REST_OFFSETS_M: Doubles = np.array([_offset(joint) for joint in KINECT_JOINTS])  # (20, 3)


def _signs(joint: str) -> tuple[float, float, float]:
    """Signs that convert (flexion, abduction, twist) to rotations about x, z and y.

    Flexion moves a limb forward (a knee backward, the trunk forward), abduction moves a limb outward (the trunk to its
    right), twist turns a limb inward (the trunk to its left).
    """
    if joint.startswith("right"):
        return (-1.0 if "knee" in joint else 1.0), 1.0, 1.0
    if joint.startswith("left"):
        return (-1.0 if "knee" in joint else 1.0), -1.0, -1.0
    return -1.0, -1.0, 1.0


_SIGNS: Doubles = np.array([_signs(joint) for joint in KINECT_JOINTS])  # (20, 3)


def _other_side(joint: str) -> str:
    if joint.startswith("left_"):
        return "right_" + joint.removeprefix("left_")
    if joint.startswith("right_"):
        return "left_" + joint.removeprefix("right_")
    return joint


_MIRROR = np.array([KINECT_JOINTS.index(_other_side(joint)) for joint in KINECT_JOINTS])
_CENTRAL = np.array([_other_side(joint) == joint for joint in KINECT_JOINTS])


def _parents_first() -> tuple[int, ...]:
    order = [ROOT_JOINT]
    for joint in order:
        order += [child for child, parent in enumerate(KINECT_PARENTS) if parent == joint and child != joint]
    return tuple(order)


_ORDER = _parents_first()


def bone_offsets(lengths_m: Doubles) -> Doubles:
    """Joint offsets (20, 3) of a body with these bone lengths.

    Args:
        lengths_m: (20,) distance of each joint from its parent; the root's entry is not used.

    Raises DataError for another shape or a length that is not above 0.
    """
    lengths = np.asarray(lengths_m, np.float64)
    others = np.arange(JOINTS) != ROOT_JOINT
    if lengths.shape != (JOINTS,) or not np.all(lengths[others] > 0):
        raise DataError(
            f"bone lengths of shape {lengths.shape}; expected {JOINTS} lengths above 0 in metres, "
            "one per joint in the Kinect order"
        )
    offsets = REST_OFFSETS_M.copy()
    standard = np.linalg.norm(offsets[others], axis=1, keepdims=True)
    offsets[others] *= lengths[others, None] / standard
    return offsets


def mirrored(angles_deg: Doubles) -> Doubles:
    """Joint angles (T, 20, 3) with left and right exchanged."""
    swapped = angles_deg[:, _MIRROR].copy()
    swapped[:, _CENTRAL, 1:] *= -1
    return swapped


def rotation_matrix(vector: Doubles) -> Doubles:
    """Rotation matrices (..., 3, 3) of rotation vectors (..., 3) in radians (Rodrigues' formula)."""
    x, y, z = np.moveaxis(vector, -1, 0)
    angle2 = x * x + y * y + z * z
    angle = np.sqrt(angle2)
    small = angle2 < 1e-12
    divisor = np.where(small, 1.0, angle2)
    first = np.where(small, 1.0, np.sin(angle) * angle / divisor)  # sin(a) / a
    second = np.where(small, 0.5, (1 - np.cos(angle)) / divisor)  # (1 - cos(a)) / a^2
    matrix = np.empty((3, 3, *angle.shape))
    matrix[0, 0] = 1 - second * (y * y + z * z)
    matrix[1, 1] = 1 - second * (x * x + z * z)
    matrix[2, 2] = 1 - second * (x * x + y * y)
    for row, column, one, other, axis in ((0, 1, x, y, z), (2, 0, z, x, y), (1, 2, y, z, x)):
        symmetric = second * one * other
        matrix[row, column] = symmetric - first * axis
        matrix[column, row] = symmetric + first * axis
    return np.moveaxis(matrix, (0, 1), (-2, -1))


def rotation_vector(matrix: Doubles) -> Doubles:
    """Rotation vectors (..., 3) in radians of rotation matrices (..., 3, 3) by less than 180 degrees."""
    axis = 0.5 * np.stack(
        [
            matrix[..., 2, 1] - matrix[..., 1, 2],
            matrix[..., 0, 2] - matrix[..., 2, 0],
            matrix[..., 1, 0] - matrix[..., 0, 1],
        ],
        axis=-1,
    )
    sine = np.linalg.norm(axis, axis=-1)
    cosine = 0.5 * (np.trace(matrix, axis1=-2, axis2=-1) - 1)
    angle = np.arctan2(sine, cosine)
    return axis * np.where(sine > 1e-12, angle / np.maximum(sine, 1e-12), 1.0)[..., None]


def joint_rotations(angles_deg: Doubles) -> Doubles:
    """Rotations (T, 20, 3, 3) relative to the parent segment, from angles (T, 20, 3) in degrees."""
    # Time is last in memory, as all following operations run along it.
    flexion, abduction, twist = np.ascontiguousarray(np.radians(angles_deg * _SIGNS).transpose(2, 1, 0))  # (20, T)
    swing = rotation_matrix(np.moveaxis(np.stack([flexion, np.zeros_like(flexion), abduction]), 0, -1))
    # swing @ Ry(twist) changes columns 0 and 2 only.
    cosine, sine = np.cos(twist)[..., None], np.sin(twist)[..., None]
    first, last = swing[..., 0].copy(), swing[..., 2].copy()
    swing[..., 0] = cosine * first - sine * last
    swing[..., 2] = sine * first + cosine * last
    return swing.swapaxes(0, 1)


def forward_kinematics(local: Doubles, offsets_m: Doubles, root_m: Doubles) -> Motion:
    """Positions and orientations from the root outwards.

    Args:
        local: (T, 20, 3, 3) rotation of each segment relative to its parent, of the root relative to the world.
        offsets_m: (20, 3) vector from each parent to the joint, in the parent segment's frame.
        root_m: (T, 3) position of the root joint.
    """
    relative = np.ascontiguousarray(local.transpose(1, 2, 3, 0))  # (20, 3, 3, T)
    positions = np.empty((JOINTS, 3, len(local)))
    orientations = np.empty_like(relative)
    positions[ROOT_JOINT], orientations[ROOT_JOINT] = root_m.T, relative[ROOT_JOINT]
    for joint in _ORDER[1:]:
        parent = KINECT_PARENTS[joint]
        np.einsum("ijt,jkt->ikt", orientations[parent], relative[joint], out=orientations[joint])
        positions[joint] = positions[parent] + np.einsum("ijt,j->it", orientations[parent], offsets_m[joint])
    return Motion(positions.transpose(2, 0, 1), orientations.transpose(3, 0, 1, 2))
