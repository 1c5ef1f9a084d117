"""Area under the precision-recall curve of scores against a truth."""

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError
from edgehar.signals.clip import Bools


def average_precision(scores: NDArray[np.floating], truth: Bools) -> float:
    """Average precision: the sum of precision times the gain in recall over all thresholds, without interpolation.

    Equal scores share a threshold, so constant scores give the share of the truth.

    Args:
        scores: (N,) higher where the truth is claimed.
        truth: (N,) bool, at least one of them True.

    Raises:
        DataError: the shapes differ, a score is not finite, or nothing is true.
    """
    if scores.shape != truth.shape or scores.ndim != 1:
        raise DataError(f"scores {scores.shape} and truth {truth.shape}; expected one score for each")
    if not np.isfinite(scores).all() or not truth.any():
        raise DataError("scores that are not finite, or a truth without any True; expected both; check the input")
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)  # of equal scores, the last one
    found = np.cumsum(truth[order])[last]
    precision = found / (np.flatnonzero(last) + 1)
    return float((np.diff(found, prepend=0) / truth.sum() * precision).sum())
