"""Detects jumps of a sensor's clock and maps its timestamps to the stream's time.

A sensor's clock may be reset, restart from zero after a power failure, or be wrong for a while. Samples are aligned by
time, so a single clock that jumps an hour ahead would otherwise make the samples of every other sensor an hour late.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from edgehar.deploy.samples import TimeBounds
from edgehar.deploy.stream.clocks.pending import PendingSamples, SampleBlock
from edgehar.deploy.stream.clocks.sample_counts import SampleCounts
from edgehar.signals.clip import Times
from edgehar.signals.coarse_clock import MAX_INTERVALS
from edgehar.signals.modality import ModalitySpec

MAX_PENDING_SAMPLES = 16_384
"""Most samples buffered while a jump is unresolved; bounds memory if the clock stops."""

MAX_TRANSPORT_DELAY_S = 10.0
"""A sample up to this far behind the newest one may merely have been delayed on its way."""
MAX_INSTANTS = 8
"""Most jumps ahead in a row, without two timestamps close to each other, that may be pauses: else the unit is wrong."""
MIN_JUMP_SAMPLES = 2
"""A clock that advances by up to this many sample intervals has not jumped, however short the lateness."""


class Clock:
    """Maps the timestamps of one sensor to the stream's time.

    A *jump* is a timestamp more than `tolerance_s` before or after the sensor's newest one. A jump ahead is accepted as
    soon as the other sensors reach it, within `tolerance_s`: the sensor had paused. All other samples after a jump are
    buffered until they span `tolerance_s`, and rejected if the old time returns before. Samples after a further jump
    ahead, as of short bursts between pauses, are buffered together with those before it; the latter are accepted at
    once if another sensor's clock shows the same time. Then:

    - If the other sensors advanced meanwhile, the clock was reset; the sensor continues at their time after the last
      jump.
    - If they did not, a jump ahead was a pause. After a jump back by more than `MAX_TRANSPORT_DELAY_S` the sensor
      continues at its previous time. A shorter jump back may be delayed samples, which are rejected once the sensor
      has passed them.
    - A clock that was reset before and jumps ahead while the others are silent is correct again if it comes within
      `MAX_TRANSPORT_DELAY_S` of its last correct time, else it was reset again.

    A clock that agrees with another sensor's clock for `tolerance_s` is used unshifted, whatever was decided before;
    nothing else is decided while such an agreement is possible.

    A clock that is coarser than the sampling advances by as much at once as its samples with one timestamp take:
    n of them explain an advance of up to n times `longest_interval_s`.

    Args:
        tolerance_s: see above; infinity accepts every timestamp, as for recordings.
        counts: where rejected samples are counted.
        longest_interval_s: longest time between two samples with one timestamp.
    """

    def __init__(self, tolerance_s: float, counts: SampleCounts | None = None, longest_interval_s: float = 0.0) -> None:
        """Start without samples."""
        self._tolerance_s, self._counts = tolerance_s, counts or SampleCounts()
        self._longest_interval_s = longest_interval_s
        self._run = 0  # samples with the newest timestamp since the last jump
        self._raw_s = -np.inf  # newest timestamp since the last jump, on the sensor's clock
        self._newest_s = -np.inf  # newest accepted timestamp, on the stream's clock
        self._offset_s = 0.0  # added to the sensor's clock to get the stream's
        self._unshifted_s = -np.inf  # newest timestamp accepted without an offset
        self._agrees_since_s = np.inf  # start of the agreement with another sensor's clock
        self._pending: list[PendingSamples] = []  # one after each jump ahead

    @staticmethod
    def of_sensor(spec: ModalitySpec, lateness_s: float, counts: SampleCounts) -> "Clock":
        """The clock of a sensor in a stream that waits this long for late samples."""
        longest_s = MAX_INTERVALS / spec.rate_hz
        return Clock(max(lateness_s, MIN_JUMP_SAMPLES / spec.rate_hz), counts, longest_s)

    @property
    def raw_s(self) -> float:
        """Newest timestamp on the sensor's own clock, correct or not; minus infinity before the first sample."""
        return self._raw_s

    @property
    def offset_s(self) -> float:
        """Seconds added to the sensor's clock since a jump was resolved."""
        return self._offset_s

    def try_advance(self, times_s: Sequence[float], bounds: TimeBounds) -> bool:
        """Accept samples with these times if no jump is possible; else return False: `accept` decides."""
        (first_s, newest_s, in_order), raw_s, limit_s = bounds, self._raw_s, self._tolerance_s / 2
        behind_s = self._newest_s - raw_s  # above 0 after a clock was found ahead of its time
        # No two timestamps within half the tolerance of another one can be a jump apart.
        if (
            self._pending
            or self._offset_s
            or not -limit_s <= behind_s <= limit_s
            or newest_s - raw_s > limit_s
            or first_s < raw_s - limit_s
        ):
            return limit_s == math.inf
        # Samples with one timestamp arrive together; counted only where there are any, as this is done for every push.
        repeats = 1 if in_order or times_s[-1] != times_s[-2] else times_s.count(newest_s)
        self._run = repeats + (self._run if newest_s == raw_s else 0)
        if newest_s > raw_s:
            self._raw_s = newest_s
        if newest_s > self._newest_s:
            self._newest_s = newest_s
        self._unshifted_s = self._newest_s
        return True

    def accept(self, samples: SampleBlock, others_s: float, clocks_s: Iterable[float] = ()) -> list[SampleBlock]:
        """The samples that can be accepted now, buffered ones included, with timestamps on the stream's clock.

        Args:
            samples: the next samples, on the sensor's clock.
            others_s: newest timestamp of the other sensors, on the stream's clock; minus infinity if there is none.
            clocks_s: `raw_s` of the other sensors.
        """
        accepted: list[SampleBlock] = []
        others = np.asarray([*clocks_s], np.float64)
        for block, jumped in self._split_at_jumps(samples):
            agreed = self._update_agreement(block, jumped, others)
            continues = self._continues(block)
            if jumped and not continues:
                accepted += self._end_burst(block, others_s, others)
            if continues or (jumped and self._resumes(block, others_s)) or not (jumped or self._pending):
                self.discard_pending()
                accepted.append(self._accept(block, self._offset_s))
            elif jumped:
                self._pending.append(PendingSamples.of(block, others_s))
            else:
                self._pending[-1].add(block)
            accepted += self._resolve(others_s, agreed)
        return accepted

    def flush(self, others_s: float) -> list[SampleBlock]:
        """The samples still buffered at the end of a recording, unless their clock was probably wrong."""
        has_instants_only = len(self._pending) > 1 and not self._pending_span_s()
        if not self._pending_is_ahead() or self._pending[0].advance_s(others_s) > 0 or has_instants_only:
            self.discard_pending()
        return self._accept_pending(self._offset_s)

    def _split_at_jumps(self, samples: SampleBlock) -> Iterator[tuple[SampleBlock, bool]]:
        """The samples split at jumps, and whether each block begins with one."""
        times = samples.times_s
        first, jumped, raw_s, run = 0, False, self._raw_s, self._run
        for index, time_s in enumerate(times.tolist()):
            if abs(time_s - raw_s) > self._tolerance_s and not 0 < time_s - raw_s <= run * self._longest_interval_s:
                if index > first:
                    yield samples.between(first, index), jumped
                first, jumped, raw_s, run = index, True, time_s, 0
            run = run + 1 if time_s == raw_s else 1 if time_s > raw_s else run
            raw_s = max(raw_s, time_s)
        self._raw_s, self._run = raw_s, run
        yield samples.between(first, len(times)), jumped

    def _show(self, time_s: float, clocks_s: Times) -> bool:
        """Whether one of these clocks shows this time, within the tolerance."""
        return bool((np.abs(clocks_s - time_s) <= self._tolerance_s).any())

    def _update_agreement(self, block: SampleBlock, jumped: bool, clocks_s: Times) -> bool:
        """Whether the sensor's own clock has now agreed with another one for the tolerance."""
        newest_s = float(block.times_s.max())
        agrees = self._show(newest_s, clocks_s)
        if jumped or not agrees:
            self._agrees_since_s = np.inf
        if agrees:
            self._agrees_since_s = min(self._agrees_since_s, float(block.times_s[0]))
        return newest_s - self._agrees_since_s >= self._tolerance_s

    def _continues(self, block: SampleBlock) -> bool:
        """Whether a block continues from the newest timestamp with the present offset, or with none from now on."""
        for offset_s in (self._offset_s, 0.0):
            if abs(float(block.times_s[0]) + offset_s - self._newest_s) <= self._tolerance_s:
                self._offset_s = offset_s
                return True
        return False

    def _resumes(self, block: SampleBlock, others_s: float) -> bool:
        """Whether a block after a jump ahead, or the first one, begins where the other sensors are now."""
        start_s = float(block.times_s[0]) + self._offset_s
        is_first = not np.isfinite(self._newest_s) and not np.isfinite(others_s)
        return is_first or self._newest_s < start_s <= others_s + self._tolerance_s

    def _accept(self, block: SampleBlock, offset_s: float) -> SampleBlock:
        """Shift a block to the stream's clock and advance to its newest timestamp."""
        self._offset_s = offset_s
        shifted = block.shifted(offset_s) if offset_s else block
        newest_s = float(shifted.times_s.max())
        # The newest timestamp of a clock that was found ahead of its time no longer counts.
        back = shifted.times_s[0] < self._newest_s - self._tolerance_s
        self._newest_s = newest_s if back else max(newest_s, self._newest_s)
        if not offset_s:
            self._unshifted_s = self._newest_s
        return shifted

    def discard_pending(self) -> None:
        """Reject the buffered samples."""
        self._counts.rejected += sum(burst.count for burst in self._pending)
        self._pending = []

    def _pending_is_ahead(self) -> bool:
        """Whether there are buffered samples, from after a jump ahead."""
        return bool(self._pending) and self._newest_s < self._pending[0].first_s + self._offset_s

    def _pending_span_s(self) -> float:
        """Seconds that the sensor has advanced in the buffered samples, without the jumps between them."""
        spans_s = [burst.span_s() for burst in self._pending if burst.span_s() > 0]
        # Between two bursts it advanced by as much as two samples may be apart.
        return sum(spans_s) + self._longest_interval_s * max(len(spans_s) - 1, 0)

    def _end_burst(self, block: SampleBlock, others_s: float, clocks_s: Times) -> list[SampleBlock]:
        """The buffered samples that are accepted before a block after another jump; all are rejected if it is back."""
        span_s = self._pending_span_s()
        is_ahead = self._pending_is_ahead() and block.times_s[0] > self._pending[-1].newest_s
        if not is_ahead or (len(self._pending) >= MAX_INSTANTS and not span_s):
            self.discard_pending()
        elif span_s and not self._offset_s and self._show(self._pending[-1].newest_s, clocks_s):
            return self._accept_pending(0.0)
        return self._accept_reached(others_s)

    def _accept_reached(self, others_s: float) -> list[SampleBlock]:
        """Accept the samples after jumps ahead that the other sensors have reached."""
        accepted: list[SampleBlock] = []
        while self._pending_is_ahead() and self._pending[0].first_s + self._offset_s <= others_s + self._tolerance_s:
            accepted += [self._accept(block, self._offset_s) for block in self._pending.pop(0).blocks]
        return accepted

    def _accept_pending(self, offset_s: float) -> list[SampleBlock]:
        """Accept the buffered samples; with another offset than before only those after the last jump."""
        if offset_s != self._offset_s:
            self._counts.rejected += sum(burst.count for burst in self._pending[:-1])
            self._pending = self._pending[-1:]
        self._offset_s = offset_s
        blocks = [block for burst in self._pending for block in burst.blocks]
        self._pending = []
        return [self._accept(block, offset_s) for block in blocks]

    def _resolve(self, others_s: float, agreed: bool) -> list[SampleBlock]:
        """Accept the buffered samples once the clocks agree, the others reach the jump, or they span the tolerance."""
        if agreed:
            return self._accept_pending(0.0)
        accepted = self._accept_reached(others_s)
        if not self._pending:
            return accepted
        last = self._pending[-1]
        count = sum(burst.count for burst in self._pending)
        if count > MAX_PENDING_SAMPLES:
            self._counts.rejected += count - 1
            self._pending = [PendingSamples.of(last.blocks[-1].last(), others_s)]
            return accepted
        span_s = self._pending_span_s()
        if np.isfinite(self._agrees_since_s) or span_s < self._tolerance_s:
            return accepted
        offset_s, start_s = self._offset_s, last.first_s + self._offset_s
        if self._pending[0].advance_s(others_s) >= span_s / 2:
            offset_s = others_s - last.newest_s
        elif start_s < self._newest_s - MAX_TRANSPORT_DELAY_S:
            offset_s = self._newest_s - last.first_s
        elif start_s < self._newest_s:
            return accepted  # may be delayed samples
        elif last.first_s >= self._newest_s or abs(last.first_s - self._unshifted_s) <= MAX_TRANSPORT_DELAY_S:
            offset_s = 0.0  # after a pause, or back at its last correct time
        elif offset_s:  # no clock has shown this time
            offset_s = max(self._newest_s, others_s) - last.first_s
        return accepted + self._accept_pending(offset_s)
