"""A stream says what the whole recording says, however its samples are cut into pushes."""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgehar
from edgehar import StreamRecognizer
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import ConfigError, DataError
from edgehar.signals.clip import Prediction
from tests.deploy.tiny_package import INERTIAL, SKELETON

LATENESS_S = 0.5


@dataclass(frozen=True)
class Recording:
    """Samples of both sensors, with jitter, repeated times, lost samples and pauses."""

    signals: dict[str, Any]
    times_s: dict[str, Any]


@st.composite
def recordings(draw: st.DrawFn) -> Recording:
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    seconds = draw(st.floats(0.8, 3.0))
    signals: dict[str, Any] = {}
    times_s: dict[str, Any] = {}
    for spec in (SKELETON, INERTIAL):
        rate = spec.rate_hz * draw(st.sampled_from([0.4, 0.9, 1.0, 2.3]))
        count = int(seconds * rate) + 2
        jitter = draw(st.sampled_from([0.0, 0.4, 1.5])) * generator.random(count) / rate
        times = np.sort(np.arange(count) / rate + jitter)
        again = generator.random(count) < draw(st.sampled_from([0.0, 0.2]))
        times[1:][again[1:]] = times[:-1][again[1:]]
        values = generator.standard_normal((count, spec.channels)).cumsum(0) / 5
        lost = generator.random(count) < draw(st.sampled_from([0.0, 0.1, 0.5]))
        pause_s = draw(st.sampled_from([0.0, 0.0, 0.2, 0.45]))
        lost |= (times > 0.5) & (times < 0.5 + pause_s)
        lost[-1] = False  # what is lost at the very end is only known as such once the recording is over
        values[lost] = np.nan
        kept = ~((times > 1.0) & (times < 1.0 + draw(st.sampled_from([0.0, 0.0, 0.3]))))
        kept[[0, -1]] = True
        signals[spec.name], times_s[spec.name] = values[kept], times[kept]
    return Recording(signals, times_s)


def chopped(recording: Recording, cuts_s: list[float]) -> list[tuple[str, Any, Any]]:
    """Pushes of the samples between two cuts, sensor after sensor; times at a cut are cut through as well."""
    pushes: list[tuple[str, Any, Any]] = []
    edges = [-np.inf, *sorted(cuts_s), np.inf]
    for first_s, last_s in itertools.pairwise(edges):
        for name, times in recording.times_s.items():
            inside = (times >= first_s) & (times < last_s)
            if inside.any():
                pushes.append((name, recording.signals[name][inside], times[inside]))
    return pushes


def sample_by_sample(recording: Recording) -> list[tuple[str, Any, Any]]:
    events = [(time_s, name, place) for name, times in recording.times_s.items() for place, time_s in enumerate(times)]
    return [
        (name, recording.signals[name][place : place + 1], [time_s])
        for time_s, name, place in sorted(events, key=lambda event: event[0])
    ]


def streamed(stream: StreamRecognizer, pushes: list[tuple[str, Any, Any]]) -> list[Prediction]:
    found = [prediction for push in pushes for prediction in stream.push(*push)]
    return found + stream.flush()


def assert_same(found: list[Prediction], expected: list[Prediction]) -> None:
    assert [one.start_s for one in found] == pytest.approx([one.start_s for one in expected])
    assert [one.end_s for one in found] == pytest.approx([one.end_s for one in expected])
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)


def offline(recognizer: Recognizer, recording: Recording) -> list[Prediction]:
    try:
        return recognizer.predict_windows(recording.signals, recording.times_s)
    except DataError:
        return []


@settings(max_examples=40, deadline=None)
@given(recordings(), st.lists(st.floats(0, 3), max_size=12))
def test_any_chopping_says_what_the_whole_recording_says(
    recognizer: Recognizer, recording: Recording, cuts_s: list[float]
) -> None:
    start_s = min(float(times[0]) for times in recording.times_s.values())
    expected = offline(recognizer, recording)
    patient = StreamRecognizer(recognizer, lateness_s=float("inf"), start_s=start_s)
    assert_same(streamed(patient, chopped(recording, cuts_s)), expected)
    assert_same(streamed(patient, chopped(recording, [])), expected)
    assert_same(streamed(patient, sample_by_sample(recording)), expected)


