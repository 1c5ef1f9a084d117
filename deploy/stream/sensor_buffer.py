"""Buffers one sensor's samples and interpolates them to the frames of the steps."""

import numpy as np

from edgehar.deploy.samples import Rows, is_increasing, mask_unusable
from edgehar.deploy.stream.sample_counts import SampleCounts
from edgehar.signals.clip import Bools, Floats, Times, all_true
from edgehar.signals.modality import ModalitySpec
from edgehar.signals.preprocess import Normalisation, prepare
from edgehar.signals.resampling import fill, gap_rule
from edgehar.signals.windows import concatenated

MAX_UNMERGED_PUSHES = 256
"""Most pushes that are kept unmerged until a step needs them."""


class SensorBuffer:
    """The samples of one sensor that later steps still need.

    A stream must give the same frames as `preprocess.resample` of the whole recording. A frame is final once no later
    sample can change it: a valid sample at or after it has arrived, or the gap is already too long to be bridged. The
    newest sample may still be replaced by one with the same timestamp, so it makes no frame final.

    Args:
        spec: the modality.
        frame_s: seconds between two frames.
        normalisation: scales of the features.
        reorder_s: how far behind the newest a sample may arrive and still be used; delays final frames by as much.
        counts: where unused samples are counted.
    """

    def __init__(
        self,
        spec: ModalitySpec,
        frame_s: float,
        normalisation: Normalisation,
        reorder_s: float = 0.0,
        counts: SampleCounts | None = None,
    ) -> None:
        """Start without samples."""
        self.spec, self.frame_s, self._normalisation = spec, frame_s, normalisation
        self.reorder_s, self._counts = reorder_s, counts or SampleCounts()
        self._gaps = gap_rule(spec, frame_s)
        self.longest_gap_s = self._gaps.max_gap_s
        self._times_s: Times = np.zeros(0)
        self._values: Floats = np.zeros((0, spec.channels), np.float32)
        self._valid: Bools = np.zeros(0, bool)
        self._last_frame: tuple[Floats, bool] | None = None
        self._consumed_s = -self.longest_gap_s  # time of the last frame taken; at first, before any useful sample
        self._final_step = -1  # last step that is final
        self._unmerged: list[tuple[Rows, Times]] = []  # pushes not yet merged
        self._newest_s = -np.inf

    @property
    def newest_s(self) -> float:
        """Timestamp of the newest sample, valid or not; minus infinity before the first."""
        return self._newest_s

    def append(self, rows: Rows, times_s: Times, first_s: float, newest_s: float) -> None:
        """Add samples (n, C) between these times in any order; of equal timestamps the last to arrive is used."""
        self._newest_s = max(self._newest_s, newest_s)
        if first_s <= self._consumed_s:
            self._counts.late += int(np.count_nonzero(times_s <= self._consumed_s))
        self._unmerged.append((rows, times_s))
        if len(self._unmerged) == MAX_UNMERGED_PUSHES:  # the stream may be waiting for a clock that stopped
            self.merge()

    def merge(self) -> None:
        """Merge the buffered pushes into the sorted samples, all in one pass."""
        if not self._unmerged:
            return
        new_rows, new_times = zip(*self._unmerged, strict=True)
        self._unmerged = []
        new_values, new_valid = mask_unusable(concatenated(new_rows), self.spec)
        if not all_true(new_valid):
            in_time = np.concatenate(new_times) > self._consumed_s
            self._counts.invalid += int(np.count_nonzero(in_time & ~new_valid))
        times, valid = np.concatenate([self._times_s, *new_times]), np.concatenate([self._valid, new_valid])
        values = np.concatenate([self._values, new_values])
        if not (is_increasing(times) and all_true(valid[:-1])):
            if (times[1:] < times[:-1]).any():
                order = np.argsort(times, kind="stable")
                times, valid, values = times[order], valid[order], values[order]
            duplicated = valid[:-1] & (times[1:] == times[:-1])
            self._counts.duplicated += int(np.count_nonzero(duplicated & (times[1:] > self._consumed_s)))
            keep = np.append(valid[:-1] & ~duplicated, True)
            times, valid, values = times[keep], valid[keep], values[keep]
        # All but the newest are valid; the newest is kept even if invalid, since it marks the sensor's time.
        self._times_s, self._valid, self._values = times, valid, values

    def discard_from(self, from_s: float) -> None:
        """Discard the samples from this time on, whose timestamps turned out to be too late."""
        self.merge()
        remaining = int(np.searchsorted(self._times_s, from_s))
        self._counts.rejected += int(
            np.count_nonzero(self._valid[remaining:] & (self._times_s[remaining:] > self._consumed_s))
        )
        self._times_s, self._values, self._valid = (
            self._times_s[:remaining],
            self._values[:remaining],
            self._valid[:remaining],
        )
        self._newest_s = float(self._times_s[-1]) if remaining else -np.inf
        self._final_step = -1

    def has_passed(self, step: int) -> bool:
        """True if the sensor has passed this step by one frame, and by `reorder_s`."""
        last_frame_s = ((step + 1) * self.spec.patch - 1) * self.frame_s
        return self._newest_s - self.reorder_s >= last_frame_s + 2 * self.frame_s - 1e-9

    def is_final(self, step: int) -> bool:
        """True if the sensor has passed this step and no later sample can change the step's frames."""
        if step <= self._final_step:
            return True
        if not self.has_passed(step):
            return False
        self.merge()
        last_frame_s = ((step + 1) * self.spec.patch - 1) * self.frame_s
        complete_s = self._newest_s - self.reorder_s  # later samples before it would be too late
        times_s = self._times_s[:-1]
        if self.reorder_s:
            times_s = times_s[times_s <= complete_s]
        since_s = times_s[-1] if len(times_s) else last_frame_s
        if complete_s - since_s > self.longest_gap_s or (len(times_s) and since_s >= last_frame_s):
            self._final_step = step
        return step <= self._final_step

    def take(self, first: int, end: int, now_s: float | None) -> tuple[Floats, Bools]:
        """Features (N, P, G, F) of the steps `first` to `end`, exclusive, and (N,) which of them are valid.

        Args:
            first: the step after the last one taken; steps are taken in order, each once.
            end: the step after the last one to take.
            now_s: the stream's time, or None at the end of the recording. A sensor silent for longer than a gap that
                can be bridged counts as paused, not as ended.
        """
        self.merge()
        patch = self.spec.patch
        grid_s: Times = np.arange(first * patch, end * patch, dtype=np.float64) * self.frame_s
        values, times_s = self._values, self._times_s
        if not self.is_final(end - 1):  # else a later valid sample exists or changes nothing
            if len(times_s) and not self._valid[-1]:
                values, times_s = values[:-1], times_s[:-1]
            if now_s is not None and len(times_s) and now_s - times_s[-1] > self.longest_gap_s:
                values, times_s = np.concatenate([values, np.zeros_like(values[:1])]), np.append(times_s, now_s)
        frames, frame_valid = fill(values, times_s, grid_s, self._gaps)
        features, step_valid = prepare(
            frames, frame_valid, self.spec, self.frame_s, self._normalisation, self._last_frame
        )
        self._last_frame = frames[-1], bool(frame_valid[-1])
        self._consumed_s = float(grid_s[-1])
        self._discard_before(self._consumed_s)
        return features, step_valid

    def gap_end_s(self, step: int) -> float:
        """Time of the first frame from this step on that may be valid; minus infinity if it is in this step."""
        self.merge()
        start_s = step * self.spec.patch * self.frame_s
        times_s = self._times_s[self._valid]
        if (times_s < start_s).any() and times_s[times_s < start_s][-1] + self.longest_gap_s >= start_s:
            return -np.inf
        later = times_s[times_s >= start_s]
        return float(later[0]) - self.longest_gap_s if len(later) else np.inf

    def skip_to(self, step: int) -> None:
        """Continue at this step, past steps without a valid frame."""
        self.merge()
        self._last_frame, self._final_step = (np.zeros(self.spec.channels, np.float32), False), -1
        self._consumed_s = step * self.spec.patch * self.frame_s - self.frame_s
        self._discard_before(step * self.spec.patch * self.frame_s)

    def _discard_before(self, before_s: float) -> None:
        """Drop the samples that no frame after `before_s` needs: all but two before it."""
        first = max(int(self._times_s.searchsorted(before_s, side="right")) - 2, 0)
        self._times_s, self._values = self._times_s[first:], self._values[first:]
        self._valid = self._valid[first:]
