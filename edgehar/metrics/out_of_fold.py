"""Out-of-fold logits: the file that cross-validation and baselines write, for calibration and distillation.

A file of `edgehar logits` is read, too: those of a network on the people it was not trained on, with all sensors fed.
"""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError, shortened
from edgehar.files.atomic import atomic_file
from edgehar.metrics.calibration import check_logits
from edgehar.metrics.logits_file import StoredLogits
from edgehar.signals.clip import Clip, Floats, arrays_of, natural_key

MIN_WINDOWS = 2
ARRAYS = {"logits": "f", "label": "iu", "subject": "U", "clip": "U", "labels": "U", "modalities": "U"}
"""Name of an array -> allowed dtype kinds."""
LATER_ARRAYS = {"start_s": "f", "recordings": "U"}
"""The same of arrays that older files lack."""


@dataclass(frozen=True)
class OutOfFold:
    """Logits of windows, each by a network that was not trained on the window's subject.

    Attributes:
        logits: (N, K).
        label: (N,) true classes.
        subject: (N,) subject of each window.
        clip: (N,) name of the recording of each window.
        labels: names of the K classes.
        modalities: names of the sensors.
        start_s: (N,) start of each window in seconds from the start of its recording; None in older files.
        recordings: `recordings_digest` of all recordings predicted; empty in older files.
    """

    logits: Floats
    label: NDArray[np.int64]
    subject: NDArray[np.str_]
    clip: NDArray[np.str_]
    labels: tuple[str, ...]
    modalities: tuple[str, ...]
    start_s: NDArray[np.float64] | None = None
    recordings: str = ""

    @property
    def subjects(self) -> tuple[str, ...]:
        """The subjects, in natural order."""
        return tuple(sorted({str(one) for one in self.subject}, key=natural_key))

    def check(
        self,
        labels: Sequence[str],
        sensors: Sequence[str],
        train: Sequence[str],
        test: Sequence[str],
        of: str,
        train_recordings: Sequence[str] = (),
    ) -> None:
        """Raise DataError unless labels and sensors match and the windows are of the training side of the split.

        Args:
            labels: expected labels, in order.
            sensors: expected sensors, in order.
            train: training subjects.
            test: test subjects.
            of: name of what expects them, for the message.
            train_recordings: training recordings of a split by trial, whose subjects may be on both sides.
        """
        if self.labels != tuple(labels):
            raise DataError(
                f"out-of-fold labels {shortened(self.labels)}; {of} has {shortened(labels)}; expected "
                f"the same in the same order; cross-validate on the data of {of}"
            )
        if self.modalities != tuple(sensors):
            raise DataError(
                f"out-of-fold modalities {', '.join(self.modalities)}; {of} has {', '.join(sensors)}; expected "
                "the same in the same order; cross-validate with these sensors"
            )
        if train_recordings:
            found = {str(one) for one in self.clip}
            untrained = sorted(found.difference(train_recordings), key=natural_key)
            if untrained:
                raise DataError(
                    f"out-of-fold recording {untrained[0]} (of {len(untrained)}) is no training recording of {of}; "
                    "expected training recordings only; cross-validate with its split as --outer"
                )
            return
        shared = [subject for subject in self.subjects if subject in test]
        if shared:
            raise DataError(
                f"out-of-fold subject {', '.join(shared)} is a test subject of {of}; expected training subjects "
                "only; cross-validate within the training subjects of its split"
            )
        others = [subject for subject in self.subjects if subject not in train]
        if others:
            raise DataError(
                f"out-of-fold subject {', '.join(others)} is not a training subject of {of}; expected some of "
                f"{', '.join(train)}; cross-validate within the training subjects of its split"
            )


def recordings_digest(clips: Iterable[Clip]) -> str:
    """Digest of the names, people, labels and samples of recordings, in whatever order and wherever they are stored."""
    digest = hashlib.sha256()
    for clip in sorted(clips, key=lambda one: one.name):
        digest.update(repr((clip.name, clip.subject, clip.label, clip.segments)).encode())
        for name, array in arrays_of(clip):
            digest.update(f"{name}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def read_out_of_fold(path: Path) -> OutOfFold:
    """Read a file of out-of-fold logits; raises DataError for a missing, damaged or inconsistent file."""
    kinds = ARRAYS | LATER_ARRAYS
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            arrays: dict[str, NDArray[Any]] = {name: archive[name] for name in archive.files if name in kinds}
            if "fed" in archive.files:  # of `edgehar logits`: (F, N, K), all sensors first
                arrays["logits"] = arrays["logits"][0]
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected a file of edgehar crossvalidate or baseline") from None
    except (ValueError, TypeError, AttributeError, LookupError, EOFError, OSError, zipfile.BadZipFile, zlib.error):
        raise DataError(f"{path}: not readable; expected a file of edgehar crossvalidate, baseline or logits") from None
    problems = [f"no {name}" for name in sorted(set(ARRAYS) - set(arrays))]
    problems += [f"{array.dtype} in {name}" for name, array in arrays.items() if array.dtype.kind not in kinds[name]]
    if problems:
        raise DataError(
            f"{path}: found {', '.join(problems)}; expected numbers in logits and label, text in the others; run "
            "edgehar crossvalidate again"
        )
    windows = arrays["logits"].shape[:1]
    shapes: dict[str, tuple[int, ...]] = {name: array.shape for name, array in arrays.items()}
    expected = {name: windows for name in ("label", "subject", "clip")}
    expected |= {name: shape for name, shape in (("start_s", windows), ("recordings", ())) if name in arrays}
    expected |= {"labels": arrays["logits"].shape[1:], "modalities": (arrays["modalities"].size,)}
    consistent = arrays["logits"].ndim == 2 and all(shapes[name] == shape for name, shape in expected.items())
    if not consistent or windows[0] < MIN_WINDOWS:
        raise DataError(
            f"{path}: shapes {shapes}; expected logits (N, K) with N of {MIN_WINDOWS} or more, label, subject and clip "
            "(N,), and K labels; run edgehar crossvalidate again"
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
        arrays["clip"],
        tuple(map(str, arrays["labels"])),
        tuple(map(str, arrays["modalities"])),
        arrays["start_s"].astype(np.float64) if "start_s" in arrays else None,
        str(arrays["recordings"]) if "recordings" in arrays else "",
    )


def write_out_of_fold(path: Path, folds: Sequence[StoredLogits], recordings: str) -> None:
    """Write the logits of all folds, with all sensors fed; the inverse is `read_out_of_fold`.

    Args:
        path: file to write.
        folds: logits of each fold.
        recordings: `recordings_digest` of the recordings of all folds.
    """
    with atomic_file(path) as temporary, temporary.open("wb") as handle:
        np.savez_compressed(
            handle,
            logits=np.concatenate([one.logits[0] for one in folds]),
            label=np.concatenate([one.label for one in folds]),
            subject=np.concatenate([one.subject for one in folds]),
            clip=np.concatenate([one.clip for one in folds]),
            labels=np.asarray(folds[0].labels),
            modalities=np.asarray(folds[0].modalities),
            start_s=np.concatenate([one.start_s for one in folds]),
            recordings=np.asarray(recordings),
        )
