"""Samples of recordings of any length, read forward part by part; the frames equal those of the whole recording."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgehar.signals.clip import Bools, Floats, Times, all_true
from edgehar.signals.coarse_clock import is_last, spread
from edgehar.signals.resampling import GapRule, ValidSamples


class Part(NamedTuple):
    """Consecutive samples of a sensor: (n, C) values, (n,) valid and (n,) seconds."""

    values: NDArray[Any]
    valid: Bools
    times_s: Times

    def rows(self, chosen: slice | Bools) -> "Part":
        """Some of the samples."""
        return Part(self.values[chosen], self.valid[chosen], self.times_s[chosen])

    def followed_by(self, part: "Part") -> "Part":
        """These samples and the next ones."""
        return Part(
            np.concatenate([self.values, part.values]),
            np.concatenate([self.valid, part.valid]),
            np.concatenate([self.times_s, part.times_s]),
        )


def spread_parts(parts: Iterable[Part], rate_hz: float) -> Iterator[Part]:
    """`edgehar.signals.coarse_clock.spread` of the parts of a recording whose times never decrease.

    Only the rows that count are yielded. The last run of equal times of a part waits for the next timestamp.
    """
    held: Part | None = None
    for part in parts:
        if held is not None:
            part = held.followed_by(part)
        last = int(part.times_s.searchsorted(float(part.times_s[-1])))
        if last:
            yield _spread(part.rows(slice(last)), rate_hz, float(part.times_s[-1]))
        held = part.rows(slice(last, None))
    if held is not None:
        yield _spread(held, rate_hz, np.inf)


def _spread(part: Part, rate_hz: float, next_s: float) -> Part:
    times_s, keep = spread(part.times_s, part.values, rate_hz, next_s)
    part = part._replace(times_s=times_s)
    return part if all_true(keep) else part.rows(keep)


class ForwardSamples:
    """`ValidSamples` of a sensor whose parts are read when a grid needs them, and forgotten when it has passed.

    Args:
        parts: the samples, float32; their times never decrease.
        start_s: subtracted from the times.
    """

    def __init__(self, parts: Iterator[Part], start_s: float) -> None:
        """Read nothing yet."""
        self._parts, self._start_s = parts, start_s
        self._held: list[tuple[Floats, Times]] = []

    def at(self, grid_s: Times, rule: GapRule) -> tuple[Floats, Bools]:
        """`ValidSamples.at`; the grid must not start before that of the call before."""
        self._read_beyond(float(grid_s[-1]))
        values, times_s = (np.concatenate(arrays) for arrays in zip(*self._held, strict=True))
        first = max(int(times_s.searchsorted(float(grid_s[0]), side="right")) - 2, 0)
        self._held = [(values[first:], times_s[first:])]
        return ValidSamples(values[first:], None, times_s[first:]).at(grid_s, rule)

    def _read_beyond(self, last_s: float) -> None:
        """Hold two valid samples that are not before this time, if there are so many."""
        while sum(len(times_s) - int(times_s.searchsorted(last_s)) for _, times_s in self._held) < 2:
            part = next(self._parts, None)
            if part is None:
                return
            times_s = part.times_s - self._start_s
            keep = part.valid & is_last(times_s)
            values = np.asarray(part.values, np.float32)
            self._held.append((values, times_s) if all_true(keep) else (values[keep], times_s[keep]))
