"""Buffers one sensor's samples and interpolates them to the frames of the steps."""

import numpy as np

from edgehar.deploy.stream.clocks.sample_counts import SampleCounts
from edgehar.deploy.stream.rows import SensorRows
from edgehar.deploy.stream.sample_store import SampleStore
from edgehar.signals.clip import Bools, Floats, Times
from edgehar.signals.modality import ModalitySpec
from edgehar.signals.preprocess import Normalisation, prepare
from edgehar.signals.resampling import fill, gap_rule


class SensorBuffer:
    """The samples of one sensor that later steps still need.

    A stream must give the same frames as `resampling.fill` of the whole recording. A frame is final once no later
    sample can change it: a valid sample at or after it has arrived, or the gap is already too long to be bridged. The
    newest timestamp makes no frame final, since more samples may have it, among which the time until the next one is
    then divided.

    Args:
        spec: the modality.
        frame_s: seconds between two frames.
        normalisation: scales of the features.
        reorder_s: how far behind the newest a sample may arrive and still be used; delays final frames by as much.
        counts: where unused samples are counted.
        rows: where samples and the last frame are stored.
        row: the stream's row of them.

    Attributes:
        gaps: how gaps are filled; `longest_gap_s` is its longest interval.
        store: the samples.
        rows: see above.
    """

    def __init__(
        self,
        spec: ModalitySpec,
        frame_s: float,
        normalisation: Normalisation,
        reorder_s: float,
        counts: SampleCounts,
        rows: SensorRows,
        row: int,
    ) -> None:
        """Start without samples."""
        self.spec, self.frame_s, self.normalisation, self.reorder_s = spec, frame_s, normalisation, reorder_s
        self.gaps = gap_rule(spec, frame_s)
        self.longest_gap_s = self.gaps.max_gap_s
        self._is_linear = not self.gaps.is_held and not spec.is_picture
        # No frame is taken before any useful sample.
        self.rows, self._row = rows, row
        self.store = SampleStore(spec, counts, -self.longest_gap_s, rows, row)
        rows.last[row] = 0
        self._last_valid: bool | None = None  # None before the first frame
        self._last_is_whole = False  # valid, and without a lost joint
        self._final_step = -1  # last step that is final

    @property
    def last_values(self) -> Floats:
        """(C,) the last frame taken; a view."""
        return self.rows.last[self._row]

    @property
    def newest_s(self) -> float:
        """Timestamp of the newest sample, valid or not; minus infinity before the first."""
        return self.store.newest_s

    def end_s(self) -> float:
        """Time of the newest sample at the end of a recording, when those with the newest timestamp are spread, too."""
        self.store.merge()
        return self.store.end_s()

    def discard_from(self, from_s: float) -> None:
        """Discard the samples from this time on, whose timestamps turned out to be too late."""
        self.store.discard_from(from_s)
        self._final_step = -1

    def passing_s(self, step: int) -> float:
        """The sensor has passed this step by one frame when `newest_s` less `reorder_s` reaches this time."""
        return self._last_frame_s(step + 1) + 2 * self.frame_s - 1e-9

    def is_final(self, step: int) -> bool:
        """True if the sensor has passed this step and no later sample can change the step's frames."""
        if step <= self._final_step:
            return True
        complete_s = self.store.newest_s - self.reorder_s  # later samples before it would be too late
        if complete_s < self.passing_s(step):
            return False
        if self.gaps.is_held:  # every sample up to the frame has arrived
            self._final_step = step
            return True
        self.store.merge()
        last_frame_s = self._last_frame_s(step + 1)
        since_s = self.store.certain_s(complete_s if self.reorder_s else None)
        is_passed = since_s is not None and since_s >= last_frame_s
        if is_passed or complete_s - (last_frame_s if since_s is None else since_s) > self.longest_gap_s:
            self._final_step = step
            return True
        return False

    def is_regular(self, first: int, end: int) -> bool:
        """Whether the steps `first` to `end`, exclusive, only need interpolation between samples before and after them.

        As far as times tell: there may still be a gap.
        """
        self.store.merge()
        patch = self.spec.patch
        return (
            self._last_is_whole
            and self._is_linear
            and self.store.covers(first * patch * self.frame_s, (end * patch - 1) * self.frame_s)
            and self.is_final(end - 1)
        )

    def bracket(self, first: int, end: int, starts: list[int], shares: list[float]) -> int:
        """Find the samples around the frames of the steps `first` to `end`, exclusive, which are regular.

        Appends, for each frame, where the sample before it begins in the stream's row of `StreamRows.numbers`, and the
        share of the sample after it. Frames are few, and plain Python is then faster than numpy.

        Returns:
            The number of samples before the last frame; 0 if a gap is too long.
        """
        times_s: list[float] = self.store.times_s.tolist()
        append_start, append_share = starts.append, shares.append
        channels, frame_s, longest_s = self.spec.channels, self.frame_s, self.longest_gap_s
        patch, right, is_bridged = self.spec.patch, 1, True
        start, before_s, after_s = self.rows.first + self.store.first * channels, times_s[0], times_s[1]
        for frame in range(first * patch, end * patch):
            time_s = frame * frame_s
            while after_s < time_s:
                right += 1
                start += channels
                before_s, after_s = after_s, times_s[right]
            span_s = after_s - before_s
            if span_s > longest_s:
                is_bridged = False
            append_start(start)
            append_share((time_s - before_s) / span_s)
        return right if is_bridged else 0

    def take(self, first: int, end: int, now_s: float | None) -> tuple[Floats, Bools]:
        """Features (N, P, G, F) of the steps `first` to `end`, exclusive, and (N,) which of them are valid.

        Args:
            first: the step after the last one taken; steps are taken in order, each once.
            end: the step after the last one to take.
            now_s: the stream's time, or None at the end of the recording. A sensor silent for longer than a gap that
                can be bridged counts as paused, not as ended.
        """
        self.store.merge()
        patch, newest_s = self.spec.patch, self.store.newest_s
        grid_s: Times = np.arange(first * patch, end * patch, dtype=np.float64) * self.frame_s
        times_s, values = self.store.arrays()
        # A sensor that is silent, or sends invalid samples, has paused: the next sample comes after this time.
        next_s = newest_s if self.is_final(end - 1) else now_s
        least_s = 0.0 if next_s is newest_s else self.longest_gap_s
        if next_s is not None and len(times_s) and next_s - times_s[-1] > least_s and not self.gaps.is_held:
            values, times_s = np.concatenate([values, np.zeros_like(values[:1])]), np.append(times_s, next_s)
        frames, frame_valid = fill(values, times_s, grid_s, self.gaps)
        previous = None if self._last_valid is None else (self.last_values, self._last_valid)
        features, step_valid = prepare(frames, frame_valid, self.spec, self.frame_s, self.normalisation, previous)
        self.rows.last[self._row], self._last_valid = frames[-1], bool(frame_valid[-1])
        self._last_is_whole = self._last_valid and not (self.spec.is_skeleton and np.isnan(frames[-1]).any())
        self.store.consumed_s = consumed_s = self._last_frame_s(end)
        self.store.discard_before(consumed_s)
        return features, step_valid

    def finish_regular(self, end: int, passed: int) -> None:
        """Drop what no step from `end` on needs, after regular steps with so many samples before the last frame."""
        self.store.consumed_s = self._last_frame_s(end)
        self.store.first += max(passed - 2, 0)

    def _last_frame_s(self, end: int) -> float:
        """Time of the last frame before the step `end`."""
        return (end * self.spec.patch - 1) * self.frame_s

    def gap_end_s(self, step: int) -> float:
        """Time of the first frame from this step on that may be valid; minus infinity if it is in this step."""
        self.store.merge()
        start_s = step * self.spec.patch * self.frame_s
        times_s, _ = self.store.arrays()
        if (times_s < start_s).any() and times_s[times_s < start_s][-1] + self.longest_gap_s >= start_s:
            return -np.inf
        later = times_s[times_s >= start_s]
        return float(later[0]) - self.longest_gap_s if len(later) else np.inf

    def skip_to(self, step: int) -> None:
        """Continue at this step, past steps without a valid frame."""
        self.store.merge()
        self.rows.last[self._row] = 0
        self._last_valid, self._last_is_whole, self._final_step = False, False, -1
        start_s = step * self.spec.patch * self.frame_s
        self.store.consumed_s = start_s - self.frame_s
        self.store.discard_before(start_s)
