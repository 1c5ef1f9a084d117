"""Buffers one sensor's samples and interpolates them to the frames of the steps."""

import numpy as np
from numpy.typing import NDArray

from edgehar.deploy.samples import Rows, is_increasing, mask_unusable
from edgehar.deploy.stream.clocks.sample_counts import SampleCounts
from edgehar.signals.clip import Bools, Floats, Times, all_true, true_mask
from edgehar.signals.coarse_clock import PacketMemory, spread
from edgehar.signals.modality import ModalitySpec
from edgehar.signals.preprocess import Normalisation, prepare
from edgehar.signals.resampling import fill, gap_rule
from edgehar.signals.windows import concatenated

MAX_UNMERGED_PUSHES = 256
"""Most pushes that are kept unmerged until a step needs them."""
MAX_RUN_S = 60.0
"""Nominal seconds of samples with one timestamp that are kept; bounds memory if the clock stops."""


class SensorBuffer:
    """The samples of one sensor that later steps still need.

    A stream must give the same frames as `resampling.fill` of the whole recording. A frame is final once no later
    sample can change it: a valid sample at or after it has arrived, or the gap is already too long to be bridged.
    Samples with one timestamp are spread until the next one (`edgehar.signals.coarse_clock`): the newest timestamp
    makes no frame final, since more samples may have it.

    Args:
        spec: the modality.
        frame_s: seconds between two frames.
        normalisation: scales of the features.
        reorder_s: how far behind the newest a sample may arrive and still be used; delays final frames by as much.
        counts: where unused samples are counted.

    Attributes:
        gaps: how gaps are filled; `longest_gap_s` is its longest interval.
        times_s: (N,) times of the merged samples that count.
        samples: (N, C) these samples.
        is_plain: whether all merged samples count, each at its own time, and none was too late.
        last_frame: the last frame taken, (C,), and whether it is valid; None before the first.
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
        self.spec, self.frame_s, self.normalisation = spec, frame_s, normalisation
        self.reorder_s, self._counts = reorder_s, counts or SampleCounts()
        self.gaps = gap_rule(spec, frame_s)
        self.longest_gap_s = self.gaps.max_gap_s
        # All samples in order of time, then of arrival, valid or not.
        self._raw_s: Times = np.zeros(0)
        self._values: Floats = np.zeros((0, spec.channels), np.float32)
        self._valid: Bools = np.zeros(0, bool)
        self._late: Bools = np.zeros(0, bool)
        self._counted = (0, 0)  # duplicated and invalid ones among these that are in the counts
        self._update()
        self.last_frame: tuple[Floats, bool] | None = None
        self._consumed_s = -self.longest_gap_s  # time of the last frame taken; at first, before any useful sample
        self._final_step = -1  # last step that is final
        self._unmerged: list[tuple[Rows, Times]] = []  # pushes not yet merged
        self._packets = PacketMemory()
        self._newest_s = -np.inf

    @property
    def newest_s(self) -> float:
        """Timestamp of the newest sample, valid or not; minus infinity before the first."""
        return self._newest_s

    def end_s(self) -> float:
        """Time of the newest sample at the end of a recording, when those with the newest timestamp are spread, too."""
        self.merge()
        return float(self._spread_s[self._distinct][-1]) if len(self._raw_s) else -np.inf

    def append(self, rows: Rows, times_s: Times, first_s: float, newest_s: float) -> None:
        """Add samples (n, C) between these times in any order, unless they are a packet that arrived before."""
        self._newest_s = max(self._newest_s, newest_s)
        if len(times_s) > 1 and not is_increasing(times_s) and self._packets.is_repeated(rows, times_s):
            self._counts.duplicated += len(times_s)
            return
        self._unmerged.append((rows, times_s))
        if len(self._unmerged) == MAX_UNMERGED_PUSHES:  # the stream may be waiting for a clock that stopped
            self.merge()

    def unmerged_rows(self) -> Rows | None:
        """The samples (n, C) that `merge` will merge; None if there is none."""
        return concatenated([rows for rows, _ in self._unmerged]) if self._unmerged else None

    def merge(self, usable: Floats | None = None) -> None:
        """Merge the buffered pushes in one pass; `usable`: `unmerged_rows` as float32, if all channels are usable."""
        if not self._unmerged:
            return
        if usable is not None:
            self._merge(usable, true_mask(len(usable)))
        elif (rows := self.unmerged_rows()) is not None:
            self._merge(*mask_unusable(rows, self.spec))

    def _merge(self, new_values: Floats, new_valid: Bools) -> None:
        new_times = concatenated([times for _, times in self._unmerged])
        self._unmerged = []
        known = len(self._raw_s)
        self._raw_s = np.concatenate([self._raw_s, new_times])
        self._values = np.concatenate([self._values, new_values])
        if self.is_plain and self._continues_plainly(known, new_valid):
            return self._set_plain()
        self._valid = np.concatenate([self._valid, new_valid])
        self._late = np.concatenate([self._late, np.zeros(len(new_valid), bool)])
        is_new: Bools | slice = slice(known, None)
        if not is_increasing(self._raw_s):
            order = np.argsort(self._raw_s, kind="stable")
            longest = int(MAX_RUN_S * self.spec.rate_hz) + 1
            excess = len(order) - int(self._raw_s[order].searchsorted(self._raw_s[order[-1]])) - longest
            if excess > 0:
                self._counts.duplicated += excess
                order = order[:-excess]
            self._keep(order)
            is_new = order >= known
        late = self._update()[is_new] <= self._consumed_s
        self._late[is_new] = late
        self._counts.late += int(np.count_nonzero(late))
        self._count()
        self.is_plain = self.is_plain and not np.count_nonzero(late)

    def _continues_plainly(self, known: int, new_valid: Bools) -> bool:
        """Whether the samples from the row `known` on are valid, later than all before, and none is too late."""
        if not (all_true(new_valid) and self._raw_s[known] > self._consumed_s):
            return False
        return is_increasing(self._raw_s[max(known - 1, 0) :])

    def _set_plain(self) -> None:
        """Update what follows from the merged samples, which are still plain."""
        self.times_s = self._spread_s = self._raw_s
        self.samples = self._values
        self._used = self._distinct = self._valid = true_mask(len(self._raw_s))
        self._late = np.zeros(len(self._raw_s), bool)

    def _keep(self, rows: NDArray[np.intp] | slice) -> None:
        """Keep these rows of all samples."""
        self._raw_s, self._values = self._raw_s[rows], self._values[rows]
        self._valid, self._late = self._valid[rows], self._late[rows]

    def _update(self) -> Times:
        """Find the samples that count, `_times_s` and `_used`; the spread times of all (T,)."""
        times_s, self._distinct = spread(self._raw_s, self._values, self.spec.rate_hz)
        self._used = self._distinct & self._valid
        self._spread_s = times_s
        if all_true(self._used):
            self.times_s, self.samples = times_s, self._values
        else:
            self.times_s, self.samples = times_s[self._used], self._values[self._used]
        self.is_plain = self.times_s is self._raw_s and not np.count_nonzero(self._late)
        return times_s

    def _unused(self) -> tuple[int, int]:
        """Numbers of buffered samples that are duplicated and invalid, without those that were late."""
        if all_true(self._used):
            return 0, 0
        return (
            int(np.count_nonzero(~self._late & ~self._distinct)),
            int(np.count_nonzero(~self._late & self._distinct & ~self._valid)),
        )

    def _count(self) -> None:
        """Update the counts: whether a sample is duplicated depends on the others with its timestamp."""
        if self.times_s is self._raw_s and self._counted == (0, 0):
            return
        duplicated, invalid = self._unused()
        self._counts.duplicated += duplicated - self._counted[0]
        self._counts.invalid += invalid - self._counted[1]
        self._counted = duplicated, invalid

    def discard_from(self, from_s: float) -> None:
        """Discard the samples from this time on, whose timestamps turned out to be too late."""
        self.merge()
        remaining = int(np.searchsorted(self._raw_s, from_s))
        rest = slice(remaining, None)
        self._counts.rejected += int(
            np.count_nonzero(self._used[rest] & ~self._late[rest] & (self._spread_s[rest] > self._consumed_s))
        )
        self._keep(slice(0, remaining))
        self._update()
        self._counted = self._unused()
        self._newest_s = float(self._raw_s[-1]) if remaining else -np.inf
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
        if self.gaps.is_held:  # every sample up to the frame has arrived
            self._final_step = step
            return True
        times_s = self._certain_s(complete_s)
        since_s = times_s[-1] if len(times_s) else last_frame_s
        if complete_s - since_s > self.longest_gap_s or (len(times_s) and since_s >= last_frame_s):
            self._final_step = step
        return step <= self._final_step

    def _certain_s(self, complete_s: float) -> Times:
        """Times of the samples that no sample after `complete_s` can move: all before the newest timestamp."""
        if self.is_plain and not self.reorder_s:
            return self.times_s[:-1]
        first = int(self._raw_s.searchsorted(self._raw_s[-1:])[0]) if len(self._raw_s) else 0
        if self.reorder_s:
            first = min(first, int(self._raw_s.searchsorted(complete_s, side="right")))
            if 1 < first < len(self._raw_s) and self._raw_s[first - 1] == self._raw_s[first - 2]:
                # The timestamp that ends this run may still change.
                first = int(self._raw_s.searchsorted(self._raw_s[first - 1 : first])[0])
        return self.times_s[: int(np.count_nonzero(self._used[:first]))]

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
        values, times_s = self.samples, self.times_s
        # A sensor that is silent, or sends invalid samples, has paused: the next sample comes after this time.
        next_s = self._newest_s if self.is_final(end - 1) else now_s
        least_s = 0.0 if next_s is self._newest_s else self.longest_gap_s
        if next_s is not None and len(times_s) and next_s - times_s[-1] > least_s and not self.gaps.is_held:
            values, times_s = np.concatenate([values, np.zeros_like(values[:1])]), np.append(times_s, next_s)
        frames, frame_valid = fill(values, times_s, grid_s, self.gaps)
        features, step_valid = prepare(
            frames, frame_valid, self.spec, self.frame_s, self.normalisation, self.last_frame
        )
        self.finish_take(frames[-1], bool(frame_valid[-1]), end)
        return features, step_valid

    def finish_take(self, last_frame: Floats, is_valid: bool, end: int, passed: int | None = None) -> None:
        """Drop what no step from `end` on needs, given the last frame (C,), its validity and the samples up to it."""
        self.last_frame = last_frame, is_valid
        self._consumed_s = (end * self.spec.patch - 1) * self.frame_s
        self._discard_before(self._consumed_s, passed)

    def gap_end_s(self, step: int) -> float:
        """Time of the first frame from this step on that may be valid; minus infinity if it is in this step."""
        self.merge()
        start_s = step * self.spec.patch * self.frame_s
        times_s = self.times_s
        if (times_s < start_s).any() and times_s[times_s < start_s][-1] + self.longest_gap_s >= start_s:
            return -np.inf
        later = times_s[times_s >= start_s]
        return float(later[0]) - self.longest_gap_s if len(later) else np.inf

    def skip_to(self, step: int) -> None:
        """Continue at this step, past steps without a valid frame."""
        self.merge()
        self.last_frame, self._final_step = (np.zeros(self.spec.channels, np.float32), False), -1
        self._consumed_s = step * self.spec.patch * self.frame_s - self.frame_s
        self._discard_before(step * self.spec.patch * self.frame_s)

    def _discard_before(self, before_s: float, passed: int | None = None) -> None:
        """Drop the samples that no frame after `before_s` needs: all but two valid ones before it."""
        if not len(self._raw_s):
            return
        if self.times_s is self._raw_s:  # all count, each at its own time
            passed = int(self._raw_s.searchsorted(before_s, side="right")) if passed is None else passed
            self._keep(slice(max(passed - 2, 0), None))
            self.times_s = self._spread_s = self._raw_s
            self.samples = self._values
            self._used = self._distinct = self._valid
            self.is_plain = self.is_plain or not np.count_nonzero(self._late)
            return
        newest = int(self._raw_s.searchsorted(self._raw_s[-1:])[0])  # first of those with the newest timestamp
        # Runs that end before keep their times whatever follows, so that single samples of them can be dropped.
        over = int(self._spread_s.searchsorted(before_s, side="right"))
        if over < len(self._raw_s):
            over = int(self._raw_s.searchsorted(self._raw_s[over : over + 1])[0])
        over = min(over, newest)
        needed = np.flatnonzero(self._used[:over])[-2:]
        if len(needed) == over:
            return
        self._raw_s = np.concatenate([self._spread_s[:over], self._raw_s[over:]])
        self._keep(np.concatenate([needed, np.arange(over, len(self._raw_s))]))
        self._update()
        self._counted = self._unused()
