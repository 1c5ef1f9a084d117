"""Whether a sensor's times can be believed: a leap is doubted until the sensor itself or the other sensors decide it.

A sensor's clock may be set anew, start from zero after a power cut, or be wrong for a while. Samples are aligned by
time, so one clock that leaps an hour ahead would otherwise make every other sensor an hour late.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edgehar.deploy.samples import Rows, extremes
from edgehar.deploy.stream.sample_counts import SampleCounts
from edgehar.signals.clip import Times

MOST_DOUBTED = 16_384
"""Samples held back at most while a leap is doubted; a clock that stands still would fill the memory otherwise."""

STRAGGLING_S = 10.0
"""How far behind the newest a sample may be that was only held up on the way."""


class Samples(NamedTuple):
    """Samples of one sensor.

    Attributes:
        rows: (n, C).
        times_s: (n,) seconds.
    """

    rows: Rows
    times_s: Times

    def last(self) -> "Samples":
        """The last one."""
        return Samples(self.rows[-1:], self.times_s[-1:])

    def part(self, first: int, last: int) -> "Samples":
        """Those from `first` to before `last`."""
        return Samples(self.rows[first:last], self.times_s[first:last])

    def later(self, seconds: float) -> "Samples":
        """The same, `seconds` later."""
        return self._replace(times_s=self.times_s + seconds)


@dataclass
class Doubt:
    """Samples held back since a leap, on the sensor's own clock, and how far the other sensors had come by then."""

    runs: list[Samples]
    others_s: float
    newest_s: float = -np.inf
    count: int = 0

    @staticmethod
    def of(run: Samples, others_s: float) -> "Doubt":
        """A doubt that begins with this run."""
        doubt = Doubt([], others_s)
        doubt.add(run)
        return doubt

    def add(self, run: Samples) -> None:
        """Hold back more samples."""
        self.runs.append(run)
        self.newest_s = max(self.newest_s, extremes(run.times_s)[1])
        self.count += len(run.times_s)

    @property
    def first_s(self) -> float:
        """Time of the first sample held back."""
        return float(self.runs[0].times_s[0])

    def span_s(self) -> float:
        """How far the sensor has come since."""
        return self.newest_s - self.first_s

    def advance_s(self, others_s: float) -> float:
        """How far the other sensors have come since."""
        return others_s - self.others_s if np.isfinite(self.others_s) else 0.0


