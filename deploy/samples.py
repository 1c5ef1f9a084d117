"""Converts a caller's arrays to samples and a validity mask; unusable values are marked as lost."""

import math
import operator
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError
from edgehar.signals.clip import Bools, DatasetInfo, Floats, Times, all_true, true_mask
from edgehar.signals.modality import ModalitySpec
from edgehar.signals.parts import Part, spread_parts
from edgehar.signals.preprocess import check_shape

MAX_VALUE = 1e9
"""Larger magnitudes count as lost: no sensor measures them, and they would overflow float32."""

MAX_REASON = 120
"""Characters of numpy's error text shown in a message."""
BLOCK_ROWS = 65_536
"""Samples that are converted at a time."""
SMALL_ARRAY = 64
"""Number of elements up to which plain Python is faster than numpy."""

Rows = NDArray[np.float32 | np.float64]
"""(T, C) samples before validation; float32 if all are usable."""
TimeBounds = tuple[float, float, bool]
"""Smallest and largest of some times, and whether they are strictly increasing."""
ReadParts = Callable[[], Iterator[tuple[Any, Any]]]
"""Reads a sensor's recording part by part, from the start on each call; see `sample_parts`."""


def as_rows(values: Any, spec: ModalitySpec) -> NDArray[np.float64]:
    """A copy of array-like samples as (T, C) float64, with NaN for masked elements and None.

    Raises DataError for text, dates, booleans and other values that are not numbers, ragged rows, a wrong number of
    channels, or no sample.
    """
    try:
        array = _as_numbers(values)
    except (TypeError, ValueError, OverflowError) as problem:
        raise DataError(
            f"{spec.name}: samples are not an array of numbers ({_shown(problem)}); expected (samples, "
            f"{spec.channels}) numbers, null or NaN if lost"
        ) from None
    return check_shape(array, spec, "samples")


def check_mapping(values: Any, what: str) -> Mapping[str, Any]:
    """A caller's dict of modality -> value; raises DataError for another type."""
    if not isinstance(values, Mapping):
        raise DataError(f'{what}: {type(values).__name__}; expected a dict, such as {{"wrist": array}}')
    return cast("Mapping[str, Any]", values)


def _shown(problem: Exception) -> str:
    return str(problem)[:MAX_REASON]


def _as_numbers(given: Any) -> NDArray[np.float64]:
    """A copy as float64, with NaN for None and masked elements.

    Raises TypeError for values that numpy would convert although they are not numbers, and numpy's own errors.
    """
    if type(given) is np.ndarray and given.dtype.kind in "fiu":  # the common case
        return given.astype(np.float64)
    values, parts = given, cast("list[Any]", given if isinstance(given, list | tuple) else [given])
    masked: Any = sys.modules.get("numpy.ma")  # numpy imports it on use: if it is not loaded, nothing is masked
    kind = getattr(masked, "MaskedArray", None)  # absent, too, while another thread is importing the module
    if kind is not None and any(isinstance(part, kind) for part in parts):
        values = masked.filled(masked.array(given, np.float64), np.nan)
    array: NDArray[Any] = np.array(values)
    if array.dtype.kind == "O":
        wrong = [value for value in array.reshape(-1).tolist() if not (value is None or _is_number(value))]
        if wrong:
            raise TypeError(f"one is a {type(wrong[0]).__name__}")
    elif array.dtype.kind not in "fiu":
        raise TypeError(f"they are of type {array.dtype}")
    return array.astype(np.float64, copy=False)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)


def are_usable(rows: Rows) -> bool:
    """Whether all values of (T, C) are numbers of a usable magnitude."""
    # NaN is the largest and the smallest one, and compares False. For few values, faster than their maximum.
    values = rows.ravel()
    return bool(values.item(values.argmax()) <= MAX_VALUE and values.item(values.argmin()) >= -MAX_VALUE)


def are_usable_numbers(rows: Rows) -> bool:
    """`are_usable`, slower alone, but without letting other threads run.

    Beside a thread that is busy, such as one that reads lines, that costs more than the answer.
    """
    return all_true(np.abs(rows) <= MAX_VALUE)


def mask_unusable(rows: Rows, spec: ModalitySpec) -> tuple[Floats, Bools]:
    """Split rows into (T, C) float32 values and (T,) True where a sample is usable.

    A sample of a skeleton is usable if one of its joints is: a joint with an unusable channel is lost, NaN. Of other
    sensors every channel has to be usable. The values of a sample that is not usable are 0.
    """
    if are_usable(rows):
        return rows.astype(np.float32), true_mask(len(rows))
    usable: Bools = np.abs(rows) <= MAX_VALUE
    if not spec.is_skeleton:
        valid: Bools = np.logical_and.reduce(usable, axis=1)
        return np.where(valid[:, None], rows, 0).astype(np.float32), valid
    joints = usable.reshape(len(rows), spec.groups, spec.group).all(axis=2)  # (T, G)
    valid = np.logical_or.reduce(joints, axis=1)
    known = np.repeat(joints, spec.group, axis=1)
    return np.where(known, rows, np.where(valid[:, None], np.nan, 0)).astype(np.float32), valid


