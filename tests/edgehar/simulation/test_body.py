"""Forward kinematics: bone lengths, rotations, anatomical angles, mirroring."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehar.errors import DataError
from edgehar.signals.modality import KINECT_JOINTS, KINECT_PARENTS
from edgehar.simulation.body import (
    JOINTS,
    REST_OFFSETS_M,
    ROOT_JOINT,
    Motion,
    bone_offsets,
    forward_kinematics,
    joint_rotations,
    mirrored,
    rotation_matrix,
    rotation_vector,
)

HAND, ELBOW, ANKLE, HEAD = (KINECT_JOINTS.index(name) for name in ("right_hand", "right_elbow", "right_ankle", "head"))
RIGHT, UP, FORWARD = 0, 1, -2


def posed(**degrees: tuple[float, float, float]) -> Motion:
    angles = np.zeros((1, JOINTS, 3))
    for joint, triple in degrees.items():
        angles[0, KINECT_JOINTS.index(joint)] = triple
    return forward_kinematics(joint_rotations(angles), REST_OFFSETS_M, np.zeros((1, 3)))


@given(st.integers(0, 2**32 - 1))
def test_bone_lengths_are_constant_in_all_postures(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.uniform(0.05, 0.6, JOINTS)
    motion = forward_kinematics(
        joint_rotations(rng.uniform(-170, 170, (9, JOINTS, 3))), bone_offsets(lengths), rng.normal(size=(9, 3))
    )
    bones = motion.positions - motion.positions[:, KINECT_PARENTS]
    others = np.arange(JOINTS) != ROOT_JOINT
    np.testing.assert_allclose(np.linalg.norm(bones, axis=2)[:, others], np.tile(lengths[others], (9, 1)), atol=1e-12)


@given(st.integers(0, 2**32 - 1))
def test_segments_are_rotations_and_point_along_their_bones(seed: int) -> None:
    rng = np.random.default_rng(seed)
    motion = forward_kinematics(
        joint_rotations(rng.uniform(-170, 170, (4, JOINTS, 3))), REST_OFFSETS_M, np.zeros((4, 3))
    )
    product = motion.orientations @ np.swapaxes(motion.orientations, 2, 3)
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(3), product.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(motion.orientations), 1, atol=1e-12)
    forearm = motion.positions[:, HAND - 1] - motion.positions[:, ELBOW]
    np.testing.assert_allclose(motion.orientations[:, ELBOW] @ REST_OFFSETS_M[HAND - 1], forearm, atol=1e-12)


def test_upright_body_faces_the_camera_with_the_right_hand_at_positive_x() -> None:
    body = posed().positions[0]
    assert body[HAND, RIGHT] > 0.1 > body[KINECT_JOINTS.index("left_hand"), RIGHT]
    assert body[HEAD, UP] > body[ROOT_JOINT, UP] > body[ANKLE, UP]
    assert body[KINECT_JOINTS.index("right_foot"), 2] < body[ANKLE, 2]


@pytest.mark.parametrize(
    ("joint", "angles", "moved", "direction"),
    [
        ("right_shoulder", (90, 0, 0), HAND, (0, 0, -1)),
        ("right_shoulder", (0, 90, 0), HAND, (1, 0, 0)),
        ("left_shoulder", (0, 90, 0), KINECT_JOINTS.index("left_hand"), (-1, 0, 0)),
        ("right_hip", (90, 0, 0), ANKLE, (0, 0, -1)),
        ("right_knee", (90, 0, 0), ANKLE, (0, 0, 1)),
        ("spine", (90, 0, 0), KINECT_JOINTS.index("shoulder_centre"), (0, 0, -1)),
        ("spine", (0, 90, 0), KINECT_JOINTS.index("shoulder_centre"), (1, 0, 0)),
    ],
)
def test_angles_have_their_anatomical_sense(
    joint: str, angles: tuple[float, float, float], moved: int, direction: tuple[float, float, float]
) -> None:
    body = posed(**{joint: angles}).positions[0]
    bone = body[moved] - body[KINECT_JOINTS.index(joint)]
    np.testing.assert_allclose(bone / np.linalg.norm(bone), direction, atol=1e-12)


@given(st.integers(0, 2**32 - 1))
def test_mirrored_angles_give_the_mirror_image(seed: int) -> None:
    angles = np.random.default_rng(seed).uniform(-90, 90, (3, JOINTS, 3))
    swap = list(range(JOINTS))
    for index, name in enumerate(KINECT_JOINTS):
        if name.startswith("left_"):
            other = KINECT_JOINTS.index("right_" + name.removeprefix("left_"))
            swap[index], swap[other] = other, index
    one, image = (
        forward_kinematics(joint_rotations(each), REST_OFFSETS_M, np.zeros((3, 3))).positions
        for each in (angles, mirrored(angles))
    )
    np.testing.assert_allclose(image, one[:, swap] * [-1, 1, 1], atol=1e-12)


@given(st.lists(st.floats(-1.7, 1.7), min_size=3, max_size=3))
def test_rotation_vector_is_the_inverse_of_rotation(vector: list[float]) -> None:
    np.testing.assert_allclose(rotation_vector(rotation_matrix(np.array([vector]))), [vector], atol=1e-9)


@pytest.mark.parametrize("lengths", [np.ones(19), np.zeros(20), np.full(20, np.nan)])
def test_invalid_bone_lengths_are_refused(lengths: np.ndarray) -> None:
    with pytest.raises(DataError, match="bone lengths"):
        bone_offsets(lengths)
