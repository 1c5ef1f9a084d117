"""Calibration error of a package, and detection of unknown activities by a low score."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import ConfigError, DataError
from edgehar.metrics.calibration import auroc, expected_calibration_error, negative_log_likelihood
from edgehar.signals.clip import Floats
from edgehar.signals.windows import Windows


def calibration_scores(recognizer: Recognizer, logits: Floats, label: NDArray[np.int64]) -> dict[str, Any]:
    """Calibration of the probabilities on labelled windows.

    Args:
        recognizer: the package.
        logits: (N, K) of the package.
        label: (N,) true classes.

    Returns:
        ece (15 bins), nll (nats) and temperature; if the package stores a threshold, also coverage (share of windows
        that reach it) and selective_accuracy (accuracy on these; None if there are none).
    """
    calibration = recognizer.manifest.calibration
    temperature = 1.0 if calibration is None else calibration.temperature
    probabilities = recognizer.probabilities(logits)
    measured: dict[str, Any] = {
        "ece": expected_calibration_error(probabilities, label),
        "nll": negative_log_likelihood(logits, label, temperature),
        "temperature": temperature,
    }
    if calibration is not None and calibration.threshold is not None:
        labelled = np.asarray([recognizer.above_threshold(score) for score in probabilities.max(axis=1).tolist()])
        correct = logits.argmax(axis=1) == label
        measured["coverage"] = float(labelled.mean())
        measured["selective_accuracy"] = float(correct[labelled].mean()) if labelled.any() else None
    return measured


def unknown_detection(
    recognizer: Recognizer, activities: tuple[str, ...], windows: Windows, known_scores: Floats
) -> dict[str, Any]:
    """Score how well a low score detects windows of activities that the package was not trained on.

    Args:
        recognizer: the package.
        activities: names of these activities.
        windows: their windows.
        known_scores: (N,) scores of the same subjects' windows of all other activities.

    Returns:
        activities, known_windows, unknown_windows, and the auroc of 1 - score.

    Raises:
        ConfigError: there are no activities.
        DataError: there are no windows.
    """
    if not activities:
        raise ConfigError(
            "--unknown: the package was trained on all activities of this data; expected some it was not trained on; "
            "train with --without, or omit --unknown"
        )
    if not len(windows):
        raise DataError(
            f"--unknown: the test subjects have no windows of {', '.join(activities)}; expected at least one; choose "
            "another split, or omit --unknown"
        )
    scores = recognizer.probabilities(recognizer.predict_prepared(windows)).max(axis=1)
    return {
        "activities": list(activities),
        "known_windows": len(known_scores),
        "unknown_windows": len(scores),
        "auroc": auroc(1 - known_scores, 1 - scores),
    }