def as_samples(values: Any, spec: ModalitySpec) -> tuple[Floats, Bools]:
    """Array-like samples as (T, C) float32 and (T,) True where they are usable; raises DataError as `as_rows`.

    An array is read block by block, so that hours need little memory beside it; float32 without an unusable value is
    returned as it is, be it a memory-mapped file.
    """
    array = cast("NDArray[Any]", values)
    if type(values) not in (np.ndarray, np.memmap) or array.dtype.kind not in "fiu":
        return mask_unusable(as_rows(values, spec), spec)
    array = check_shape(array, spec, "samples")
    blocks = [slice(first, first + BLOCK_ROWS) for first in range(0, len(array), BLOCK_ROWS)]
    if array.dtype == np.float32 and all(np.abs(array[block]).max() <= MAX_VALUE for block in blocks):
        return array, true_mask(len(array))
    samples: Floats = np.empty(array.shape, np.float32)
    valid: Bools = np.empty(len(array), bool)
    for block in blocks:
        samples[block], valid[block] = mask_unusable(array[block].astype(np.float64), spec)
    return samples, valid


def sample_parts(read: ReadParts, spec: ModalitySpec) -> Iterator[Part]:
    """A sensor's recording as `as_samples` and `as_times` give it, with spread times, part by part.

    Args:
        read: reads the parts from the first one on: array-like samples, and their times or None for the nominal ones.
        spec: the sensor.
    """

    def timed() -> Iterator[Part]:
        count, before_s = 0, -math.inf
        for values, given_s in read():
            samples, valid = as_samples(values, spec)
            if given_s is None:
                yield Part(samples, valid, np.arange(count, count + len(samples)) / spec.rate_hz)
                count += len(samples)
                continue
            times_s = as_times(given_s, len(samples), spec.name)
            if times_s[0] < before_s:
                raise DataError(f"{spec.name}: times decrease; expected seconds in order; sort the samples")
            before_s = float(times_s[-1])
            yield Part(samples, valid, times_s)

    return spread_parts(timed(), spec.rate_hz)


def array_parts(values: NDArray[Any], times_s: NDArray[Any] | None) -> ReadParts:
    """The blocks of arrays."""

    def read() -> Iterator[tuple[Any, Any]]:
        for first in range(0, len(values), BLOCK_ROWS):
            block = slice(first, first + BLOCK_ROWS)
            yield values[block], None if times_s is None else times_s[block]

    return read


def as_parts(
    signals: Mapping[str, Any], times_s: Mapping[str, Any] | None, info: DatasetInfo
) -> dict[str, ReadParts] | None:
    """The blocks of a caller's arrays, one of which is longer than a block; None for anything else.

    Raises DataError for a wrong shape.
    """
    times_s = times_s or {}
    arrays = [*signals.values(), *times_s.values()]
    if not all(type(a) in (np.ndarray, np.memmap) and a.ndim and a.dtype.kind in "fiu" for a in arrays):
        return None
    if not any(len(values) > BLOCK_ROWS for values in signals.values()):
        return None
    if any(times_s[name].shape != signals[name].shape[:1] for name in times_s):
        return None
    return {
        name: array_parts(check_shape(values, info.modality(name), "samples"), times_s.get(name))
        for name, values in signals.items()
    }


def time_bounds(times_s: Sequence[float]) -> TimeBounds:
    """Bounds of finite times."""
    if all(map(operator.lt, times_s, times_s[1:])):
        return times_s[0], times_s[-1], True
    return min(times_s), max(times_s), False


def are_finite(numbers: Floats | Times) -> bool:
    """Whether all numbers of an array are finite."""
    if numbers.size > SMALL_ARRAY:
        return all_true(np.isfinite(numbers))
    total = sum(numbers.reshape(-1).tolist())
    return total - total == 0 or all_true(np.isfinite(numbers))  # a sum of finite numbers may overflow


def is_increasing(times_s: Times) -> bool:
    """Whether (T,) times are strictly increasing."""
    if len(times_s) > SMALL_ARRAY:
        return all_true(times_s[1:] > times_s[:-1])
    values = times_s.tolist()
    return all(map(operator.lt, values, values[1:]))


def are_rows(values: Any, spec: ModalitySpec) -> bool:
    """Whether samples are an array of floating-point numbers (T, C) that needs no conversion, T above 0."""
    if type(values) is not np.ndarray:
        return False
    array: NDArray[Any] = values
    return array.dtype.char in "fd" and array.shape[1:] == (spec.channels,) and len(array) > 0


def are_seconds(times_s: Any, samples: int) -> bool:
    """Whether timestamps are an array that needs no conversion, one per sample."""
    return type(times_s) is np.ndarray and times_s.dtype.char == "d" and times_s.shape == (samples,)


def as_seconds(times_s: Any, samples: int, name: str) -> list[float]:
    """Timestamps in any order as a list; raises DataError unless finite and one per sample."""
    if are_seconds(times_s, samples):  # the common case
        seconds: list[float] = times_s.tolist()
        total = sum(seconds)
        if total - total == 0:
            return seconds
    return as_times(times_s, samples, name, in_order=False).tolist()


def as_times(times_s: Any, samples: int, name: str, in_order: bool = True) -> Times:
    """Timestamps as (T,) float64; raises DataError unless finite, one per sample and, if `in_order`, sorted."""
    try:
        times = _as_numbers(times_s)
    except (TypeError, ValueError, OverflowError) as problem:
        raise DataError(
            f"{name}: times are not numbers ({_shown(problem)}); expected seconds, one per sample"
        ) from None
    if times.ndim > 1 and times.shape[0] != times.size:  # one column is as good as a list
        raise DataError(f"{name}: times of shape {times.shape}; expected one time per sample, ({samples},)")
    times = times.reshape(-1)
    if len(times) != samples:
        raise DataError(f"{name}: {len(times)} times for {samples} samples; expected one time per sample")
    if not are_finite(times):
        raise DataError(f"{name}: times are not finite; expected seconds")
    if in_order and (np.diff(times) < 0).any():
        raise DataError(f"{name}: times decrease; expected seconds in order; sort the samples")
    return times
