"""Follows clocks that run at slightly different rates, so that no sensor falls behind by and by.

Two quartz clocks differ by up to 100 ppm, cheap or self-made ones by more: at 500 ppm a sensor is 0.5 s late after 17
minutes. As in the clock filters of NTP (RFC 5905, section 10), the offset between two clocks is measured at each
arrival and filtered, here by medians, since a delay on the way changes single measurements and a drift all of them.
"""

import math
from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np

from edgehar.signals.clip import Times

MAX_DRIFT = 2e-3
"""Greatest difference of two clocks' rates that is followed: 2000 ppm, 7.2 s in an hour."""
MAX_SLEW = 2 * MAX_DRIFT
"""Greatest change of a correction, in seconds per second; more than the drift, so that it can catch up."""
SPAN_S, SPAN_PUSHES = 5.0, 8
"""One measurement is the median over at least this long and at least so many pushes."""
SILENT_S = 10.0
"""Another clock becomes the reference if the present one is behind the newest sample by more than this."""
POINTS = 16
"""Measurements that are kept of each time scale; each scale has half as many per second as the one before."""
SCALES = 20
LONGEST_PAUSE_S = 3600.0
"""How long the last known drift continues without measurements."""
BASELINE_POINTS = 6
MIN_GROWTH_S = 0.02
SPANS = ((8, 1), (10, 1), (12, 2), (14, 2), (16, 2))
"""Numbers of measurements in which a drift is looked for, and how many of them are averaged to a part."""
STEADY = 1 / 8
"""A drift deviates from a line by at most this share of its growth; a step by at least a quarter."""
LEAST_SHARE = 1 / 3
"""A drift grows in every part of a span by at least this share of its average."""
CONGESTION_S = 600.0
"""A delay that grows for less than this long may be a congested network; drift then needs a larger growth."""
FIT_POINTS = 12

Point = tuple[float, float]
"""Time and offset of one measurement, in seconds."""


def _median(values: Iterable[float]) -> float:
    """The median; of few numbers, faster than numpy's."""
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


