"""What a caller hands over becomes samples and a mask: what is not a usable number is lost, never zero."""

import math
import operator
import sys
from collections.abc import Mapping
from numbers import Real
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError
from edgehar.signals.clip import Bools, Floats, Times, every, trues
from edgehar.signals.modality import ModalitySpec
from edgehar.signals.preprocess import check_shape

LARGEST_VALUE = 1e9
"""No sensor gives more in its unit; larger values are lost samples and would overflow the network's float32."""

MOST_SHOWN = 120
"""Characters of numpy's own words that a message repeats."""
FEW_TIMES = 64
"""Up to so many numbers Python is faster than numpy."""

Rows = NDArray[np.float64]
"""(T, C) as they were handed over, usable or not."""


def as_rows(values: Any, spec: ModalitySpec) -> Rows:
    """A copy of numbers from anywhere as (T, C) float64.

    What an array masks is lost: NaN. Raises DataError for text, dates, truth values and whatever else is no number,
    ragged rows, a wrong number of channels or no sample.
    """
    try:
        array = _as_numbers(values)
    except (TypeError, ValueError, OverflowError) as problem:
        raise DataError(
            f"{spec.name}: samples are not an array of numbers ({_shown(problem)}); expected (samples, "
            f"{spec.channels}) numbers, null or NaN if lost"
        ) from None
    return check_shape(array, spec, "samples")


def by_modality(values: Any, what: str) -> Mapping[str, Any]:
    """What a caller gives for each sensor; raises DataError unless it is a dict."""
    if not isinstance(values, Mapping):
        raise DataError(f'{what}: {type(values).__name__}; expected a dict, such as {{"wrist": array}}')
    return cast("Mapping[str, Any]", values)


def _shown(problem: Exception) -> str:
    return str(problem)[:MOST_SHOWN]


def _as_numbers(given: Any) -> Rows:
    """A copy as float64, None and what is masked as NaN.

    Raises TypeError for what numpy would take for a number and is none, else what numpy raises.
    """
    if type(given) is np.ndarray and given.dtype.kind in "fiu":  # what it nearly always is: nothing else to look for
        return given.astype(np.float64)
    values, parts = given, cast("list[Any]", given if isinstance(given, list | tuple) else [given])
    masked: Any = sys.modules.get("numpy.ma")  # numpy imports it where it is used: without it nothing is masked
    if masked is not None and any(isinstance(part, masked.MaskedArray) for part in parts):
        values = masked.filled(masked.array(given, np.float64), np.nan)
    array: NDArray[Any] = np.array(values)
    if array.dtype.kind == "O":
        odd = [one for one in array.reshape(-1).tolist() if not (one is None or _is_number(one))]
        if odd:
            raise TypeError(f"one is a {type(odd[0]).__name__}")
    elif array.dtype.kind not in "fiu":
        raise TypeError(f"they are of type {array.dtype}")
    return array.astype(np.float64, copy=False)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)


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
        times = _as_numbers(times_s).reshape(-1)
    except (TypeError, ValueError, OverflowError) as problem:
        raise DataError(
            f"{name}: the times are not numbers ({_shown(problem)}); expected seconds, one per sample"
        ) from None
    if len(times) != samples:
        raise DataError(f"{name}: {len(times)} times for {samples} samples; expected one time per sample")
    if not all(map(math.isfinite, extremes(times))):
        raise DataError(f"{name}: times are not finite; expected seconds")
    if in_order and (np.diff(times) < 0).any():
        raise DataError(f"{name}: times go back; expected seconds in order; sort the samples")
    return times
