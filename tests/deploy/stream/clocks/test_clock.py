"""Streams of faulty sensors: late, reordered and duplicated samples, and clocks that jump."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgehar import StreamRecognizer
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.stream.clocks.clock import MAX_PENDING_SAMPLES, Clock
from edgehar.deploy.stream.clocks.pending import SampleBlock
from edgehar.signals.clip import Prediction
from tests.deploy.streams import (
    LATENESS_S,
    Recording,
    assert_same,
    chopped,
    offline,
    recordings,
    sample_by_sample,
    steady,
    streamed,
)
from tests.deploy.tiny_package import INERTIAL
from tools.stress.chaos import ChaosConfig, violated_invariant


@settings(max_examples=20, deadline=None)
@given(recordings(), st.sampled_from([0.02, 0.1, 0.3]), st.integers(0, 2**32))
def test_reordered_and_duplicated_samples_have_no_effect(
    recognizer: Recognizer, recording: Recording, reorder_s: float, seed: int
) -> None:
    start_s = min(float(times[0]) for times in recording.times_s.values())
    generator = np.random.default_rng(seed)
    events = [
        (time_s + delay_s, name, index)
        for name, times in recording.times_s.items()
        for index, time_s in enumerate(times)
        # Samples with equal timestamps are spread in order of arrival, so these keep their order.
        for delay_s in ([0.0] if (times == time_s).sum() > 1 else generator.uniform(0, reorder_s, 2))
    ]
    pushes = [
        (name, recording.signals[name][index : index + 1], recording.times_s[name][index : index + 1])
        for _, name, index in sorted(events)
    ]
    stream = StreamRecognizer(recognizer, lateness_s=LATENESS_S + reorder_s, reorder_s=reorder_s, start_s=start_s)
    assert_same(streamed(stream, pushes), offline(recognizer, recording))
    stream = StreamRecognizer(recognizer, lateness_s=float("inf"), start_s=start_s)
    backwards = [(name, recording.signals[name][::-1], times[::-1]) for name, times in recording.times_s.items()]
    if all((np.diff(times) > 0).all() for times in recording.times_s.values()):
        assert_same(streamed(stream, backwards), offline(recognizer, recording))


def test_sample_too_late_for_its_step_is_lost_and_counted(recognizer: Recognizer) -> None:
    recording = steady(2.0)
    pushes = sample_by_sample(recording)
    late = pushes.pop(next(index for index, push in enumerate(pushes) if push[2][0] > 0.5))
    expected = streamed(StreamRecognizer(recognizer, start_s=0.0), pushes)
    for arrival_s in (0.9, 1.9):  # after its step was computed; so late that it looks like a clock reset
        index = next(index for index, push in enumerate(pushes) if push[2][0] > arrival_s)
        stream = StreamRecognizer(recognizer, start_s=0.0)
        found = [one for push in [*pushes[:index], late, *pushes[index:]] for one in stream.push(*push)]
        assert {name: count for name, count in stream.lost.items() if count} == {late[0]: 1}
        assert_same(found + stream.flush(), expected)


def with_jump(
    recording: Recording, name: str, jump_s: float, first_s: float, last_s: float
) -> list[tuple[str, Any, Any]]:
    """One push per sample of a recording in which one sensor's clock is wrong for a while."""
    return [
        (modality, samples, [times[0] + jump_s] if modality == name and first_s <= times[0] < last_s else times)
        for modality, samples, times in sample_by_sample(recording)
    ]


@pytest.mark.parametrize("jump_s", [-1000.0, -3.0, 0.7, 30.0, 1e9])
@pytest.mark.parametrize("name", ["skeleton", "inertial"])
def test_wrong_clock_has_no_effect_afterwards(recognizer: Recognizer, name: str, jump_s: float) -> None:
    recording, window = steady(9.0), recognizer.manifest.window
    clean = streamed(StreamRecognizer(recognizer, start_s=0.0), sample_by_sample(recording))
    stream = StreamRecognizer(recognizer, start_s=0.0, lateness_s=LATENESS_S)
    found = streamed(stream, with_jump(recording, name, jump_s, 3.0, 4.5))
    assert [one.start_s for one in found] == pytest.approx([one.start_s for one in clean])
    for one, other in zip(found, clean, strict=True):
        if one.end_s < 3.0 - LATENESS_S or one.start_s > 4.5 + 2 * LATENESS_S + window.length_s:
            np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)


