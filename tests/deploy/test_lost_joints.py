"""Skeletons whose joints are lost, 2-D and 3-D: the other joints count, in a recording and in a stream alike."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgehar
from edgehar import StreamRecognizer
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import DataError, PackageError
from edgehar.signals.clip import Clip
from edgehar.signals.windows import cut
from tests.deploy.streams import Recording, assert_same, chopped, offline, recordings, sample_by_sample, streamed
from tests.deploy.tiny_package import INERTIAL, SKELETON, write_tiny_package

PICTURE = replace(SKELETON, channels=40, group=2, unit="px", lost_joints=True)
FOOT = SKELETON.joints.index("right_foot")


@pytest.fixture(scope="module")
def picture_recognizer(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    """A package of a 2-D skeleton and an inertial sensor, with sliding windows."""
    path = tmp_path_factory.mktemp("packages") / "picture"
    write_tiny_package(path, kind="sliding", hop=2, specs=(PICTURE, INERTIAL))
    return edgehar.load(path)


def body(seconds: float = 2.0) -> Any:
    """A moving skeleton (T, 20, 3) in float64."""
    generator = np.random.default_rng(0)
    return generator.standard_normal((int(30 * seconds), 20, 3)).cumsum(0) / 10


def without_foot(joints: Any) -> Any:
    lost = joints.copy()
    lost[:, FOOT] = np.nan
    return lost


def test_joint_that_was_never_seen_has_no_features_and_the_others_count(clip_package: Path) -> None:
    recognizer, joints = edgehar.load(clip_package), body()
    manifest = recognizer.manifest
    samples = joints.reshape(len(joints), 60).astype(np.float32)
    whole = Clip("whole", "", "", {"skeleton": samples}, {"skeleton": np.ones(len(samples), bool)})
    windows = cut([whole], manifest.info, manifest.normalisation)
    windows.features["skeleton"][:, :, :, FOOT] = 0
    expected = recognizer.probabilities(recognizer.predict_prepared(windows))[0]
    found = recognizer.predict({"skeleton": without_foot(joints)})
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-6)
    assert not np.allclose(expected, recognizer.predict({"skeleton": joints}).probabilities, atol=1e-3)


@pytest.mark.parametrize("lost", ["None", "one channel", "infinite", "huge", "masked"])
def test_every_way_to_lose_a_joint_is_the_same(recognizer: Recognizer, lost: str) -> None:
    expected = recognizer.predict({"skeleton": without_foot(body())})
    joints: Any = body()
    if lost == "None":
        joints = joints.astype(object)
        joints[:, FOOT] = None
        joints = joints.tolist()
    elif lost == "masked":
        joints = np.ma.masked_array(joints, np.broadcast_to(np.arange(20)[:, None] == FOOT, joints.shape))
    else:
        joints[:, FOOT, 1] = {"one channel": np.nan, "infinite": np.inf, "huge": 1e30}[lost]
    np.testing.assert_array_equal(recognizer.predict({"skeleton": joints}).probabilities, expected.probabilities)


def test_skeleton_without_any_joint_is_refused(recognizer: Recognizer) -> None:
    with pytest.raises(DataError, match="no usable sample of skeleton"):
        recognizer.predict({"skeleton": np.full((60, 60), np.nan)})


@settings(max_examples=25, deadline=None)
@given(recordings(PICTURE), st.lists(st.floats(0, 3), max_size=6))
def test_stream_of_a_picture_equals_the_recording(
    picture_recognizer: Recognizer, recording: Recording, cuts_s: list[float]
) -> None:
    start_s = min(float(times[0]) for times in recording.times_s.values())
    expected = offline(picture_recognizer, recording)
    stream = StreamRecognizer(picture_recognizer, lateness_s=float("inf"), start_s=start_s)
    assert_same(streamed(stream, chopped(recording, cuts_s)), expected)
    assert_same(streamed(stream, sample_by_sample(recording)), expected)


@given(st.floats(0.02, 50), st.floats(-500, 500))
@settings(max_examples=25, deadline=None)
def test_camera_changes_no_prediction(picture_recognizer: Recognizer, scale: float, right: float) -> None:
    joints = without_foot(body()[..., :2])
    expected = picture_recognizer.predict({"skeleton": joints})
    found = picture_recognizer.predict({"skeleton": joints * scale + [right * scale, 0]})
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=2e-3)


def test_package_of_a_picture_without_bones_is_refused(tmp_path: Path) -> None:
    write_tiny_package(tmp_path / "picture", specs=(PICTURE,))
    manifest = edgehar.load(tmp_path / "picture").manifest
    with pytest.raises(PackageError, match="and bones"):
        replace(manifest, normalisation=replace(manifest.normalisation, bones={}))
