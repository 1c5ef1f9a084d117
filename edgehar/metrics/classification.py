"""Accuracy with its confidence interval, macro F1 and confusion matrix."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError
from edgehar.signals.clip import natural_key

NORMAL_QUANTILE_95 = 1.959963984540054
"""Standard normal quantile of a two-sided 95 % interval."""


def wilson(correct: float, total: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a proportion (Wilson 1927, score interval).

    Args:
        correct: number of correct predictions; may be a mean over seeds.
        total: number of predictions.

    Raises DataError unless 0 <= correct <= total and total > 0.
    """
    if total <= 0 or not 0 <= correct <= total:
        raise DataError(f"{correct} correct of {total}; expected 0 <= correct <= total and total above 0")
    share, z = correct / total, NORMAL_QUANTILE_95
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    low, high = share + z * z / (2 * total) - spread, share + z * z / (2 * total) + spread
    weight = 1 + z * z / total
    # Rounding must not exclude the share itself.
    return max(min(low / weight, share), 0.0), min(max(high / weight, share), 1.0)


def score(
    label: NDArray[np.int64], predicted: NDArray[np.intp], subject: NDArray[np.str_], labels: tuple[str, ...]
) -> dict[str, Any]:
    """Accuracy and counts of correct predictions, in total, by subject and by class.

    Args:
        label: (N,) true class.
        predicted: (N,) predicted class.
        subject: (N,) subject of each window.
        labels: names of the K classes.

    Returns:
        Values for JSON: correct, total, accuracy, wilson95 [low, high], macro_f1 (over the classes that occur as
        label or prediction), confusion (K rows by label, K columns by prediction), per_subject and per_class
        {name: {correct, total}}.

    Raises DataError for no windows, unequal lengths or a class out of range.
    """
    truth, predictions, subjects = np.asarray(label), np.asarray(predicted), np.asarray(subject)
    if not len(truth) or not len(truth) == len(predictions) == len(subjects):
        raise DataError(
            f"{len(truth)} labels, {len(predictions)} predictions, {len(subjects)} subjects; expected equal numbers, "
            "at least one; choose test subjects with labelled windows"
        )
    classes = len(labels)
    if min(truth.min(), predictions.min()) < 0 or max(truth.max(), predictions.max()) >= classes:
        raise DataError(f"a label or prediction outside 0..{classes - 1}; give labelled windows only")
    confusion = np.zeros((classes, classes), np.int64)  # (truth, prediction)
    np.add.at(confusion, (truth, predictions), 1)
    true_positives = np.diagonal(confusion)
    label_counts, prediction_counts = confusion.sum(axis=1), confusion.sum(axis=0)
    occurs = (label_counts + prediction_counts) > 0
    f1 = 2 * true_positives[occurs] / (label_counts + prediction_counts)[occurs]
    hit = truth == predictions
    low, high = wilson(int(hit.sum()), len(hit))
    names = sorted({str(name) for name in subjects}, key=natural_key)
    return {
        "correct": int(hit.sum()),
        "total": len(hit),
        "accuracy": float(hit.mean()),
        "wilson95": [low, high],
        "macro_f1": float(f1.mean()),
        "confusion": confusion.tolist(),
        "per_subject": {
            name: {"correct": int(hit[subjects == name].sum()), "total": int((subjects == name).sum())}
            for name in names
        },
        "per_class": {
            name: {"correct": int(true_positives[index]), "total": int(label_counts[index])}
            for index, name in enumerate(labels)
        },
    }
