"""The state of one stream: clocks, buffered samples, the newest tokens; everything but the network.

A stream yields a `Hop` where the network is needed and continues once it is computed. Whoever drives it may compute
the hops of many streams together (`edgehar.deploy.stream.hops`).
"""

import itertools
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from edgehar.deploy.samples import Rows, are_usable, time_bounds
from edgehar.deploy.stream.channel import Channel, open_channels
from edgehar.deploy.stream.clocks.drift import DriftFollower
from edgehar.deploy.stream.clocks.pending import SampleBlock
from edgehar.deploy.stream.clocks.sample_counts import LossMonitor, SampleCounts
from edgehar.deploy.stream.rows import StreamRows
from edgehar.deploy.stream.sensor_buffer import SensorBuffer
from edgehar.deploy.stream.settings import Chunk, StreamSettings, since_start
from edgehar.deploy.stream.smoothing import Smoother
from edgehar.deploy.stream.token_window import TokenWindow
from edgehar.signals.clip import Floats

MAX_WARNINGS = 100
MIN_GAP_STEPS = 4
"""Empty steps in a row from which on they are skipped rather than computed."""


class Hop(NamedTuple):
    """Steps of a stream that are to be computed now.

    Attributes:
        state: the stream.
        first: the first step.
        end: the step after the last one.
        now_s: the stream's time; None at the end of a recording.
        is_last: whether it is known that `receive` gives no hop after it.
    """

    state: "StreamState"
    first: int
    end: int
    now_s: float | None
    is_last: bool = False


