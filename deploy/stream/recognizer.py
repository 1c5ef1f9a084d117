"""A live stream costs the same at every hop: its new steps through the encoder, a window of tokens through the head."""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from edgehar.checks import names_of
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.samples import Rows, as_rows, as_times, extremes
from edgehar.deploy.stream.clock import Clock, Samples
from edgehar.deploy.stream.options import check_numbers, check_times
from edgehar.deploy.stream.sample_counts import SampleCounts
from edgehar.deploy.stream.sensor_buffer import Sensor
from edgehar.errors import ConfigError, DataError
from edgehar.signals.clip import Bools, Floats, Prediction, Times

LATEST_S = 1e10
"""Seconds, three hundred years, up to which a time still resolves every sample; beyond, it is a clock gone wrong."""
LEAP_SAMPLES = 2
"""Samples by which a clock moves on at once without a doubt, however short the lateness."""
PAUSE_STEPS = 4
"""Silent steps in a row from which on they are skipped rather than computed."""


def _last(flags: Bools) -> int:
    """Place of the last that is True, nearly always the last of all; -1 if none is."""
    if flags[-1]:
        return len(flags) - 1
    places = flags.nonzero()[0]
    return int(places[-1]) if len(places) else -1


class StreamRecognizer:
    """Predictions of sliding windows while the samples arrive, each sensor at its own rate and clock.

    The steps of a hop are computed at once when every sensor has passed their end by one frame, or when any sensor has
    passed it by `lateness_s` more: what comes later than that is lost. As long as nothing is, the
    predictions do not depend on how the samples are cut into pushes, and they are those of
    `Recognizer.predict_windows` on the whole recording. A window without one valid step has no prediction.
    Samples may come twice or out of order: of those with the same time the last to come counts, and one that comes
    too late for its step is lost. A clock that leaps is doubted first; see `edgehar.deploy.stream.clock`.

    Args:
        recognizer: the opened package; one of kind "clip" slides here with the manifest's `step_s` and `hop`.
        modalities: sensors that are connected, so that none is waited for in vain; all of the package's if empty.
        smoothing: weight of the previous prediction's probabilities, 0 (none) to below 1.
        margin: a new class replaces the previous one only if it is more probable by more than this.
        lateness_s: how long the slowest sensor is waited for, in seconds of the stream, and by how much a sensor's
            clock may leap without being doubted; infinity waits for ever and believes every clock.
        reorder_s: how far a sample may come behind a newer one of its sensor and change nothing; each step waits as
            long.
        start_s: where the first step begins on the stream's clock; at the first sample pushed if None.
        offsets_s: modality -> seconds added to its times, to bring its clock to the stream's.
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
        """Check the options and start with nothing heard."""
        check_numbers(smoothing=smoothing, margin=margin, lateness_s=lateness_s, reorder_s=reorder_s)
        check_times(start_s, offsets_s)
        self._recognizer, self._manifest = recognizer, recognizer.manifest
        self._connected = names_of(modalities, "modalities") or tuple(spec.name for spec in self._manifest.modalities)
        self._offsets_s = dict(offsets_s or {})
        recognizer.check_names((*self._connected, *self._offsets_s))
        self._smoothing, self._margin = smoothing, margin
        self._lateness_s, self._reorder_s = lateness_s, reorder_s
        self._start_s = start_s
        self._step_s = self._manifest.window.step_s
        self._specs = {spec.name: spec for spec in self._manifest.modalities if spec.name in self._connected}
        self._counts = {name: SampleCounts() for name in self._specs}
        self._sensors, self._clocks = dict[str, Sensor](), dict[str, Clock]()
        self._no_token = self._encode({}, 1)  # (1, D)
        self.reset()

    def reset(self) -> None:
        """Forget everything heard, all but the counts; the next sample starts a new stream."""
        for name, sensor in self._sensors.items():
            sensor.sort_in()  # which counts
            self._clocks[name].drop()
        window, normalisation = self._manifest.window, self._manifest.normalisation
        self._origin_s = self._start_s
        self._sensors = {
            name: Sensor(spec, window.step_s / spec.patch, normalisation, self._reorder_s, self._counts[name])
            for name, spec in self._specs.items()
        }
        self._frame_s = max(sensor.frame_s for sensor in self._sensors.values())
        self._clocks = {
            name: Clock(max(self._lateness_s, LEAP_SAMPLES / spec.rate_hz), self._counts[name])
            for name, spec in self._specs.items()
        }
        self._step = 0
        self._tokens = self._no_token.repeat(window.steps, axis=0)  # (S, D), oldest first
        self._heard_step = -window.steps  # last step with a valid modality
        self._previous: Floats | None = None  # (K,) probabilities of the prediction before
        self._named = 0  # the class it named, also where it said "unknown"

    def push(self, modality: str, samples: Any, times_s: Any) -> list[Prediction]:
        """Hand over the next samples of one sensor.

        Args:
            modality: which sensor.
            samples: (n, C), or (n, G, 3) for a skeleton; values that are not finite mark a lost sample.
            times_s: (n,) seconds on the sensor's clock.

        Returns:
            The predictions that these samples complete, in order; often none.

        Raises DataError, with the stream as it was before, for an unknown modality, a wrong shape or times that are
        no seconds.
        """
        if modality not in tuple(self._sensors):  # a dict would not even look for what is no text
            self._recognizer.check_names([modality])
            raise ConfigError(
                f"modality {modality}: the stream was opened for {', '.join(self._sensors)}; add it there"
            )
        rows = as_rows(samples, self._specs[modality])
        times = as_times(times_s, len(rows), modality, in_order=False)
        offset_s = self._offsets_s.get(modality, 0.0)
        if offset_s:
            times = times + offset_s
        first_s, last_s = extremes(times)
        predictions = self._hear(modality, rows, times, first_s, last_s)
        self._counts[modality].arrived(len(rows), first_s, last_s)
        return predictions

    def _hear(self, modality: str, rows: Rows, times: Times, first_s: float, newest_s: float) -> list[Prediction]:
        """Take samples in, at times on the stream's clock, the earliest and the latest beside them; see `push`."""
        sensor, clock = self._sensors[modality], self._clocks[modality]
        start_s = float(times[0]) if self._origin_s is None else self._origin_s
        times, first_s, newest_s = times - start_s, first_s - start_s, newest_s - start_s
        farthest_s = max(-first_s, newest_s)
        if abs(start_s) > LATEST_S or farthest_s > LATEST_S:
            raise DataError(
                f"{modality}: a time {farthest_s:g} s away in a stream that starts at {start_s:g} s; expected seconds "
                f"within {LATEST_S:g} of it and of 0; check the clock's unit, and call reset() where a recording begins"
            )
        self._origin_s = start_s
        if clock.follows(first_s, newest_s):
            sensor.append(rows, times, first_s, newest_s)
            return self._catch_up()
        arrived, predictions = Samples(rows, times), list[Prediction]()
        clocks_s = [other.heard_s for name, other in self._clocks.items() if name != modality]
        anew = False
        for believed in clock.admit(arrived, self._others_s(modality), clocks_s):
            first_s = float(believed.times_s[0])
            if not anew and self._is_anew(modality, first_s):
                for other in self._sensors.values():
                    other.retract(-math.inf)
                self.reset()
                anew = True
            if anew:
                times = believed.times_s + start_s
                predictions += self._hear(modality, believed.rows, times, *extremes(times))
                continue
            if first_s < sensor.newest_s - self._lateness_s:
                sensor.retract(first_s)
            sensor.append(*believed, *extremes(believed.times_s))
            self._go_back(first_s)
            predictions += self._catch_up()
        return predictions

    def flush(self) -> list[Prediction]:
        """Compute the whole steps that are left at the end of a recording, then start afresh."""
        predictions: list[Prediction] = []
        for name, sensor in self._sensors.items():
            for believed in self._clocks[name].settle(self._others_s(name)):
                sensor.append(*believed, *extremes(believed.times_s))
                predictions += self._catch_up()
        newest_s = self._newest_s()
        steps = int(newest_s / self._step_s + 1e-9) if newest_s > 0 else 0
        while self._next_end() <= steps:
            predictions += self._advance(None)
        self.reset()
        return predictions

    @property
    def lost(self) -> dict[str, int]:
        """How many samples of each sensor came after their step had been computed, or had a time not to be believed."""
        return {name: one.late + one.doubted for name, one in self.counts.items()}

    @property
    def counts(self) -> dict[str, SampleCounts]:
        """What became of each sensor's samples since the stream was made: how many came, were not used, and why."""
        for sensor in self._sensors.values():
            sensor.sort_in()
        return {name: replace(one) for name, one in self._counts.items()}

    def _is_anew(self, modality: str, first_s: float) -> bool:
        """Whether the last sensor's clock, too, was set back to before the stream began: then another begins."""
        newest_s = max(first_s, self._others_s(modality))
        return self._start_s is None and first_s < 0 and newest_s + self._lateness_s < self._step * self._step_s

    def _newest_s(self) -> float:
        return max([sensor.newest_s for sensor in self._sensors.values()])

    def _others_s(self, modality: str) -> float:
        """Newest time of the other sensors; minus infinity if none was heard."""
        return max((sensor.newest_s for name, sensor in self._sensors.items() if name != modality), default=-math.inf)

    def _go_back(self, first_s: float) -> None:
        """Take up the stream again at this time, if no sensor has come as far as the steps that were computed."""
        step = max(math.floor(first_s / self._step_s), 0)
        if step < self._step and self._newest_s() + self._lateness_s < self._step * self._step_s:
            self._step, self._heard_step = step, step - self._manifest.window.steps
            self._tokens = self._no_token.repeat(self._manifest.window.steps, axis=0)
            for sensor in self._sensors.values():
                sensor.skip(step)

    def _catch_up(self) -> list[Prediction]:
        """Compute every step that is due."""
        predictions: list[Prediction] = []
        self._skip_silence()
        while self._is_due():
            predictions += self._advance(self._newest_s())
            self._skip_silence()
        return predictions

    def _next_end(self) -> int:
        """The step before which the next window ends; those up to it are computed at once."""
        window = self._manifest.window
        hops = max(0, (self._step - window.steps) // window.hop + 1)
        return window.steps + hops * window.hop

    def _is_due(self) -> bool:
        end = self._next_end()
        if self._newest_s() >= end * self._step_s + self._frame_s + self._lateness_s:
            return True
        # The cheap question first, of every sensor.
        for sensor in self._sensors.values():
            if not sensor.passed(end - 1):
                return False
        return all(sensor.settled(end - 1) for sensor in self._sensors.values())

    def _skip_silence(self) -> None:
        """Once a whole window heard nothing, go on shortly before the next sample: a pause costs no steps."""
        if self._step - self._heard_step < self._manifest.window.steps:
            return
        sensors = self._sensors.values()
        passed_s = max(self._newest_s() - self._lateness_s, min(sensor.newest_s for sensor in sensors))
        passed_s -= max(sensor.longest_gap_s for sensor in sensors)  # what comes later may still reach back so far
        silent_s = min(passed_s, *(sensor.empty_until(self._step) for sensor in sensors))
        if silent_s > (self._step + PAUSE_STEPS) * self._step_s:
            self._step = math.floor(silent_s / self._step_s) - 1
            for sensor in sensors:
                sensor.skip(self._step)

    def _advance(self, now_s: float | None) -> list[Prediction]:
        """The steps of one hop through the encoder at once, and the window that they end through the head."""
        window, first, end = self._manifest.window, self._step, self._next_end()
        taken = {name: sensor.take(first, end, now_s) for name, sensor in self._sensors.items()}
        self._step = end
        heard = max([_last(valid) for _, valid in taken.values()])
        if heard >= 0:
            self._heard_step = first + heard
            tokens = self._encode(taken, end - first)  # (N, D)
        else:
            tokens = self._no_token.repeat(end - first, axis=0)
        self._tokens = np.concatenate([self._tokens, tokens])[-window.steps :]
        if self._heard_step < end - window.steps:
            return []
        probabilities = self._recognizer.probabilities(self._recognizer.classify(self._tokens[None]))
        return [self._smooth(probabilities[0], end - window.steps)]

    def _encode(self, taken: dict[str, tuple[Floats, Bools]], steps: int) -> Floats:
        """Tokens (N, D) of steps as the sensors gave them; a sensor that is not connected is absent."""
        specs = self._manifest.modalities
        features, valid = dict[str, Floats](), np.zeros((steps, len(specs)), np.float32)
        for column, spec in enumerate(specs):
            if spec.name in taken:
                features[spec.name], valid[:, column] = taken[spec.name]
            else:
                features[spec.name] = np.zeros((steps, spec.patch, spec.groups, spec.features), np.float32)
        return self._recognizer.encode(features, valid)

    def _smooth(self, probabilities: Floats, first: int) -> Prediction:
        """The prediction of the window from step `first`, steadied by the one before."""
        previous = self._previous
        if previous is not None and self._smoothing:
            mixed = self._smoothing * previous + (1 - self._smoothing) * probabilities
            probabilities = mixed.astype(np.float32)
        named = int(probabilities.argmax())
        if previous is not None and 0 < self._margin >= float(probabilities[named]) - float(probabilities[self._named]):
            named = self._named
        self._previous, self._named = probabilities, named
        start_s = (self._origin_s or 0.0) + first * self._step_s
        return self._recognizer.prediction(probabilities, start_s, start_s + self._manifest.window.length_s, named)
