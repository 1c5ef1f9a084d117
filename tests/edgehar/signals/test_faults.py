"""Faults change raw recordings as documented: lost samples are marked, the others are unchanged."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehar.data.public.utd_mhad import INERTIAL, SKELETON
from edgehar.errors import DataError
from edgehar.signals.clip import Clip, DatasetInfo, Segment
from edgehar.signals.faults import (
    CATEGORIES,
    MAX_LOST_SHARE,
    MAX_NOISE,
    MAX_SHIFT_FRAMES,
    Fault,
    apply,
    faulty_copy,
    random_faults,
    scenarios,
    signal_spread,
)
from edgehar.signals.modality import WindowSpec
from edgehar.signals.preprocess import Normalisation
from edgehar.signals.windows import Windows, cut

SPECS = (SKELETON, INERTIAL)
SPREAD = {"skeleton": np.full(60, 0.3, np.float32), "inertial": np.full(6, 2.0, np.float32)}
CLIP_INFO = DatasetInfo("cut", SPECS, ("a", "b"), WindowSpec("clip", 16, 0.14))
SLIDING_INFO = DatasetInfo("long", SPECS, ("a", "b"), WindowSpec("sliding", 8, 0.16, 2))


def recording(seed: int = 0, samples: int = 70, timed: bool = False) -> Clip:
    """A skeleton and an inertial sensor over the same time, with random samples."""
    generator = np.random.default_rng(seed)
    lengths = {"skeleton": samples, "inertial": samples * 5 // 3}
    signals = {
        spec.name: generator.standard_normal((lengths[spec.name], spec.channels)).astype(np.float32) for spec in SPECS
    }
    valid = {name: np.ones(length, bool) for name, length in lengths.items()}
    times_s = {spec.name: np.arange(lengths[spec.name]) / spec.rate_hz for spec in SPECS} if timed else {}
    segments = (Segment(0.0, 100.0, 1),) if timed else ()
    return Clip("a1_s1_t1", "s1", "t1", signals, valid, None if timed else 1, times_s, segments)


def windows_of(clip: Clip, timed: bool = False) -> Windows:
    return cut([clip], SLIDING_INFO if timed else CLIP_INFO, Normalisation.identity(SPECS))


def faulty(clip: Clip, *faults: Fault, seed: int = 0) -> Clip:
    return apply(clip, faults, SPREAD, np.random.default_rng(seed))


@given(st.integers(-12, 12), st.integers(1, 10))
def test_shift_moves_samples_and_invalidates_the_end(frames: int, samples: int) -> None:
    clip = recording(samples=samples)
    moved = faulty(clip, Fault("skeleton", shift_frames=frames))
    for index in range(samples):
        valid = moved.valid["skeleton"][index]
        assert valid == (0 <= index - frames < samples)
        expected = clip.signals["skeleton"][index - frames] if valid else np.zeros(60, np.float32)
        np.testing.assert_array_equal(moved.signals["skeleton"][index], expected)
    assert moved.signals["inertial"] is clip.signals["inertial"]


def test_shift_keeps_the_timestamps_of_a_continuous_recording() -> None:
    clip = recording(timed=True)
    late = faulty(clip, Fault("inertial", shift_frames=3))
    assert late.times_s == clip.times_s
    assert late.segments == clip.segments
    np.testing.assert_array_equal(late.signals["inertial"][10], clip.signals["inertial"][7])


def test_shift_moves_gaps() -> None:
    clip = recording()
    clip.valid["inertial"][20] = False
    assert np.flatnonzero(~faulty(clip, Fault("inertial", shift_frames=-2)).valid["inertial"]).tolist() == [
        18,
        *range(len(clip.valid["inertial"]) - 2, len(clip.valid["inertial"])),
    ]


@given(st.floats(0, 1), st.integers(1, 60), st.integers(0, 5))
def test_loss_invalidates_the_share_and_zeroes_the_values(share: float, samples: int, seed: int):
    clip = recording(seed, samples)
    lossy = faulty(clip, Fault("skeleton", lost_share=share), seed=seed)
    valid = lossy.valid["skeleton"]
    assert (~valid).sum() == round(share * samples)
    assert not lossy.signals["skeleton"][~valid].any()
    np.testing.assert_array_equal(lossy.signals["skeleton"][valid], clip.signals["skeleton"][valid])


def test_loss_is_a_share_of_the_valid_samples() -> None:
    clip = recording()
    clip.valid["skeleton"][:30] = False
    valid = faulty(clip, Fault("skeleton", lost_share=0.5)).valid["skeleton"]
    assert not valid[:30].any()
    assert valid.sum() == 20


def test_noise_has_the_given_standard_deviation_in_each_channel() -> None:
    clip = recording(samples=6000)
    spread = {"inertial": np.asarray([0.1, 0.5, 1, 2, 50, 0], np.float32)}
    noisy = apply(clip, [Fault("inertial", noise=0.3)], spread, np.random.default_rng(1))
    added = noisy.signals["inertial"] - clip.signals["inertial"]
    np.testing.assert_allclose(added.std(0), 0.3 * spread["inertial"], rtol=0.05)
    np.testing.assert_allclose(added.mean(0), 0, atol=0.02 * 50)
    assert noisy.valid["inertial"].all()


@pytest.mark.parametrize("timed", [False, True])
def test_missing_modality_gives_the_same_windows_as_a_removed_one(timed: bool) -> None:
    clip = recording(timed=timed)
    windows = windows_of(faulty(clip, Fault("inertial", missing=True)), timed)
    removed = replace(clip, signals={"skeleton": clip.signals["skeleton"]})
    without = windows_of(removed, timed)
    assert len(windows) == len(without) == len(windows_of(clip, timed))
    for name in ("skeleton", "inertial"):
        np.testing.assert_array_equal(windows.features[name], without.features[name])
        np.testing.assert_array_equal(windows.valid[name], without.valid[name])


@pytest.mark.parametrize("timed", [False, True])
def test_with_all_modalities_missing_windows_remain_and_are_empty(timed: bool) -> None:
    clip = recording(timed=timed)
    windows = windows_of(faulty(clip, *(Fault(spec.name, missing=True) for spec in SPECS)), timed)
    whole = windows_of(clip, timed)
    np.testing.assert_array_equal(windows.label, whole.label)
    np.testing.assert_array_equal(windows.start_s, whole.start_s)
    np.testing.assert_array_equal(windows.end_s, whole.end_s)
    for name in ("skeleton", "inertial"):
        assert not windows.valid[name].any()
        assert not windows.features[name].any()


def test_clip_without_signals_is_one_empty_window() -> None:
    windows = windows_of(replace(recording(), signals={}, valid={}))
    assert len(windows) == 1
    assert not any(valid.any() for valid in windows.valid.values())


@pytest.mark.parametrize("timed", [False, True])
def test_windows_interpolate_a_linear_motion_with_half_of_the_samples_lost(timed: bool) -> None:
    clip = recording(samples=200, timed=timed)
    for spec in SPECS:
        clip.signals[spec.name][:] = 1 + np.arange(len(clip.signals[spec.name]))[:, None] / spec.rate_hz
    whole = windows_of(clip, timed)
    lossy = windows_of(faulty(clip, *(Fault(spec.name, lost_share=0.5) for spec in SPECS)), timed)
    for name in ("skeleton", "inertial"):
        assert lossy.valid[name].mean() > 0.8  # runs of losses longer than MAX_GAP_FRAMES stay gaps
    # Linear between samples; constant after the last sample, so the first and last step are excluded.
    seen = lossy.features["inertial"][:, 1:-1, :, 0, 0].ravel()  # first channel of every frame
    there = whole.features["inertial"][:, 1:-1, :, 0, 0].ravel()
    np.testing.assert_allclose(seen[seen != 0], there[seen != 0], rtol=1e-4)
    assert (seen != 0).mean() > 0.8


def test_windows_of_a_shifted_recording_are_invalid_at_the_start() -> None:
    clip = recording()
    half = faulty(clip, Fault("inertial", shift_frames=58))
    valid = windows_of(half).valid["inertial"][0]
    assert not valid[:7].any()
    assert valid[9:].all()


def test_the_recording_is_not_modified() -> None:
    clip = recording(timed=True)
    before = {name: values.copy() for name, values in clip.signals.items()}
    faulty(clip, Fault("skeleton", 3, 0.4, 0.5), Fault("inertial", missing=True), Fault("inertial", -2, 0.4, 0.5))
    for name, values in before.items():
        np.testing.assert_array_equal(clip.signals[name], values)
        assert clip.valid[name].all()


def test_faults_of_an_absent_modality_are_ignored() -> None:
    clip = replace(recording(), signals={}, valid={})
    assert faulty(clip, Fault("skeleton", 3, 0.4, 0.5)) == clip


def test_faults_are_reproducible_by_seed() -> None:
    clip, fault = recording(), Fault("inertial", 4, 0.3, 0.3)
    np.testing.assert_array_equal(faulty(clip, fault).signals["inertial"], faulty(clip, fault).signals["inertial"])
    assert (faulty(clip, fault).signals["inertial"] != faulty(clip, fault, seed=1).signals["inertial"]).any()


def test_composite_combines_noise_loss_and_shift() -> None:
    clip = recording()
    broken = faulty(clip, Fault("inertial", 4, 0.3, 0.3))
    samples, valid = len(clip.valid["inertial"]), broken.valid["inertial"]
    lost_late = round(0.3 * samples)
    assert samples - lost_late - 4 <= valid.sum() <= samples - lost_late
    assert not valid[:4].any()
    there = np.flatnonzero(valid)
    added = broken.signals["inertial"][there] - clip.signals["inertial"][there - 4]
    assert 0.5 < added.std() < 0.7  # 0.3 of a spread of 2


@pytest.mark.parametrize(
    ("lost_share", "noise"), [(1.1, 0.0), (-0.1, 0.0), (np.nan, 0.0), (0.0, -1.0), (0.0, np.inf), (0.0, np.nan)]
)
def test_fault_out_of_range_is_refused(lost_share: float, noise: float) -> None:
    with pytest.raises(DataError, match=f"lost share {lost_share}, noise {noise}"):
        Fault("skeleton", lost_share=lost_share, noise=noise)


def test_noise_without_training_samples_is_refused() -> None:
    with pytest.raises(DataError, match="noise of skeleton"):
        apply(recording(), [Fault("skeleton", noise=0.1)], {}, np.random.default_rng(0))


def test_spread_is_measured_on_valid_samples_of_all_clips() -> None:
    clips = [recording(seed) for seed in range(3)]
    clips[0].signals["inertial"][:50], clips[0].valid["inertial"][:50] = np.nan, False
    for clip in clips:
        clip.valid["skeleton"][:] = False
    spread = signal_spread(clips)
    seen = np.concatenate([clip.signals["inertial"][clip.valid["inertial"]] for clip in clips])
    assert list(spread) == ["inertial"]
    np.testing.assert_allclose(spread["inertial"], seen.std(0), rtol=1e-4)


def test_suite_for_a_skeleton_and_an_inertial_sensor_is_the_published_one() -> None:
    expected = ["clean"]
    for name in ("skeleton", "inertial"):
        expected += [f"{name} shift {k}" for k in ("-4", "-2", "+2", "+4")]
        expected += [f"{name} loss {share} %" for share in (10, 30, 50)]
        expected += [f"{name} noise {strength}" for strength in (0.1, 0.3, 0.5)]
    expected += ["missing skeleton", "missing inertial", "missing both", "inertial composite"]
    suite = scenarios(SPECS)
    assert len(suite) == 25
    assert [scenario.name for scenario in suite] == expected
    assert [sum(one.category == category for one in suite) for category in CATEGORIES] == [1, 8, 6, 6, 3, 1]
    by_name = {scenario.name: scenario.faults for scenario in suite}
    assert by_name["clean"] == ()
    assert by_name["skeleton shift -4"] == (Fault("skeleton", shift_frames=-4),)
    assert by_name["inertial loss 30 %"] == (Fault("inertial", lost_share=0.3),)
    assert by_name["skeleton noise 0.5"] == (Fault("skeleton", noise=0.5),)
    assert by_name["missing both"] == (Fault("skeleton", missing=True), Fault("inertial", missing=True))
    assert by_name["inertial composite"] == (Fault("inertial", shift_frames=4, lost_share=0.3, noise=0.3),)


def test_suite_for_other_sensors() -> None:
    alone = [scenario.name for scenario in scenarios((SKELETON,))]
    assert len(alone) == 13
    assert alone[-2:] == ["missing skeleton", "skeleton composite"]
    three = [scenario.name for scenario in scenarios((SKELETON, INERTIAL, replace(INERTIAL, name="thigh")))]
    assert len(three) == 1 + 30 + 4 + 2
    assert three[-3:] == ["missing all", "inertial composite", "thigh composite"]
    assert len(set(three)) == len(three)


def test_random_faults_cover_their_ranges_and_skip_some_recordings() -> None:
    generator = np.random.default_rng(0)
    drawn = [random_faults(SPECS, generator) for _ in range(3000)]
    faults = [fault for some in drawn for fault in some]
    assert not any(fault.missing for fault in faults)
    assert {fault.shift_frames for fault in faults} == set(range(-MAX_SHIFT_FRAMES, MAX_SHIFT_FRAMES + 1))
    for severities, strongest in [
        ([fault.lost_share for fault in faults], MAX_LOST_SHARE),
        ([fault.noise for fault in faults], MAX_NOISE),
    ]:
        assert min(severities) == 0
        assert 0.95 * strongest < max(severities) <= strongest
        assert len({*severities}) > 1000
    assert 0 < sum(not some for some in drawn) < len(drawn) / 10
    assert drawn[:50] == [random_faults(SPECS, again) for again in [np.random.default_rng(0)] for _ in range(50)]


def test_training_gets_a_faulty_copy_of_each_clip_with_valid_windows() -> None:
    clips = [recording(seed) for seed in range(20)]
    spread = signal_spread(clips)
    copies = faulty_copy(clips, SPECS, spread, np.random.default_rng(3))
    assert [copy.label for copy in copies] == [clip.label for clip in clips]
    windows = cut(copies, CLIP_INFO, Normalisation.identity(SPECS))
    assert len(windows) == 20
    assert windows.valid["skeleton"].any(axis=1).all()
    again = faulty_copy(clips, SPECS, spread, np.random.default_rng(3))
    assert all(
        (one.signals["inertial"] == two.signals["inertial"]).all() for one, two in zip(copies, again, strict=True)
    )
