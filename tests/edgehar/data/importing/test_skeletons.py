"""NTU files, keypoints and BVH: the right person, lost joints, times of frames, and positions computed by hand."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehar.data.importing.bvh import read_bvh
from edgehar.data.importing.joint_sets import BLAZEPOSE, BODY_25, COCO, NTU
from edgehar.data.importing.ntu import read_skeleton
from edgehar.data.importing.takes import Numbers
from edgehar.data.importing.tracking import Body, Frame, follow
from edgehar.errors import DataError
from edgehar.signals.clip import Floats
from tests.edgehar.data.importing.conftest import Importer

BASE = np.random.default_rng(0).normal(size=(25, 3))
NAME = "S001C001P{:03}R001A{:03}.skeleton"


def body(number: int, points: Numbers, state: int = 2) -> str:
    joints = "".join(" ".join(f"{v:.5f}" for v in joint) + f" 0 0 0 0 0 0 0 0 {state}\n" for joint in points)
    return f"{number} 0 0 0 0 0 0 0.1 -0.5 2\n25\n{joints}"


def skeleton(frames: list[list[str]]) -> str:
    return f"{len(frames)}\n" + "".join(f"{len(bodies)}\n" + "".join(bodies) for bodies in frames)


CHAIR_AND_PERSON = skeleton([[body(1, BASE + 5), *([body(2, BASE + 0.02 * n)] if n >= 5 else [])] for n in range(60)])
RENUMBERED = skeleton([[body(7 if n < 31 else 8, BASE + 0.01 * n)] for n in range(60)])


def test_ntu_takes_the_body_that_moves_and_continues_a_renumbered_one(imported: Importer) -> None:
    cut = RENUMBERED[:20_000]
    found = imported({
        NAME.format(2, 1): CHAIR_AND_PERSON, NAME.format(1, 2): RENUMBERED, NAME.format(3, 2): cut,
        NAME.format(4, 2): skeleton([[], []]), NAME.format(5, 2): "60\nx\n",
        NAME.format(6, 2): RENUMBERED.replace("60", "50", 1),
    })  # fmt: skip
    assert [(clip.subject, clip.trial) for clip in found.dataset.clips] == [("P001", "001"), ("P002", "001")]
    assert found.dataset.info.labels == ("A001", "A002")
    spec = found.dataset.info.modality("skeleton")
    assert (spec.joints, spec.joints[spec.root], spec.rate_hz) == (NTU.joints, "spine_base", 30)
    person = found.clip("S001C001P002R001A001")
    assert person.valid["skeleton"].tolist() == [True] * 55  # from the first frame with the person
    expected = (BASE + 0.02 * np.arange(60)[:, None, None]).reshape(60, 75)
    np.testing.assert_allclose(person.signals["skeleton"], expected[5:], atol=1e-4)
    assert found.clip("S001C001P001R001A002").valid["skeleton"].all()
    assert "P003R001A002.skeleton: ends in line" in found.printed
    assert "P004R001A002.skeleton: no body in 2 frames" in found.printed
    assert "P005R001A002.skeleton: line 2 is 'x'; expected a number alone" in found.printed
    follow = "P006R001A002.skeleton: 280 lines follow the 50 frames that line 1 states; expected the end"
    assert follow in found.printed


def test_ntu_all_bodies_and_two_together(imported: Importer) -> None:
    frames = [
        [body(1, BASE + 0.02 * n), *([body(2, BASE * [-1, 1, 1] + [2, 0, 0] + 0.01 * n)] if n != 9 else [])]
        for n in range(40)
    ]
    files = {NAME.format(1, 50): skeleton(frames)}
    both = imported(dict(files), "--all-bodies")
    assert [(clip.name, clip.subject) for clip in both.dataset.clips] == [
        ("S001C001P001R001A050", "P001"), ("S001C001P001R001A050_body2", "P001"),
    ]  # fmt: skip


def test_two_people_together_are_one_skeleton_with_their_distance(imported: Importer) -> None:
    frames = [
        [body(1, BASE + 0.02 * n), *([body(2, BASE * [-1, 1, 1] + [2, 0, 0] + 0.01 * n)] if n != 9 else [])]
        for n in range(40)
    ]
    files = {"ann+bob/push_1.skeleton": skeleton(frames)}
    found = imported(files, "--together", "--names", "{subject}/{label}_{trial}")
    (clip,) = found.dataset.clips
    spec = found.dataset.info.modality("skeleton")
    assert (clip.subject, len(spec.joints), spec.joints[25]) == ("ann+bob", 50, "second_spine_base")
    assert spec.parents[25] == 0
    assert spec.joints[spec.parents[spec.joints.index("second_head")]] == "second_neck"
    points = clip.signals["skeleton"].reshape(40, 50, 3)
    np.testing.assert_allclose(points[0, 25] - points[0, 0], BASE[0] * [-2, 0, 0] + [2, 0, 0], atol=1e-4)
    assert np.isnan(points[9, 25:]).all()
    assert spec.lost_joints


def person_at(shift: float, count: int, seed: int = 0) -> Numbers:
    """Keypoints (J, 2) of a body 200 pixels high."""
    return np.random.default_rng(seed).uniform(100, 300, (count, 2)).round(2) + np.array([shift, 0])


def flat(points: Numbers, confidence: float | list[float] = 0.9) -> list[float]:
    scores = np.broadcast_to(np.array(confidence), len(points))
    return np.hstack([points, scores[:, None]]).reshape(-1).tolist()


def check_points(values: Floats, points: Numbers) -> None:
    """Imported (T, C) values against keypoints (T, J, D) with y downwards; only 3-D ones are turned over."""
    shaped = values.reshape(len(values), -1, points.shape[2])[:, : points.shape[1]]
    np.testing.assert_allclose(shaped, points * ([1, 1] if points.shape[2] == 2 else [1, -1, -1]), atol=1e-3)


def test_coco_results_list_keeps_frame_numbers_and_loses_uncertain_joints(imported: Importer) -> None:
    numbers = [n for n in range(60) if n not in (10, 11)]
    confidence = [0.9] * 17
    confidence[COCO.joints.index("left_wrist")] = 0.1
    document = [
        {
            "image_id": f"video_{n:04}.jpg",
            "category_id": 1,
            "keypoints": flat(person_at(n, 17), confidence),
            "score": 2.0,
        }
        for n in numbers
    ]
    found = imported({"ann_wave_1.json": json.dumps(document)}, "--rate", "25", "--names", "{subject}_{label}_{trial}")
    (clip,) = found.dataset.clips
    spec = found.dataset.info.modality("skeleton")
    assert (spec.group, spec.channels, spec.unit, spec.lost_joints) == (2, 38, "px", True)
    assert spec.joints[spec.root] == "pelvis"
    np.testing.assert_allclose(clip.times_s["skeleton"], np.array(numbers) / 25, atol=1e-8)
    values = clip.signals["skeleton"].reshape(-1, 19, 2)
    lost = np.isnan(values).all(2)
    assert lost.all(0).tolist() == [joint == "left_wrist" for joint in spec.joints]
    hips = (values[:, spec.joints.index("left_hip")] + values[:, spec.joints.index("right_hip")]) / 2
    np.testing.assert_allclose(values[:, spec.joints.index("pelvis")], hips, rtol=1e-5)
    np.testing.assert_allclose(values[3, 0], person_at(3, 17)[0], rtol=1e-5)


def test_openpose_folder_tracks_two_people(imported: Importer) -> None:
    files: dict[str, str | bytes] = {}
    for n in range(60):
        people = [{"person_id": [-1], "pose_keypoints_2d": flat(person_at(n, 25))}]
        if n >= 5:
            people.insert(n % 2, {"person_id": [-1], "pose_keypoints_2d": flat(person_at(900 - 2 * n, 25, 1))})
        files[f"walk/video_{n:012}_keypoints.json"] = json.dumps({"version": 1.3, "people": people})
    found = imported(files, "--rate", "30")
    assert [clip.name for clip in found.dataset.clips] == ["walk", "walk_body2"]
    by_length = sorted(found.dataset.clips, key=lambda clip: -len(clip.signals["skeleton"]))
    check_points(by_length[0].signals["skeleton"], np.stack([person_at(n, 25) for n in range(60)]))
    check_points(by_length[1].signals["skeleton"], np.stack([person_at(900 - 2 * n, 25, 1) for n in range(5, 60)]))
    spec = found.dataset.info.modality("skeleton")
    assert (spec.joints, spec.joints[spec.root]) == (BODY_25.joints, "pelvis")


def test_mediapipe_prefers_world_landmarks_in_metres(imported: Importer) -> None:
    world = np.random.default_rng(2).normal(0, 0.4, (60, 33, 3)).round(5)

    def landmark(point: Numbers) -> dict[str, float]:
        return {**dict(zip("xyz", point.tolist(), strict=True)), "visibility": 0.99}

    document = {"frames": [
        {"timestamp_ms": 40 * n, "pose_landmarks": [landmark(point / 2 + 0.5) for point in world[n]],
         "pose_world_landmarks": [landmark(point) for point in world[n]]} for n in range(60)
    ]}  # fmt: skip
    found = imported({"r.json": json.dumps(document)})
    (clip,) = found.dataset.clips
    spec = found.dataset.info.modality("skeleton")
    assert (spec.group, spec.unit, spec.rate_hz, len(spec.joints)) == (3, "m", 25, len(BLAZEPOSE.joints) + 2)
    check_points(clip.signals["skeleton"], world)
    assert clip.times_s["skeleton"][10] == pytest.approx(0.4)


@pytest.mark.parametrize("stated", [True, False], ids=["1920x1080", "unknown"])
def test_shares_of_the_picture_become_pixels_if_its_size_is_stated(stated: bool, imported: Importer) -> None:
    points = np.random.default_rng(2).uniform(0.2, 0.8, (60, 33, 2)).round(5)
    frames = [
        {"frame": n, "landmarks": [{"x": x, "y": y, "z": 0.1, "visibility": 1} for x, y in points[n]]}
        for n in range(60)
    ]
    document = {"frames": frames, **({"width": 1920, "height": 1080} if stated else {})}
    found = imported({"r.json": json.dumps(document)})
    check_points(found.dataset.clips[0].signals["skeleton"], points * ([1920, 1080] if stated else [1, 1]))
    assert ("bodies are distorted" in found.printed) != stated
    assert "30 frames per second assumed" in found.printed


def mmpose(n: int) -> dict[str, Any]:
    points = person_at(n, 17)
    return {"frame_id": n + 1, "instances": [{"keypoints": points.tolist(), "keypoint_scores": [0.8] * 17}]}


def test_mmpose_and_alphapose_files(imported: Importer) -> None:
    alphapose = [
        {"image_id": f"{n}.jpg", "keypoints": flat(person_at(n, 17)), "idx": 4 if n < 30 else 5} for n in range(60)
    ]
    by_picture = {f"{n:04}.jpg": {"people": [{"keypoints": flat(person_at(n, 17))}]} for n in range(60)}
    found = imported({
        "a.json": json.dumps({"meta_info": {"dataset_name": "coco"}, "instance_info": [mmpose(n) for n in range(60)]}),
        "b.json": json.dumps(alphapose),
        "c.json": json.dumps(by_picture),
    })  # fmt: skip
    assert [clip.name for clip in found.dataset.clips] == ["a", "b", "c"]
    for clip in found.dataset.clips:
        check_points(clip.signals["skeleton"], np.stack([person_at(n, 17) for n in range(60)]))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ('{"frames": [{"keypoints"', "not valid JSON"),
        (json.dumps([{"image_id": 1, "keypoints": [1, 2, 1] * 18}]), "18 keypoints of 2 values; expected 17 (COCO-17)"),
        (json.dumps({"frames": [{"people": []}]}), "no person in 1 frames"),
        (json.dumps({"what": 1}), "expected frames with keypoints"),
        (json.dumps([{"image_id": 1, "keypoints": [5, 6, 0.1] * 17}]), "lower --confidence"),
        (json.dumps({"instance_info": [{"frame_id": 1, "instances": [
            {"keypoints": [[1, 2, 3]] * 17, "keypoint_scores": [1] * 17}]}]}), "usually Human3.6M's"),
    ],
    ids=["cut", "18", "nobody", "keys", "uncertain", "human36m"],
)  # fmt: skip
def test_keypoints_that_cannot_be_mapped_are_named(document: str, message: str, refused: Callable[..., str]) -> None:
    assert message in refused({"r.json": document})


BVH = """HIERARCHY
ROOT Hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Leg
  {
    OFFSET 0 -90 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 -10 0
    }
  }
  JOINT Head
  {
    OFFSET 0 70 0
    CHANNELS 3 Zrotation Xrotation Yrotation
  }
}
MOTION
Frames: 80
Frame Time: 0.025
"""


def test_bvh_positions_follow_from_the_angles(imported: Importer) -> None:
    text = BVH + "".join(f"10 95 0 0 0 0 90 0 0 0 {n} 0\n" for n in range(79)) + "10 95 5 90 0 0 0 90 0 0 0 0\n"
    found = imported({"ann_walk.bvh": text, "cut.bvh": text[:700]}, "--names", "{subject}_{label}")
    (clip,) = found.dataset.clips
    spec = found.dataset.info.modality("skeleton")
    assert (spec.joints, spec.parents) == (("Hips", "Leg", "Leg_end", "Head"), (0, 0, 1, 0))
    assert (spec.rate_hz, spec.unit, spec.vertical) == (40, "m", 1)
    points = clip.signals["skeleton"].reshape(80, 4, 3)
    # 90 degrees about z turn the leg's end from below to the right: (0, -10) -> (10, 0).
    np.testing.assert_allclose(points[0], [[0.1, 0.95, 0], [0.1, 0.05, 0], [0.2, 0.05, 0], [0.1, 1.65, 0]], atol=1e-6)
    # Hips 90 degrees about z: the leg points to +x; then 90 about its own x: its end points to -z.
    np.testing.assert_allclose(
        points[79], [[0.1, 0.95, 0.05], [1.0, 0.95, 0.05], [1.0, 0.95, -0.05], [-0.6, 0.95, 0.05]], atol=1e-6
    )
    assert "ann_walk.bvh (170): the size of the skeleton says cm; written in m; y is vertical" in found.printed
    assert "cut.bvh: " in found.printed


def test_bvh_of_an_unknown_unit_says_so() -> None:
    text = BVH.replace("-90", "-9").replace("70", "7").replace("-10", "-1") + "0 9 0 0 0 0 0 0 0 0 0 0\n" * 80
    samples, remark, _ = read_bvh(text)
    assert samples.unit == "unknown"
    assert "neither that of m, cm nor mm" in remark


@given(st.integers(0, len(RENUMBERED) - 1))
def test_an_ntu_file_cut_anywhere_is_refused_by_its_last_line(length: int) -> None:
    """But for the last digits of the last line, which no reader can miss: it may lack its tracking state."""
    text = RENUMBERED[:length]
    if text.count("\n") < RENUMBERED.count("\n") - 1:
        with pytest.raises(DataError, match="left out"):
            read_skeleton(text)


@given(st.permutations(range(3)), st.integers(0, 2**16))
def test_people_in_any_order_are_followed(order: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    starts = np.array([[0, 0], [400, 0], [800, 0]])
    walks = random.normal(0, 4, (40, 3, 2)).cumsum(0) + starts
    frames = [
        Frame(n, tuple(Body(BASE[:, :2] * 80 + walks[n, person]) for person in random.permutation(order)))
        for n in range(40)
    ]
    tracks = follow(tuple(frames))
    centres = sorted(float(np.stack(track.points).mean()) for track in tracks)
    expected = sorted(float((BASE[:, :2] * 80).mean() + walks[:, person].mean()) for person in range(3))
    np.testing.assert_allclose(centres, expected)