class Clock:
    """One sensor's times, brought to the stream's.

    A time more than `patience_s` behind the sensor's newest, or ahead of it, is a leap. A leap ahead is believed as
    soon as the other sensors are there, give or take `patience_s`: the sensor was away. Otherwise samples are held
    back until they span `patience_s`, and given up at once should the old time come back. Then, if the others went on
    meanwhile, the clock was set anew, and the sensor goes on from where they are. If they kept silent, a leap ahead was
    a pause, and after a leap back of more than `STRAGGLING_S` the sensor goes on where it had been; a shorter one may
    be samples that were held up on the way, which are given up once the sensor has come past them. A clock that had
    been set anew before and leaps ahead with the others silent made no pause, either: it is right again if it comes
    within `STRAGGLING_S` of when it last was, or else set anew again. Whatever was decided, a clock that agrees with
    another sensor's for `patience_s` is right as it is; nothing else is decided as long as it may come to that.

    Args:
        patience_s: see above; infinity believes every time, as a recording's should be.
        counts: where samples that were held back and never believed are counted.
    """

    def __init__(self, patience_s: float, counts: SampleCounts | None = None) -> None:
        """Start with nothing heard."""
        self._patience_s, self._counts = patience_s, counts or SampleCounts()
        self._heard_s = -np.inf  # newest time of the present run, on the sensor's clock
        self._newest_s = -np.inf  # newest time that was believed, on the stream's clock
        self._offset_s = 0.0  # from the sensor's clock to the stream's
        self._right_s = -np.inf  # newest time that was believed as the sensor's clock told it
        self._agreed_s = np.inf  # since when it has agreed with another sensor's clock
        self._doubt: Doubt | None = None

    @property
    def heard_s(self) -> float:
        """What the sensor's own clock says, right or wrong; minus infinity before the first sample."""
        return self._heard_s

    def follows(self, first_s: float, newest_s: float) -> bool:
        """Whether samples between these times simply go on, so that nothing is to decide; they are then believed."""
        behind_s = self._newest_s - self._heard_s  # more than nothing after a clock was found ahead of its time
        if self._doubt is not None or self._offset_s or not abs(behind_s) <= self._patience_s / 2:
            return not np.isfinite(self._patience_s)
        # Within half the patience of each other no sample can leap away from one before it.
        if newest_s - self._heard_s > self._patience_s / 2 or first_s < self._heard_s - self._patience_s / 2:
            return not np.isfinite(self._patience_s)
        self._heard_s, self._newest_s = max(self._heard_s, newest_s), max(self._newest_s, newest_s)
        self._right_s = self._newest_s
        return True

    def admit(self, samples: Samples, others_s: float, clocks_s: Iterable[float] = ()) -> list[Samples]:
        """The samples that can be believed by now, on the stream's clock; of those held back earlier, too.

        Args:
            samples: the next ones, on the sensor's clock.
            others_s: newest time of the other sensors, on the stream's clock; minus infinity if there is none.
            clocks_s: what the clocks of the other sensors say.
        """
        believed: list[Samples] = []
        others = np.asarray([*clocks_s], np.float64)
        for run, leapt in self._runs(samples):
            agreed = self._has_agreed(run, leapt, others)
            if self._goes_on(run) or (leapt and self._was_away(run, others_s)) or not (leapt or self._doubt):
                self.drop()
                believed.append(self._believe(run, self._offset_s))
            elif leapt or self._doubt is None:
                self.drop()
                self._doubt = Doubt.of(run, others_s)
            else:
                self._doubt.add(run)
            believed += self._decide(others_s, agreed)
        return believed

    def settle(self, others_s: float) -> list[Samples]:
        """What is still held back at the end of a recording, unless it looks like a clock gone wrong."""
        doubt = self._doubt
        if doubt is None or doubt.first_s + self._offset_s < self._newest_s or doubt.advance_s(others_s) > 0:
            self.drop()
            return []
        self._doubt = None
        return [self._believe(run, self._offset_s) for run in doubt.runs]

    def _runs(self, samples: Samples) -> Iterator[tuple[Samples, bool]]:
        """The samples cut at leaps, and whether each run begins with one."""
        times = samples.times_s
        before = np.maximum.accumulate(np.append(self._heard_s, times))
        ahead = times - before[:-1]  # infinite for the first sample of all, which is judged like one after a leap
        if (np.abs(ahead) <= self._patience_s).all():
            self._heard_s = float(before[-1])
            yield samples, False
            return
        first, leapt, heard_s = 0, False, self._heard_s
        for place, time_s in enumerate(times.tolist()):
            if abs(time_s - heard_s) > self._patience_s:
                if place > first:
                    yield samples.part(first, place), leapt
                first, leapt, heard_s = place, True, time_s
            heard_s = max(heard_s, time_s)
        self._heard_s = heard_s
        yield samples.part(first, len(times)), leapt

    def _has_agreed(self, run: Samples, leapt: bool, clocks_s: Times) -> bool:
        """Whether the sensor's own clock has agreed with another one for as long as a leap is doubted."""
        newest_s = float(run.times_s.max())
        agrees = (np.abs(clocks_s - newest_s) <= self._patience_s).any()
        if leapt or not agrees:
            self._agreed_s = np.inf
        if agrees:
            self._agreed_s = min(self._agreed_s, float(run.times_s[0]))
        return newest_s - self._agreed_s >= self._patience_s

    def _goes_on(self, run: Samples) -> bool:
        """Whether a run begins where the sensor was, on the stream's clock or, from now on, on its own."""
        for offset_s in (self._offset_s, 0.0):
            if abs(float(run.times_s[0]) + offset_s - self._newest_s) <= self._patience_s:
                self._offset_s = offset_s
                return True
        return False

    def _was_away(self, run: Samples, others_s: float) -> bool:
        """Whether a run after a leap ahead, or the first one, begins where the others are by now."""
        here_s = float(run.times_s[0]) + self._offset_s
        first_of_all = not np.isfinite(self._newest_s) and not np.isfinite(others_s)
        return first_of_all or self._newest_s < here_s <= others_s + self._patience_s

    def _believe(self, run: Samples, offset_s: float) -> Samples:
        self._offset_s = offset_s
        moved = run.later(offset_s) if offset_s else run
        newest_s = float(moved.times_s.max())
        # A clock that was found ahead of its time is not measured by what it said then.
        back = moved.times_s[0] < self._newest_s - self._patience_s
        self._newest_s = newest_s if back else max(newest_s, self._newest_s)
        if not offset_s:
            self._right_s = self._newest_s
        return moved

    def drop(self) -> None:
        """Give up what is held back."""
        self._counts.doubted += 0 if self._doubt is None else self._doubt.count
        self._doubt = None

    def _decide(self, others_s: float, agreed: bool) -> list[Samples]:
        """End the doubt once the clock has agreed, the others followed it ahead, or what is held back spans enough."""
        doubt = self._doubt
        if agreed:
            self._offset_s, self._doubt = 0.0, None
            return [] if doubt is None else [self._believe(run, 0.0) for run in doubt.runs]
        if doubt is None:
            return []
        if doubt.count > MOST_DOUBTED:
            self._counts.doubted += doubt.count - 1
            self._doubt = Doubt.of(doubt.runs[-1].last(), others_s)
            return []
        here_s = doubt.first_s + self._offset_s
        followed = self._newest_s < here_s <= others_s + self._patience_s
        may_agree = np.isfinite(self._agreed_s)
        if not followed and (may_agree or doubt.span_s() < self._patience_s):
            return []
        offset_s = self._offset_s
        if not followed and doubt.advance_s(others_s) >= doubt.span_s() / 2:
            offset_s = others_s - doubt.first_s - doubt.span_s()
        elif here_s < self._newest_s - STRAGGLING_S:
            offset_s = self._newest_s - doubt.first_s
        elif here_s < self._newest_s:
            return []  # samples that were held up on the way look like this, too
        elif doubt.first_s >= self._newest_s or abs(doubt.first_s - self._right_s) <= STRAGGLING_S:
            offset_s = 0.0  # after a pause, or back where it was right, nothing speaks against the sensor's own clock
        elif offset_s and not followed:  # no clock ever told this time
            offset_s = max(self._newest_s, others_s) - doubt.first_s
        self._doubt = None
        return [self._believe(run, offset_s) for run in doubt.runs]
