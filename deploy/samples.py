"""What a caller hands over becomes samples and a mask: what is not a usable number is lost, never zero."""

import math
import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.clip import Bools, Floats, Times, every, trues
from edgehar.errors import DataError
from edgehar.modality import ModalitySpec
from edgehar.preprocess import check_shape

LARGEST_VALUE = 1e9
"""No sensor gives more in its unit; larger values are lost samples and would overflow the network's float32."""

FEW_TIMES = 64
"""Up to so many numbers Python is faster than numpy."""

Rows = NDArray[np.float64]
"""(T, C) as they were handed over, usable or not."""


def as_rows(values: Any, spec: ModalitySpec) -> Rows:
    """A copy of numbers from anywhere as (T, C) float64.

    Raises DataError for text, ragged rows, a wrong number of channels or no sample.
    """
    try:
        array = np.array(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise DataError(
            f"{spec.name}: not an array of numbers; expected (samples, {spec.channels}) numbers, null or NaN if lost"
        ) from None
    return check_shape(array, spec, "samples")


def usable(rows: Rows) -> tuple[Floats, Bools]:
    """(T, C) float32 and (T,) True where every channel is a usable number; what is not is 0."""
    if np.maximum.reduce(np.abs(rows), axis=None) <= LARGEST_VALUE:  # False if one is NaN
        return rows.astype(np.float32), trues(len(rows))
    valid: Bools = np.logical_and.reduce(np.abs(rows) <= LARGEST_VALUE, axis=1)
    return np.where(valid[:, None], rows, 0).astype(np.float32), valid


def as_samples(values: Any, spec: ModalitySpec) -> tuple[Floats, Bools]:
    """`usable` of `as_rows`."""
    return usable(as_rows(values, spec))


def extremes(times_s: Times) -> tuple[float, float]:
    """First and last of (T,) times in any order; not finite if one of them is not."""
    if len(times_s) > FEW_TIMES:
        return float(times_s.min()), float(times_s.max())
    known = times_s.tolist()
    total = sum(known)
    return (min(known), max(known)) if total - total == 0 else (total, total)


def increasing(times_s: Times) -> bool:
    """Whether each of (T,) times is later than the one before it."""
    if len(times_s) > FEW_TIMES:
        return every(times_s[1:] > times_s[:-1])
    known = times_s.tolist()
    return all(map(operator.lt, known, known[1:]))


def as_times(times_s: Any, samples: int, name: str, in_order: bool = True) -> Times:
    """Timestamps to (T,) float64; raises DataError unless there is one per sample, finite and, if `in_order`, so."""
    try:
        times = np.asarray(times_s, np.float64).reshape(-1)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{name}: the times are not numbers; expected seconds, one per sample") from None
    if len(times) != samples:
        raise DataError(f"{name}: {len(times)} times for {samples} samples; expected one time per sample")
    if not all(map(math.isfinite, extremes(times))):
        raise DataError(f"{name}: times are not finite; expected seconds")
    if in_order and (np.diff(times) < 0).any():
        raise DataError(f"{name}: times go back; expected seconds in order; sort the samples")
    return times