class StreamState:
    """State of one stream.

    Args:
        settings: of the stream; many streams may share them.
        absent_token: (1, D) the token of a step without sensors.
        rows: where samples and tokens are stored; the streams of one recogniser share them.

    Attributes:
        sensors: modality -> buffered samples of the connected sensors.
        in_order: these, in the package's order.
        names: their names.
        rows: see above.
        row: the stream's row of them.
        window: the newest tokens.
        smoother: smooths the probabilities.
        origin_s: the stream's time 0 on the caller's clock; None before the first sample.
        warnings: see `take_warnings`.
    """

    def __init__(self, settings: StreamSettings, absent_token: Floats, rows: StreamRows) -> None:
        """Start without samples."""
        self.rows, self.row = rows, rows.add()
        self._settings, self._manifest = settings, settings.recognizer.manifest
        self._lateness_s, self._reorder_s = settings.lateness_s, settings.reorder_s
        self._step_s = self._manifest.window.step_s
        specs = settings.specs
        self._counts = {name: SampleCounts() for name in specs}
        self._losses = {name: LossMonitor(spec, self._lateness_s, self._reorder_s) for name, spec in specs.items()}
        self.sensors, self._channels = dict[str, SensorBuffer](), dict[str, Channel]()
        self.window = TokenWindow(absent_token, self._manifest.window.steps, rows, self.row)
        self.smoother = Smoother(settings.smoothing, settings.margin)
        self.warnings = deque[str](maxlen=MAX_WARNINGS)
        self.reset()

    def reset(self) -> None:
        """Discard all samples and state except the counts; the next sample starts a new stream."""
        for channel in self._channels.values():
            channel.buffer.store.merge()  # updates the counts
            channel.clock.discard_pending()
            channel.losses.restart()
        self.origin_s = self._settings.start_s
        self._drift = DriftFollower(tuple(self._settings.specs), self._lateness_s)
        self._channels = open_channels(
            self._settings, self._drift.sensors, self._counts, self._losses, self.rows, self.row
        )
        self.sensors = {name: channel.buffer for name, channel in self._channels.items()}
        self.names, self.in_order = tuple(self.sensors), tuple(self.sensors.values())
        self._frame_s = max(sensor.frame_s for sensor in self.in_order)
        self._go_to(0)
        self.window.reset(0)
        self.smoother.reset()

    def close(self) -> None:
        """Free the stream's row; nothing else may be called afterwards but `counts` and `take_warnings`."""
        self.rows.remove(self.row)

    def receive(self, chunk: Chunk) -> Iterator[Hop] | None:
        """Add checked samples of one sensor.

        Returns:
            The hops to compute before anything else is received; None if none can be due.

        Raises:
            DataError: a timestamp is too far from the stream's start; the stream is then unchanged.
        """
        modality, rows, times_s, is_usable = chunk
        channel = self._channels[modality]
        if channel.drift.is_corrected:
            times_s = channel.drift.corrected(times_s)
        self.origin_s, relative_s, bounds = since_start(self.origin_s, times_s, modality)
        ends_s = (times_s[0], times_s[-1]) if bounds[2] else (min(times_s), max(times_s))
        if not channel.clock.try_advance(relative_s, bounds):
            return self._receive_after_jump(chunk.copied(), relative_s, ends_s)
        channel.buffer.store.append(rows, relative_s, bounds, is_usable)
        self._note(channel, chunk.times_s, ends_s)
        self._skip_gap()
        if not self._is_due():
            return None
        hop = self._hop(self._newest_s(), is_last_unless_due=True)
        return iter((hop,)) if hop.is_last else itertools.chain((hop,), self._due_hops())

    def check_times(self, modality: str, times_s: list[float]) -> None:
        """Raise DataError as `receive`, for samples that will be received later."""
        since_start(self.origin_s, times_s, modality)

    def _receive_after_jump(self, chunk: Chunk, relative_s: list[float], ends_s: tuple[float, float]) -> Iterator[Hop]:
        """`receive`, where the clock may have jumped."""
        yield from self._accept(chunk.modality, SampleBlock(chunk.rows, np.array(relative_s)))
        self._note(self._channels[chunk.modality], chunk.times_s, ends_s)

    def _accept(self, modality: str, block: SampleBlock) -> Iterator[Hop]:
        """Add the samples that the clock accepts now, given timestamps since the stream's start."""
        sensor, clock = self.sensors[modality], self._channels[modality].clock
        start_s, restarted = self.origin_s or 0.0, False
        clocks_s = [other.clock.raw_s for name, other in self._channels.items() if name != modality]
        for accepted in clock.accept(block, self._others_s(modality), clocks_s):
            first_s = float(accepted.times_s[0])
            if not restarted and self._is_restart(modality, first_s):
                for other in self.in_order:
                    other.discard_from(-math.inf)
                self.reset()
                restarted = True
            if restarted:
                yield from self._receive_again(modality, accepted.rows, (accepted.times_s + start_s).tolist())
                continue
            if first_s < sensor.newest_s - self._lateness_s:
                sensor.discard_from(first_s)
            self._append(modality, accepted)
            self._rewind(first_s)
            yield from self._due_hops()

    def _append(self, modality: str, block: SampleBlock) -> None:
        """Add accepted samples to the buffer of their sensor."""
        times_s: list[float] = block.times_s.tolist()
        self.sensors[modality].store.append(block.rows, times_s, time_bounds(times_s), are_usable(block.rows))

    def _receive_again(self, modality: str, rows: Rows, times_s: list[float]) -> Iterator[Hop]:
        """Samples that begin or continue a stream after all clocks were set back."""
        self.origin_s, relative_s, bounds = since_start(self.origin_s, times_s, modality)
        block = SampleBlock(rows, np.array(relative_s))
        if self._channels[modality].clock.try_advance(relative_s, bounds):
            self._append(modality, block)
            yield from self._due_hops()
        else:
            yield from self._accept(modality, block)

    def _note(self, channel: Channel, times_s: list[float], ends_s: tuple[float, float]) -> None:
        """Count a push and follow the sensor's clock, given its times and the corrected first and last one."""
        start_s, counts = self.origin_s or 0.0, channel.counts
        counts.add(len(times_s), *ends_s)
        if self._drift.is_following:
            newest_s = channel.buffer.store.newest_s + start_s
            drift = self._drift.observe(channel.drift, times_s, newest_s, channel.clock.offset_s)
            if drift:
                self.warnings.append(drift)
        if channel.losses.note(counts, *ends_s):
            channel.buffer.store.merge()  # updates the counts
            others_s = self._others_s(channel.buffer.spec.name)
            report = channel.losses.check(counts, self._newest_s() + start_s, others_s + start_s)
            self.warnings += [report] if report else []

    def flush(self) -> Iterator[Hop]:
        """The hops of the whole steps that remain at the end of a recording; then the stream is reset."""
        for name in self.sensors:
            for accepted in self._channels[name].clock.flush(self._others_s(name)):
                self._append(name, accepted)
                yield from self._due_hops()
        newest_s = max(sensor.end_s() for sensor in self.in_order)
        steps = int(newest_s / self._step_s + 1e-9) if newest_s > 0 else 0
        while self._end <= steps:
            yield self._hop(None)
        self.reset()

    def take_warnings(self) -> list[str]:
        """What was found about the sensors' clocks since the last call: one line each, at most MAX_WARNINGS."""
        warnings = list(self.warnings)
        self.warnings.clear()
        return warnings

    @property
    def counts(self) -> dict[str, SampleCounts]:
        """Modality -> counts of received and unused samples since the stream was created."""
        for sensor in self.in_order:
            sensor.store.merge()
        return {name: replace(one) for name, one in self._counts.items()}

    def _is_restart(self, modality: str, first_s: float) -> bool:
        """Whether by now every sensor's clock was set back to before the stream's start, so that a new one begins."""
        newest_s = max(first_s, self._others_s(modality))
        return (
            self._settings.start_s is None and first_s < 0 and newest_s + self._lateness_s < self._step * self._step_s
        )

    def _newest_s(self) -> float:
        return max([sensor.store.newest_s for sensor in self.in_order])

    def _others_s(self, modality: str) -> float:
        """Newest timestamp of the other sensors; minus infinity if there is none."""
        return max((sensor.newest_s for name, sensor in self.sensors.items() if name != modality), default=-math.inf)

    def _rewind(self, first_s: float) -> None:
        """Go back to the step at this time if no sensor reaches the steps computed so far."""
        step = max(math.floor(first_s / self._step_s), 0)
        if step < self._step and self._newest_s() + self._lateness_s < self._step * self._step_s:
            self._go_to(step)
            self.window.reset(step)
            for sensor in self.in_order:
                sensor.skip_to(step)

    def _due_hops(self) -> Iterator[Hop]:
        """Every hop that is due."""
        self._skip_gap()
        while self._is_due():
            yield self._hop(self._newest_s())
            self._skip_gap()

    def _hop(self, now_s: float | None, is_last_unless_due: bool = False) -> Hop:
        """The next hop, after which the stream continues at its end."""
        first, end = self._step, self._end
        self._go_to(end)
        return Hop(self, first, end, now_s, is_last_unless_due and not self._may_be_due())

    def _go_to(self, step: int) -> None:
        """Continue at this step; plan the next hop, up to the step before which the next window ends."""
        window = self._manifest.window
        hops = max(0, (step - window.steps) // window.hop + 1)
        self._step, self._end = step, (end := window.steps + hops * window.hop)
        self._passing = [(sensor.store, sensor.passing_s(end - 1)) for sensor in self.in_order]
        self._late_s = end * self._step_s + self._frame_s + self._lateness_s

    def _may_be_due(self) -> bool:
        """Whether `_due_hops` may find something to do; cheaper than that."""
        return self._have_passed() or self._passed_s() > -math.inf

    def _is_due(self) -> bool:
        if not self._have_passed():
            return False
        return self._newest_s() >= self._late_s or all([sensor.is_final(self._end - 1) for sensor in self.in_order])

    def _have_passed(self) -> bool:
        """Whether the sensors have passed the next steps, or one of them by so much that the others are too late."""
        for store, passing_s in self._passing:  # no generator expression: this is done for every push
            if store.newest_s - self._reorder_s < passing_s:
                return self._newest_s() >= self._late_s
        return True

    def _passed_s(self) -> float:
        """Time up to which steps may be skipped, as far as the sensors' newest samples tell; -inf for none."""
        if not self.window.is_empty(self._step):
            return -math.inf
        sensors = self.in_order
        slowest_s = min([sensor.newest_s for sensor in sensors]) - self._reorder_s
        passed_s = max(self._newest_s() - self._lateness_s, slowest_s)
        passed_s -= max([sensor.longest_gap_s for sensor in sensors])  # later samples may still bridge such a gap
        return passed_s if passed_s > (self._step + MIN_GAP_STEPS) * self._step_s else -math.inf

    def _skip_gap(self) -> None:
        """After an empty window, continue shortly before the next sample: a pause costs no steps."""
        passed_s = self._passed_s()
        if passed_s == -math.inf:
            return
        empty_s = min(passed_s, *(sensor.gap_end_s(self._step) for sensor in self.in_order))
        if empty_s > (self._step + MIN_GAP_STEPS) * self._step_s:
            self._go_to(math.floor(empty_s / self._step_s) - 1)
            for sensor in self.in_order:
                sensor.skip_to(self._step)
