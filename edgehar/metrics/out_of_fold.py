"""What networks answer on windows of subjects that they were not trained on: the file of cross-validation."""

import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError
from edgehar.files.atomic import atomic_file
from edgehar.metrics.calibration import check_logits
from edgehar.metrics.logits_file import StoredLogits
from edgehar.signals.clip import Floats, natural_key

FEWEST_WINDOWS = 2
ARRAYS = {"logits": "f", "label": "iu", "subject": "U", "clip": "U", "labels": "U", "modalities": "U"}
"""Name -> numpy's letters of the kinds of number or text it may hold."""


@dataclass(frozen=True)
class OutOfFold:
    """Answers of networks on windows of subjects that each was not trained on.

    Attributes:
        logits: (N, K).
        label: (N,) true classes.
        subject: (N,) whose window.
        labels: names of the K classes.
        modalities: names of the sensors.
    """

    logits: Floats
    label: NDArray[np.int64]
    subject: NDArray[np.str_]
    labels: tuple[str, ...]
    modalities: tuple[str, ...]

    @property
    def subjects(self) -> tuple[str, ...]:
        """Every subject once, in natural order."""
        return tuple(sorted({str(one) for one in self.subject}, key=natural_key))

    def check(
        self, labels: Sequence[str], sensors: Sequence[str], train: Sequence[str], test: Sequence[str], of: str
    ) -> None:
        """Raise DataError unless the answers are about these labels and sensors and some of these training subjects.

        Args:
            labels: in order.
            sensors: in order.
            train: subjects that train.
            test: subjects that are kept apart.
            of: whose all that is.
        """
        if self.labels != tuple(labels):
            raise DataError(
                f"out-of-fold labels {', '.join(self.labels)}; {of} has {', '.join(labels)}; expected "
                f"the same in the same order; cross-validate on the data of {of}"
            )
        if self.modalities != tuple(sensors):
            raise DataError(
                f"out-of-fold modalities {', '.join(self.modalities)}; {of} has {', '.join(sensors)}; expected "
                "the same in the same order; cross-validate with these sensors"
            )
        shared = [subject for subject in self.subjects if subject in test]
        if shared:
            raise DataError(
                f"out-of-fold subject {', '.join(shared)} is a test subject of {of}; expected training subjects "
                "only; cross-validate within the training subjects of its split"
            )
        strangers = [subject for subject in self.subjects if subject not in train]
        if strangers:
            raise DataError(
                f"out-of-fold subject {', '.join(strangers)} is no training subject of {of}; expected some of "
                f"{', '.join(train)}; cross-validate within the training subjects of its split"
            )


def read_out_of_fold(path: Path) -> OutOfFold:
    """Read a file of out-of-fold answers; raises DataError naming the first thing that is wrong."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            arrays: dict[str, NDArray[Any]] = {name: archive[name] for name in archive.files if name in ARRAYS}
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected one that 'edgehar crossvalidate' wrote") from None
    except (ValueError, TypeError, AttributeError, EOFError, OSError, zipfile.BadZipFile, zlib.error):
        raise DataError(f"{path}: not readable arrays; expected what 'edgehar crossvalidate' wrote") from None
    wrong = [f"no {name}" for name in sorted(set(ARRAYS) - set(arrays))]
    wrong += [f"{array.dtype} in {name}" for name, array in arrays.items() if array.dtype.kind not in ARRAYS[name]]
    if wrong:
        raise DataError(
            f"{path}: found {', '.join(wrong)}; expected numbers in logits and label, text in the others; run 'edgehar "
            "crossvalidate' again"
        )
    windows = arrays["logits"].shape[:1]
    shapes: dict[str, tuple[int, ...]] = {name: array.shape for name, array in arrays.items()}
    expected = {name: windows for name in ("label", "subject", "clip")}
    expected |= {"labels": arrays["logits"].shape[1:], "modalities": (arrays["modalities"].size,)}
    fitting = arrays["logits"].ndim == 2 and all(shapes[name] == shape for name, shape in expected.items())
    if not fitting or windows[0] < FEWEST_WINDOWS:
        raise DataError(
            f"{path}: shapes {shapes}; expected {FEWEST_WINDOWS} or more rows of logits (N, K), as many in label, "
            "subject and clip, and K labels; run 'edgehar crossvalidate' again"
        )
    with np.errstate(over="ignore"):
        logits = arrays["logits"].astype(np.float32, copy=False)
    try:
        check_logits(logits, arrays["label"])
    except DataError as problem:
        raise DataError(f"{path}: {problem}") from None
    return OutOfFold(
        logits,
        arrays["label"].astype(np.int64),
        arrays["subject"],
        tuple(map(str, arrays["labels"])),
        tuple(map(str, arrays["modalities"])),
    )


def write_out_of_fold(path: Path, answers: Sequence[StoredLogits]) -> None:
    """Keep the logits with all sensors fed, of every fold, as `read_out_of_fold` reads them."""
    with atomic_file(path) as temporary, temporary.open("wb") as handle:
        np.savez_compressed(
            handle,
            logits=np.concatenate([one.logits[0] for one in answers]),
            label=np.concatenate([one.label for one in answers]),
            subject=np.concatenate([one.subject for one in answers]),
            clip=np.concatenate([one.clip for one in answers]),
            labels=np.asarray(answers[0].labels),
            modalities=np.asarray(answers[0].modalities),
        )