@pytest.mark.parametrize("jump_s", [-1000.0, 30.0])
def test_reset_clock_is_tracked(recognizer: Recognizer, jump_s: float) -> None:
    recording = steady(12.0)
    stream = StreamRecognizer(recognizer, start_s=0.0, lateness_s=LATENESS_S)
    found = streamed(stream, with_jump(recording, "inertial", jump_s, 3.0, np.inf))
    clean = streamed(StreamRecognizer(recognizer, start_s=0.0), sample_by_sample(recording))
    assert found[-1].end_s == pytest.approx(clean[-1].end_s, abs=0.3)
    # From then on the clock is off by at most one sample of the other sensor, so the predictions are close.
    after = [index for index, one in enumerate(clean[: len(found)]) if one.start_s > 5.0]
    assert after
    for index in after:
        assert np.abs(found[index].probabilities - clean[index].probabilities).max() < 0.2


@pytest.mark.parametrize("back_s", [60.0, 3600.0])
def test_resetting_all_clocks_restarts_the_stream(recognizer: Recognizer, back_s: float) -> None:
    pushes = sample_by_sample(steady(8.0))
    stream = StreamRecognizer(recognizer)
    emitted: list[tuple[Prediction, bool]] = []
    for name, rows, times_s in pushes:
        after = times_s[0] > 4.0
        shifted_s = [time_s + 100.0 - (back_s if after else 0.0) for time_s in times_s]
        emitted += [(one, after) for one in stream.push(name, rows, shifted_s)]
    window = recognizer.manifest.window
    later = [one for one, after in emitted if after]
    assert len(later) > (8.0 - 4.0 - window.length_s - 4 * LATENESS_S) / (window.hop * window.step_s)
    assert all(104.0 - back_s - LATENESS_S <= one.start_s <= 108.0 - back_s for one in later)
    assert all(one.start_s >= 100.0 for one, after in emitted if not after)


@pytest.mark.parametrize("lateness_s", [0.0, 1e-9, 0.01])
def test_lateness_shorter_than_a_sample_loses_no_regular_sample(recognizer: Recognizer, lateness_s: float) -> None:
    pushes = sample_by_sample(steady(2.0))
    expected = streamed(StreamRecognizer(recognizer, start_s=0.0), pushes)
    assert_same(streamed(StreamRecognizer(recognizer, lateness_s=lateness_s, start_s=0.0), pushes), expected)


@pytest.mark.parametrize("jump_s", [-1000.0, 5.0])
def test_jump_of_a_single_sensor(recognizer: Recognizer, jump_s: float) -> None:
    times = np.arange(600) / INERTIAL.rate_hz
    values = np.random.default_rng(0).standard_normal((600, 6)).cumsum(0) / 5
    moved = np.where(times >= 3.0, times + jump_s, times)
    stream = StreamRecognizer(recognizer, modalities=["inertial"], start_s=0.0, lateness_s=LATENESS_S)
    found = [one for index in range(600) for one in stream.push("inertial", values[index][None], [moved[index]])]
    found += stream.flush()
    ahead = jump_s if jump_s > 0 else 0.0
    assert found[-1].end_s == pytest.approx(times[-1] + ahead, abs=0.3)


def at(time_s: float) -> SampleBlock:
    """One sample of a sensor."""
    return SampleBlock(np.zeros((1, 6)), np.array([time_s]))


def test_clock_that_is_correct_again_has_not_paused() -> None:
    clock, newest_s = Clock(0.5), 0.0
    for time_s in np.arange(0.0, 3.0, 0.1).tolist():
        clock.accept(at(time_s), time_s, [time_s])
    # Reset by 50 s while the other sensor, 1000 s ahead, is accepted.
    for time_s in np.arange(3.0, 4.0, 0.1).tolist():
        clock.accept(at(time_s - 50), time_s + 1000, [time_s + 1000])
    # Both are correct again, the other one a little later.
    for time_s in np.arange(4.0, 6.0, 0.1).tolist():
        other_s = time_s if time_s >= 4.2 else 1004.0
        for accepted in clock.accept(at(time_s), 1004.0, [other_s]):
            newest_s = float(accepted.times_s[-1])
            assert newest_s < 1005.0
    assert newest_s == pytest.approx(5.9)


@pytest.mark.parametrize(
    ("away_s", "back_s", "first_s"),
    [(2.0, 5.1, 5.1), (2.0, 3.4, 3.4), (30.0, 20.0, 33.0)],
    ids=["after a pause", "delayed", "reset again"],
)
def test_jump_ahead_of_a_reset_clock_creates_no_new_time(away_s: float, back_s: float, first_s: float) -> None:
    clock, accepted_s = Clock(0.5), list[float]()
    for time_s in np.arange(0.0, 3.0, 0.1).tolist():
        clock.accept(at(time_s), 3.0, [3.0])
    for time_s in np.arange(3.0, 3.0 + away_s, 0.1).tolist():
        accepted_s += [float(one.times_s[-1]) for one in clock.accept(at(time_s - 1000), 3.0, [3.0])]
    for time_s in np.arange(back_s, back_s + 2.0, 0.1).tolist():
        accepted_s += [float(one.times_s[-1]) for one in clock.accept(at(time_s), 3.0, [3.0])]
    assert accepted_s[-1] == pytest.approx(first_s + 1.9, abs=0.3)
    assert max(accepted_s) < 3.0 + away_s + 2.5


