"""One recording heard twice: as a live stream, chunk by chunk, and all at once."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edgehar.checks import check_seed
from edgehar.config import option
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.stream.recognizer import StreamRecognizer
from edgehar.deploy.stream.segments import Segmenter
from edgehar.errors import ConfigError, DataError
from edgehar.metrics.detection_delay import Answer
from edgehar.signals.clip import Clip, Prediction, Segment


@dataclass(frozen=True)
class StreamOptions:
    """How a recording is streamed, and what is made of the predictions."""

    smoothing: float = option(0.0, "weight of the previous prediction, 0 to below 1")
    margin: float = option(0.0, "how much more probable a new label must be to replace the previous one")
    lateness_s: float = option(0.5, "seconds that the slowest sensor is waited for")
    reorder_s: float = option(0.0, "seconds that a sample may come behind a newer one and change nothing")
    shortest_s: float = option(0.0, "seconds that a label must last to be an activity")
    chunk: int = option(10, "most samples that one push hands over; how many is drawn anew each time")
    seed: int = option(0, "of the chunks")

    def __post_init__(self) -> None:
        """Refuse a chunk without a sample, and what no seed can be."""
        check_seed(self.seed)
        if self.chunk < 1:
            raise ConfigError(f"--chunk {self.chunk}: expected 1 sample or more")

    @property
    def smoothed(self) -> bool:
        """Whether the stream's answers are meant to differ from those of single windows."""
        return self.smoothing > 0 or self.margin > 0


class Push(NamedTuple):
    """Samples `first` to before `last` of a sensor, handed over when the last of them has been recorded."""

    arrives_s: float
    modality: str
    first: int
    last: int


class TimedPrediction(NamedTuple):
    """A prediction, and the time of the newest sample that the stream had when it came out."""

    emitted_s: float
    prediction: Prediction


@dataclass(frozen=True)
class Replay:
    """What came of one recording.

    Attributes:
        clip: the recording.
        truth: its labelled segments.
        offline: predictions of its windows, all at once.
        said: what the stream said.
    """

    clip: Clip
    truth: tuple[Segment, ...]
    offline: list[Prediction]
    said: list[TimedPrediction]

    @property
    def stream(self) -> list[Prediction]:
        """The stream's predictions."""
        return [one.prediction for one in self.said]


def chunks(clip: Clip, most: int, generator: np.random.Generator) -> list[Push]:
    """Every sample of a recording once, in chunks of one to `most` samples of one sensor, in the order of arrival."""
    pushes: list[Push] = []
    for name, times_s in clip.times_s.items():
        first = 0
        while first < len(times_s):
            last = min(first + int(generator.integers(1, most + 1)), len(times_s))
            pushes.append(Push(float(times_s[last - 1]), name, first, last))
            first = last
    return sorted(pushes, key=lambda push: push.arrives_s)


def stream_clip(recognizer: Recognizer, clip: Clip, options: StreamOptions) -> list[TimedPrediction]:
    """What a live stream says of a recording, whose clock starts at 0; lost samples come as NaN."""
    if not clip.times_s:
        return []
    stream = StreamRecognizer(
        recognizer, tuple(clip.times_s), options.smoothing, options.margin, options.lateness_s, options.reorder_s, 0.0
    )
    said: list[TimedPrediction] = []
    arrives_s = 0.0
    signals = {name: np.where(clip.valid[name][:, None], clip.signals[name], np.nan) for name in clip.times_s}
    for arrives_s, name, first, last in chunks(clip, options.chunk, np.random.default_rng(options.seed)):
        found = stream.push(name, signals[name][first:last], clip.times_s[name][first:last])
        said += [TimedPrediction(arrives_s, one) for one in found]
    return said + [TimedPrediction(arrives_s, one) for one in stream.flush()]


def offline_clip(recognizer: Recognizer, clip: Clip) -> list[Prediction]:
    """Predictions of a recording's windows; none if it is shorter than a window, or nothing in it is usable."""
    try:
        return recognizer.predict_clip(clip)
    except DataError:
        return []


def true_segments(clip: Clip) -> tuple[Segment, ...]:
    """The labelled segments of a recording; the whole of it where it has one label."""
    last_s = max((float(times[-1]) for times in clip.times_s.values() if len(times)), default=0.0)
    return clip.segments if clip.label is None or last_s <= 0 else (Segment(0.0, last_s, clip.label),)


def replay(recognizer: Recognizer, clip: Clip, options: StreamOptions) -> Replay:
    """Everything that is scored of one recording."""
    said = stream_clip(recognizer, clip, options)
    return Replay(clip, true_segments(clip), offline_clip(recognizer, clip), said)


def predicted_segments(predictions: Iterable[Prediction], labels: tuple[str, ...], shortest_s: float) -> list[Segment]:
    """The activities that a board would tell of, with their labels' indices."""
    segmenter = Segmenter(shortest_s)
    activities = segmenter.push(predictions) + segmenter.flush()
    return [Segment(one.start_s, one.end_s, labels.index(one.label)) for one in activities]


def class_index(prediction: Prediction, labels: tuple[str, ...]) -> int:
    """Index of the label that a prediction names; of the most probable one where it is "unknown"."""
    known = prediction.label in labels
    return labels.index(prediction.label) if known else int(np.argmax(prediction.probabilities))


def answers_of(said: Iterable[TimedPrediction], labels: tuple[str, ...]) -> list[Answer]:
    """What was said, for `edgehar.metrics.detection_delay`."""
    return [
        Answer(at_s, one.start_s, one.end_s, labels.index(one.label) if one.label in labels else None)
        for at_s, one in said
    ]
