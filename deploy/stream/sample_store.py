"""The samples of one sensor that a stream still needs: which of them count, and at what times."""

import numpy as np
from numpy.typing import NDArray

from edgehar.deploy.samples import Rows, TimeBounds, is_increasing, mask_unusable
from edgehar.deploy.stream.clocks.sample_counts import SampleCounts
from edgehar.deploy.stream.rows import SensorRows
from edgehar.signals.clip import Bools, Floats, Times, all_true, true_mask
from edgehar.signals.coarse_clock import PacketMemory, spread
from edgehar.signals.modality import ModalitySpec
from edgehar.signals.windows import concatenated

MAX_BLOCKS = 256
"""Most pushes that are kept apart until a step needs them, while samples are not plain."""
MAX_RUN_S = 60.0
"""Nominal seconds of samples with one timestamp that are kept; bounds memory if the clock stops."""


class SampleStore:
    """Samples in order of time, whatever the order in which they arrive.

    While they arrive in order, each at its own time and with usable values, and there is room, they are *plain*: in the
    stream's row of arrays over streams, where a push appends. Otherwise all are merged, samples with one timestamp are
    spread until the next one (`edgehar.signals.coarse_clock`), and those that do not count are marked; samples that are
    in order again become plain again.

    Args:
        spec: the modality.
        counts: where unused samples are counted.
        consumed_s: time of the last frame taken; samples up to it are late.
        rows: where plain samples are stored.
        row: the stream's row of them.

    Attributes:
        is_plain: see above; only then `first`, `end`, `times_s` and `values` are of any use.
        first: place of the first plain sample in the stream's row.
        end: place after the last one.
        row: see above.
        newest_s: timestamp of the newest sample, valid or not; minus infinity before the first.
        consumed_s: see above.
        lost_s: newest timestamp that may belong to a sample with a lost joint.
    """

    def __init__(self, spec: ModalitySpec, counts: SampleCounts, consumed_s: float, rows: SensorRows, row: int) -> None:
        """Start without samples."""
        self._rows, self.row, self._room = rows, row, rows.times_s.shape[1]
        self._spec, self._counts, self.consumed_s = spec, counts, consumed_s
        self.newest_s = self.lost_s = -np.inf
        self.is_plain, self.first, self.end = True, 0, 0
        # All samples in order of time, then of arrival, valid or not; only while they are not plain.
        self._raw_s: Times = np.zeros(0)
        self._values: Floats = np.zeros((0, spec.channels), np.float32)
        self._valid: Bools = np.zeros(0, bool)
        self._late: Bools = np.zeros(0, bool)
        self._update()
        self._counted = (0, 0)  # duplicated and invalid ones among these that are in the counts
        self._unmerged: list[tuple[Rows, list[float]]] = []  # pushes not yet merged
        self._packets = PacketMemory()

    def append(self, rows: Rows, times_s: list[float], bounds: TimeBounds, is_usable: bool) -> None:
        """Add samples (n, C), unless they are a packet that arrived before.

        Args:
            rows: the samples; their numbers are copied.
            times_s: their times.
            bounds: of the times.
            is_usable: whether all values are.
        """
        first_s, newest_s, in_order = bounds
        end = self.end + len(times_s)
        if end > self._room:
            end = self._to_front() + len(times_s)
        is_next = in_order and is_usable and first_s > self.newest_s and first_s > self.consumed_s
        if is_next and self.is_plain and end <= self._room:
            self.newest_s = newest_s
            self._rows.times_s[self.row, self.end : end] = times_s
            self._rows.values[self.row, self.end : end] = rows
            self.end = end
            return
        rows = rows.astype(np.float32 if is_usable else np.float64)
        self.newest_s = max(self.newest_s, newest_s)
        if not in_order and self._packets.is_repeated(rows, np.array(times_s)):
            self._counts.duplicated += len(times_s)
            return
        if self.is_plain:
            self._to_arrays()
        self._unmerged.append((rows, times_s))
        if len(self._unmerged) == MAX_BLOCKS:
            self.merge()

    def merge(self) -> None:
        """Merge the pushes that are not plain in one pass."""
        if self.is_plain or not self._unmerged:
            return
        new_values, new_valid = mask_unusable(concatenated([rows for rows, _ in self._unmerged]), self._spec)
        new_s: Times = np.array([time_s for _, times_s in self._unmerged for time_s in times_s])
        self._unmerged = []
        if self._spec.is_skeleton and np.isnan(new_values).any():
            self.lost_s = max(self.lost_s, float(new_s.max()))
        known = len(self._raw_s)
        self._raw_s = np.concatenate([self._raw_s, new_s])
        self._values = np.concatenate([self._values, new_values])
        self._valid = np.concatenate([self._valid, new_valid])
        self._late = np.concatenate([self._late, np.zeros(len(new_valid), bool)])
        is_new: Bools | slice = slice(known, None)
        if not is_increasing(self._raw_s):
            order = np.argsort(self._raw_s, kind="stable")
            longest = int(MAX_RUN_S * self._spec.rate_hz) + 1
            excess = len(order) - int(self._raw_s[order].searchsorted(self._raw_s[order[-1]])) - longest
            if excess > 0:
                self._counts.duplicated += excess
                order = order[:-excess]
            self._keep(order)
            is_new = order >= known
        late = self._update()[is_new] <= self.consumed_s
        self._late[is_new] = late
        self._counts.late += int(np.count_nonzero(late))
        self._count()
        self._to_plain()

    @property
    def times_s(self) -> Times:
        """The times (n,) of plain samples; a view."""
        return self._rows.times_s[self.row, self.first : self.end]

    @property
    def values(self) -> Floats:
        """The plain samples (n, C); a view."""
        return self._rows.values[self.row, self.first : self.end]

    def _to_front(self) -> int:
        """Move the plain samples to the front of the row; returns the place after them."""
        self._store_plain(self.times_s.copy(), self.values.copy())
        return self.end

    def _store_plain(self, times_s: Times, values: Floats) -> None:
        """Store samples at the front of the row."""
        self.first, self.end = 0, len(times_s)
        self._rows.times_s[self.row, : self.end], self._rows.values[self.row, : self.end] = times_s, values

    def arrays(self) -> tuple[Times, Floats]:
        """Times (N,) and values (N, C) of the merged samples that count, until the next call of another method."""
        return (self.times_s, self.values) if self.is_plain else (self._times_s, self._samples)

    def end_s(self) -> float:
        """Time of the newest sample at the end of a recording, when those with the newest timestamp are spread, too."""
        if self.is_plain:
            return self._rows.times_s.item(self.row, self.end - 1) if self.end > self.first else -np.inf
        return float(self._spread_s[self._distinct][-1]) if len(self._raw_s) else -np.inf

    def covers(self, first_s: float, last_s: float) -> bool:
        """Whether there are plain samples, none with a lost joint, from before the first to after the last time."""
        if not self.is_plain or self.end - self.first < 2:
            return False
        times_s, row = self._rows.times_s, self.row
        return self.lost_s < times_s.item(row, self.first) <= first_s and times_s.item(row, self.end - 1) >= last_s

    def certain_s(self, complete_s: float | None) -> float | None:
        """Time of the last sample that no later one can move; None if there is none.

        These are all before the newest timestamp; if samples may still come out of order, those up to `complete_s`.
        """
        if self.is_plain:
            count = self.end - self.first - 1
            if complete_s is not None:
                count = min(count, int(self.times_s.searchsorted(complete_s, side="right")))
            return self._rows.times_s.item(self.row, self.first + count - 1) if count > 0 else None
        first = int(self._raw_s.searchsorted(self._raw_s[-1:])[0]) if len(self._raw_s) else 0
        if complete_s is not None:
            first = min(first, int(self._raw_s.searchsorted(complete_s, side="right")))
            if 1 < first < len(self._raw_s) and self._raw_s[first - 1] == self._raw_s[first - 2]:
                # The timestamp that ends this run may still change.
                first = int(self._raw_s.searchsorted(self._raw_s[first - 1 : first])[0])
        count = int(np.count_nonzero(self._used[:first]))
        return float(self._times_s[count - 1]) if count else None

    def discard_from(self, from_s: float) -> None:
        """Discard the samples from this time on, whose timestamps turned out to be too late."""
        self.merge()
        if self.is_plain:
            self._to_arrays()
        remaining = int(np.searchsorted(self._raw_s, from_s))
        rest = slice(remaining, None)
        self._counts.rejected += int(
            np.count_nonzero(self._used[rest] & ~self._late[rest] & (self._spread_s[rest] > self.consumed_s))
        )
        self._keep(slice(0, remaining))
        self._update()
        self._counted = self._unused()
        self.newest_s = float(self._raw_s[-1]) if remaining else -np.inf
        self.lost_s = min(self.lost_s, from_s)
        self._to_plain()

    def discard_before(self, before_s: float) -> None:
        """Drop the samples that no frame after `before_s` needs: all but two valid ones before it."""
        if self.is_plain:
            self.first += max(int(self.times_s.searchsorted(before_s, side="right")) - 2, 0)
            return
        if not len(self._raw_s):
            return
        if self._times_s is self._raw_s:  # all count, each at its own time
            over = int(self._raw_s.searchsorted(before_s, side="right"))
            self._keep(slice(max(over - 2, 0), None))
            self._update()
            self._to_plain()
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
        self._to_plain()

    def _to_arrays(self) -> None:
        """Plain samples become those of the general case."""
        self._raw_s, self._values = self.times_s.copy(), self.values.copy()
        self._valid, self._late = true_mask(len(self._raw_s)), np.zeros(len(self._raw_s), bool)
        self.is_plain = False
        self._update()

    def _to_plain(self) -> None:
        """If there is room, samples that all count, each at its own time, none of them too late, become plain."""
        are_usual = self._times_s is self._raw_s and self._counted == (0, 0) and not np.count_nonzero(self._late)
        if are_usual and len(self._raw_s) <= self._room:
            self.is_plain = True
            self._store_plain(self._raw_s, self._values)

    def _keep(self, rows: NDArray[np.intp] | slice) -> None:
        """Keep these rows of all samples."""
        self._raw_s, self._values = self._raw_s[rows], self._values[rows]
        self._valid, self._late = self._valid[rows], self._late[rows]

    def _update(self) -> Times:
        """Find the samples that count; returns the spread times of all (T,)."""
        times_s, self._distinct = spread(self._raw_s, self._values, self._spec.rate_hz)
        self._used = self._distinct & self._valid
        self._spread_s = times_s
        if all_true(self._used):
            self._times_s, self._samples = times_s, self._values
        else:
            self._times_s, self._samples = times_s[self._used], self._values[self._used]
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
        duplicated, invalid = self._unused()
        self._counts.duplicated += duplicated - self._counted[0]
        self._counts.invalid += invalid - self._counted[1]
        self._counted = duplicated, invalid
