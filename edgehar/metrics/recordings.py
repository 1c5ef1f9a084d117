"""Scores of windows and of whole recordings, from the values that a classifier gives to every class."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.metrics.classification import score
from edgehar.signals.windows import Windows

RECORDING_KEYS = ("correct", "total", "accuracy", "wilson95", "macro_f1")
"""Part of `score` that is stored per recording."""


def score_windows(windows: Windows, values: NDArray[Any], labels: tuple[str, ...]) -> dict[str, Any]:
    """Score of the largest value of every window and, as "recordings", of the largest sum of every recording.

    A recording is predicted as a whole if all recordings have one label each and some have several windows: the values
    of its windows are summed. For logits the class with the largest sum is that with the largest product of
    probabilities, whatever their temperature (product rule; Kittler et al. 1998, On Combining Classifiers, 2.1).

    Args:
        windows: N labelled windows.
        values: (N, K) of each class, to be summed: logits, votes or decision values of a linear classifier.
        labels: names of the K classes.

    Returns:
        Values for JSON, see `edgehar.metrics.classification.score`; "recordings" has its RECORDING_KEYS, and is absent
        if recordings have several labels or one window each.

    Raises DataError as `score`.
    """
    found = score(windows.label, values.argmax(axis=1), windows.subject, labels)
    _, first, recording = np.unique(windows.clip, return_index=True, return_inverse=True)
    one_label = bool((windows.label == windows.label[first][recording]).all())
    if not one_label or len(first) == len(windows):
        return found
    sums = np.zeros((len(first), values.shape[1]))
    np.add.at(sums, recording, values)
    whole = score(windows.label[first], sums.argmax(axis=1), windows.subject[first], labels)
    return found | {"recordings": {key: whole[key] for key in RECORDING_KEYS}}
