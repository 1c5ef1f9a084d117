"""Places on the body, by the names that joints and sensors have."""

import pytest

from edgehar.data.importing.joint_sets import BLAZEPOSE, BODY_25, COCO, NTU
from edgehar.errors import DataError
from edgehar.signals.kinds import kinds_of
from edgehar.signals.modality import KINECT_JOINTS, ModalitySpec
from edgehar.signals.sites import SITES, place_of, places_of


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("watch", "wrist"),
        ("LeftForeArm", "left forearm"),
        ("RightUpLeg", "right hip"),
        ("l_ankle", "left ankle"),
        ("R Wrist", "right wrist"),
        ("phone", "pocket"),
        ("lower_back", "lower back"),
        ("Hips", "pelvis"),
        ("spine_shoulder", "neck"),
        ("left_foot_index", "left foot"),
        ("left_index", "left fingertips"),
        ("inertial", "unknown"),
        ("accelerometer", "unknown"),
        ("headset", "head"),
    ],
)
def test_name_is_a_place(name: str, place: str):
    assert str(place_of(name)) == place


@pytest.mark.parametrize("joints", [KINECT_JOINTS, *(each.all_joints for each in (NTU, COCO, BODY_25, BLAZEPOSE))])
def test_joints_of_every_skeleton_are_places_on_the_right_side(joints: tuple[str, ...]):
    for joint in joints:
        place = place_of(joint)
        assert place.site in SITES, joint
        assert place.side == ("left" in joint) - ("right" in joint), joint


def test_declared_site_and_kind_count_first():
    spec = ModalitySpec("sensor7", 6, "", 50, 8, kind=("angular rate", "acceleration"), site=("left ankle",))
    assert kinds_of(spec) == ("angular rate", "acceleration")
    assert [str(place) for place in places_of(spec)] == ["left ankle"] * 2
    assert kinds_of(ModalitySpec("thing", 3, "counts", 50, 8)) == ("other",)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("kind", ("speed",), "kind is 'speed'; expected position, velocity"),
        ("kind", ("acceleration",) * 3, "kind has 3 entries; expected one, or one for each of the 2 groups"),
        ("site", ("a", "b", "c"), "site has 3 entries"),
    ],
)
def test_wrong_declaration_is_refused(field: str, value: tuple[str, ...], message: str):
    with pytest.raises(DataError, match=message):
        ModalitySpec.from_json(
            {"name": "sensor7", "channels": 6, "unit": "", "rate_hz": 50, "patch": 8, field: list(value)}
        )
