"""A network's logits on windows of subjects it was not trained on, as a file: who computes is not who scores."""

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
    """Logits of labelled windows, once for every set of sensors that was fed.

    Attributes:
        fed: names of the F sets of sensors, all of them first.
        logits: (F, N, K).
        label: (N,) true classes.
        subject: (N,) whose window.
        clip: (N,) the recording it was cut from.
        start_s: (N,) seconds from the start of that.
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


def feeds(modalities: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """The sets of sensors to feed: all, then each alone if there is more than one."""
    return (modalities, *((name,) for name in modalities)) if len(modalities) > 1 else (modalities,)


def fed_name(fed: tuple[str, ...]) -> str:
    """What a set of sensors is called in results."""
    return "+".join(fed)


def write_logits(path: Path, answers: StoredLogits) -> None:
    """Write the file whole or not at all."""
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in vars(answers).items()}
    with atomic_file(path) as temporary, temporary.open("wb") as handle:
        np.savez_compressed(handle, **arrays)


def read_logits(path: Path) -> StoredLogits:
    """Read such a file; raises DataError if it is missing or damaged."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            found: dict[str, Any] = {name: archive[name] for name in StoredLogits.__dataclass_fields__}
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as problem:
        raise DataError(f"{path}: no readable answers ({problem}); run the same command again") from None
    for name in ("fed", "labels", "modalities"):
        found[name] = tuple(map(str, found[name]))
    return StoredLogits(**found)


def scores(answers: StoredLogits) -> dict[str, dict[str, Any]]:
    """The score of every set of sensors, its calibration error (`ece`) and negative log-likelihood (`nll`)."""
    rated: dict[str, dict[str, Any]] = {}
    for fed, logits in zip(answers.fed, answers.logits, strict=True):
        rated[fed] = score(answers.label, logits.argmax(axis=1), answers.subject, answers.labels) | {
            "ece": expected_calibration_error(softmax(logits), answers.label),
            "nll": negative_log_likelihood(logits, answers.label),
        }
    return rated


def errors(answers: StoredLogits) -> list[dict[str, Any]]:
    """Every wrong answer: what was fed, which recording from when, the truth and the answer."""
    wrong: list[dict[str, Any]] = []
    for fed, logits in zip(answers.fed, answers.logits, strict=True):
        predicted = logits.argmax(axis=1)
        for row in np.flatnonzero(predicted != answers.label):
            wrong.append(
                {
                    "fed": fed,
                    "clip": str(answers.clip[row]),
                    "start_s": round(float(answers.start_s[row]), 3),
                    "true": answers.labels[answers.label[row]],
                    "predicted": answers.labels[predicted[row]],
                }
            )
    return wrong
