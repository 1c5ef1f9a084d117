"""A live stream as text: one JSON object per line in, one JSON prediction per line out."""

import codecs
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from edgehar.deploy.live.network import REMARK_CHARACTERS, say
from edgehar.deploy.stream.recognizer import StreamRecognizer
from edgehar.deploy.stream.segments import Activity
from edgehar.errors import ConfigError, DataError
from edgehar.files.strict_json import single
from edgehar.signals.clip import Prediction

KEYS = {"modality", "time_s", "samples"}
MAX_LINE_BYTES = 2**20
"""Ten seconds of a skeleton fit many times; more is no line of samples, and memory on a board is short."""


@dataclass(frozen=True)
class Message:
    """One line as it came.

    Attributes:
        origin: where it came from and which line it is, for people.
        line: its bytes, without the line feed.
        arrived_s: when, on the clock of `time.monotonic`.
    """

    origin: str
    line: bytes
    arrived_s: float = field(default_factory=time.monotonic)


def prediction_line(prediction: Prediction, labels: tuple[str, ...]) -> str:
    """A prediction as one line of JSON."""
    probabilities = [round(float(value), 6) for value in prediction.probabilities]
    return json.dumps(
        {
            "start_s": round(prediction.start_s, 6),
            "end_s": round(prediction.end_s, 6),
            "label": prediction.label,
            "score": round(prediction.score, 6),
            "probabilities": dict(zip(labels, probabilities, strict=True)),
        }
    )


def sample_line(modality: str, time_s: float, sample: list[float]) -> bytes:
    """One sample as a line of a stream; `push_line` reads it."""
    return json.dumps({"modality": modality, "time_s": time_s, "samples": [sample]}).encode()


def whole_lines(rest: bytearray, chunk: bytes) -> Iterator[bytes]:
    """The lines that a chunk completes, without their line feeds.

    Args:
        rest: what the chunks before left over; holds afterwards what this one does. A line that is too long is cut
            to one byte more than MAX_LINE_BYTES, so that it is still known as too long and takes no more memory.
        chunk: the next bytes.
    """
    *ends, tail = chunk.split(b"\n")
    for end in ends:
        rest += end[: MAX_LINE_BYTES + 1 - len(rest)]
        line = bytes(rest)
        rest.clear()
        yield line
    rest += tail[: MAX_LINE_BYTES + 1 - len(rest)]


def activity_line(activity: Activity) -> str:
    """An activity as one line of JSON."""
    return json.dumps(
        {
            "start_s": round(activity.start_s, 6),
            "end_s": round(activity.end_s, 6),
            "activity": activity.label,
            "score": round(activity.score, 6),
        }
    )


def _refuse_truth_values(value: Any) -> None:
    """Raise ValueError if there is `true` or `false` anywhere."""
    if isinstance(value, bool):
        raise ValueError(f"{json.dumps(value)} is no number")
    if isinstance(value, list | dict):
        inner = cast("dict[str, Any]", value).values() if isinstance(value, dict) else cast("list[Any]", value)
        for one in inner:
            _refuse_truth_values(one)


def push_line(stream: StreamRecognizer, line: bytes) -> list[Prediction]:
    """Push one line, {"modality": "...", "time_s": 1.23 or [...], "samples": [[...], ...]}, into a stream.

    A sample with NaN or null counts as lost. An empty line is no sample. What some programs put before text to say that
    it is UTF-8 is skipped.

    Raises DataError if the line is anything else, or the stream refuses it; the stream is then as it was before.
    """
    if len(line) > MAX_LINE_BYTES:
        raise DataError(f"longer than {MAX_LINE_BYTES} bytes; expected fewer samples; send them in several lines")
    line = line.removeprefix(codecs.BOM_UTF8)
    if not line.strip():
        return []
    try:
        entry: Any = json.loads(line.decode(), object_pairs_hook=single)
        if b"true" in line or b"false" in line:  # numpy would take them for 1 and 0
            _refuse_truth_values(entry)
    except (ValueError, RecursionError) as problem:
        raise DataError(f"not JSON of samples ({problem}); expected one JSON object per line") from None
    if not isinstance(entry, dict) or set(cast("dict[str, Any]", entry)) != KEYS:
        raise DataError('expected {"modality": NAME, "time_s": seconds, "samples": [[...], ...]} and nothing else')
    message = cast("dict[str, Any]", entry)
    if not isinstance(message["modality"], str):
        raise DataError(f"modality is {message['modality']!r}; expected its name")
    return stream.push(message["modality"], message["samples"], message["time_s"])


def stream_predictions(
    stream: StreamRecognizer, messages: Iterable[Message], skip_bad: bool
) -> Iterator[tuple[Prediction, float]]:
    """Predictions as the lines come, each with the time at which the line that completed it arrived.

    A bad line raises DataError with its origin, or is reported and skipped.
    """
    for message in messages:
        try:
            predictions = push_line(stream, message.line)
        except (DataError, ConfigError) as problem:
            reason = " ".join(f"{message.origin}: {problem}".split())
            if not skip_bad:
                raise DataError(reason[:REMARK_CHARACTERS]) from None
            say(f"{reason[: REMARK_CHARACTERS - 40]}; skipped")
            continue
        for prediction in predictions:
            yield prediction, message.arrived_s
    ended_s = time.monotonic()
    for prediction in stream.flush():
        yield prediction, ended_s
