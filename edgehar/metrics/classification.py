"""Accuracy with its confidence interval, macro F1 and confusion matrix."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError
from edgehar.signals.clip import natural_key

NORMAL_QUANTILE_95 = 1.959963984540054
"""Standard normal quantile of a two-sided 95 % interval."""
MAX_MATRIX_LABELS = 100
"""Largest number of labels of a confusion matrix in a file; with more, a table of labels x labels is mostly zeros."""


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


def _confusion(truth: NDArray[np.int64], predicted: NDArray[np.intp], labels: tuple[str, ...]) -> dict[str, Any]:
    """The matrix as "confusion", or the confused pairs as "confused" where the matrix would be large."""
    classes = len(labels)
    cells, counts = np.unique(truth * classes + predicted, return_counts=True)
    if classes <= MAX_MATRIX_LABELS:
        matrix = np.zeros(classes * classes, np.int64)
        matrix[cells] = counts
        return {"confusion": matrix.reshape(classes, classes).tolist()}
    pairs = [(*divmod(cell, classes), count) for cell, count in zip(cells.tolist(), counts.tolist(), strict=True)]
    return {"confused": named_pairs((pair for pair in pairs if pair[0] != pair[1]), labels)}


def named_pairs(pairs: Iterable[tuple[int, int, int]], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Pairs (true class, predicted class, number of windows) for JSON."""
    return [{"true": labels[true], "predicted": labels[predicted], "count": count} for true, predicted, count in pairs]


def without_tables(score: dict[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """A score for a manifest: with many labels without the tables by label, which are in the checkpoint."""
    tables = ("confused", "per_class") if len(labels) > MAX_MATRIX_LABELS else ()
    return {key: value for key, value in score.items() if key not in tables}


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
        {name: {correct, total}}. With more than MAX_MATRIX_LABELS classes, confused {true, predicted, count} lists the
        confused pairs in place of confusion.

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
    hit = truth == predictions
    true_positives, label_counts, prediction_counts = (
        np.bincount(of, minlength=classes) for of in (truth[hit], truth, predictions)
    )
    occurs = (label_counts + prediction_counts) > 0
    f1 = 2 * true_positives[occurs] / (label_counts + prediction_counts)[occurs]
    low, high = wilson(int(hit.sum()), len(hit))
    names = sorted({str(name) for name in subjects}, key=natural_key)
    return {
        "correct": int(hit.sum()),
        "total": len(hit),
        "accuracy": float(hit.mean()),
        "wilson95": [low, high],
        "macro_f1": float(f1.mean()),
        **_confusion(truth, predictions, labels),
        "per_subject": {
            name: {"correct": int(hit[subjects == name].sum()), "total": int((subjects == name).sum())}
            for name in names
        },
        "per_class": {
            name: {"correct": int(true_positives[index]), "total": int(label_counts[index])}
            for index, name in enumerate(labels)
        },
    }
