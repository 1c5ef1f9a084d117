"""Fit a package's probabilities to out-of-fold answers on its training subjects.

    edgehar calibrate PACKAGE --out-of-fold runs/cv/out_of_fold.npz
    python deploy/calibrate.py PACKAGE --out-of-fold runs/cv/out_of_fold.npz --coverage 0.95

Stores one temperature in the package; with --coverage also a threshold, which that share of the windows reaches and
below which the answer is "unknown". The last line is one JSON document.
"""

import io
import json
import sys
import zipfile
import zlib
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edgehar.calibration import (
    HIGHEST_TEMPERATURE,
    LOWEST_TEMPERATURE,
    Calibration,
    check_logits,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    softmax,
    threshold_for_coverage,
)  # fmt: skip
from edgehar.cli import guarded
from edgehar.clip import UNKNOWN, Floats, natural_key
from edgehar.config import option, parse, positional
from edgehar.errors import ConfigError, DataError, PackageError
from edgehar.manifest import Manifest
from edgehar.package import EdgePackage, amend_package

FEWEST_WINDOWS = 2
ARRAYS = {"logits": "f", "label": "iu", "subject": "U", "clip": "U", "labels": "U", "modalities": "U"}
"""Name -> numpy's letters of the kinds of number or text it may hold."""


@dataclass(frozen=True)
class CalibrateConfig:
    """Options of `edgehar calibrate`."""

    package: str = positional("folder of the edge package")
    out_of_fold: str = option(MISSING, "answers on training subjects, as 'edgehar crossvalidate' writes them (.npz)")
    coverage: float | None = option(None, "share of the windows to answer; below the threshold it gives: unknown")

    def __post_init__(self) -> None:
        """Refuse a share out of range."""
        if self.coverage is not None and not 0 < self.coverage <= 1:
            raise ConfigError(f"--coverage {self.coverage}: expected a share above 0 and up to 1, such as 0.95")


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


def read_out_of_fold(path: Path) -> OutOfFold:
    """Read a file of out-of-fold answers; raises DataError naming the first thing that is wrong."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            arrays: dict[str, NDArray[Any]] = {name: archive[name] for name in archive.files if name in ARRAYS}
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected one that 'edgehar crossvalidate' wrote") from None
    except (ValueError, TypeError, AttributeError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as problem:
        raise DataError(f"{path}: not readable arrays ({problem}); run 'edgehar crossvalidate' again") from None
    lacking = sorted(set(ARRAYS) - set(arrays))
    odd = sorted(name for name, array in arrays.items() if array.dtype.kind not in ARRAYS[name])
    if lacking or odd:
        raise DataError(
            f"{path}: lacks {', '.join(lacking) or 'nothing'}, other types in {', '.join(odd) or 'none'}; expected "
            "numbers in logits and label, text in the others; run 'edgehar crossvalidate' again"
        )
    windows = arrays["logits"].shape[:1]
    shapes: dict[str, tuple[int, ...]] = {name: array.shape for name, array in arrays.items()}
    expected = {name: windows for name in ("label", "subject", "clip")}
    expected |= {"labels": arrays["logits"].shape[1:], "modalities": (arrays["modalities"].size,)}
    wrong = sorted(name for name, shape in expected.items() if shapes[name] != shape)
    if wrong or arrays["logits"].ndim != 2 or windows[0] < FEWEST_WINDOWS:
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


def check_fit(manifest: Manifest, answers: OutOfFold) -> None:
    """Raise DataError unless the answers are about the package's labels, sensors and training subjects.

    Raises PackageError if the package does not say who its training and test subjects are.
    """
    if answers.labels != manifest.labels:
        raise DataError(
            f"out-of-fold labels {', '.join(answers.labels)}; the package has {', '.join(manifest.labels)}; expected "
            "the same in the same order; cross-validate on the data the package was trained on"
        )
    sensors = tuple(spec.name for spec in manifest.modalities)
    if answers.modalities != sensors:
        raise DataError(
            f"out-of-fold modalities {', '.join(answers.modalities)}; the package has {', '.join(sensors)}; expected "
            "the same in the same order; cross-validate with these sensors"
        )
    train: Any = manifest.provenance.get("train_subjects")
    test: Any = manifest.provenance.get("test_subjects")
    if not isinstance(train, list | tuple) or not isinstance(test, list | tuple):
        raise PackageError(
            f"{manifest.name}: its provenance names no training and test subjects; expected both, to keep them apart; "
            "export the model again"
        )
    shared = [subject for subject in answers.subjects if subject in test]
    if shared:
        raise DataError(
            f"out-of-fold subject {', '.join(shared)} is a test subject of the package; expected training subjects "
            "only; cross-validate within the training subjects of its split"
        )
    strangers = [subject for subject in answers.subjects if subject not in train]
    if strangers:
        raise DataError(
            f"out-of-fold subject {', '.join(strangers)} is no training subject of the package; expected some of "
            f"{', '.join(map(str, cast('list[Any]', train)))}; cross-validate within the training subjects of its split"
        )


def calibrate(package: Path, out_of_fold: Path, coverage: float | None = None) -> Calibration:
    """Fit the temperature, choose the threshold if a coverage is asked for, and store both in the package.

    Raises DataError or PackageError if the answers do not fit the package, ConfigError if a threshold is asked for and
    the package has a label of the name that low scores would get. The package is then as it was.
    """
    manifest = EdgePackage.open(package).manifest
    if coverage is not None and UNKNOWN in manifest.labels:
        raise ConfigError(
            f"--coverage: the package has an activity named {UNKNOWN!r}, which low scores would be called too; "
            "leave --coverage out, or rename the activity and train again"
        )
    answers = read_out_of_fold(out_of_fold)
    check_fit(manifest, answers)
    logits, label = answers.logits, answers.label
    temperature = fit_temperature(logits, label)
    before, after = softmax(logits), softmax(logits, temperature)
    found = Calibration(
        temperature=temperature,
        threshold=None if coverage is None else threshold_for_coverage(after.max(axis=1), coverage),
        coverage=coverage,
        windows=len(label),
        subjects=answers.subjects,
        ece_before=expected_calibration_error(before, label),
        ece_after=expected_calibration_error(after, label),
        nll_before=negative_log_likelihood(logits, label),
        nll_after=negative_log_likelihood(logits, label, temperature),
    )
    amend_package(package, {}, calibration=found)
    return found


def summary(found: Calibration) -> str:
    """What was stored, for people."""
    edge = found.temperature in (LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE)
    bounds = f" (the edge of what is searched: these {found.windows} windows do not say more)" if edge else ""
    answers = "never unknown"
    if found.threshold is not None and found.coverage is not None:
        answers = f"unknown below {found.threshold:.4f}, which at least {found.coverage:.2%} of these windows reach"
    return (
        f"out of fold, {found.windows} windows of {', '.join(found.subjects)}:\n"
        f"expected calibration error {found.ece_before:.4f} -> {found.ece_after:.4f}\n"
        f"negative log-likelihood {found.nll_before:.4f} -> {found.nll_after:.4f}\n"
        f"stored: temperature {found.temperature:.4g}{bounds}; {answers}"
    )


def main(argv: list[str] | None = None) -> int:
    """Calibrate a package and print what came of it; the last line is one JSON document."""
    config = parse(CalibrateConfig, argv, "edgehar calibrate", (__doc__ or "").partition("\n")[0])
    found = calibrate(Path(config.package), Path(config.out_of_fold), config.coverage)
    document = {"package": config.package, "calibration": found.to_json()}
    sys.stdout.write(summary(found) + "\n" + json.dumps(document) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
