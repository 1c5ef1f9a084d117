"""The simulated data set: contents, reproducibility, continuous recordings, options."""

from dataclasses import replace

import numpy as np
import pytest

from edgehar.errors import ConfigError
from edgehar.signals.clip import Clip, Dataset
from edgehar.signals.modality import KINECT_JOINTS, KINECT_PARENTS
from edgehar.signals.windows import Normalisation, cut
from edgehar.simulation.body import JOINTS
from edgehar.simulation.dataset import SimulatorConfig, continuous, simulate
from edgehar.simulation.subjects import draw_subject

PELVIS = KINECT_JOINTS.index("hip_centre")


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
