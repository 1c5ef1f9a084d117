"""Calibrate a package's probabilities with out-of-fold logits of its training subjects.

    edgehar calibrate PACKAGE --out-of-fold runs/cv/out_of_fold.npz
    edgehar calibrate PACKAGE --out-of-fold runs/cv/out_of_fold.npz --coverage 0.95

Stores the temperature in the package (temperature scaling, Guo et al., 2017). With --coverage it also stores the score
threshold that this share of the windows reaches; predictions below it are "unknown". The last line of the output is one
JSON document.
"""

import json
from dataclasses import MISSING, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edgehar.command_line import Parser
from edgehar.config import Options, option, positional
from edgehar.deploy.runtime.signature import key_option, locked_package
from edgehar.errors import ConfigError, PackageError
from edgehar.files.results import print_and_store
from edgehar.metrics.calibration import (  # fmt: skip
    HIGHEST_TEMPERATURE,
    LOWEST_TEMPERATURE,
    TemperatureScaling,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    softmax,
    threshold_for_coverage,
)
from edgehar.metrics.out_of_fold import OutOfFold, read_out_of_fold
from edgehar.package.folder import amend_package
from edgehar.package.manifest import Manifest
from edgehar.signals.clip import UNKNOWN


@dataclass(frozen=True)
class CalibrateConfig(Options):
    """Calibration."""

    package: str = positional("folder of the edge package")
    out_of_fold: str = option(MISSING, "logits of the training subjects from 'edgehar crossvalidate' (.npz)")
    coverage: float | None = option(
        None, "share of windows that keep their label; the others are unknown", above=0, at_most=1
    )
    key: str | None = key_option()


def check_out_of_fold(manifest: Manifest, stored: OutOfFold) -> None:
    """Raise DataError unless the logits belong to the package's labels, modalities and training subjects.

    Raises PackageError if the package does not list its training and test subjects.
    """
    listed: list[Any] = [manifest.provenance.get(f"{part}_subjects") for part in ("train", "test")]
    if not all(isinstance(subjects, list | tuple) for subjects in listed):
        raise PackageError(
            f"{manifest.name}: provenance without train_subjects and test_subjects; expected both; export the model "
            "again"
        )
    train, test = ([str(name) for name in subjects] for subjects in listed)
    modalities = [spec.name for spec in manifest.modalities]
    recordings: Any = manifest.provenance.get("train_recordings", ())
    stored.check(manifest.labels, modalities, train, test, "the package", [str(name) for name in recordings])


def calibrate(package: Path, out_of_fold: Path, coverage: float | None = None) -> TemperatureScaling:
    """Fit the temperature, and with a coverage the threshold, and store both in the package.

    The package is unchanged after an error.

    Args:
        package: the package's folder.
        out_of_fold: file of logits.
        coverage: share of windows that keep their label; None stores no threshold.

    Raises:
        BusyError: another process changes the package.
        DataError, PackageError, ConfigError: as `fit`.
    """
    with locked_package(package) as opened:
        scaling = fit(opened.manifest, out_of_fold, coverage)
        amend_package(opened, {}, calibration=scaling)
    return scaling


def fit(manifest: Manifest, out_of_fold: Path, coverage: float | None = None) -> TemperatureScaling:
    """Fit the temperature, and with a coverage the threshold, of a package; see `calibrate`.

    Raises:
        DataError: the logits do not belong to the package.
        PackageError: the package does not list its subjects.
        ConfigError: a coverage is given, and the package has an activity named "unknown".
    """
    if coverage is not None and UNKNOWN in manifest.labels:
        raise ConfigError(
            f"--coverage: the package has an activity named {UNKNOWN!r}, the label of low scores; omit --coverage, or "
            "rename the activity and train again"
        )
    stored = read_out_of_fold(out_of_fold)
    check_out_of_fold(manifest, stored)
    logits, label = stored.logits, stored.label
    temperature = fit_temperature(logits, label)
    before, after = softmax(logits), softmax(logits, temperature)
    return TemperatureScaling(
        temperature=temperature,
        threshold=None if coverage is None else threshold_for_coverage(after.max(axis=1), coverage),
        coverage=coverage,
        windows=len(label),
        subjects=stored.subjects,
        ece_before=expected_calibration_error(before, label),
        ece_after=expected_calibration_error(after, label),
        nll_before=negative_log_likelihood(logits, label),
        nll_after=negative_log_likelihood(logits, label, temperature),
    )


def summary(scaling: TemperatureScaling) -> str:
    """The values to store as text."""
    at_limit = scaling.temperature in (LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE)
    remark = f" (limit of the search: {scaling.windows} windows do not determine it)" if at_limit else ""
    threshold = "no threshold, never unknown"
    if scaling.threshold is not None and scaling.coverage is not None:
        threshold = f"unknown below {scaling.threshold:.4f}, reached by at least {scaling.coverage:.2%} of the windows"
    return (
        f"out of fold, {scaling.windows} windows of {', '.join(scaling.subjects)}:\n"
        f"expected calibration error {scaling.ece_before:.4f} -> {scaling.ece_after:.4f}\n"
        f"negative log-likelihood {scaling.nll_before:.4f} -> {scaling.nll_after:.4f}\n"
        f"temperature {scaling.temperature:.4g}{remark}; {threshold}"
    )


PARSER = Parser(CalibrateConfig, "edgehar calibrate", (__doc__ or "").partition("\n")[0])


def run(config: CalibrateConfig) -> int:
    """Calibrate a package: print the result, the last line one JSON document, and store it."""
    with locked_package(config.package, config.key) as package:
        scaling = fit(package.manifest, Path(config.out_of_fold), config.coverage)
        document = {"package": config.package, "calibration": scaling.to_json()}
        text = f"{summary(scaling)}\n{json.dumps(document)}\n"
        print_and_store(text, partial(amend_package, package, {}, calibration=scaling))
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))
