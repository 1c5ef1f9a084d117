"""Clocks coarser than the sampling and slow sensors: a stream equals the whole recording."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgehar
from edgehar import StreamRecognizer
from edgehar.deploy.recognizer import Recognizer
from edgehar.signals.modality import ModalitySpec
from tests.deploy.running import assert_same_predictions, lines_of, run_stream
from tests.deploy.streams import Pushes, Recording, assert_same, chopped, offline, sample_by_sample, steady, streamed
from tests.deploy.tiny_package import INERTIAL, write_tiny_package

HEART = ModalitySpec("heart", 1, "1/min", 1.0, 1, group=1)


def coarse(recording: Recording, tick_s: float, name: str = "inertial") -> Recording:
    """The same samples with a clock of one sensor that counts in ticks."""
    times = np.floor(recording.times_s[name] / tick_s + 1e-9) * tick_s
    return Recording(recording.signals, recording.times_s | {name: times})


@st.composite
def coarse_recordings(draw: st.DrawFn) -> Recording:
    """Both sensors with clocks of random ticks, values that repeat, lost samples, gaps and another rate."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    recording = steady(draw(st.floats(1.0, 5.0)), seed=draw(st.integers(0, 99)))
    for name, rate_hz in (("skeleton", 30.0), ("inertial", 50.0)):
        values, times = recording.signals[name], recording.times_s[name]
        if draw(st.booleans()):  # at rest, as a sensor with few bits shows it
            values[:] = np.round(values * draw(st.sampled_from([0.0, 1.0])))
        values[generator.random(len(values)) < draw(st.sampled_from([0.0, 0.1]))] = np.nan
        times *= draw(st.sampled_from([0.5, 1.0, 1.1]))
        times += draw(st.sampled_from([0.0, 0.4])) * generator.random(len(times)) / rate_hz
        tick_s = draw(st.sampled_from([0.01, 0.1, 0.32, 1.0]))
        times[:] = np.floor(np.sort(times) / tick_s) * tick_s
        keep = generator.random(len(values)) < draw(st.sampled_from([1.0, 0.7]))
        keep[[0, -1]] = True
        values[-1] = 0.5  # a stream cannot know before the end that its last sample is invalid
        recording.signals[name], recording.times_s[name] = values[keep], times[keep]
    return recording


@settings(max_examples=40, deadline=None)
@given(coarse_recordings(), st.lists(st.floats(0, 5), max_size=12))
def test_coarse_clocks_equal_the_recording(recognizer: Recognizer, recording: Recording, cuts_s: list[float]) -> None:
    expected = offline(recognizer, recording)
    stream = StreamRecognizer(recognizer, lateness_s=float("inf"), start_s=0.0)
    for pushes in (chopped(recording, cuts_s), chopped(recording, []), sample_by_sample(recording)):
        assert_same(streamed(stream, pushes), expected)


@pytest.mark.parametrize("tick_s", [0.1, 0.32, 1.0, 2.0])
@pytest.mark.parametrize("samples", [1, 16])
def test_coarse_clock_with_default_lateness_loses_no_sample(
    recognizer: Recognizer, tick_s: float, samples: int
) -> None:
    recording = coarse(steady(9.0), tick_s)
    signals, times = recording.signals["inertial"], recording.times_s["inertial"]
    stream = StreamRecognizer(recognizer, ["inertial"])
    pushes: Pushes = [
        ("inertial", signals[first : first + samples], times[first : first + samples])
        for first in range(0, len(times), samples)
    ]
    assert_same(streamed(stream, pushes), recognizer.predict_windows({"inertial": signals}, {"inertial": times}))
    assert (stream.counts["inertial"].received, stream.counts["inertial"].unused) == (len(times), 0)


def test_packet_that_arrives_again_is_counted_as_duplicated(recognizer: Recognizer) -> None:
    recording = coarse(steady(6.0), 0.32)
    cuts_s = np.arange(0.0, 6.0, 0.32).tolist()
    twice = [push for push in chopped(recording, cuts_s) for _ in range(2)]
    stream = StreamRecognizer(recognizer, start_s=0.0)
    assert_same(streamed(stream, twice), recognizer.predict_windows(recording.signals, recording.times_s))
    assert {name: (one.received, one.duplicated, one.unused) for name, one in stream.counts.items()} == {
        name: (2 * len(times), len(times), len(times)) for name, times in recording.times_s.items()
    }


def test_clock_in_whole_seconds_gets_no_advice_about_its_unit(sliding_package: Path, recognizer: Recognizer) -> None:
    recording = coarse(steady(6.0), 1.0)
    only = Recording({"inertial": recording.signals["inertial"]}, {"inertial": recording.times_s["inertial"]})
    code, output, log = run_stream(sliding_package, lines_of(only), "--modalities", "inertial")
    assert (code, log) == (0, ["edgehar: inertial: 301 samples, all used"])
    assert_same_predictions([line.encode() for line in output], recognizer.predict_windows(only.signals, only.times_s))


def test_buffered_samples_with_one_timestamp_are_bounded(recognizer: Recognizer) -> None:
    stream = StreamRecognizer(recognizer, ["inertial"], lateness_s=float("inf"))
    generator = np.random.default_rng(0)
    for _ in range(20):
        stream.push("inertial", generator.random((1000, 6)), np.zeros(1000))
    counts = stream.counts["inertial"]
    assert (counts.received, counts.duplicated) == (20_000, 20_000 - int(60 * INERTIAL.rate_hz) - 1)


@pytest.fixture(scope="module")
def slow_sensor(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    """A package with a heart rate once a second beside a wrist at 50 Hz."""
    path = tmp_path_factory.mktemp("packages") / "slow"
    write_tiny_package(path, kind="sliding", hop=2, specs=(INERTIAL, HEART))
    return edgehar.load(path)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1.0, 0.8, 1.3]), st.floats(0.0, 0.9))
def test_slow_sensor_equals_the_recording_with_default_lateness(
    slow_sensor: Recognizer, seed: int, interval_s: float, first_s: float
) -> None:
    generator = np.random.default_rng(seed)
    wrist = steady(9.0, seed % 100)
    times = np.arange(first_s, 9.0, interval_s)
    times = np.sort(times + 0.2 * generator.random(len(times)))[generator.random(len(times)) < 0.8]
    recording = Recording(
        {"inertial": wrist.signals["inertial"], "heart": 60 + 20 * generator.random((len(times), 1))},
        {"inertial": wrist.times_s["inertial"], "heart": times},
    )
    stream = StreamRecognizer(slow_sensor, start_s=0.0)
    if not len(times):
        recording = Recording({"inertial": recording.signals["inertial"]}, {"inertial": recording.times_s["inertial"]})
    assert_same(
        streamed(stream, sample_by_sample(recording)), slow_sensor.predict_windows(recording.signals, recording.times_s)
    )
    assert {name: one.unused for name, one in stream.counts.items()} == {"inertial": 0, "heart": 0}
