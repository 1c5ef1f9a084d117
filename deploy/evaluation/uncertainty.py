"""How far a package's probabilities can be believed, and whether a low score gives away what it never learned."""

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
        logits: (N, K) its answers.
        label: (N,) true classes.

    Returns:
        ece (15 bins), nll (nats), temperature, and where the package stores a threshold coverage (share of the windows
        that reach it) and selective_accuracy (of those; None if there are none).
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
        answered = np.asarray([recognizer.above_threshold(score) for score in probabilities.max(axis=1).tolist()])
        right = logits.argmax(axis=1) == label
        measured["coverage"] = float(answered.mean())
        measured["selective_accuracy"] = float(right[answered].mean()) if answered.any() else None
    return measured


def unknown_detection(
    recognizer: Recognizer, activities: tuple[str, ...], windows: Windows, known: Floats
) -> dict[str, Any]:
    """How well a low score detects windows of activities that the package was never trained on.

    Args:
        recognizer: the package.
        activities: names of these activities.
        windows: theirs.
        known: (N,) scores of the same subjects' windows of the activities that it knows.

    Returns:
        activities, known_windows, unknown_windows, and auroc of 1 - score.

    Raises ConfigError if there is no such activity, DataError if there is no such window.
    """
    if not activities:
        raise ConfigError(
            "--unknown: the package knows every activity of this data; expected some it was never trained on; "
            "train one with --without, or leave --unknown out"
        )
    if not len(windows):
        raise DataError(
            f"--unknown: the test subjects have no window of {', '.join(activities)}; expected at least one; choose "
            "another split, or leave --unknown out"
        )
    scores = recognizer.probabilities(recognizer.predict_prepared(windows)).max(axis=1)
    return {
        "activities": list(activities),
        "known_windows": len(known),
        "unknown_windows": len(scores),
        "auroc": auroc(1 - known, 1 - scores),
    }
