"""The text format of a live stream: one JSON object per line of samples, one per prediction."""

import codecs
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import numpy as np

from edgehar.deploy.samples import as_times
from edgehar.deploy.stream.people import check_person
from edgehar.deploy.stream.segments import Activity
from edgehar.errors import DataError
from edgehar.files.strict_json import single
from edgehar.signals.clip import Prediction

KEYS = {"modality", "time_s", "samples"}
PERSON = "person"
"""Optional key of a line of samples, and of the lines that answer it."""
MAX_LINE_BYTES = 2**20
"""Longest input line, many times ten seconds of a skeleton; bounds memory on the board."""
MAX_LINE_S, MAX_ADVANCE_S = 120.0, 10.0
"""Most seconds that the times of one line may run through, forwards and backwards, where a larger difference of two
times counts as MAX_ADVANCE_S; bounds the windows and the clock jumps that one line can cause."""


@dataclass(frozen=True)
class StreamMessage:
    """One line of a stream as received.

    Attributes:
        origin: source and line number, for messages.
        line: the bytes without the line feed.
        arrived_s: time of arrival, as `time.monotonic`.
        person: whose samples the source says they are, or None.
    """

    origin: str
    line: bytes
    arrived_s: float = field(default_factory=time.monotonic)
    person: str | None = None


class Samples(NamedTuple):
    """What a line holds: the arguments of `Fleet.push`."""

    person: str | None
    modality: str
    samples: Any
    times_s: Any


def _named(person: str | None, entry: dict[str, Any]) -> str:
    """Format an answer as one line of JSON, with the person if there is one."""
    return json.dumps(entry if person is None else {PERSON: person, **entry})


def prediction_line(prediction: Prediction, labels: tuple[str, ...], person: str | None = None) -> str:
    """Format a prediction as one line of JSON."""
    probabilities = [round(float(value), 6) for value in prediction.probabilities]
    return _named(
        person,
        {
            "start_s": round(prediction.start_s, 6),
            "end_s": round(prediction.end_s, 6),
            "label": prediction.label,
            "score": round(prediction.score, 6),
            "probabilities": dict(zip(labels, probabilities, strict=True)),
        },
    )


def sample_line(modality: str, time_s: float, sample: list[float]) -> bytes:
    """Format one sample as a line of a stream, as `parse_line` reads it."""
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


def activity_line(activity: Activity, person: str | None = None) -> str:
    """Format an activity as one line of JSON."""
    return _named(
        person,
        {
            "start_s": round(activity.start_s, 6),
            "end_s": round(activity.end_s, 6),
            "activity": activity.label,
            "score": round(activity.score, 6),
        },
    )


def _reject_booleans(value: Any) -> None:
    """Raise ValueError if there is `true` or `false` at any depth."""
    if isinstance(value, bool):
        raise ValueError(f"{json.dumps(value)} is not a number")
    if isinstance(value, list | dict):
        inner = cast("dict[str, Any]", value).values() if isinstance(value, dict) else cast("list[Any]", value)
        for one in inner:
            _reject_booleans(one)


def check_span(modality: str, times_s: Any) -> Any:
    """The list of times of a line as (n,) float64; a single time as it is.

    Raises:
        DataError: they are not numbers, or run through more than MAX_LINE_S.
    """
    if not isinstance(times_s, list):
        return times_s
    given = cast("list[Any]", times_s)
    times = as_times(given, len(given), modality, in_order=False)
    with np.errstate(over="ignore"):  # infinity is reported below
        span_s = float(np.minimum(np.abs(times[1:] - times[:-1]), MAX_ADVANCE_S).sum())
    if span_s > MAX_LINE_S:
        raise DataError(
            f"{modality}: the {len(times)} times of one line run through {span_s:.4g} s or more; expected at most "
            f"{MAX_LINE_S:g} s, in seconds; correct the unit, or split the line"
        )
    return times


def parse_line(message: StreamMessage) -> Samples | None:
    """Parse one line, {"modality": "...", "time_s": 1.23 or [...], "samples": [[...], ...]}.

    The key "person" is optional. A sample with NaN or null is missing. Empty lines, which give None, and UTF-8 byte
    order marks are skipped.

    Raises:
        DataError: the line has another form.
    """
    line = message.line
    if len(line) > MAX_LINE_BYTES:
        raise DataError(f"longer than {MAX_LINE_BYTES} bytes; expected fewer samples per line; split the line")
    line = line.removeprefix(codecs.BOM_UTF8)
    if not line.strip():
        return None
    try:
        found: Any = json.loads(line.decode(), object_pairs_hook=single)
        if b"true" in line or b"false" in line:  # numpy would convert them to 1 and 0
            _reject_booleans(found)
    except (ValueError, RecursionError) as problem:
        raise DataError(f"not JSON ({problem}); expected one JSON object per line") from None
    entry = cast("dict[str, Any]", found)
    if not isinstance(found, dict) or set(entry) - {PERSON} != KEYS:
        raise DataError(
            'expected {"modality": NAME, "time_s": seconds, "samples": [[...], ...]}, optionally "person": NAME, and '
            "no other key"
        )
    if not isinstance(entry["modality"], str):
        raise DataError(f"modality is {entry['modality']!r}; expected its name")
    person = check_person(entry[PERSON]) if PERSON in entry else message.person
    if message.person not in (None, person):
        raise DataError(f"person is {person!r}, the topic says {message.person!r}; expected one of them")
    times_s = check_span(entry["modality"], entry["time_s"])
    return Samples(person, entry["modality"], entry["samples"], times_s)
