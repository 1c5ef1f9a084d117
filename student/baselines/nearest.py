"""The yardstick: one nearest neighbour on prepared windows, no learning at all.

python -m edgehar.student.baselines.nearest --data simulated
"""

import json
import sys

import numpy as np
from numpy.typing import NDArray

from edgehar.command_line import parse
from edgehar.data.registry import DataOptions
from edgehar.entry import guarded
from edgehar.errors import DataError
from edgehar.signals.windows import Windows, cut, fit_normalisation


def squared_distances(test: Windows, train: Windows) -> NDArray[np.float64]:
    """Mean squared difference (N test, N train) of all features in steps that are valid on both sides.

    Two windows that share no valid step are infinitely far apart.
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
    """The label (N,) of each test window's nearest training window.

    Raises DataError if there is no training window or a test window shares no valid step with any of them.
    """
    if not len(train):
        raise DataError("nearest neighbour: 0 training windows; expected at least one; choose another split")
    distances = squared_distances(test, train)
    lost = np.flatnonzero(~np.isfinite(distances).any(axis=1))
    if len(lost):
        raise DataError(
            f"clip {test.clip[lost[0]]}: no valid step in common with any training window; "
            "expected a sensor recorded on both sides; leave the clip out"
        )
    return train.label[distances.argmin(axis=1)]


def main(argv: list[str] | None = None) -> int:
    """Print the accuracy on unseen subjects as one JSON document."""
    options = parse(
        DataOptions, argv, "edgehar.student.baselines.nearest", "Accuracy of one nearest neighbour on unseen subjects."
    )
    dataset = options.load()
    split = options.make_split(dataset)
    windows = cut(dataset.clips, dataset.info, fit_normalisation(dataset, split.train)).labelled()
    train, test = windows.of_subjects(split.train), windows.of_subjects(split.test)
    correct = int((nearest_neighbour(train, test) == test.label).sum())
    result = {
        "method": "nearest neighbour",
        "data": dataset.info.name,
        "split": split.name,
        "modalities": [spec.name for spec in dataset.info.modalities],
        "correct": correct,
        "total": len(test),
        "accuracy": correct / len(test),
    }
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
