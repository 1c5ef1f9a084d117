"""The simulated data set: geometry of the motion, physics of the sensors, reproducibility."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgehar.errors import ConfigError, DataError
from edgehar.signals.clip import Clip, Dataset
from edgehar.signals.modality import KINECT_JOINTS, KINECT_PARENTS
from edgehar.signals.windows import Normalisation, cut
from edgehar.simulation.activities import ACTIVITIES
from edgehar.simulation.body import JOINTS, REST_OFFSETS_M, Motion, bone_offsets, rotation_matrix
from edgehar.simulation.curves import GRAVITY_MPS2, keyframe_curves
from edgehar.simulation.dataset import SimulatorConfig, continuous, simulate
from edgehar.simulation.perform import gaussian_smooth, simulate_motion
from edgehar.simulation.subjects import Subject, draw_subject
from edgehar.simulation.wearables import (
    THIGH,
    WRIST,
    InertialUnit,
    add_sensor_errors,
    draw_rig,
    ideal_readings,
    worn_readings,
)

RATE_HZ = 150.0
FEET = [KINECT_JOINTS.index(name) for name in ("left_foot", "right_foot", "left_ankle", "right_ankle")]
HEAD, PELVIS, KNEE = (KINECT_JOINTS.index(name) for name in ("head", "hip_centre", "right_knee"))


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return simulate(SimulatorConfig(subjects=2, trials=1))


@pytest.fixture(scope="module")
def subject() -> Subject:
    return replace(draw_subject(0, 2), left_handed=False, heading_deg=0.0)


def moved(activity: str, subject: Subject, trial: int = 1) -> Motion:
    return simulate_motion(activity, subject, 2.7, RATE_HZ, np.random.default_rng(trial))


def assert_same_clips(one: tuple[Clip, ...], other: tuple[Clip, ...]) -> None:
    assert [clip.name for clip in one] == [clip.name for clip in other]
    for left, right in zip(one, other, strict=True):
        for name, signal in left.signals.items():
            assert signal.tobytes() == right.signals[name].tobytes(), (left.name, name)
            assert left.times_s.get(name, np.zeros(0)).tobytes() == right.times_s.get(name, np.zeros(0)).tobytes()


def test_default_has_eight_subjects_fourteen_activities_four_trials() -> None:
    config = SimulatorConfig()
    assert (config.subjects, len(config.labels), config.trials) == (8, 14, 4)


def test_clips_have_three_sensors_at_their_rates(dataset: Dataset) -> None:
    assert dataset.subjects == ("s1", "s2")
    assert len(dataset.clips) == 28
    assert [spec.patch for spec in dataset.info.modalities] == [4, 8, 12]
    for clip in dataset.clips:
        seconds = len(clip.signals["thigh"]) / 100
        assert 1.8 < seconds < 3.6
        assert len(clip.signals["wrist"]) / 50 == pytest.approx(seconds, abs=0.12)
        assert len(clip.signals["skeleton"]) / 30 == pytest.approx(seconds, abs=0.12)
        for name, signal in clip.signals.items():
            assert signal.dtype == np.float32
            assert np.isfinite(signal).all()
            assert clip.valid[name].all()
            assert clip.valid[name].shape == signal.shape[:1]


def test_data_is_reproducible_by_seed() -> None:
    config = SimulatorConfig(subjects=1, trials=1, activities=("walk", "throw"))
    assert_same_clips(simulate(config).clips, simulate(config).clips)
    other = simulate(replace(config, seed=1)).clips[0].signals["wrist"]
    assert other.tobytes() != simulate(config).clips[0].signals["wrist"].tobytes()


def test_a_clip_does_not_depend_on_the_other_clips(dataset: Dataset) -> None:
    more = simulate(SimulatorConfig(subjects=3, trials=2, activities=("kick", "stand")))
    names = {clip.name for clip in more.clips} & {clip.name for clip in dataset.clips}
    assert len(names) == 4
    alike = [sorted((c for c in d.clips if c.name in names), key=lambda c: c.name) for d in (dataset, more)]
    assert_same_clips(tuple(alike[0]), tuple(alike[1]))
    assert {dataset.info.labels[c.label or 0] for c in alike[0]} == {more.info.labels[c.label or 0] for c in alike[1]}


def test_window_of_a_clip_is_sixteen_steps_of_the_median_duration(dataset: Dataset) -> None:
    median_s = np.median([len(clip.signals["thigh"]) / 100 for clip in dataset.clips])
    assert dataset.info.window.steps == 16
    assert dataset.info.window.length_s == pytest.approx(median_s)


@pytest.mark.parametrize("activity", ACTIVITIES)
def test_feet_stand_on_the_floor_and_bones_keep_their_length(activity: str, subject: Subject) -> None:
    motion = moved(activity, subject)
    lowest = motion.positions[:, FEET, 1].min(axis=1)
    assert lowest.min() > -0.03
    assert np.median(lowest) < 0.07
    bones = np.linalg.norm(motion.positions - motion.positions[:, KINECT_PARENTS], axis=2)
    np.testing.assert_allclose(
        bones, np.broadcast_to(np.linalg.norm(subject.offsets_m, axis=1), bones.shape), atol=1e-9
    )


def test_every_activity_differs_from_every_other(subject: Subject) -> None:
    motions = {name: moved(name, subject).positions for name in ACTIVITIES}
    bodies = {name: joints - joints[:, [PELVIS]] for name, joints in motions.items()}
    for one in bodies:
        for other in bodies:
            if one < other:
                assert np.abs(bodies[one] - bodies[other]).max() > 0.15, (one, other)


def test_motions_match_their_activity(subject: Subject) -> None:
    head = {name: moved(name, subject).positions[:, HEAD, 1] for name in ACTIVITIES}
    upright = head["stand"].mean()
    assert np.ptp(head["stand"]) < 0.05
    assert head["sit_down"][-1] < upright - 0.25 < head["sit_down"][0]
    assert head["stand_up"][0] < upright - 0.25 < head["stand_up"][-1]
    assert head["squat"].min() < upright - 0.3
    assert head["bend"].min() < upright - 0.3
    assert head["jump"].max() > upright + 0.08
    walk, jog = (moved(name, subject).positions[:, PELVIS] for name in ("walk", "jog"))
    assert 0.5 < (walk[0, 2] - walk[-1, 2]) / 2.7 < 1.8
    assert (jog[0, 2] - jog[-1, 2]) > 1.3 * (walk[0, 2] - walk[-1, 2])
    hands = {name: moved(name, subject).positions[:, KINECT_JOINTS.index("right_hand")] for name in ACTIVITIES}
    for name in ("throw", "wave", "draw_circle", "punch"):
        assert hands[name][:, 1].max() > 1.1, name


def test_left_handed_subjects_use_the_left_hand(subject: Subject) -> None:
    lefty = moved("wave", replace(subject, left_handed=True)).positions
    left, right = (lefty[:, KINECT_JOINTS.index(f"{side}_hand"), 1] for side in ("left", "right"))
    assert left.max() > right.max() + 0.3


def test_motion_with_other_bone_lengths(subject: Subject) -> None:
    lengths = np.linalg.norm(REST_OFFSETS_M, axis=1) * 0.6
    small = simulate_motion(
        "squat", replace(subject, offsets_m=bone_offsets(lengths)), 2.0, 60.0, np.random.default_rng(0)
    )
    assert small.positions.shape == (120, JOINTS, 3)
    assert small.orientations.shape == (120, JOINTS, 3, 3)
    assert 0.8 < small.positions[0, HEAD, 1] < 1.1


def test_unknown_activity_is_refused(subject: Subject) -> None:
    with pytest.raises(DataError, match="activity 'fly'"):
        moved("fly", subject)


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3))
def test_unit_at_rest_reads_one_g_upwards_in_any_mounting(vector: list[float]) -> None:
    mounting = np.broadcast_to(rotation_matrix(np.array(vector)), (5, 3, 3))
    readings = ideal_readings(np.ones((5, 3)), mounting, RATE_HZ)
    np.testing.assert_allclose(np.linalg.norm(readings[:, :3], axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(mounting[0] @ readings[0, :3], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(readings[:, 3:], 0, atol=1e-9)


def test_accelerometer_matches_a_circular_motion() -> None:
    time_s = np.arange(400) / 1000
    radius_m, rate = 0.4, 2 * np.pi * 1.5
    turn = rotation_matrix(np.stack([0 * time_s, rate * time_s, 0 * time_s], axis=1))
    readings = ideal_readings(turn @ np.array([radius_m, 1.0, 0.0]), turn, 1000.0)
    expected = np.array([-radius_m * rate**2 / GRAVITY_MPS2, 1, 0, 0, np.degrees(rate), 0])
    np.testing.assert_allclose(readings, np.tile(expected, (400, 1)), atol=0.02)


@pytest.mark.parametrize("activity", ["walk", "throw", "sit_down"])
def test_integrated_acceleration_is_the_path_of_the_wrist(activity: str, subject: Subject) -> None:
    motion = moved(activity, subject)
    rig = draw_rig(0, 2, "right", 1.0, 1.0)
    force = worn_readings(motion, WRIST, rig, RATE_HZ)[:, :3]
    elbow, wrist = (KINECT_JOINTS.index(f"right_{part}") for part in ("elbow", "wrist"))
    forearm = motion.orientations[:, elbow]
    path = motion.positions[:, elbow] + 0.88 * (motion.positions[:, wrist] - motion.positions[:, elbow])
    path = path + forearm @ np.array([0, 0, -0.03])
    to_world = forearm @ rig.mounting["wrist"]
    acceleration = (np.einsum("tij,tj->ti", to_world, force) - [0, 1, 0]) * GRAVITY_MPS2
    velocity = (path[1] - path[0]) * RATE_HZ + np.cumsum(acceleration[1:-1], axis=0) / RATE_HZ
    again = path[1] + np.cumsum(velocity, axis=0) / RATE_HZ
    np.testing.assert_allclose(again, path[2:], atol=1e-6)


@pytest.mark.parametrize("unit", [WRIST, THIGH], ids=["wrist", "thigh"])
@pytest.mark.parametrize("activity", ["jog", "throw", "kick"])
def test_integrated_angular_rate_is_the_change_of_orientation(
    activity: str, unit: InertialUnit, subject: Subject
) -> None:
    motion = moved(activity, subject)
    rig = draw_rig(0, 2, "right", 1.0, 1.0)
    rate_dps = worn_readings(motion, unit, rig, RATE_HZ)[:, 3:]
    start = KINECT_JOINTS.index(f"right_{unit.placement.segment}")
    truth = motion.orientations[:, start] @ rig.mounting[unit.spec.name]
    turned = truth[1]
    for middle in 0.5 * (rate_dps[1:-2] + rate_dps[2:-1]):
        turned = turned @ rotation_matrix(np.radians(middle) / RATE_HZ)
    error = np.degrees(np.arccos(np.clip((np.trace(turned.T @ truth[-2]) - 1) / 2, -1, 1)))
    assert error < 2.0


def test_readings_are_clipped_to_the_range(dataset: Dataset) -> None:
    rig = draw_rig(0, 1, "right", 1.0, 1.0)
    wild = np.full((50, 6), 1e5) * np.array([1, -1, 1, -1, 1, -1])
    readings = add_sensor_errors(wild, WRIST, rig, 1.0, np.random.default_rng(0))
    np.testing.assert_array_equal(np.abs(readings), np.tile([4, 4, 4, 1000, 1000, 1000], (50, 1)))
    for clip in dataset.clips:
        for name in ("wrist", "thigh"):
            assert np.abs(clip.signals[name][:, :3]).max() <= 4
            assert np.abs(clip.signals[name][:, 3:]).max() <= 1000


def test_standing_reads_about_one_g(dataset: Dataset) -> None:
    for clip in dataset.clips:
        if clip.label == dataset.info.labels.index("stand"):
            for name in ("wrist", "thigh"):
                assert np.median(np.linalg.norm(clip.signals[name][:, :3], axis=1)) == pytest.approx(1, abs=0.08)


def test_skeleton_without_noise_has_the_true_bone_lengths() -> None:
    clip = simulate(SimulatorConfig(subjects=1, trials=1, activities=("throw",), noise=0.0)).clips[0]
    joints = clip.signals["skeleton"].reshape(-1, JOINTS, 3)
    bones = np.linalg.norm(joints - joints[:, KINECT_PARENTS], axis=2)
    expected = np.linalg.norm(draw_subject(0, 1).offsets_m, axis=1)
    np.testing.assert_allclose(bones, np.tile(expected, (len(bones), 1)), atol=0.01)
    assert joints[..., 2].min() > 1.0


def test_without_style_all_subjects_are_equal() -> None:
    one, other = draw_subject(0, 1, style=0.0), draw_subject(0, 2, style=0.0)
    np.testing.assert_array_equal(one.offsets_m, other.offsets_m)
    np.testing.assert_array_equal(one.posture_deg, other.posture_deg)
    assert one.tempo == other.tempo == 1


def test_continuous_recordings_have_timestamps_segments_and_windows() -> None:
    config = SimulatorConfig(subjects=1, trials=1)
    recordings = continuous(config, bouts=5)
    (clip,) = recordings.clips
    assert_same_clips(recordings.clips, continuous(replace(config, subjects=2), bouts=5).clips[:1])
    assert clip.label is None
    assert len(clip.segments) == 5
    ends = [0.0, *(segment.end_s for segment in clip.segments)]
    assert all(segment.start_s > end for segment, end in zip(clip.segments, ends[:-1], strict=True))
    firsts = {clip.times_s[name][0] for name in clip.signals}
    assert len(firsts) == 3
    for name, times_s in clip.times_s.items():
        assert len(times_s) == len(clip.signals[name])
        assert (np.diff(times_s) > 0).all()
        assert 0 <= times_s[0] < 0.2
        assert times_s[-1] > clip.segments[-1].end_s
    windows = cut(recordings.clips, recordings.info, Normalisation.identity(recordings.info.modalities))
    assert len(windows.labelled()) > 10
    assert all(valid.mean() > 0.95 for valid in windows.valid.values())


def test_transitions_are_smooth() -> None:
    clip = continuous(SimulatorConfig(subjects=1, trials=1, noise=0.0), bouts=14).clips[0]
    joints = clip.signals["skeleton"].reshape(-1, JOINTS, 3)
    assert np.abs(np.diff(joints - joints[:, [PELVIS]], axis=0)).max() < 0.35


def test_standing_up_follows_sitting_down() -> None:
    recordings = continuous(SimulatorConfig(subjects=1, trials=2), bouts=15)
    for clip in recordings.clips:
        plan = [recordings.info.labels[segment.label] for segment in clip.segments]
        seated = [plan[index + 1] for index, name in enumerate(plan[:-1]) if name == "sit_down"]
        assert set(seated) <= {"stand_up"}


@pytest.mark.parametrize(
    "given",
    [
        *({"subjects": 0}, {"trials": 0}, {"seed": -1}, {"seconds": 0.1}, {"rate_hz": 10.0}, {"style": -1.0}),
        *({"noise": float("nan")}, {"activities": ("walk", "fly")}, {"activities": ("walk", "walk")}),
    ],
)
def test_settings_out_of_bounds_are_refused(given: dict[str, object]) -> None:
    (name,) = given
    with pytest.raises(ConfigError, match=f"--{name.replace('_', '-')} "):
        SimulatorConfig(**given)  # pyright: ignore[reportArgumentType]


def test_recordings_without_activities_are_refused() -> None:
    with pytest.raises(ConfigError, match="bouts 0"):
        continuous(SimulatorConfig(subjects=1, trials=1), bouts=0)


@settings(max_examples=40)
@given(st.lists(st.floats(-100, 100), min_size=2, max_size=7))
def test_keyframe_curves_reach_their_targets_without_overshoot(targets: list[float]) -> None:
    times = tuple(np.linspace(0, 1, len(targets)))
    curve = keyframe_curves(np.linspace(-0.5, 1.5, 301), times, angle=tuple(targets))["angle"]
    at_targets = keyframe_curves(np.asarray(times), times, angle=tuple(targets))["angle"]
    np.testing.assert_allclose(at_targets, targets, atol=1e-9)
    assert curve.min() >= min(targets) - 1e-9
    assert curve.max() <= max(targets) + 1e-9
    assert curve[0] == pytest.approx(targets[0])
    assert curve[-1] == pytest.approx(targets[-1])


@given(st.floats(-50, 50), st.floats(0.5, 12))
def test_smoothing_a_constant_changes_nothing(value: float, width: float) -> None:
    np.testing.assert_allclose(gaussian_smooth(np.full((40, 2), value), width), value, atol=1e-9)
