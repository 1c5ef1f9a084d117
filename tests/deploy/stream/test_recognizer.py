"""A stream predicts the same as the whole recording, however its samples are divided into pushes."""

import re
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
from tests.deploy.streams import (
    LATENESS_S,
    Pushes,
    Recording,
    assert_same,
    chopped,
    offline,
    recordings,
    sample_by_sample,
    steady,
    streamed,
)
from tests.deploy.tiny_package import INERTIAL, SKELETON


@settings(max_examples=40, deadline=None)
@given(recordings(), st.lists(st.floats(0, 3), max_size=12))
def test_any_division_into_pushes_equals_the_recording(
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
def test_default_lateness_suffices_for_samples_in_order(recognizer: Recognizer, recording: Recording) -> None:
    start_s = min(float(times[0]) for times in recording.times_s.values())
    stream = StreamRecognizer(recognizer, lateness_s=LATENESS_S, start_s=start_s)
    assert_same(streamed(stream, sample_by_sample(recording)), offline(recognizer, recording))


def test_prediction_is_emitted_once_both_sensors_passed_the_window(recognizer: Recognizer) -> None:
    recording, window = steady(2.0), recognizer.manifest.window
    stream = StreamRecognizer(recognizer, start_s=0.0)
    newest_s = 0.0
    for name, samples, times in sample_by_sample(recording):
        newest_s = times[0]
        if stream.push(name, samples, times):
            break
    slowest_frame_s = max(window.step_s / spec.patch for spec in (SKELETON, INERTIAL))
    assert window.length_s < newest_s <= window.length_s + slowest_frame_s + 1 / SKELETON.rate_hz + 1e-9


def test_silent_sensor_counts_as_absent(recognizer: Recognizer) -> None:
    recording = steady(4.0)
    keep = recording.times_s["skeleton"] < 1.0
    broken = Recording(
        recording.signals | {"skeleton": recording.signals["skeleton"][keep]},
        recording.times_s | {"skeleton": recording.times_s["skeleton"][keep]},
    )
    stream = StreamRecognizer(recognizer, start_s=0.0, lateness_s=LATENESS_S)
    found = [one for push in sample_by_sample(broken) for one in stream.push(*push)]
    assert found[-1].end_s > 4.0 - LATENESS_S - 3 * recognizer.manifest.window.step_s
    # Offline, a paused sensor is one with a later sample, here at the very end.
    paused = Recording(
        broken.signals | {"skeleton": np.append(broken.signals["skeleton"], np.zeros((1, 60)), axis=0)},
        broken.times_s | {"skeleton": np.append(broken.times_s["skeleton"], 3.99)},
    )
    assert_same(found, recognizer.predict_windows(paused.signals, paused.times_s)[: len(found)])


def test_stream_does_not_wait_for_unconnected_sensors(recognizer: Recognizer) -> None:
    recording = steady(2.0)
    stream = StreamRecognizer(recognizer, modalities=["inertial"], start_s=0.0, lateness_s=float("inf"))
    samples, times = recording.signals["inertial"], recording.times_s["inertial"]
    assert_same(
        stream.push("inertial", samples, times) + stream.flush(),
        recognizer.predict_windows({"inertial": samples}, {"inertial": times}),
    )
    with pytest.raises(ConfigError, match="opened for inertial"):
        stream.push("skeleton", recording.signals["skeleton"], recording.times_s["skeleton"])


def test_offsets_align_the_clocks(recognizer: Recognizer) -> None:
    recording = steady(2.0)
    shifted = dict(recording.times_s, inertial=recording.times_s["inertial"] + 1000.0)
    stream = StreamRecognizer(recognizer, start_s=0.0, offsets_s={"inertial": -1000.0})
    found = streamed(stream, sample_by_sample(Recording(recording.signals, recording.times_s)))
    stream_shifted = StreamRecognizer(recognizer, start_s=0.0, offsets_s={"inertial": -1000.0}, lateness_s=float("inf"))
    again = streamed(stream_shifted, chopped(Recording(recording.signals, shifted), []))
    assert_same(again, recognizer.predict_windows(recording.signals, recording.times_s))
    assert found != again  # the first stream has the offset without the shift


def test_pause_longer_than_a_window_equals_offline(recognizer: Recognizer) -> None:
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


def test_flushed_stream_starts_again(recognizer: Recognizer) -> None:
    stream = StreamRecognizer(recognizer)
    first = streamed(stream, sample_by_sample(steady(2.0)))
    again = streamed(stream, sample_by_sample(steady(2.0, start_s=50.0)))
    assert [one.start_s - 50.0 for one in again] == pytest.approx([one.start_s for one in first])
    for one, other in zip(first, again, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-4)


def test_rejected_samples_leave_the_stream_unchanged(recognizer: Recognizer) -> None:
    recording = steady(2.0)
    stream = StreamRecognizer(recognizer, start_s=0.0)
    invalid: Pushes = [
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
            for wrong in invalid:
                with pytest.raises(DataError):
                    stream.push(*wrong)
    assert_same(found + stream.flush(), recognizer.predict_windows(recording.signals, recording.times_s))


def test_smoothing_and_margin(recognizer: Recognizer) -> None:
    recording = steady(6.0, seed=3)
    plain = streamed(StreamRecognizer(recognizer, start_s=0.0), sample_by_sample(recording))
    smooth = streamed(StreamRecognizer(recognizer, start_s=0.0, smoothing=0.8), sample_by_sample(recording))
    held = streamed(StreamRecognizer(recognizer, start_s=0.0, margin=2.0), sample_by_sample(recording))

    def movement(found: list[Prediction]) -> float:
        return float(np.abs(np.diff([one.probabilities for one in found], axis=0)).sum())

    assert movement(smooth) < movement(plain) / 2
    assert len({one.label for one in plain}) > 1
    assert {one.label for one in held} == {plain[0].label}
    index = recognizer.manifest.labels.index(plain[0].label)
    assert [one.score for one in held] == pytest.approx([float(one.probabilities[index]) for one in plain])


def test_clip_package_streams_with_its_nominal_step(clip_package: Path) -> None:
    recognizer = edgehar.load(clip_package)
    window = recognizer.manifest.window
    found = streamed(StreamRecognizer(recognizer, start_s=0.0), sample_by_sample(steady(2.0)))
    assert len(found) == int(2.0 / window.step_s + 1e-9) - window.steps + 1
    assert found[1].start_s == pytest.approx(window.step_s)


@pytest.mark.parametrize(
    "options",
    [{"smoothing": 1.0}, {"margin": -1.0}, {"lateness_s": -0.1}, {"smoothing": np.nan}, {"reorder_s": 0.6}],
)
def test_invalid_options_are_rejected(recognizer: Recognizer, options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=re.escape("{} {}".format(*next(iter(options.items()))))):
        StreamRecognizer(recognizer, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"start_s": np.nan}, {"start_s": "0"}, {"offsets_s": {"inertial": np.inf}}])
def test_invalid_times_are_rejected(recognizer: Recognizer, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="expected seconds"):
        StreamRecognizer(recognizer, **options)
