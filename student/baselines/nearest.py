"""One-nearest-neighbour classifier on prepared windows."""

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError
from edgehar.signals.windows import Windows

BATCH = 512
"""Test windows that are compared at once."""


def squared_distances(test: Windows, train: Windows) -> NDArray[np.float64]:
    """Mean squared difference (N test, N train) of all features in the steps that are valid in both windows.

    Infinite for two windows without a common valid step.
    """
    total = np.zeros((len(test), len(train)))
    count = np.zeros_like(total)
    for name, features in test.features.items():
        one, other = features.astype(np.float64), train.features[name].astype(np.float64)  # (N, S, P, G, F)
        one_valid, other_valid = test.valid[name].astype(np.float64), train.valid[name].astype(np.float64)  # (N, S)
        one_square, other_square = (one**2).sum(axis=(2, 3, 4)), (other**2).sum(axis=(2, 3, 4))  # (N, S)
        # Features of invalid steps are 0, so the product needs no mask.
        product = one.reshape(len(one), -1) @ other.reshape(len(other), -1).T
        total += one_square @ other_valid.T + one_valid @ other_square.T - 2 * product
        count += (one_valid @ other_valid.T) * np.prod(features.shape[2:])
    return np.where(count > 0, total / np.maximum(count, 1), np.inf)


def nearest_neighbour(train: Windows, test: Windows) -> NDArray[np.int64]:
    """Labels (N,) of the training windows nearest to each test window.

    Raises DataError if there is no training window, or a test window has no valid step in common with any of them.
    """
    if not len(train):
        raise DataError("nearest: found 0 training windows, expected at least one; choose another split")
    labels = np.empty(len(test), np.int64)
    for row in range(0, len(test), BATCH):
        part = test.take(np.arange(row, min(row + BATCH, len(test))))
        distances = squared_distances(part, train)
        unmatched = np.flatnonzero(~np.isfinite(distances).any(axis=1))
        if len(unmatched):
            raise DataError(
                f"clip {part.clip[unmatched[0]]}: found no valid step in common with any training window; expected a "
                "sensor that both recorded; remove the clip"
            )
        labels[row : row + BATCH] = train.label[distances.argmin(axis=1)]
    return labels