@settings(max_examples=20, deadline=None)
@given(recordings())
def test_in_order_of_time_the_usual_lateness_is_enough(recognizer: Recognizer, recording: Recording) -> None:
    start_s = min(float(times[0]) for times in recording.times_s.values())
    stream = StreamRecognizer(recognizer, lateness_s=LATENESS_S, start_s=start_s)
    assert_same(streamed(stream, sample_by_sample(recording)), offline(recognizer, recording))


def steady(seconds: float, seed: int = 0, start_s: float = 0.0) -> Recording:
    generator = np.random.default_rng(seed)
    specs = (SKELETON, INERTIAL)
    counts = {spec.name: int(seconds * spec.rate_hz) + 1 for spec in specs}
    return Recording(
        {spec.name: generator.standard_normal((counts[spec.name], spec.channels)).cumsum(0) / 5 for spec in specs},
        {spec.name: start_s + np.arange(counts[spec.name]) / spec.rate_hz for spec in specs},
    )


def test_a_prediction_comes_as_soon_as_both_sensors_have_passed_the_window(recognizer: Recognizer) -> None:
    recording, window = steady(2.0), recognizer.manifest.window
    stream = StreamRecognizer(recognizer, start_s=0.0)
    heard_s = 0.0
    for name, samples, times in sample_by_sample(recording):
        heard_s = times[0]
        if stream.push(name, samples, times):
            break
    slowest_frame_s = max(window.step_s / spec.patch for spec in (SKELETON, INERTIAL))
    assert window.length_s < heard_s <= window.length_s + slowest_frame_s + 1 / SKELETON.rate_hz + 1e-9


def test_a_sensor_that_falls_silent_counts_as_absent(recognizer: Recognizer) -> None:
    recording = steady(4.0)
    keep = recording.times_s["skeleton"] < 1.0
    broken = Recording(
        recording.signals | {"skeleton": recording.signals["skeleton"][keep]},
        recording.times_s | {"skeleton": recording.times_s["skeleton"][keep]},
    )
    stream = StreamRecognizer(recognizer, start_s=0.0, lateness_s=LATENESS_S)
    found = [one for push in sample_by_sample(broken) for one in stream.push(*push)]
    assert found[-1].end_s > 4.0 - LATENESS_S - 3 * recognizer.manifest.window.step_s
    # Offline a sensor that paused is one that is heard again, here at the very end.
    paused = Recording(
        broken.signals | {"skeleton": np.append(broken.signals["skeleton"], np.zeros((1, 60)), axis=0)},
        broken.times_s | {"skeleton": np.append(broken.times_s["skeleton"], 3.99)},
    )
    assert_same(found, recognizer.predict_windows(paused.signals, paused.times_s)[: len(found)])


def test_a_sensor_that_is_not_connected_is_not_waited_for(recognizer: Recognizer) -> None:
    recording = steady(2.0)
    stream = StreamRecognizer(recognizer, modalities=["inertial"], start_s=0.0, lateness_s=float("inf"))
    samples, times = recording.signals["inertial"], recording.times_s["inertial"]
    assert_same(
        stream.push("inertial", samples, times) + stream.flush(),
        recognizer.predict_windows({"inertial": samples}, {"inertial": times}),
    )
    with pytest.raises(ConfigError, match="opened for inertial"):
        stream.push("skeleton", recording.signals["skeleton"], recording.times_s["skeleton"])


def test_each_sensor_may_have_its_own_clock(recognizer: Recognizer) -> None:
    recording = steady(2.0)
    shifted = dict(recording.times_s, inertial=recording.times_s["inertial"] + 1000.0)
    stream = StreamRecognizer(recognizer, start_s=0.0, offsets_s={"inertial": -1000.0})
    found = streamed(stream, sample_by_sample(Recording(recording.signals, recording.times_s)))
    stream_shifted = StreamRecognizer(recognizer, start_s=0.0, offsets_s={"inertial": -1000.0}, lateness_s=float("inf"))
    again = streamed(stream_shifted, chopped(Recording(recording.signals, shifted), []))
    assert_same(again, recognizer.predict_windows(recording.signals, recording.times_s))
    assert found != again  # without the shift the offset would be wrong


