"""The text format of a live stream: one JSON object per line of samples, one per prediction."""

import codecs
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from edgehar.deploy.live.network import MAX_LOG_CHARACTERS, log
from edgehar.deploy.stream.recognizer import StreamRecognizer
from edgehar.deploy.stream.segments import Activity
from edgehar.errors import ConfigError, DataError
from edgehar.files.strict_json import single
from edgehar.signals.clip import Prediction

KEYS = {"modality", "time_s", "samples"}
MAX_LINE_BYTES = 2**20
"""Longest input line, many times ten seconds of a skeleton; bounds memory on the board."""


@dataclass(frozen=True)
class StreamMessage:
    """One line of a stream as received.

    Attributes:
        origin: source and line number, for messages.
        line: the bytes without the line feed.
        arrived_s: time of arrival, as `time.monotonic`.
    """

    origin: str
    line: bytes
    arrived_s: float = field(default_factory=time.monotonic)


def prediction_line(prediction: Prediction, labels: tuple[str, ...]) -> str:
    """Format a prediction as one line of JSON."""
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
    """Format one sample as a line of a stream, as `push_line` reads it."""
    return json.dumps({"modality": modality, "time_s": time_s, "samples": [sample]}).encode()


def complete_lines(rest: bytearray, chunk: bytes) -> Iterator[bytes]:
    """The lines that a chunk completes, without their line feeds.

    Args:
        rest: the incomplete line of earlier chunks; updated in place. A line that is too long is truncated to
            MAX_LINE_BYTES + 1 bytes, which bounds memory and still shows that it is too long.
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
    """Format an activity as one line of JSON."""
    return json.dumps(
        {
            "start_s": round(activity.start_s, 6),
            "end_s": round(activity.end_s, 6),
            "activity": activity.label,
            "score": round(activity.score, 6),
        }
    )


def _reject_booleans(value: Any) -> None:
    """Raise ValueError if there is `true` or `false` at any depth."""
    if isinstance(value, bool):
        raise ValueError(f"{json.dumps(value)} is not a number")
    if isinstance(value, list | dict):
        inner = cast("dict[str, Any]", value).values() if isinstance(value, dict) else cast("list[Any]", value)
        for one in inner:
            _reject_booleans(one)


def push_line(stream: StreamRecognizer, line: bytes) -> list[Prediction]:
    """Push one line, {"modality": "...", "time_s": 1.23 or [...], "samples": [[...], ...]}, into a stream.

    A sample with NaN or null is missing. Empty lines and UTF-8 byte order marks are skipped.

    Raises:
        DataError: the line has another form or the stream rejects it; the stream is then unchanged.
    """
    if len(line) > MAX_LINE_BYTES:
        raise DataError(f"longer than {MAX_LINE_BYTES} bytes; expected fewer samples per line; split the line")
    line = line.removeprefix(codecs.BOM_UTF8)
    if not line.strip():
        return []
    try:
        entry: Any = json.loads(line.decode(), object_pairs_hook=single)
        if b"true" in line or b"false" in line:  # numpy would convert them to 1 and 0
            _reject_booleans(entry)
    except (ValueError, RecursionError) as problem:
        raise DataError(f"not JSON ({problem}); expected one JSON object per line") from None
    if not isinstance(entry, dict) or set(cast("dict[str, Any]", entry)) != KEYS:
        raise DataError('expected {"modality": NAME, "time_s": seconds, "samples": [[...], ...]} and no other key')
    message = cast("dict[str, Any]", entry)
    if not isinstance(message["modality"], str):
        raise DataError(f"modality is {message['modality']!r}; expected its name")
    return stream.push(message["modality"], message["samples"], message["time_s"])


def stream_predictions(
    stream: StreamRecognizer, messages: Iterable[StreamMessage], skip_bad: bool
) -> Iterator[tuple[Prediction, float]]:
    """Predictions of a stream of lines, each with the arrival time of the line that completed it.

    Args:
        stream: the recogniser.
        messages: the lines.
        skip_bad: log and skip an invalid line rather than raise DataError.
    """
    for message in messages:
        try:
            predictions = push_line(stream, message.line)
        except (DataError, ConfigError) as problem:
            reason = " ".join(f"{message.origin}: {problem}".split())
            if not skip_bad:
                raise DataError(reason[:MAX_LOG_CHARACTERS]) from None
            log(f"{reason[: MAX_LOG_CHARACTERS - 40]}; skipped")
            continue
        for warning in stream.take_warnings():
            log(warning)
        for prediction in predictions:
            yield prediction, message.arrived_s
    ended_s = time.monotonic()
    for prediction in stream.flush():
        yield prediction, ended_s