def test_random_schedules_of_faults(recognizer: Recognizer) -> None:
    config = ChaosConfig("", count=20, seed=1)
    for number in range(config.count):
        assert violated_invariant(recognizer, number, config)[0] is None, number


def test_buffered_samples_of_a_stopped_clock_are_bounded(recognizer: Recognizer) -> None:
    stream = StreamRecognizer(recognizer, start_s=0.0)
    stream.push("inertial", np.zeros((50, 6)), np.arange(50) / 50)
    stream.push("skeleton", np.zeros((30, 60)), np.arange(30) / 30)
    for _ in range(40):
        stream.push("inertial", np.zeros((1000, 6)), np.full(1000, 99.0))
    pending = stream._state._channels["inertial"].clock._pending
    assert pending
    assert sum(len(block.times_s) for burst in pending for block in burst.blocks) <= MAX_PENDING_SAMPLES
    assert stream.push("inertial", np.zeros((1, 6)), [1.0]) == []
    assert not stream._state._channels["inertial"].clock._pending


def in_bursts(silent_s: float = np.inf) -> Recording:
    """Short bursts between pauses of all; the skeleton is silent from `silent_s` to its last sample."""
    recording = steady(14.0)
    signals, times_s = {}, {}
    for name, times in recording.times_s.items():
        burst = ((times >= 5.0) & (times < 5.2)) | ((times >= 6.5) & (times < 6.9)) | ((times >= 8.0) & (times < 8.05))
        kept = (times < 3.0) | burst | (times >= 10.0)
        kept &= (name == "inertial") | (times < silent_s) | (times == times[-1])
        signals[name], times_s[name] = recording.signals[name][kept], times[kept]
    return Recording(signals, times_s)


@pytest.mark.parametrize("silent_s", [np.inf, 3.0])
@pytest.mark.parametrize("chunk_s", [0.01, 0.2])
def test_bursts_between_pauses_equal_the_recording(recognizer: Recognizer, silent_s: float, chunk_s: float) -> None:
    recording = in_bursts(silent_s)
    stream = StreamRecognizer(recognizer, start_s=0.0)
    found = streamed(stream, chopped(recording, np.arange(0.0, 14.0, chunk_s).tolist()))
    assert sum(stream.lost.values()) == 0
    assert_same(found, offline(recognizer, recording))


@pytest.mark.parametrize("chunk", [1, 7, 10_000])
@pytest.mark.parametrize("tick_s", [0.0, 1.0])
def test_bursts_of_a_single_sensor_equal_the_recording(recognizer: Recognizer, chunk: int, tick_s: float) -> None:
    recording = in_bursts()
    values, times = recording.signals["inertial"], recording.times_s["inertial"]
    if tick_s:
        times = np.floor((times + 0.37) / tick_s) * tick_s
    stream = StreamRecognizer(recognizer, ["inertial"], start_s=0.0)
    cuts = range(0, len(times), chunk)
    found = streamed(stream, [("inertial", values[cut : cut + chunk], times[cut : cut + chunk]) for cut in cuts])
    assert stream.lost == {"inertial": 0}
    assert_same(found, recognizer.predict_windows({"inertial": values}, {"inertial": times}))


@pytest.mark.parametrize("wrong_s", [[60.0], [60.0, 3600.0, 3700.0]])
def test_wrong_timestamps_of_a_single_sensor_are_rejected(recognizer: Recognizer, wrong_s: list[float]) -> None:
    recording = steady(8.0)
    values, times = recording.signals["inertial"], recording.times_s["inertial"]
    pushes = [("inertial", values[index : index + 1], times[index : index + 1]) for index in range(len(times))]
    clean = streamed(StreamRecognizer(recognizer, ["inertial"]), pushes)
    for time_s in reversed(wrong_s):
        pushes.insert(200, ("inertial", values[:1], np.array([time_s])))
    stream = StreamRecognizer(recognizer, ["inertial"])
    assert_same(streamed(stream, pushes), clean)
    assert stream.lost == {"inertial": len(wrong_s)}


def test_reset_clock_that_others_reach_after_a_pause_keeps_its_offset() -> None:
    clock = Clock(0.5)
    found: list[float] = []
    for time_s in np.arange(0.0, 6.0, 0.05).tolist():
        own_s = time_s + (1000.0 if time_s >= 2.0 else 0.0)
        others_s = 3.5 if 3.5 <= time_s < 4.7 else time_s
        if not 3.5 <= time_s < 4.55:
            found += [float(block.times_s[-1]) for block in clock.accept(at(own_s), others_s, [others_s])]
    assert max(found) < 6.5
