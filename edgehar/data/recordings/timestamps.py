"""Checks the timestamps of one file: seconds from the start of the recording, never decreasing."""

import numpy as np

from edgehar.signals.clip import Times
from edgehar.signals.modality import ModalitySpec

MAX_START_S = 3600.0
"""Timestamps that start later are clock times, not seconds from the start of the recording."""
MIN_PACKETS, MIN_PACKET_SAMPLES = 3, 3


def timestamp_problems(times_s: Times, spec: ModalitySpec) -> list[tuple[int, str]]:
    """Rows and messages of the timestamps (T,) that cannot be used."""
    missing = np.flatnonzero(~np.isfinite(times_s))
    if len(missing):
        return [(int(row), f"time_s is {times_s[row]}; expected seconds; remove the row") for row in missing]
    backward = np.flatnonzero(np.diff(times_s) < 0) + 1
    if len(backward):
        row = int(backward[0])
        found = f"time goes back from {times_s[row - 1]} to {times_s[row]} s"
        return [(row, f"{found}{_more(len(backward))}; {_order_cure(times_s, backward, spec)}")]
    problem = _unit_problem(times_s, spec)
    return [(0, problem)] if problem else []


class RunningTimes:
    """Whether `timestamp_problems` finds a problem of timestamps that are read block by block."""

    def __init__(self, spec: ModalitySpec) -> None:
        """Begin without a timestamp."""
        self._spec, self._count, self._first_s, self._last_s = spec, 0, 0.0, -np.inf

    def add(self, times_s: Times) -> bool:
        """Take the next block of timestamps (n,); whether they are finite and do not decrease."""
        if not len(times_s):
            return True
        following = np.concatenate([[self._last_s], times_s])
        self._first_s = self._first_s if self._count else float(times_s[0])
        self._count, self._last_s = self._count + len(times_s), float(times_s[-1])
        return bool(np.isfinite(times_s).all() and (following[1:] >= following[:-1]).all())

    @property
    def span_problem(self) -> str:
        """Why the times are not seconds from the start of the recording, or an empty text."""
        return _span_problem(self._first_s, self._last_s, self._count, self._spec) if self._count else ""


def _more(count: int) -> str:
    return f", and {count - 1:,} more times" if count > 1 else ""


def _order_cure(times_s: Times, backward: np.ndarray[tuple[int], np.dtype[np.intp]], spec: ModalitySpec) -> str:
    """What to do about times that go back at these rows."""
    lengths = np.diff(np.concatenate([[0], backward, [len(times_s)]]))
    length = int(np.median(lengths))
    regular = float((np.abs(lengths[1:-1] - length) <= 1).mean()) >= 0.8 if len(lengths) > 2 else False
    steps_back_s = times_s[backward - 1] - times_s[backward]
    if (
        len(lengths) >= MIN_PACKETS
        and length >= MIN_PACKET_SAMPLES
        and regular
        and float(np.median(steps_back_s)) <= 2 * length / spec.rate_hz
    ):
        return (
            f"{len(lengths):,} packets of about {length} samples overlap in time, as those of a radio link do; "
            "do not sort them: leave time_s out, so that the samples are counted at rate_hz"
        )
    if len(backward) == 1 and times_s[backward[0]] <= times_s[0] + 1 / spec.rate_hz:
        return "the clock starts again, as if two recordings were in one file; split the file there"
    return "sort the rows by time"


def _unit_problem(times_s: Times, spec: ModalitySpec) -> str:
    """Why the times are not seconds from the start of the recording, or an empty text."""
    return _span_problem(float(times_s[0]), float(times_s[-1]), len(times_s), spec)


def _span_problem(first_s: float, last_s: float, count: int, spec: ModalitySpec) -> str:
    if not 0 <= first_s <= MAX_START_S:
        return f"time starts at {first_s} s; expected seconds from the start of the recording; subtract the first time"
    if last_s - first_s > spec.max_span_s(count):
        found = f"{count} samples over {last_s - first_s:g} s at rate_hz {spec.rate_hz:g}"
        return f"{found}; expected time in seconds; convert it, or correct rate_hz"
    return ""