class SensorDrift:
    """Offset of one sensor's clock to the reference, and the correction of its timestamps.

    The offset is the reference's newest timestamp minus the sensor's own when samples of the sensor arrive. A drift is
    an offset that grows steadily in some span of time, altogether by a half (in a long span, a quarter) of what
    the stream waits for a late sensor. A single step is none: delays change, too. Until then timestamps are not
    corrected at all. From then on, the correction keeps the offset where it was at the beginning.

    Args:
        name: the sensor.

    Attributes:
        is_corrected: whether timestamps are changed at all.
    """

    def __init__(self, name: str) -> None:
        """Start without measurements and without a correction."""
        self.name = name
        self.newest_s = -np.inf  # on the stream's clock
        self.offset_s = 0.0  # of the sensor's clock, after a jump
        self._own_s = self._push_s = 0.0  # newest timestamp on the sensor's own clock; usual span of a push
        self.intervals_s = deque[float](maxlen=32)  # between the newest timestamps of successive pushes
        self._line = (0.0, 0.0, 0.0, 0.0, 0.0)  # time, correction and slope from there; end of that slope, slope then
        self.restart()

    def restart(self) -> None:
        """Measure anew; the present correction stays."""
        self._line = (self._own_s, self.correction_s(self._own_s), 0.0, self._own_s, 0.0)
        self._open: list[Point] = []
        self._scales: list[deque[Point]] = []
        self._counts: list[int] = []
        self._baseline_s: float | None = None
        self._reference_s = -np.inf
        self.is_followed = self.is_too_fast = False
        self.is_corrected = self._line[1] != 0.0

    def correction_s(self, time_s: float) -> float:
        """Seconds to add to a timestamp on the sensor's own clock."""
        start_s, correction_s, slope, end_s, slope_after = self._line
        if time_s <= start_s or not (slope or slope_after):
            return correction_s
        after_s = min(max(time_s - end_s, 0.0), LONGEST_PAUSE_S)
        return correction_s + slope * (min(time_s, end_s) - start_s) + slope_after * after_s

    def corrected(self, times_s: list[float]) -> list[float]:
        """Timestamps on the sensor's own clock, each with its `correction_s`."""
        own_s, (start_s, correction_s, slope, end_s, slope_after) = np.array(times_s), self._line
        until_s = np.clip(own_s, start_s, end_s) - start_s
        later_s = np.clip(own_s - end_s, 0, LONGEST_PAUSE_S)
        return (own_s + (correction_s + slope * until_s + slope_after * later_s)).tolist()

    def advance(self, times_s: Sequence[float], newest_s: float) -> bool:
        """Note the times of a push and the newest timestamp on the stream's clock; False if that has not grown."""
        before_s, own_s = self.newest_s, times_s[-1]
        if not newest_s > before_s:
            return False
        if before_s > -math.inf:
            self.intervals_s.append(newest_s - before_s)
        self._own_s, self.newest_s = own_s, newest_s
        self._push_s += (own_s - times_s[0] - self._push_s) / SPAN_PUSHES
        return True

    @property
    def interval_s(self) -> float:
        """Usual seconds between the newest timestamps of two pushes."""
        return _median(self.intervals_s)

    def measure(self, reference_s: float) -> bool:
        """Add a measurement, given the reference's newest timestamp; True if it completes the median of a span."""
        own_s = self._own_s
        if reference_s <= self._reference_s:  # the reference is silent: its newest timestamp is old
            return False
        self._reference_s = reference_s
        if self._open and own_s - self._open[-1][0] > SILENT_S:
            self._open = []
        self._open.append((own_s, reference_s - self.newest_s + self.correction_s(own_s)))
        if len(self._open) < SPAN_PUSHES or own_s - self._open[0][0] < SPAN_S:
            return False
        times_s, offsets_s = zip(*self._open, strict=True)
        self._open = []
        self._add(0, (_median(times_s), _median(offsets_s)))
        first = self._scales[0]
        if self._baseline_s is None and len(first) == BASELINE_POINTS:
            self._baseline_s = _median(offset_s for _, offset_s in first) - self._line[1]
        return True

    def _add(self, scale: int, point: Point) -> None:
        if scale == len(self._scales):
            self._scales.append(deque(maxlen=POINTS))
            self._counts.append(0)
        points = self._scales[scale]
        points.append(point)
        self._counts[scale] += 1
        if self._counts[scale] % 2 == 0 and scale + 1 < SCALES:
            (first_s, first), (last_s, last) = points[-2], points[-1]
            self._add(scale + 1, ((first_s + last_s) / 2, (first + last) / 2))

    def drift(self, lateness_s: float, interval_s: float) -> float | None:
        """Rate of the drift in seconds per second, above 0 if the sensor's clock is slow; None if there is none.

        Args:
            lateness_s: how far the sensor may be behind before its samples are lost.
            interval_s: seconds between pushes of the reference, by which an offset may change without any drift.
        """
        if self._baseline_s is None:
            return None
        margin_s = max(lateness_s - abs(self._baseline_s) - self._push_s, lateness_s / 8)
        for scale, points in enumerate(self._scales):
            if self._counts[0] % 2**scale:
                break  # no new measurement
            for count, size in SPANS:
                if len(points) < count:
                    break
                recent: Times = np.array(list(points)[-count:], np.float64)
                times_s, offsets_s = recent.reshape(-1, size, 2).mean(axis=1).T  # of the parts of the span
                times_s, offsets_s = times_s - times_s.mean(), offsets_s - offsets_s.mean()
                rate = float(times_s @ offsets_s / (times_s @ times_s))  # least squares
                span_s = float(times_s[-1] - times_s[0]) * len(times_s) / (len(times_s) - 1)
                certain_s = margin_s / (4 if span_s > CONGESTION_S else 2)
                certain_s = max(certain_s, min(1.1 * interval_s, 0.7 * margin_s), MIN_GROWTH_S)
                growth_s = abs(rate) * span_s
                if growth_s < certain_s or np.abs(offsets_s - rate * times_s).max() > STEADY * growth_s:
                    continue
                if (np.diff(offsets_s) / np.diff(times_s) / rate >= LEAST_SHARE).all():
                    return rate
        return None

    def follow(self) -> None:
        """Turn the correction towards the line through the last measurements (Theil 1950, Sen 1968)."""
        self.is_followed = self.is_corrected = True
        recent: Times = np.array(list(self._scales[0])[-FIT_POINTS:], np.float64)
        times_s, offsets_s = recent[:, 0], recent[:, 1]
        is_later = times_s[:, None] > times_s
        slopes = (offsets_s[:, None] - offsets_s)[is_later] / (times_s[:, None] - times_s)[is_later]
        slope = float(np.median(slopes))
        own_s = self._own_s
        at_s = own_s + max(SPAN_S, own_s - float(times_s[-2]))
        fitted_s = float(np.median(offsets_s - slope * times_s)) + slope * at_s
        present_s = self.correction_s(own_s)
        towards = (fitted_s - (self._baseline_s or 0.0) - present_s) / (at_s - own_s)
        self._line = (
            own_s,
            present_s,
            float(np.clip(towards, -MAX_SLEW, MAX_SLEW)),
            at_s,
            float(np.clip(slope, -MAX_DRIFT, MAX_DRIFT)),
        )


