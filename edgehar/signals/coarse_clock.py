"""Spreads the samples of a clock that is coarser than the sampling: packets with one timestamp, whole seconds."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.signals.clip import Bools, Times, all_true, true_mask

MAX_INTERVALS = 2.0
"""Longest time between two spread samples, in nominal sampling intervals; a longer one is a pause before the next."""
BLOCK_RUNS = 4096
"""Runs of equal times that are spread at once; limits memory."""
MIN_HELD_RUN, MIN_HELD_INTERVALS = 3, 0.75
"""Equal samples at one time are separate ones if they are so many and fill so many intervals each, on average."""
REMEMBERED_PACKETS = 32
"""Packets of samples with one timestamp in which a repeated packet is looked for."""


def spread(times_s: Times, values: NDArray[Any], rate_hz: float, next_s: float = np.inf) -> tuple[Times, Bools]:
    """Spread samples with equal timestamps evenly until the next timestamp.

    A run of n samples at one time t before the next timestamp t' gets the times t + i * (t' - t) / n; the interval is
    1 / rate_hz where (t' - t) / n exceeds 2 / rate_hz, and after the last timestamp. A run whose values are all equal
    is one sample that was recorded several times, and only its first row is kept, unless it has at least three rows
    that fill at least three quarters of their nominal time: a sensor at rest. The result for a run depends on the run
    and on the next timestamp only, so that a stream gives the same times.

    Args:
        times_s: (T,) non-decreasing seconds.
        values: (T, C) samples; NaN equals NaN.
        rate_hz: nominal sampling rate.
        next_s: the timestamp after these, if there are more samples.

    Returns:
        (T,) times, and (T,) True for the rows that count. The times of these increase, if they differ by more than the
        resolution of float64.
    """
    if len(times_s) < 2 or all_true(times_s[1:] > times_s[:-1]):
        return times_s, true_mask(len(times_s))
    first = np.flatnonzero(np.append(True, times_s[1:] > times_s[:-1]))  # first row of each run
    spread_s, keep = np.empty_like(times_s), np.empty(len(times_s), bool)
    for run in range(0, len(first), BLOCK_RUNS):
        rows = slice(int(first[run]), int(first[run + BLOCK_RUNS]) if run + BLOCK_RUNS < len(first) else len(times_s))
        after_s = float(times_s[rows.stop]) if rows.stop < len(times_s) else next_s
        runs = first[run : run + BLOCK_RUNS] - rows.start
        spread_s[rows], keep[rows] = _spread_runs(times_s[rows], values[rows], runs, 1.0 / rate_hz, after_s)
    return spread_s, keep


def _spread_runs(
    times_s: Times, values: NDArray[Any], first: NDArray[np.intp], nominal_s: float, next_s: float
) -> tuple[Times, Bools]:
    """`spread` of runs of equal times that begin at the rows `first`."""
    count = np.diff(np.append(first, len(times_s)))
    start_s = times_s[first]
    length_s = np.append(start_s[1:], next_s) - start_s
    interval_s = length_s / count
    interval_s = np.where(interval_s > MAX_INTERVALS * nominal_s, nominal_s, interval_s)
    same = values[1:] == values[:-1]
    if values.dtype.kind == "f":
        same |= np.isnan(values[1:]) & np.isnan(values[:-1])
    changes = np.append(False, ~same.all(axis=1))
    changes[first] = False
    differs = np.logical_or.reduceat(changes, first)
    at_rest = (count >= MIN_HELD_RUN) & (length_s >= MIN_HELD_INTERVALS * nominal_s * count) & (length_s < np.inf)
    run = np.repeat(np.arange(len(first)), count)
    place = np.arange(len(times_s)) - first[run]
    return start_s[run] + place * interval_s[run], (differs | at_rest)[run] | (place == 0)


def is_last(times_s: Times) -> Bools:
    """(T,) True for the last of the samples with one time; where nothing is spread, only these count."""
    return np.append(times_s[1:] > times_s[:-1], len(times_s) > 0)[: len(times_s)]


class PacketMemory:
    """The last packets of one sensor that had several different samples with one timestamp."""

    def __init__(self) -> None:
        """Start without packets."""
        self._packets = list[tuple[NDArray[Any], Times]]()  # empty for most sensors

    def is_repeated(self, values: NDArray[Any], times_s: Times) -> bool:
        """Whether different samples (n, C) with one timestamp have arrived before; remembers them otherwise."""
        same_time = times_s[1:] == times_s[:-1]
        if not (same_time.any() and (values[1:][same_time] != values[:-1][same_time]).any()):
            return False  # the samples show by themselves whether they are repeated
        for old_values, old_times_s in self._packets:
            if np.array_equal(times_s, old_times_s) and np.array_equal(values, old_values, equal_nan=True):
                return True
        self._packets = [*self._packets[1 - REMEMBERED_PACKETS :], (values, times_s)]
        return False