def test_a_pause_longer_than_a_window_is_what_it_is_offline(recognizer: Recognizer) -> None:
    whole = steady(12.0)
    keep = {name: (times < 2.0) | (times > 9.0) for name, times in whole.times_s.items()}
    recording = Recording(
        {name: values[keep[name]] for name, values in whole.signals.items()},
        {name: times[keep[name]] for name, times in whole.times_s.items()},
    )
    stream = StreamRecognizer(recognizer, start_s=0.0)
    assert_same(
        streamed(stream, sample_by_sample(recording)),
        recognizer.predict_windows(recording.signals, recording.times_s),
    )


def test_a_stream_that_was_flushed_starts_afresh(recognizer: Recognizer) -> None:
    stream = StreamRecognizer(recognizer)
    first = streamed(stream, sample_by_sample(steady(2.0)))
    again = streamed(stream, sample_by_sample(steady(2.0, start_s=50.0)))
    assert [one.start_s - 50.0 for one in again] == pytest.approx([one.start_s for one in first])
    for one, other in zip(first, again, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-4)


def test_what_is_refused_changes_nothing(recognizer: Recognizer) -> None:
    recording = steady(2.0)
    stream = StreamRecognizer(recognizer, start_s=0.0)
    bad: list[tuple[str, Any, Any]] = [
        ("radar", [[0.0]], [0.0]),
        ("inertial", [[0.0]], [0.0]),
        ("inertial", [], []),
        ("inertial", [[0.0] * 6], [float("nan")]),
        ("inertial", [[0.0] * 6], []),
        ("inertial", None, None),
    ]
    found: list[Prediction] = []
    for push in sample_by_sample(recording):
        found += stream.push(*push)
        if push[0] == "inertial" and push[2][0] > 0.1:
            for wrong in bad:
                with pytest.raises(DataError):
                    stream.push(*wrong)
    assert_same(found + stream.flush(), recognizer.predict_windows(recording.signals, recording.times_s))


def test_smoothing_steadies_and_margin_holds_a_label(recognizer: Recognizer) -> None:
    recording = steady(6.0, seed=3)
    plain = streamed(StreamRecognizer(recognizer, start_s=0.0), sample_by_sample(recording))
    smooth = streamed(StreamRecognizer(recognizer, start_s=0.0, smoothing=0.8), sample_by_sample(recording))
    held = streamed(StreamRecognizer(recognizer, start_s=0.0, margin=2.0), sample_by_sample(recording))

    def movement(found: list[Prediction]) -> float:
        return float(np.abs(np.diff([one.probabilities for one in found], axis=0)).sum())

    assert movement(smooth) < movement(plain) / 2
    assert len({one.label for one in plain}) > 1
    assert {one.label for one in held} == {plain[0].label}
    place = recognizer.manifest.labels.index(plain[0].label)
    assert [one.score for one in held] == pytest.approx([float(one.probabilities[place]) for one in plain])


def test_a_package_for_clips_streams_with_its_nominal_step(clip_package: Path) -> None:
    recognizer = edgehar.load(clip_package)
    window = recognizer.manifest.window
    found = streamed(StreamRecognizer(recognizer, start_s=0.0), sample_by_sample(steady(2.0)))
    assert len(found) == int(2.0 / window.step_s + 1e-9) - window.steps + 1
    assert found[1].start_s == pytest.approx(window.step_s)


@pytest.mark.parametrize(
    "options",
    [{"smoothing": 1.0}, {"margin": -1.0}, {"lateness_s": -0.1}, {"smoothing": np.nan}, {"reorder_s": 0.6}],
)
def test_unusable_options_are_refused(recognizer: Recognizer, options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=re.escape("{} {}".format(*next(iter(options.items()))))):
        StreamRecognizer(recognizer, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"start_s": np.nan}, {"start_s": "0"}, {"offsets_s": {"inertial": np.inf}}])
def test_times_that_are_none_are_refused(recognizer: Recognizer, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="expected seconds"):
        StreamRecognizer(recognizer, **options)
