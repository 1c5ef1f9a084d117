"""File of a network's logits on labelled windows, and their scores."""

import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError
from edgehar.files.atomic import atomic_file
from edgehar.metrics.calibration import expected_calibration_error, negative_log_likelihood, softmax
from edgehar.metrics.classification import score
from edgehar.signals.clip import Floats


@dataclass(frozen=True)
class StoredLogits:
    """Logits of labelled windows for several sets of input sensors.

    Attributes:
        fed: names of the F sets of input sensors, that of all sensors first.
        logits: (F, N, K).
        label: (N,) true classes.
        subject: (N,) subject of each window.
        clip: (N,) recording of each window.
        start_s: (N,) start of each window in seconds from the start of the recording.
        labels: names of the K classes.
        modalities: names of the sensors.
    """

    fed: tuple[str, ...]
    logits: Floats
    label: NDArray[np.int64]
    subject: NDArray[np.str_]
    clip: NDArray[np.str_]
    start_s: NDArray[np.float64]
    labels: tuple[str, ...]
    modalities: tuple[str, ...]


def sensor_sets(modalities: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """The sets of sensors to score: all, then each alone if there are several."""
    return (modalities, *((name,) for name in modalities)) if len(modalities) > 1 else (modalities,)


def sensor_set_name(fed: tuple[str, ...]) -> str:
    """Name of a set of sensors in results."""
    return "+".join(fed)


def write_logits(path: Path, stored: StoredLogits) -> None:
    """Write a logits file atomically."""
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in vars(stored).items()}
    with atomic_file(path) as temporary, temporary.open("wb") as handle:
        np.savez_compressed(handle, **arrays)


def read_logits(path: Path) -> StoredLogits:
    """Read a logits file; raises DataError if it is missing or damaged."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            found: dict[str, Any] = {name: archive[name] for name in StoredLogits.__dataclass_fields__}
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as problem:
        raise DataError(f"{path}: not a readable logits file ({problem}); run the same command again") from None
    for name in ("fed", "labels", "modalities"):
        found[name] = tuple(map(str, found[name]))
    return StoredLogits(**found)


def scores(stored: StoredLogits) -> dict[str, dict[str, Any]]:
    """Score, calibration error (`ece`) and negative log-likelihood (`nll`) for each set of sensors."""
    by_set: dict[str, dict[str, Any]] = {}
    for name, logits in zip(stored.fed, stored.logits, strict=True):
        by_set[name] = score(stored.label, logits.argmax(axis=1), stored.subject, stored.labels) | {
            "ece": expected_calibration_error(softmax(logits), stored.label),
            "nll": negative_log_likelihood(logits, stored.label),
        }
    return by_set


def misclassifications(stored: StoredLogits) -> list[dict[str, Any]]:
    """Each wrong prediction: sensors fed, recording, start of the window, true and predicted label."""
    found: list[dict[str, Any]] = []
    for name, logits in zip(stored.fed, stored.logits, strict=True):
        predicted = logits.argmax(axis=1)
        for row in np.flatnonzero(predicted != stored.label):
            found.append(
                {
                    "fed": name,
                    "clip": str(stored.clip[row]),
                    "start_s": round(float(stored.start_s[row]), 3),
                    "true": stored.labels[stored.label[row]],
                    "predicted": stored.labels[predicted[row]],
                }
            )
    return found