class DriftFollower:
    """Corrects the timestamps of all sensors of a stream to one of them, the reference.

    The reference is the sensor with the shortest interval between pushes, the first in the package's order if several
    are alike. Its clock is never corrected.

    Args:
        names: the sensors, in the package's order.
        lateness_s: the stream's; infinity (recordings) corrects nothing.
    """

    def __init__(self, names: tuple[str, ...], lateness_s: float) -> None:
        """Start without measurements."""
        self._lateness_s = lateness_s
        self.sensors = {name: SensorDrift(name) for name in names}
        self.is_following = len(names) > 1 and lateness_s < np.inf
        self._reference: SensorDrift | None = None
        self._newest_s = -np.inf

    def observe(self, sensor: SensorDrift, times_s: Sequence[float], newest_s: float, offset_s: float) -> str:
        """Measure after a push.

        Args:
            sensor: the sensor that was pushed, one of `sensors`.
            times_s: timestamps of the push, on its own clock.
            newest_s: its newest accepted timestamp on the stream's clock.
            offset_s: offset of its clock that was found after a jump; a change starts anew.

        Returns:
            A warning, once for each sensor whose clock drifts; empty if there is none.
        """
        if not self.is_following:
            return ""
        if offset_s != sensor.offset_s:
            sensor.offset_s = offset_s
            self._restart(None)
        if not sensor.advance(times_s, newest_s):
            return ""
        if newest_s > self._newest_s:
            self._newest_s = newest_s
        reference = self._reference
        if reference is None or self._newest_s - reference.newest_s > SILENT_S:
            reference = self._find_reference()
        if reference is None or reference is sensor or not sensor.measure(reference.newest_s):
            return ""
        if reference.interval_s > 2 * sensor.interval_s:  # a sensor that measures more finely began later
            self._restart(sensor)
        elif sensor.is_followed:
            sensor.follow()
        else:
            return self._warning(sensor, reference)
        return ""

    def _warning(self, sensor: SensorDrift, reference: SensorDrift) -> str:
        """Follow the sensor if it drifts; the warning, or an empty text."""
        drift = sensor.drift(self._lateness_s, reference.interval_s)
        if drift is None:
            return ""
        found = (
            f"{sensor.name}: its clock {'loses' if drift > 0 else 'gains'} {abs(drift) * 1e6:.0f} ppm on "
            f"{reference.name}'s"
        )
        # As exactly as it is measured in a minute. A later measurement may be more exact, then without this allowance.
        if abs(drift) > (1.0 if sensor.is_too_fast else 1.2) * MAX_DRIFT:
            was_reported, sensor.is_too_fast = sensor.is_too_fast, True
            if was_reported:
                return ""
            return (
                f"{found}; expected at most {MAX_DRIFT * 1e6:.0f} ppm, which a stream follows; samples will be lost; "
                "check the rate by which its timestamps are counted, or take them from one clock"
            )
        sensor.follow()
        return f"{found}; its timestamps are corrected from now on"

    def _restart(self, reference: SensorDrift | None) -> None:
        self._reference = reference
        self._newest_s = max(sensor.newest_s for sensor in self.sensors.values())
        for sensor in self.sensors.values():
            sensor.restart()

    def _find_reference(self) -> SensorDrift | None:
        """Another reference than the present one, which is silent; None while too few samples have arrived."""
        candidates = [
            (sensor.interval_s, sensor)
            for sensor in self.sensors.values()
            if len(sensor.intervals_s) >= SPAN_PUSHES and self._newest_s - sensor.newest_s <= SILENT_S
        ]
        if not candidates:
            return None
        shortest_s = min(interval_s for interval_s, _ in candidates)
        found = next(sensor for interval_s, sensor in candidates if interval_s <= 1.5 * shortest_s)
        self._restart(found)
        return found
