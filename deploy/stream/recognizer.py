"""Recognises a live stream at constant cost per hop: new steps through the encoder, one window through the head."""

import math
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from edgehar.checks import as_name_tuple
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.samples import Rows, as_rows, as_times, time_bounds
from edgehar.deploy.stream.clock import Clock
from edgehar.deploy.stream.drift import DriftFollower
from edgehar.deploy.stream.options import check_numbers, check_times
from edgehar.deploy.stream.pending import SampleBlock
from edgehar.deploy.stream.sample_counts import LossMonitor, SampleCounts
from edgehar.deploy.stream.sensor_buffer import SensorBuffer
from edgehar.deploy.stream.smoothing import Smoother
from edgehar.deploy.stream.token_window import TokenWindow
from edgehar.errors import ConfigError, DataError
from edgehar.signals.clip import Prediction, Times

MAX_TIME_S = 1e10
"""Seconds (300 years) up to which float64 still resolves every sample; a later timestamp is an error."""
MAX_WARNINGS = 100
MIN_GAP_STEPS = 4
"""Empty steps in a row from which on they are skipped rather than computed."""


class StreamRecognizer:
    """Predictions of sliding windows as the samples arrive, each sensor at its own rate and clock.

    The steps of a hop are computed together, when every sensor has passed their end by one frame or when any sensor
    has passed it by `lateness_s` more; samples that arrive later are lost. As long as none is lost, the predictions do
    not depend on how the samples are divided into pushes and equal those of `Recognizer.predict_windows` on the whole
    recording. A window without a valid step has no prediction. Samples may arrive twice or out of order; a sample too
    late for its step is lost. Different samples with one timestamp are spread until the next one
    (`edgehar.signals.coarse_clock`). Clock jumps are handled by `edgehar.deploy.stream.clock`, drift by
    `edgehar.deploy.stream.drift`.

    Several threads may use one stream, such as one for each sensor: a call waits until the other threads' calls have
    returned. A prediction is returned by the call that completes its window, whichever thread that is.

    Args:
        recognizer: the opened package; one of kind "clip" slides here with the manifest's `step_s` and `hop`.
        modalities: sensors that are connected; the stream waits for these only. All of the package's if empty.
        smoothing: weight of the previous prediction's probabilities, 0 (none) to below 1.
        margin: a new class replaces the previous one only if it is more probable by more than this.
        lateness_s: how long to wait for the slowest sensor, in seconds of the stream, and the smallest clock jump that
            is detected; infinity waits forever and accepts every timestamp.
        reorder_s: how far a sample may arrive behind a newer one of its sensor without any effect; delays each step by
            as much.
        start_s: start of the first step on the stream's clock; the first timestamp pushed if None.
        offsets_s: modality -> seconds added to its timestamps, to bring its clock to the stream's.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        modalities: Iterable[str] = (),
        smoothing: float = 0.0,
        margin: float = 0.0,
        lateness_s: float = 0.5,
        reorder_s: float = 0.0,
        start_s: float | None = None,
        offsets_s: dict[str, float] | None = None,
    ) -> None:
        """Check the arguments and start without samples."""
        check_numbers(smoothing=smoothing, margin=margin, lateness_s=lateness_s, reorder_s=reorder_s)
        check_times(start_s, offsets_s)
        self._recognizer, self._manifest = recognizer, recognizer.manifest
        own = tuple(spec.name for spec in self._manifest.modalities)
        connected = as_name_tuple(modalities, "modalities") or own
        self._offsets_s = dict(offsets_s or {})
        recognizer.check_modalities((*connected, *self._offsets_s))
        self._lateness_s, self._reorder_s = lateness_s, reorder_s
        self._start_s = start_s
        self._step_s = self._manifest.window.step_s
        self._specs = {spec.name: spec for spec in self._manifest.modalities if spec.name in connected}
        self._counts = {name: SampleCounts() for name in self._specs}
        self._losses = {name: LossMonitor(spec, lateness_s, reorder_s) for name, spec in self._specs.items()}
        self._sensors, self._clocks = dict[str, SensorBuffer](), dict[str, Clock]()
        self._window, self._smoother = TokenWindow(recognizer), Smoother(smoothing, margin)
        self._lock, self._warnings = threading.Lock(), deque[str](maxlen=MAX_WARNINGS)
        self._reset()

    def reset(self) -> None:
        """Discard all samples and state except the counts; the next sample starts a new stream."""
        with self._lock:
            self._reset()

    def _reset(self) -> None:
        for name, sensor in self._sensors.items():
            sensor.merge()  # updates the counts
            self._clocks[name].discard_pending()
            self._losses[name].restart()
        window, normalisation = self._manifest.window, self._manifest.normalisation
        self._origin_s = self._start_s
        self._sensors = {
            name: SensorBuffer(spec, window.step_s / spec.patch, normalisation, self._reorder_s, self._counts[name])
            for name, spec in self._specs.items()
        }
        self._frame_s = max(sensor.frame_s for sensor in self._sensors.values())
        self._clocks = {
            name: Clock.of_sensor(spec, self._lateness_s, self._counts[name]) for name, spec in self._specs.items()
        }
        self._drift = DriftFollower(tuple(self._specs), self._lateness_s)
        self._step = 0
        self._window.reset(0)
        self._smoother.reset()

    def push(self, modality: str, samples: Any, times_s: Any) -> list[Prediction]:
        """Add the next samples of one sensor.

        Args:
            modality: name of the sensor.
            samples: (n, C), or (n, G, 3) for a skeleton; a value that is not finite marks a missing sample.
            times_s: (n,) seconds on the sensor's clock.

        Returns:
            The predictions that these samples complete, in order; often none.

        Raises:
            DataError: unknown modality, wrong shape or invalid timestamps; the stream is then unchanged.
            ConfigError: the sensor is not among those the stream was opened for.
        """
        if modality not in tuple(self._specs):  # a lookup in the dict would fail on an unhashable value
            self._recognizer.check_modalities([modality])
            raise ConfigError(f"modality {modality}: the stream was opened for {', '.join(self._specs)}; add it there")
        rows = as_rows(samples, self._specs[modality])
        times = as_times(times_s, len(rows), modality, in_order=False)
        offset_s = self._offsets_s.get(modality, 0.0)
        if offset_s:
            times = times + offset_s
        with self._lock:
            corrected = self._drift.corrected(modality, times)
            first_s, last_s = time_bounds(corrected)
            predictions = self._receive(modality, rows, corrected, first_s, last_s)
            self._counts[modality].add(len(rows), first_s, last_s)
            self._check_clock(modality, times, first_s, last_s)
        return predictions

    def _check_clock(self, modality: str, times_s: Times, first_s: float, last_s: float) -> None:
        """Follow a sensor's clock, given a push's timestamps on it and corrected bounds; note what is wrong with it."""
        sensor, start_s = self._sensors[modality], self._origin_s or 0.0
        drift = self._drift.observe(modality, times_s, sensor.newest_s + start_s, self._clocks[modality].offset_s)
        self._warnings += [drift] if drift else []
        losses, counts = self._losses[modality], self._counts[modality]
        if losses.note(counts, first_s, last_s):
            sensor.merge()  # updates the counts
            report = losses.check(counts, self._newest_s() + start_s, self._others_s(modality) + start_s)
            self._warnings += [report] if report else []

    def _receive(self, modality: str, rows: Rows, times: Times, first_s: float, newest_s: float) -> list[Prediction]:
        """`push`, given timestamps on the stream's clock and their minimum and maximum."""
        sensor, clock = self._sensors[modality], self._clocks[modality]
        start_s = float(times[0]) if self._origin_s is None else self._origin_s
        times, first_s, newest_s = times - start_s, first_s - start_s, newest_s - start_s
        farthest_s = max(-first_s, newest_s)
        if abs(start_s) > MAX_TIME_S or farthest_s > MAX_TIME_S:
            raise DataError(
                f"{modality}: timestamp {farthest_s:g} s from the stream's start at {start_s:g} s; expected seconds "
                f"within {MAX_TIME_S:g} of it and of 0; check the clock's unit, and call reset() before each recording"
            )
        self._origin_s = start_s
        if clock.try_advance(times, first_s, newest_s):
            sensor.append(rows, times, first_s, newest_s)
            return self._compute_due()
        block, predictions = SampleBlock(rows, times), list[Prediction]()
        clocks_s = [other.raw_s for name, other in self._clocks.items() if name != modality]
        restarted = False
        for accepted in clock.accept(block, self._others_s(modality), clocks_s):
            first_s = float(accepted.times_s[0])
            if not restarted and self._is_restart(modality, first_s):
                for other in self._sensors.values():
                    other.discard_from(-math.inf)
                self._reset()
                restarted = True
            if restarted:
                times = accepted.times_s + start_s
                predictions += self._receive(modality, accepted.rows, times, *time_bounds(times))
                continue
            if first_s < sensor.newest_s - self._lateness_s:
                sensor.discard_from(first_s)
            sensor.append(*accepted, *time_bounds(accepted.times_s))
            self._rewind(first_s)
            predictions += self._compute_due()
        return predictions

    def flush(self) -> list[Prediction]:
        """Compute the whole steps that remain at the end of a recording, then reset the stream."""
        with self._lock:
            return self._flush()

    def _flush(self) -> list[Prediction]:
        predictions: list[Prediction] = []
        for name, sensor in self._sensors.items():
            for accepted in self._clocks[name].flush(self._others_s(name)):
                sensor.append(*accepted, *time_bounds(accepted.times_s))
                predictions += self._compute_due()
        newest_s = max(sensor.end_s() for sensor in self._sensors.values())
        steps = int(newest_s / self._step_s + 1e-9) if newest_s > 0 else 0
        while self._next_end() <= steps:
            predictions += self._compute_hop(None)
        self._reset()
        return predictions

    @property
    def lost(self) -> dict[str, int]:
        """Modality -> number of samples that arrived after their step was computed or had a rejected timestamp."""
        return {name: one.late + one.rejected for name, one in self.counts.items()}

    def take_warnings(self) -> list[str]:
        """What was found about the sensors' clocks since the last call: one line each, at most MAX_WARNINGS."""
        with self._lock:
            warnings = list(self._warnings)
            self._warnings.clear()
        return warnings

    @property
    def counts(self) -> dict[str, SampleCounts]:
        """Modality -> counts of received and unused samples since the stream was created."""
        with self._lock:
            for sensor in self._sensors.values():
                sensor.merge()
            return {name: replace(one) for name, one in self._counts.items()}

    def _is_restart(self, modality: str, first_s: float) -> bool:
        """Whether by now every sensor's clock was set back to before the stream's start, so that a new one begins."""
        newest_s = max(first_s, self._others_s(modality))
        return self._start_s is None and first_s < 0 and newest_s + self._lateness_s < self._step * self._step_s

    def _newest_s(self) -> float:
        return max([sensor.newest_s for sensor in self._sensors.values()])

    def _others_s(self, modality: str) -> float:
        """Newest timestamp of the other sensors; minus infinity if there is none."""
        return max((sensor.newest_s for name, sensor in self._sensors.items() if name != modality), default=-math.inf)

    def _rewind(self, first_s: float) -> None:
        """Go back to the step at this time if no sensor reaches the steps computed so far."""
        step = max(math.floor(first_s / self._step_s), 0)
        if step < self._step and self._newest_s() + self._lateness_s < self._step * self._step_s:
            self._step = step
            self._window.reset(step)
            for sensor in self._sensors.values():
                sensor.skip_to(step)

    def _compute_due(self) -> list[Prediction]:
        """Compute every hop that is due."""
        predictions: list[Prediction] = []
        self._skip_gap()
        while self._is_due():
            predictions += self._compute_hop(self._newest_s())
            self._skip_gap()
        return predictions

    def _next_end(self) -> int:
        """The step before which the next window ends; all steps up to it are computed together."""
        window = self._manifest.window
        hops = max(0, (self._step - window.steps) // window.hop + 1)
        return window.steps + hops * window.hop

    def _is_due(self) -> bool:
        end = self._next_end()
        if self._newest_s() >= end * self._step_s + self._frame_s + self._lateness_s:
            return True
        # The cheap check first, for every sensor.
        for sensor in self._sensors.values():
            if not sensor.has_passed(end - 1):
                return False
        return all(sensor.is_final(end - 1) for sensor in self._sensors.values())

    def _skip_gap(self) -> None:
        """After an empty window, continue shortly before the next sample: a pause costs no steps."""
        if not self._window.is_empty(self._step):
            return
        sensors = self._sensors.values()
        passed_s = max(self._newest_s() - self._lateness_s, min(one.newest_s for one in sensors) - self._reorder_s)
        passed_s -= max(sensor.longest_gap_s for sensor in sensors)  # later samples may still bridge a gap this long
        empty_s = min(passed_s, *(sensor.gap_end_s(self._step) for sensor in sensors))
        if empty_s > (self._step + MIN_GAP_STEPS) * self._step_s:
            self._step = math.floor(empty_s / self._step_s) - 1
            for sensor in sensors:
                sensor.skip_to(self._step)

    def _compute_hop(self, now_s: float | None) -> list[Prediction]:
        """Encode the steps of one hop and classify the window that they complete."""
        first, end = self._step, self._next_end()
        inputs = {name: sensor.take(first, end, now_s) for name, sensor in self._sensors.items()}
        self._step = end
        probabilities = self._window.append(inputs, first, end)
        if probabilities is None:
            return []
        probabilities, best = self._smoother.smooth(probabilities)
        window = self._manifest.window
        start_s = (self._origin_s or 0.0) + (end - window.steps) * self._step_s
        return [self._recognizer.prediction(probabilities, start_s, start_s + window.length_s, best)]
