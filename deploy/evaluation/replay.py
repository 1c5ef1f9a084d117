"""Replays recordings as live streams, chunk by chunk, beside the predictions of the whole recordings."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edgehar.config import option, seed_option
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.stream.options import StreamOptions
from edgehar.deploy.stream.recognizer import StreamRecognizer
from edgehar.deploy.stream.segments import Segmenter
from edgehar.errors import DataError
from edgehar.metrics.detection_delay import EmittedLabel
from edgehar.signals.clip import Clip, Prediction, Segment
from edgehar.signals.coarse_clock import is_last


@dataclass(frozen=True)
class ReplayOptions(StreamOptions):
    """Stream.

    The options of a stream, and how a recording is replayed into it.
    """

    shortest_s: float = option(0.0, "seconds that a label must last to be an activity", at_least=0)
    chunk: int = option(10, "most samples per push; the number is drawn at random for each", at_least=1)
    seed: int = seed_option("random seed of the chunks")

    @property
    def smoothed(self) -> bool:
        """Whether the stream's predictions may differ from those of single windows."""
        return self.smoothing > 0 or self.margin > 0


class Push(NamedTuple):
    """Samples `first` to `end`, exclusive, of a sensor; pushed when the last of them has been recorded."""

    arrives_s: float
    modality: str
    first: int
    end: int


class TimedPrediction(NamedTuple):
    """A prediction and when the stream emitted it: the time of the newest sample pushed by then."""

    emitted_s: float
    prediction: Prediction


@dataclass(frozen=True)
class Replay:
    """The predictions of one recording, as a stream and offline.

    Attributes:
        clip: the recording.
        truth: its labelled segments.
        offline: predictions of the windows of the whole recording.
        timed: predictions of the stream, with their times.
    """

    clip: Clip
    truth: tuple[Segment, ...]
    offline: list[Prediction]
    timed: list[TimedPrediction]

    @property
    def stream(self) -> list[Prediction]:
        """Predictions of the stream."""
        return [one.prediction for one in self.timed]


def chunks(clip: Clip, most: int, generator: np.random.Generator) -> list[Push]:
    """All samples of a recording in chunks of one to `most` samples of one sensor, in order of arrival."""
    pushes: list[Push] = []
    for name, times_s in clip.times_s.items():
        first = 0
        while first < len(times_s):
            end = min(first + int(generator.integers(1, most + 1)), len(times_s))
            pushes.append(Push(float(times_s[end - 1]), name, first, end))
            first = end
    return sorted(pushes, key=lambda push: push.arrives_s)


def stream_clip(recognizer: Recognizer, clip: Clip, options: ReplayOptions) -> list[TimedPrediction]:
    """Push a recording, whose clock starts at 0, into a stream; invalid samples as NaN.

    Of samples with one time the last is pushed, as it is the one that a recording's windows have.
    """
    if not clip.times_s:
        return []
    stream = StreamRecognizer(
        recognizer, tuple(clip.times_s), options.smoothing, options.margin, options.lateness_s, options.reorder_s, 0.0
    )
    timed: list[TimedPrediction] = []
    arrives_s = 0.0
    last = {name: is_last(clip.times_s[name]) for name in clip.times_s}
    signals = {name: np.where(clip.valid[name][:, None], clip.signals[name], np.nan) for name in clip.times_s}
    for arrives_s, name, first, end in chunks(clip, options.chunk, np.random.default_rng(options.seed)):
        counted = first + np.flatnonzero(last[name][first:end])
        predictions = stream.push(name, signals[name][counted], clip.times_s[name][counted]) if len(counted) else []
        timed += [TimedPrediction(arrives_s, one) for one in predictions]
    return timed + [TimedPrediction(arrives_s, one) for one in stream.flush()]


def offline_clip(recognizer: Recognizer, clip: Clip) -> list[Prediction]:
    """Predictions of a recording's windows; none if it is shorter than a window or has no valid sample."""
    try:
        return recognizer.predict_clip(clip)
    except DataError:
        return []


def true_segments(clip: Clip) -> tuple[Segment, ...]:
    """The labelled segments of a recording; the whole recording if it has one label."""
    last_s = max((float(times[-1]) for times in clip.times_s.values() if len(times)), default=0.0)
    return clip.segments if clip.label is None or last_s <= 0 else (Segment(0.0, last_s, clip.label),)


def replay(recognizer: Recognizer, clip: Clip, options: ReplayOptions) -> Replay:
    """Recognise a recording as a stream and offline."""
    timed = stream_clip(recognizer, clip, options)
    return Replay(clip, true_segments(clip), offline_clip(recognizer, clip), timed)


def predicted_segments(predictions: Iterable[Prediction], labels: tuple[str, ...], shortest_s: float) -> list[Segment]:
    """The activities that a board would report, as segments."""
    segmenter = Segmenter(shortest_s)
    activities = segmenter.push(predictions) + segmenter.flush()
    return [Segment(one.start_s, one.end_s, labels.index(one.label)) for one in activities]


def class_index(prediction: Prediction, labels: tuple[str, ...]) -> int:
    """Index of a prediction's label; of the most probable class if the label is "unknown"."""
    return labels.index(prediction.label) if prediction.label in labels else int(np.argmax(prediction.probabilities))


def emitted_labels(timed: Iterable[TimedPrediction], labels: tuple[str, ...]) -> list[EmittedLabel]:
    """Convert timed predictions for `edgehar.metrics.detection_delay`."""
    return [
        EmittedLabel(emitted_s, one.start_s, one.end_s, labels.index(one.label) if one.label in labels else None)
        for emitted_s, one in timed
    ]
