"""What a caller hands over becomes samples and a mask: what is not a usable number is lost, never zero."""

from typing import Any

import numpy as np

from edgehar.clip import Bools, Floats, Times
from edgehar.errors import DataError
from edgehar.modality import ModalitySpec
from edgehar.preprocess import check_signal

LARGEST_VALUE = 1e9
"""No sensor gives more in its unit; larger values are lost samples and would overflow the network's float32."""


def as_samples(values: Any, spec: ModalitySpec) -> tuple[Floats, Bools]:
    """Numbers from anywhere to (T, C) float32 and (T,) True where every channel is a usable number.

    Raises DataError for text, ragged rows, a wrong number of channels or no sample.
    """
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise DataError(
            f"{spec.name}: not an array of numbers; expected (samples, {spec.channels}) numbers, null or NaN if lost"
        ) from None
    well_shaped = array.ndim == 2 and len(array) and array.shape[1] == spec.channels
    if well_shaped and np.abs(array).max() <= LARGEST_VALUE:  # as it nearly always is
        return array.astype(np.float32), np.ones(len(array), np.bool_)
    usable = np.abs(array) <= LARGEST_VALUE  # False for NaN
    cleaned = check_signal(np.where(usable, array, np.nan).astype(np.float32), spec, "samples")
    valid: Bools = np.asarray(np.isfinite(cleaned).all(axis=1), np.bool_)  # (T,)
    return np.where(valid[:, None], cleaned, 0).astype(np.float32), valid


def as_times(times_s: Any, samples: int, name: str, in_order: bool = True) -> Times:
    """Timestamps to (T,) float64; raises DataError unless there is one per sample, finite and, if `in_order`, so."""
    try:
        times = np.asarray(times_s, np.float64).reshape(-1)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{name}: the times are not numbers; expected seconds, one per sample") from None
    if len(times) != samples:
        raise DataError(f"{name}: {len(times)} times for {samples} samples; expected one time per sample")
    if not np.isfinite(times).all():
        raise DataError(f"{name}: times are not finite; expected seconds")
    if in_order and (np.diff(times) < 0).any():
        raise DataError(f"{name}: times go back; expected seconds in order; sort the samples")
    return times
