"""Gaps, slow sensors and the timestamps of pre-cut clips."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehar.signals.clip import Clip, DatasetInfo
from edgehar.signals.modality import ModalitySpec, WindowSpec
from edgehar.signals.preprocess import Normalisation
from edgehar.signals.resampling import GapRule, ValidSamples, gap_rule, hold
from edgehar.signals.windows import Windows, cut


def one_channel(name: str, rate_hz: float, step_s: float) -> ModalitySpec:
    return ModalitySpec(name, 1, "x", rate_hz, max(1, round(rate_hz * step_s)), group=1)


def windows_of(specs: tuple[ModalitySpec, ...], window: WindowSpec, times_s: Any, signals: Any = None) -> Windows:
    """Windows of one recording; without other signals, each sample is its own time."""
    values = {
        name: np.asarray(time_s if signals is None else signals[name], np.float32)[:, None]
        for name, time_s in times_s.items()
    }
    valid = {name: np.ones(len(value), bool) for name, value in values.items()}
    clip = Clip("r", "p1", "1", values, valid, label=0, times_s={k: np.asarray(v, float) for k, v in times_s.items()})
    return cut([clip], DatasetInfo("made", specs, ("a",), window), Normalisation.identity(specs))


@pytest.mark.parametrize(
    ("rate_hz", "phase_s", "step_s"), [(1.0, 0.35, 0.1), (0.2, 0.4, 0.1), (2.0, 0.1, 0.05), (0.4, 0.0, 0.5)]
)
def test_all_steps_of_a_slow_sensor_are_valid(rate_hz: float, phase_s: float, step_s: float) -> None:
    specs = one_channel("watch", 50, step_s), one_channel("heart", rate_hz, step_s)
    times_s = {"watch": np.arange(2000) / 50, "heart": phase_s + np.arange(int(40 * rate_hz)) / rate_hz}
    rate_bpm = 60 + np.arange(len(times_s["heart"]))
    windows = windows_of(
        specs, WindowSpec("sliding", 16, step_s), times_s, {"watch": times_s["watch"], "heart": rate_bpm}
    )
    assert windows.valid["heart"].all()
    values = windows.features["heart"][:, 0, 0, 0, 0]
    assert set(values.tolist()) <= set(rate_bpm.tolist())  # held, not interpolated
    assert len(set(values.tolist())) >= len(rate_bpm) - 16 * step_s * rate_hz - 1


@pytest.mark.parametrize(
    ("true_hz", "declared_hz", "share"), [(5, 100, 0), (6, 50, 0), (7, 50, 1), (5, 5, 1), (6, 6, 1), (3, 4, 1)]
)
def test_a_sensor_declared_at_its_true_rate_is_usable(true_hz: float, declared_hz: float, share: float) -> None:
    spec = one_channel("phone", declared_hz, 0.1)
    windows = windows_of((spec,), WindowSpec("sliding", 16, 0.1), {"phone": np.arange(20 * true_hz) / true_hz})
    assert windows.valid["phone"].mean() == share


def test_a_slow_sensor_that_stops_is_lost_after_eight_of_its_samples() -> None:
    specs = (one_channel("heart", 1, 0.1), one_channel("watch", 50, 0.1))
    heart_s = np.r_[0:10, 30:40]
    windows = windows_of(specs, WindowSpec("sliding", 10, 0.1, 10), {"heart": heart_s, "watch": np.arange(2000) / 50})
    seconds = windows.valid["heart"].mean(axis=1)  # a window per second
    np.testing.assert_array_equal(seconds[:17], 1)
    np.testing.assert_array_equal(seconds[18:29], 0)
    np.testing.assert_array_equal(seconds[30:], 1)


@pytest.mark.parametrize(("rate_hz", "held"), [(2.4, True), (2.5, False), (50, False)])
def test_only_sensors_slower_than_half_of_the_longest_gap_are_held(rate_hz: float, held: bool) -> None:
    assert gap_rule(one_channel("x", rate_hz, 0.1), 0.1).is_held == held


def test_a_gap_counts_the_samples_of_a_sensor_slower_than_its_frames() -> None:
    spec = ModalitySpec("camera", 1, "x", 4.0, 1, group=1)  # steps of 0.1 s, a sample every 0.25 s
    rule = gap_rule(spec, 0.1)
    assert (rule.max_gap_s, rule.margin_s, rule.is_held) == (2.0, 1.0, False)
    fast = gap_rule(ModalitySpec("watch", 1, "x", 50, 5, group=1), 0.1 / 5)
    assert (fast.max_gap_s, fast.margin_s, fast.is_held) == (0.16, 0.08, False)


sample_times = st.lists(st.floats(0, 30), min_size=1, max_size=40, unique=True).map(sorted)
RULES = st.sampled_from([GapRule(8, 0.4, is_held=True), GapRule(2, 1), GapRule(0.16, 0.08)])


@given(sample_times, st.integers(0, 300))
def test_a_held_frame_does_not_wait_for_later_samples(times: list[float], frame: int) -> None:
    """So that a stream gives the same value as soon as a sample of the frame's time has arrived."""
    times_s, now_s = np.asarray(times), np.asarray([frame * 0.1])
    values = np.random.default_rng(0).standard_normal((len(times), 2)).astype(np.float32)
    past = max(int(times_s.searchsorted(now_s[0], side="right")), 1)
    rule = GapRule(8, 0.4, is_held=True)
    for whole, known in zip(
        hold(values, times_s, now_s, rule), hold(values[:past], times_s[:past], now_s, rule), strict=True
    ):
        np.testing.assert_array_equal(whole, known)


