"""Out-of-fold predictions of a classifier: every training window by a fit without its person."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgehar.data.splits import groups_of, people_of
from edgehar.errors import DataError
from edgehar.metrics.calibration import fit_temperature
from edgehar.metrics.logits_file import StoredLogits, scores, sensor_set_name
from edgehar.metrics.out_of_fold import recordings_digest, write_out_of_fold
from edgehar.signals.clip import Floats
from edgehar.signals.windows import Windows
from edgehar.teacher.training.stage import StageData

MOST_FOLDS = 5

Predict = Callable[[Windows, Windows], Floats]
"""Fits to the first, labelled windows and returns decision values (N, K) of the second."""


def fold_of_windows(windows: Windows) -> NDArray[np.intp]:
    """Fold (N,) of each window: up to five folds of people, or of recordings if there is one person.

    People in one recording are in one fold. Raises DataError for a single recording.
    """
    groups = groups_of(windows.subject.tolist())
    fold_of = {person: number % MOST_FOLDS for number, group in enumerate(groups) for person in group}
    parts: list[str] = [people_of(subject)[0] for subject in windows.subject.tolist()]
    if len(groups) == 1:
        parts = windows.clip.tolist()
        fold_of = {name: number % MOST_FOLDS for number, name in enumerate(dict.fromkeys(parts))}
    if len(fold_of) < 2:
        raise DataError("--out-of-fold: found one training recording; expected two or more; record more")
    return np.asarray([fold_of[name] for name in parts], np.intp)


def out_of_fold_logits(windows: Windows, predict: Predict) -> Floats:
    """Logits (N, K): out-of-fold decision values, divided by the temperature of least cross-entropy on them.

    Args:
        windows: N labelled training windows.
        predict: the classifier.
    """
    fold = fold_of_windows(windows)
    values: dict[int, Floats] = {}
    for row in np.unique(fold).tolist():
        predicted = predict(windows.take(fold != row), windows.take(fold == row))
        values |= dict(zip(np.flatnonzero(fold == row).tolist(), predicted, strict=True))
    stacked = np.stack([values[row] for row in range(len(windows))])
    return (stacked / fit_temperature(stacked, windows.label)).astype(np.float32)


def write_predictions(path: Path, data: StageData, predict: Predict) -> None:
    """Write the out-of-fold logits of all labelled training windows, as `edgehar distill --teacher` reads them."""
    windows, info = data.train.labelled(), data.dataset.info
    names = tuple(spec.name for spec in info.modalities)
    stored = StoredLogits(
        (sensor_set_name(names),),
        out_of_fold_logits(windows, predict)[None],
        windows.label,
        windows.subject,
        windows.clip,
        windows.start_s,
        info.labels,
        names,
    )
    write_out_of_fold(path, [stored], recordings_digest(data.split.train_clips(data.dataset.clips)))
    score = scores(stored)[stored.fed[0]]
    sys.stdout.write(
        f"{path}: {score['correct']}/{score['total']} training windows correct out of fold, cross-entropy "
        f"{score['nll']:.3f}\n"
    )
