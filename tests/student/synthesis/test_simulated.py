import pytest
from bodies import CLASSES

from edgehar.signals.clip import DatasetInfo
from edgehar.signals.modality import KINECT_JOINTS, ModalitySpec, WindowSpec
from edgehar.simulation.activities import EVERYDAY
from edgehar.student.synthesis.simulated import TRIALS, simulated_joint, simulated_windows


@pytest.mark.parametrize(
    ("name", "joint"),
    [
        ("head", "head"),
        ("LeftElbow", "left_elbow"),
        ("elbow_left", "left_elbow"),
        ("R-knee", "right_knee"),
        ("pelvis", "hip_centre"),
        ("SpineBase", "hip_centre"),
        ("right_wrist", "right_wrist"),
    ],
)
def test_joint_is_found_by_any_common_spelling(name: str, joint: str):
    assert simulated_joint(name) == KINECT_JOINTS.index(joint)


def test_simulated_motion_fits_any_skeleton_and_inertial_sensor():
    body = ModalitySpec("body", 9, "m", 25.0, 3, joints=("pelvis", "l_hand", "tail"), parents=(0, 0, 0), vertical=2)
    phone = ModalitySpec("phone", 9, "m/s2, rad/s and uT", 100.0, 5)
    info = DatasetInfo("test", (body, phone), tuple("abcde")[:CLASSES], WindowSpec("sliding", 12, 0.5))
    assert simulated_joint("tail") is None
    features, valid = simulated_windows(info, 2, 0)
    assert len(valid["phone"]) == 2 * 2 * TRIALS * len(EVERYDAY)  # subjects; as many improvisations as activities
    for spec in (body, phone):
        assert features[spec.name].shape[1:] == (12, spec.patch, spec.groups, spec.features)
        assert valid[spec.name].all()
        square = features[spec.name].square().mean((0, 1, 2))
        assert 0.2 < float(square[:, : spec.group].mean()) < 2
    # The unmatched joint is at the root; heights are along the vertical axis.
    assert (features["body"][..., 2, :3] == 0).all()
    assert features["body"][..., 1, 2].mean().abs() > features["body"][..., 1, 0].mean().abs()


@pytest.mark.parametrize("vertical", [0, 1])
def test_simulated_body_is_projected_to_a_picture(vertical: int):
    body = ModalitySpec(
        "body", 6, "px", 25.0, 3, 2, joints=("pelvis", "head", "left_foot"), parents=(0, 0, 0), vertical=vertical,
        lost_joints=True,
    )  # fmt: skip
    info = DatasetInfo("test", (body,), tuple("abcde")[:CLASSES], WindowSpec("clip", 12, 0.5))
    features, valid = simulated_windows(info, 2, 0)
    tokens = features["body"]
    assert valid["body"].all()
    assert tokens.shape[1:] == (12, 3, 3, 4)
    assert (tokens[..., 0, :2] == 1).all()  # the root is known
    head, foot = tokens[..., 1, vertical], tokens[..., 2, vertical]
    assert head.mean() < 0 < foot.mean()  # downwards
    assert head.mean().abs() > 3 * tokens[..., 1, 1 - vertical].mean().abs()
    assert 0.3 < float(tokens[..., 1:, 2:].square().mean()) < 3
