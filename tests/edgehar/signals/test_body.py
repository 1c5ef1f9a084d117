"""2-D skeletons are normalised by the body; a lost joint has no features and disturbs no other joint."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehar.signals.body import body_size, measure_bones
from edgehar.signals.clip import Bools, Clip, Dataset, DatasetInfo, Floats
from edgehar.signals.modality import KINECT_JOINTS, KINECT_PARENTS, ModalitySpec, WindowSpec
from edgehar.signals.preprocess import Normalisation, measure_scale, prepare
from edgehar.signals.windows import fit_normalisation
from edgehar.simulation.dataset import SimulatorConfig, simulate

SKELETON = ModalitySpec("skeleton", 60, "m", 30.0, 4, joints=KINECT_JOINTS, parents=KINECT_PARENTS)
PICTURE = replace(SKELETON, channels=40, group=2, unit="px", lost_joints=True)
ROOT, FOOT = SKELETON.root, KINECT_JOINTS.index("right_foot")
LENGTH = 16
BODIES = [clip.signals["skeleton"] for clip in simulate(SimulatorConfig(subjects=2, trials=1)).clips]


def picture_of(samples: Floats) -> Floats:
    """Joints in metres (T, 60) as pixels (T, 40)."""
    joints = samples.reshape(len(samples), -1, 3)[..., :2] * np.array([120, -120], np.float32)
    return (joints + 400).reshape(len(samples), -1).astype(np.float32)


PICTURES = [picture_of(samples) for samples in BODIES]
NORMALISATION = Normalisation(
    {"skeleton": np.full((20, 2), 0.1, np.float32)}, {"skeleton": measure_bones(np.concatenate(PICTURES), PICTURE)}
)
METRES = Normalisation.identity([SKELETON])


def features_of(frames: Floats, spec: ModalitySpec = PICTURE, **more: Any) -> tuple[Floats, Bools]:
    normalisation = NORMALISATION if spec.is_picture else METRES
    return prepare(frames, np.ones(len(frames), bool), spec, 1 / 30, normalisation, **more)


def without(frames: Floats, joints: Any, spec: ModalitySpec, rows: slice = slice(None)) -> Floats:
    """The frames with lost joints."""
    lost = frames.reshape(len(frames), spec.groups, spec.group).copy()
    lost[rows, joints] = np.nan
    return lost.reshape(frames.shape)


@given(
    st.integers(0, len(PICTURES) - 1),
    st.floats(0.01, 100),
    st.floats(-2000, 2000),
    st.floats(-2000, 2000),
    st.lists(st.integers(0, 19), max_size=8),
)
def test_scale_and_place_of_the_picture_change_nothing(
    index: int, scale: float, right: float, down: float, lost: list[int]
) -> None:
    frames = without(PICTURES[index][:LENGTH], lost, PICTURE)
    moved = (frames.astype(np.float64) * scale + np.tile([right * scale, down * scale], 20)).astype(np.float32)
    features, valid = features_of(frames)
    moved_features, moved_valid = features_of(moved)
    np.testing.assert_allclose(moved_features, features, atol=0.02)  # float32 has 1e-4 pixels at 2000
    np.testing.assert_array_equal(moved_valid, valid)


@given(st.integers(-10, 10), st.integers(0, len(PICTURES) - 1))
def test_power_of_two_as_scale_changes_no_bit(exponent: int, index: int) -> None:
    frames = PICTURES[index][:LENGTH]
    assert np.array_equal(features_of(frames)[0], features_of(frames * np.float32(2.0**exponent))[0])


def test_size_follows_the_camera_and_not_the_pose() -> None:
    sizes = [body_size(frames.reshape(-1, 20, 2), NORMALISATION.bones["skeleton"], PICTURE) for frames in PICTURES]
    medians = [float(np.median(size)) for size in sizes]
    for size, median in zip(sizes, medians, strict=True):
        assert np.quantile(np.abs(size / median - 1), 0.9) < 0.15
    assert max(medians) / min(medians) < 1.5


@given(st.integers(0, len(PICTURES) - 1), st.lists(st.integers(0, 19), max_size=20), st.integers(1, 3))
def test_features_depend_on_the_frame_and_the_one_before(index: int, lost: list[int], cut: int) -> None:
    frames = without(PICTURES[index][:LENGTH], lost, PICTURE, slice(3, 9))
    whole, valid = features_of(frames)
    first, end = 4 * cut, len(frames)
    part, part_valid = features_of(frames[first:end], previous=(frames[first - 1], True))
    np.testing.assert_array_equal(part, whole[cut:])
    np.testing.assert_array_equal(part_valid, valid[cut:])


@pytest.mark.parametrize("spec", [SKELETON, replace(SKELETON, lost_joints=True)])
def test_other_joints_are_those_of_the_whole_body(spec: ModalitySpec) -> None:
    frames = BODIES[0][:LENGTH]
    whole, _ = features_of(frames, spec)
    features, valid = features_of(without(frames, FOOT, spec), spec)
    assert valid.all()
    assert not features[:, :, FOOT].any()
    others = np.arange(20) != FOOT
    np.testing.assert_array_equal(features[:, :, others], whole[:, :, others])


def test_lost_root_is_replaced_by_the_joints_next_to_it() -> None:
    frames = BODIES[0][:LENGTH]
    features, valid = features_of(without(frames, ROOT, SKELETON), SKELETON)
    joints = frames.reshape(-1, 20, 3)
    near = [KINECT_JOINTS.index(name) for name in ("spine", "left_hip", "right_hip")]
    expected = joints - joints[:, near].mean(1, keepdims=True)
    value = features.reshape(LENGTH, 20, 6)[..., :3]
    known = np.arange(20) != ROOT
    np.testing.assert_allclose(value[:, known], expected[:, known], atol=1e-5)
    assert valid.all()
    assert not features[:, :, ROOT].any()


def test_change_of_the_origin_is_no_motion() -> None:
    still = np.repeat(BODIES[0][:1], LENGTH, axis=0)
    features, _ = features_of(without(still, ROOT, SKELETON, slice(6, None)), SKELETON)
    assert not features[..., 3:].any()


def test_step_lacks_a_joint_that_most_of_its_frames_lack() -> None:
    frames = without(without(PICTURES[0][:8], FOOT, PICTURE, slice(0, 1)), FOOT, PICTURE, slice(5, 8))
    features, valid = features_of(frames)
    assert valid.all()
    assert features[0, :, FOOT].any(1).tolist() == [False, True, True, True]
    assert not features[1, :, FOOT].any()


def test_frames_without_a_joint_or_without_a_size_are_not_valid() -> None:
    for frames in (
        without(PICTURES[0][:8], slice(None), PICTURE, slice(4, 8)),
        np.concatenate([PICTURES[0][:4], np.full((4, 40), 7, np.float32)]),
    ):
        features, valid = features_of(frames)
        assert valid.tolist() == [True, False]
        assert not features[1].any()


def test_known_root_of_a_still_body_has_a_feature() -> None:
    still = np.repeat(PICTURES[0][:1], LENGTH, axis=0)
    assert features_of(still)[0].any((1, 3)).all()


def test_bones_are_measured_where_joints_are_lost() -> None:
    generator = np.random.default_rng(0)
    samples = np.concatenate(PICTURES)
    lost = samples.reshape(-1, 20, 2).copy()
    lost[generator.random(lost.shape[:2]) < 0.3] = np.nan
    lost[:, FOOT] = np.nan
    bones, whole = measure_bones(lost.reshape(samples.shape), PICTURE), NORMALISATION.bones["skeleton"]
    known = np.arange(20) != FOOT
    assert bones[FOOT] == bones[ROOT] == 0
    np.testing.assert_allclose(bones[known] / bones.sum(), whole[known] / whole[known].sum(), atol=0.01)


def test_scales_are_those_of_the_known_joints() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(40, 8, 4, 20, 4)).astype(np.float32) * np.array([2, 2, 3, 3], np.float32)
    features[..., ROOT, :2] = 1
    features *= generator.random((40, 8, 1, 20, 1)) < 0.6
    scale = measure_scale(features, np.ones((40, 8), bool), PICTURE)
    assert scale.shape == (20, 2)
    np.testing.assert_allclose(scale, np.tile([2 * np.sqrt(19 / 20), 3], (20, 1)), rtol=0.03)


def test_training_measures_scales_of_a_picture_by_the_body() -> None:
    info = DatasetInfo("test", (PICTURE,), ("a", "b"), WindowSpec("clip", 4, 0.1))
    measured = []
    for scale in (1, 3):
        clips = tuple(
            Clip(str(index), "s1", "", {"skeleton": scale * signal}, {"skeleton": np.ones(len(signal), bool)}, 0)
            for index, signal in enumerate(PICTURES)
        )
        measured.append(fit_normalisation(Dataset(info, clips), ["s1"]))
    assert measured[0].is_usable(PICTURE)
    np.testing.assert_allclose(measured[0].scale["skeleton"], measured[1].scale["skeleton"], rtol=1e-4)
    np.testing.assert_allclose(measured[0].bones["skeleton"], NORMALISATION.bones["skeleton"], atol=1e-6)


def test_normalisation_with_bones_is_read_back() -> None:
    back = Normalisation.from_json(NORMALISATION.to_json())
    assert back.is_usable(PICTURE)
    np.testing.assert_array_equal(back.bones["skeleton"], NORMALISATION.bones["skeleton"])
    np.testing.assert_array_equal(back.scale["skeleton"], NORMALISATION.scale["skeleton"])
    assert METRES.to_json() == {"skeleton": [[1.0, 1.0]] * 20}


@pytest.mark.parametrize("bones", [None, np.zeros(20), np.full(20, np.nan), np.full(19, 0.1), np.full(20, -0.1)])
def test_unusable_bones_are_refused(bones: Any) -> None:
    scale = NORMALISATION.scale
    broken = Normalisation(scale) if bones is None else Normalisation(scale, {"skeleton": bones.astype(np.float32)})
    assert not broken.is_usable(PICTURE)
    assert not NORMALISATION.is_usable(SKELETON)