@given(sample_times, RULES, st.integers(0, 299), st.integers(1, 300), st.integers(0, 2**20))
def test_frames_of_a_part_equal_those_of_the_whole(
    times: list[float], rule: GapRule, first: int, count: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    values = generator.standard_normal((len(times), 2)).astype(np.float32)
    valid = generator.random(len(times)) < 0.8
    samples = ValidSamples.of(values, valid, np.asarray(times))
    grid_s = np.arange(300, dtype=np.float64) * 0.1
    part = slice(first, first + count)
    for whole, found in zip(samples.at(grid_s, rule), samples.at(grid_s[part], rule), strict=True):
        np.testing.assert_array_equal(whole[part], found)


def test_a_channel_that_is_not_known_stays_so_up_to_the_next_samples() -> None:
    values = np.array([[1, 1], [2, np.nan], [3, 3], [4, 4]], np.float32)
    grid_s = np.arange(7, dtype=np.float64) / 2
    frames, valid = ValidSamples.of(values, np.ones(4, bool), np.arange(4, dtype=np.float64)).at(grid_s, GapRule(8, 4))
    assert valid.all()
    np.testing.assert_array_equal(frames[:, 0], 1 + grid_s)
    np.testing.assert_array_equal(np.isnan(frames[:, 1]), [False, True, True, True, False, False, False])


CLIP = WindowSpec("clip", 10, 0.1)
WATCH = (one_channel("watch", 50, 0.1),)
TRUE_S = np.arange(100) / 50


def step_starts(windows: Windows, name: str) -> Any:
    """Value at the start of each step."""
    return windows.features[name][0, :, 0, 0, 0]


def test_a_gap_in_a_clip_keeps_its_place() -> None:
    windows = windows_of(WATCH, CLIP, {"watch": np.r_[TRUE_S[:20], TRUE_S[80:]]})
    assert windows.valid["watch"][0].tolist() == [True, True, *[False] * 6, True, True]
    assert step_starts(windows, "watch")[1] == pytest.approx(0.2, abs=0.01)
    assert (windows.start_s[0], windows.end_s[0]) == (0, 1.98)


def test_a_sensor_that_starts_late_in_a_clip_keeps_its_place() -> None:
    specs = one_channel("a", 50, 0.2), one_channel("b", 50, 0.2)
    windows = windows_of(specs, WindowSpec("clip", 10, 0.2), {"a": TRUE_S, "b": TRUE_S[50:]})
    assert windows.valid["a"].all()
    assert windows.valid["b"][0].tolist() == [False] * 5 + [True] * 5
    np.testing.assert_allclose(step_starts(windows, "a"), np.arange(10) / 5, atol=1e-6)
    assert step_starts(windows, "b")[5] == pytest.approx(1.0)


def test_jitter_in_a_clip_does_not_bend_the_motion() -> None:
    jittered_s = np.sort(TRUE_S + np.random.default_rng(0).uniform(0, 0.03, 100))
    windows = windows_of(WATCH, CLIP, {"watch": jittered_s})
    span_s = jittered_s[-1] - jittered_s[0]
    np.testing.assert_allclose(
        step_starts(windows, "watch"), jittered_s[0] + np.arange(10) * 5 / 49 * span_s, atol=1e-6
    )
    motion = windows.features["watch"][0, ..., 1].ravel()
    np.testing.assert_allclose(motion[1:], 1, atol=1e-3)  # its value is its time


def test_a_clip_on_a_late_clock_starts_at_its_first_sample() -> None:
    early, late = (windows_of(WATCH, CLIP, {"watch": start_s + TRUE_S}, {"watch": TRUE_S}) for start_s in (0, 7))
    np.testing.assert_allclose(late.features["watch"], early.features["watch"], atol=1e-4)
    assert (late.start_s[0], late.end_s[0]) == pytest.approx((7, 8.98))


def test_clips_without_timestamps_are_stretched_by_their_samples() -> None:
    values = np.arange(40, dtype=np.float32)[:, None]
    clip = Clip("r", "p1", "1", {"watch": values}, {"watch": np.ones(40, bool)}, label=0)
    windows = cut([clip], DatasetInfo("made", WATCH, ("a",), CLIP), Normalisation.identity(WATCH))
    assert windows.valid["watch"].all()
    np.testing.assert_allclose(windows.features["watch"][0, ..., 0].ravel(), np.linspace(0, 39, 50), atol=1e-5)
