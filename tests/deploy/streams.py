"""Random recordings of the tiny package's two sensors, and ways to push them into a stream."""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from edgehar import StreamRecognizer
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import DataError
from edgehar.signals.clip import Clip, Prediction
from edgehar.signals.modality import ModalitySpec
from tests.deploy.tiny_package import INERTIAL, SKELETON

LATENESS_S = 0.5

Pushes = list[tuple[str, Any, Any]]
"""Arguments of `StreamRecognizer.push`: modality, samples and timestamps."""


@dataclass(frozen=True)
class Recording:
    """Samples of both sensors."""

    signals: dict[str, Any]
    times_s: dict[str, Any]


@st.composite
def recordings(draw: st.DrawFn, skeleton: ModalitySpec = SKELETON) -> Recording:
    """Recordings with jitter, repeated timestamps, invalid samples, lost joints and pauses."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    seconds = draw(st.floats(0.8, 3.0))
    signals: dict[str, Any] = {}
    times_s: dict[str, Any] = {}
    for spec in (skeleton, INERTIAL):
        rate = spec.rate_hz * draw(st.sampled_from([0.4, 0.9, 1.0, 2.3]))
        count = int(seconds * rate) + 2
        jitter = draw(st.sampled_from([0.0, 0.4, 1.5])) * generator.random(count) / rate
        times = np.sort(np.arange(count) / rate + jitter)
        repeated = generator.random(count) < draw(st.sampled_from([0.0, 0.2]))
        times[1:][repeated[1:]] = times[:-1][repeated[1:]]
        values = generator.standard_normal((count, spec.channels)).cumsum(0) / 5
        invalid = generator.random(count) < draw(st.sampled_from([0.0, 0.1, 0.5]))
        pause_s = draw(st.sampled_from([0.0, 0.0, 0.2, 0.45]))
        invalid |= (times > 0.5) & (times < 0.5 + pause_s)
        invalid[-1] = False  # a stream cannot know before the end that its last sample is invalid
        values[invalid] = np.nan
        if spec.is_skeleton:
            lost = generator.random((count, spec.groups)) < draw(st.sampled_from([0.0, 0.0, 0.05, 0.6]))
            lost[-1] = False
            values.reshape(count, spec.groups, spec.group)[lost] = np.nan
        remaining = ~((times > 1.0) & (times < 1.0 + draw(st.sampled_from([0.0, 0.0, 0.3]))))
        remaining[[0, -1]] = True
        signals[spec.name], times_s[spec.name] = values[remaining], times[remaining]
    return Recording(signals, times_s)


def chopped(recording: Recording, cuts_s: list[float]) -> Pushes:
    """One push per sensor of the samples between two cuts."""
    pushes: Pushes = []
    edges = [-np.inf, *sorted(cuts_s), np.inf]
    for first_s, last_s in itertools.pairwise(edges):
        for name, times in recording.times_s.items():
            inside = (times >= first_s) & (times < last_s)
            if inside.any():
                pushes.append((name, recording.signals[name][inside], times[inside]))
    return pushes


def sample_by_sample(recording: Recording) -> Pushes:
    """One push per sample, in order of time."""
    events = [(time_s, name, index) for name, times in recording.times_s.items() for index, time_s in enumerate(times)]
    return [
        (name, recording.signals[name][index : index + 1], [time_s])
        for time_s, name, index in sorted(events, key=lambda event: event[0])
    ]


def streamed(stream: StreamRecognizer, pushes: Pushes) -> list[Prediction]:
    """All predictions of a stream, which is flushed at the end."""
    found = [prediction for push in pushes for prediction in stream.push(*push)]
    return found + stream.flush()


def assert_same(found: list[Prediction], expected: list[Prediction]) -> None:
    """The same windows, with probabilities within 1e-5."""
    assert [one.start_s for one in found] == pytest.approx([one.start_s for one in expected])
    assert [one.end_s for one in found] == pytest.approx([one.end_s for one in expected])
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)


def offline(recognizer: Recognizer, recording: Recording) -> list[Prediction]:
    """Predictions of the whole recording; none if it is too short or has no valid sample."""
    try:
        return recognizer.predict_windows(recording.signals, recording.times_s)
    except DataError:
        return []


def steady(seconds: float, seed: int = 0, start_s: float = 0.0) -> Recording:
    """Both sensors at their nominal rates, without gaps."""
    generator = np.random.default_rng(seed)
    specs = (SKELETON, INERTIAL)
    counts = {spec.name: int(seconds * spec.rate_hz) + 1 for spec in specs}
    return Recording(
        {spec.name: generator.standard_normal((counts[spec.name], spec.channels)).cumsum(0) / 5 for spec in specs},
        {spec.name: start_s + np.arange(counts[spec.name]) / spec.rate_hz for spec in specs},
    )


def random_clip(name: str, subject: str, seed: int, label: int | None) -> Clip:
    """Two seconds of both sensors."""
    generator = np.random.default_rng(seed)
    signals = {
        spec.name: (generator.standard_normal((int(2 * spec.rate_hz), spec.channels)).cumsum(0) / 10).astype(np.float32)
        for spec in (SKELETON, INERTIAL)
    }
    times_s = {spec.name: np.arange(len(signals[spec.name])) / spec.rate_hz for spec in (SKELETON, INERTIAL)}
    valid = {key: np.ones(len(values), bool) for key, values in signals.items()}
    return Clip(name, subject, "1", signals, valid, label, times_s)


def scaled(recording: Recording, unit: float) -> Recording:
    """The same samples with timestamps in another unit: 1000 for milliseconds."""
    return Recording(recording.signals, {name: unit * times for name, times in recording.times_s.items()})
