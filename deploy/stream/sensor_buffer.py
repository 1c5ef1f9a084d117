"""One sensor's samples as they arrive, and the grid frames they already settle."""

import numpy as np

from edgehar.deploy.samples import Rows, increasing, usable
from edgehar.deploy.stream.sample_counts import SampleCounts
from edgehar.signals.clip import Bools, Floats, Times, every
from edgehar.signals.modality import ModalitySpec
from edgehar.signals.preprocess import MAX_GAP_FRAMES, Normalisation, interpolate, prepare
from edgehar.signals.windows import joined

MOST_PUSHES = 256
"""Pushes that are kept apart at most until a step needs them."""


class Sensor:
    """The samples of one sensor that later steps still need.

    A stream must say the same as `preprocess.resample` of the whole recording. It can as soon as no later
    sample changes a frame: a valid sample at or after it is known, or the gap is already too long to be bridged.
    The newest sample may still be repeated with the same time, so it settles nothing by itself.

    Args:
        spec: the modality.
        frame_s: seconds between two frames of the grid.
        normalisation: scales of the features.
        reorder_s: how far behind the newest a sample may come and still count; longer to settle by as much.
        counts: where samples that are not used are counted.
    """

    def __init__(
        self,
        spec: ModalitySpec,
        frame_s: float,
        normalisation: Normalisation,
        reorder_s: float = 0.0,
        counts: SampleCounts | None = None,
    ) -> None:
        """Start with nothing heard."""
        self.spec, self.frame_s, self._normalisation = spec, frame_s, normalisation
        self.reorder_s, self._counts = reorder_s, counts or SampleCounts()
        self.longest_gap_s = MAX_GAP_FRAMES * frame_s
        self._times_s: Times = np.zeros(0)
        self._values: Floats = np.zeros((0, spec.channels), np.float32)
        self._valid: Bools = np.zeros(0, bool)
        self._before: tuple[Floats, bool] | None = None
        self._taken_s = -self.longest_gap_s  # time of the last frame that was taken, or that the first can do without
        self._settled_step = -1  # the last step that was found settled
        self._arrived: list[tuple[Rows, Times]] = []  # not yet among the others
        self._newest_s = -np.inf

    @property
    def newest_s(self) -> float:
        """Time of the newest sample, lost or not; minus infinity before the first."""
        return self._newest_s

    def append(self, rows: Rows, times_s: Times, first_s: float, newest_s: float) -> None:
        """Add samples (n, C) between these times in any order; of those with the same time the last to come counts."""
        self._newest_s = max(self._newest_s, newest_s)
        if first_s <= self._taken_s:
            self._counts.late += int(np.count_nonzero(times_s <= self._taken_s))
        self._arrived.append((rows, times_s))
        if len(self._arrived) == MOST_PUSHES:  # the stream may be waiting for this very clock, which stands still
            self.sort_in()

    def sort_in(self) -> None:
        """Put what arrived among the other samples; many at once cost no more than one."""
        if not self._arrived:
            return
        arrived_rows, arrived_times = zip(*self._arrived, strict=True)
        self._arrived = []
        arrived_values, arrived_valid = usable(joined(arrived_rows))
        if not every(arrived_valid):
            came_in_time = np.concatenate(arrived_times) > self._taken_s
            self._counts.unusable += int(np.count_nonzero(came_in_time & ~arrived_valid))
        times, valid = np.concatenate([self._times_s, *arrived_times]), np.concatenate([self._valid, arrived_valid])
        values = np.concatenate([self._values, arrived_values])
        if not (increasing(times) and every(valid[:-1])):
            if (times[1:] < times[:-1]).any():
                order = np.argsort(times, kind="stable")
                times, valid, values = times[order], valid[order], values[order]
            repeated = valid[:-1] & (times[1:] == times[:-1])
            self._counts.repeated += int(np.count_nonzero(repeated & (times[1:] > self._taken_s)))
            keep = np.append(valid[:-1] & ~repeated, True)
            times, valid, values = times[keep], valid[keep], values[keep]
        # All but the newest are valid; that one says how far the sensor has come, even if lost.
        self._times_s, self._valid, self._values = times, valid, values

    def retract(self, from_s: float) -> None:
        """Forget the samples from this time on: the clock that gave them was ahead of its time."""
        self.sort_in()
        kept = int(np.searchsorted(self._times_s, from_s))
        self._counts.doubted += int(np.count_nonzero(self._valid[kept:] & (self._times_s[kept:] > self._taken_s)))
        self._times_s, self._values, self._valid = self._times_s[:kept], self._values[:kept], self._valid[:kept]
        self._newest_s = float(self._times_s[-1]) if kept else -np.inf
        self._settled_step = -1

    def passed(self, step: int) -> bool:
        """True if the sensor has passed this step by one frame, so far as samples may still come behind others."""
        last_frame_s = ((step + 1) * self.spec.patch - 1) * self.frame_s
        return self._newest_s - self.reorder_s >= last_frame_s + 2 * self.frame_s - 1e-9

    def settled(self, step: int) -> bool:
        """True if the sensor has passed this step and no later sample can change the step's frames."""
        if step <= self._settled_step:
            return True
        if not self.passed(step):
            return False
        self.sort_in()
        last_frame_s = ((step + 1) * self.spec.patch - 1) * self.frame_s
        sure_s = self._newest_s - self.reorder_s  # nothing that counts comes before it
        known = self._times_s[:-1]
        if self.reorder_s:
            known = known[known <= sure_s]
        since_s = known[-1] if len(known) else last_frame_s
        if sure_s - since_s > self.longest_gap_s or (len(known) and since_s >= last_frame_s):
            self._settled_step = step
        return step <= self._settled_step

    def take(self, first: int, end: int, now_s: float | None) -> tuple[Floats, Bools]:
        """Features (N, P, G, F) of the steps from `first` to before `end`, and (N,) which of them are valid.

        Args:
            first: the step after the last one taken; steps are taken in order, each once.
            end: see above.
            now_s: how far the stream has come, or None at the end of the recording. A sensor that is silent for
                longer than a gap that could be bridged is taken to have paused, not to have ended.
        """
        self.sort_in()
        patch = self.spec.patch
        grid_s: Times = np.arange(first * patch, end * patch, dtype=np.float64) * self.frame_s
        known, known_s = self._values, self._times_s
        if not self.settled(end - 1):  # else a later valid sample exists or changes nothing: here is not the end
            if len(known_s) and not self._valid[-1]:
                known, known_s = known[:-1], known_s[:-1]
            if now_s is not None and len(known_s) and now_s - known_s[-1] > self.longest_gap_s:
                known, known_s = np.concatenate([known, np.zeros_like(known[:1])]), np.append(known_s, now_s)
        frames, frame_valid = interpolate(known, known_s, grid_s, self.longest_gap_s)
        features, step_valid = prepare(frames, frame_valid, self.spec, self.frame_s, self._normalisation, self._before)
        self._before = frames[-1], bool(frame_valid[-1])
        self._taken_s = float(grid_s[-1])
        self._forget(self._taken_s)
        return features, step_valid

    def empty_until(self, step: int) -> float:
        """Until when no frame is valid from this step on; minus infinity if the step itself may have one."""
        self.sort_in()
        start_s = step * self.spec.patch * self.frame_s
        known = self._times_s[self._valid]
        if (known < start_s).any() and known[known < start_s][-1] + self.longest_gap_s >= start_s:
            return -np.inf
        later = known[known >= start_s]
        return float(later[0]) - self.longest_gap_s if len(later) else np.inf

    def skip(self, step: int) -> None:
        """Go on at this step, past steps without a valid frame."""
        self.sort_in()
        self._before, self._settled_step = (np.zeros(self.spec.channels, np.float32), False), -1
        self._taken_s = step * self.spec.patch * self.frame_s - self.frame_s
        self._forget(step * self.spec.patch * self.frame_s)

    def _forget(self, before_s: float) -> None:
        """Drop samples that no frame after `before_s` needs: all but two that came before it."""
        first = max(int(self._times_s.searchsorted(before_s, side="right")) - 2, 0)
        self._times_s, self._values = self._times_s[first:], self._values[first:]
        self._valid = self._valid[first:]
