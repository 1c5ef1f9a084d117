"""Counts of the samples that a stream received and of those it did not use, by reason."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from edgehar.signals.modality import ModalitySpec

CHECK_S, MIN_CHECKED = 5.0, 8
"""Losses are judged over as many samples as a sensor nominally sends in this time, and at least so many."""
DISORDER_SHARE = 1 / 20
"""A sensor whose samples are out of order is reported when this share of them is lost."""
MAX_DISORDER_S = 10.0
"""A sample farther behind a newer one of its sensor is not out of order: the clock was set back."""


@dataclass
class SampleCounts:
    """Counts of one sensor's samples since the stream was created, resets included.

    An unused sample is counted once, under the first reason that applies. All others were used or are still buffered.

    Attributes:
        received: all samples.
        late: arrived after their step had been computed.
        rejected: had a wrong timestamp, see `edgehar.deploy.stream.clocks.clock`.
        duplicated: arrived again with the same timestamp and values.
        invalid: held a value that is not finite or too large.
        first_s: earliest timestamp, on the stream's clock; infinity before the first sample.
        last_s: latest timestamp; minus infinity before the first sample.
    """

    received: int = 0
    late: int = 0
    rejected: int = 0
    duplicated: int = 0
    invalid: int = 0
    first_s: float = float("inf")
    last_s: float = -float("inf")

    @property
    def unused(self) -> int:
        """Number of samples that were not used, for any reason."""
        return self.late + self.rejected + self.duplicated + self.invalid

    def add(self, samples: int, first_s: float, last_s: float) -> None:
        """Count received samples, given their earliest and latest timestamps."""
        self.received += samples
        if first_s < self.first_s:  # faster than min and max, for every push
            self.first_s = first_s
        if last_s > self.last_s:
            self.last_s = last_s

    def plus(self, other: "SampleCounts") -> "SampleCounts":
        """Counts of both together."""
        return SampleCounts(
            self.received + other.received,
            self.late + other.late,
            self.rejected + other.rejected,
            self.duplicated + other.duplicated,
            self.invalid + other.invalid,
            min(self.first_s, other.first_s),
            max(self.last_s, other.last_s),
        )

    def __str__(self) -> str:
        """One line such as "200 samples, not used: 3 too late"."""
        reasons = {
            "too late": self.late,
            "with a rejected timestamp": self.rejected,
            "duplicated": self.duplicated,
            "not finite": self.invalid,
        }
        unused = ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count)
        return f"{self.received} samples" + (f", not used: {unused}" if unused else ", all used")


def total(parts: Iterable[dict[str, SampleCounts]]) -> dict[str, SampleCounts]:
    """Modality -> counts of several streams together."""
    sums: dict[str, SampleCounts] = {}
    for part in parts:
        for name, one in part.items():
            sums[name] = sums.get(name, SampleCounts()).plus(one)
    return sums


class LossMonitor:
    """Reports once when many of a sensor's samples are lost, and again after all have been used in between.

    Many are more than half; if samples arrived out of order, which costs more the longer the stream waits for others,
    a twentieth.

    Args:
        spec: the sensor; its samples are counted over CHECK_S.
        lateness_s: the stream's.
        reorder_s: the stream's.
    """

    def __init__(self, spec: ModalitySpec, lateness_s: float, reorder_s: float) -> None:
        """Start with healthy samples."""
        self._name, self._lateness_s, self._reorder_s = spec.name, lateness_s, reorder_s
        self._span = max(int(CHECK_S * spec.rate_hz), MIN_CHECKED)
        self._received = self._lost = 0
        self._reported = False
        self.restart()

    def restart(self) -> None:
        """Forget the order of the samples: a new stream begins."""
        self._newest_s, self._last_s = -math.inf, -math.inf
        self._behind_s = 0.0  # farthest that a sample arrived behind a newer one since the last check

    def note(self, counts: SampleCounts, first_s: float, last_s: float) -> bool:
        """Note a push with these earliest and latest timestamps; whether enough have arrived for the next check."""
        self._last_s = last_s
        if first_s >= self._newest_s:  # nearly always; the rest is as without this case
            self._newest_s = last_s
        else:
            if self._newest_s - first_s > MAX_DISORDER_S:
                self._newest_s = last_s
            self._behind_s = max(self._behind_s, self._newest_s - first_s)
            self._newest_s = max(self._newest_s, last_s)
        return counts.received - self._received >= self._span

    def check(self, counts: SampleCounts, stream_s: float, others_s: float) -> str:
        """The report, or an empty text.

        Args:
            counts: the sensor's counts.
            stream_s: the stream's newest time.
            others_s: that of the other sensors; minus infinity if there is none.
        """
        disorder_s, self._behind_s = self._behind_s, 0.0
        is_apart = others_s > -math.inf and abs(others_s - self._newest_s) > self._lateness_s
        is_disorder = disorder_s > self._reorder_s and not is_apart
        received, lost = counts.received - self._received, counts.late + counts.rejected - self._lost
        self._received, self._lost = counts.received, counts.late + counts.rejected
        is_report = 2 * lost > received or (is_disorder and lost >= DISORDER_SHARE * received)
        was_reported, self._reported = self._reported, (self._reported and lost > 0) or is_report
        if was_reported or not self._reported:
            return ""
        found = f"{self._name}: {lost} of the last {received} samples were lost"
        if is_disorder:
            needed_s = math.ceil(10 * disorder_s) / 10
            lateness_s = needed_s + self._lateness_s - self._reorder_s
            return (
                f"{found}; samples arrive up to {disorder_s:.3g} s behind a newer one of the same sensor, expected "
                f"at most {self._reorder_s:g} s; send them in order, or have them sorted (--reorder-s {needed_s:g} "
                f"--lateness-s {lateness_s:.3g})"
            )
        behind_s = stream_s - self._last_s
        place = f"{abs(behind_s):.3g} s {'behind' if behind_s >= 0 else 'ahead of'} the stream"
        return (
            f"{found}; the newest timestamp is {place}, expected at most {self._lateness_s:g} s; push short pieces of "
            "the sensors in turn, correct the sensor's clock or its unit (seconds), or wait longer (--lateness-s)"
        )


def brief_summary(counts: dict[str, SampleCounts]) -> str:
    """Total numbers of received and unused samples, for one line."""
    return (
        f"{sum(one.received for one in counts.values())} samples, {sum(one.unused for one in counts.values())} not used"
    )


def summary(counts: dict[str, SampleCounts], predictions: int, window_s: float) -> list[str]:
    """A line for each sensor, and a warning if there is no prediction or most samples were not used.

    Args:
        counts: sensor -> its counts.
        predictions: number of predictions.
        window_s: length of a window in seconds.
    """
    lines = [f"{name}: {one if one.received else 'no samples received'}" for name, one in counts.items()]
    active = [one for one in counts.values() if one.received]
    if active and (not predictions or sum(one.unused for one in active) > sum(one.received for one in active) / 2):
        finding = f"{predictions} predictions, and most samples not used" if predictions else "no prediction"
        first_s, last_s = min(one.first_s for one in active), max(one.last_s for one in active)
        lines.append(
            f"{finding}: timestamps range from {first_s:.10g} to {last_s:.10g} s, and a window takes {window_s:.3g} s; "
            "expected seconds on one clock for all sensors; check the unit of the timestamps (milliseconds?) and the "
            "clocks"
        )
    return lines
