"""One score for every stage: what was counted, how sure that is, and where the errors are."""

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
        correct: how many were right; may be a mean over seeds.
        total: out of how many.

    Raises DataError unless 0 <= correct <= total and total > 0.
    """
    if total <= 0 or not 0 <= correct <= total:
        raise DataError(f"{correct} correct out of {total}; expected 0 <= correct <= total with total above 0")
    share, z = correct / total, NORMAL_QUANTILE_95
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    low, high = share + z * z / (2 * total) - spread, share + z * z / (2 * total) + spread
    weight = 1 + z * z / total
    # Rounding must not put the share itself outside.
    return max(min(low / weight, share), 0.0), min(max(high / weight, share), 1.0)


def score(
    label: NDArray[np.int64], predicted: NDArray[np.intp], subject: NDArray[np.str_], labels: tuple[str, ...]
) -> dict[str, Any]:
    """Count right answers, in all and by subject and class.

    Args:
        label: (N,) true class.
        predicted: (N,) predicted class.
        subject: (N,) who was recorded.
        labels: names of the K classes.

    Returns:
        Plain numbers for JSON: correct, total, accuracy, wilson95 [low, high], macro_f1 (over the classes that
        occur as truth or prediction), confusion (K rows of truth by K columns of prediction), per_subject and
        per_class {name: {correct, total}}.

    Raises DataError for no windows, unequal lengths or a class out of range.
    """
    truth, answer, who = np.asarray(label), np.asarray(predicted), np.asarray(subject)
    if not len(truth) or not len(truth) == len(answer) == len(who):
        raise DataError(
            f"{len(truth)} labels, {len(answer)} predictions, {len(who)} subjects; expected the same number, "
            "at least one; choose test subjects that have labelled windows"
        )
    classes = len(labels)
    if min(truth.min(), answer.min()) < 0 or max(truth.max(), answer.max()) >= classes:
        raise DataError(f"a label or prediction is outside 0..{classes - 1}; score labelled windows only")
    confusion = np.zeros((classes, classes), np.int64)  # (truth, prediction)
    np.add.at(confusion, (truth, answer), 1)
    right = np.diagonal(confusion)
    actual, claimed = confusion.sum(axis=1), confusion.sum(axis=0)
    occurs = (actual + claimed) > 0
    f1 = 2 * right[occurs] / (actual + claimed)[occurs]
    hit = truth == answer
    low, high = wilson(int(hit.sum()), len(hit))
    people = sorted({str(name) for name in who}, key=natural_key)
    return {
        "correct": int(hit.sum()),
        "total": len(hit),
        "accuracy": float(hit.mean()),
        "wilson95": [low, high],
        "macro_f1": float(f1.mean()),
        "confusion": confusion.tolist(),
        "per_subject": {
            name: {"correct": int(hit[who == name].sum()), "total": int((who == name).sum())} for name in people
        },
        "per_class": {
            name: {"correct": int(right[index]), "total": int(actual[index])} for index, name in enumerate(labels)
        },
    }
