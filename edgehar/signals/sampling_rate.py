"""Sampling rate that timestamps show, outside of pauses and through clocks that are coarser than the sampling."""

import numpy as np

from edgehar.signals.clip import Times

COARSE_SHARE = 0.1
"""Share of equal timestamps from which a clock is coarser than the sampling; fewer are repetitions of a sample."""
REGULAR_SHARE = 0.95
"""Share of intervals near the median from which the others are lost samples, not a part of the rate."""


def sampling_rate_hz(times_s: Times) -> float | None:
    """Samples per second; None without two different timestamps.

    The inverse of the mean interval, not of the median: a clock of whole milliseconds and samples in bursts have
    intervals of several lengths. Longer intervals are pauses. A run of equal timestamps counts as one sample; with a
    coarse clock as all its samples, apart from the first run, whose beginning was not recorded, and the last, whose
    end is unknown.

    Args:
        times_s: (T,) non-decreasing seconds.
    """
    if len(times_s) < 2:
        return None
    first = np.flatnonzero(np.append(True, times_s[1:] > times_s[:-1]))  # first row of each run of equal times
    interval_s = np.diff(times_s[first])
    if not len(interval_s):
        return None
    count = np.ones(len(interval_s))
    if len(first) < (1 - COARSE_SHARE) * len(times_s):
        count = np.diff(first)
        if len(count) > 1:
            count, interval_s = count[1:], interval_s[1:]
    middle_s = float(np.median(interval_s))
    usual = np.abs(interval_s - middle_s) < middle_s / 2
    if usual.mean() < REGULAR_SHARE:
        usual = interval_s <= 3 * np.sort(interval_s)[int(0.9 * len(interval_s))]
    return float(count[usual].sum() / interval_s[usual].sum())
