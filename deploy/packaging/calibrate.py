"""Fit a package's probabilities to out-of-fold answers on its training subjects.

    edgehar calibrate PACKAGE --out-of-fold runs/cv/out_of_fold.npz
    python deploy/packaging/calibrate.py PACKAGE --out-of-fold runs/cv/out_of_fold.npz --coverage 0.95

Stores one temperature in the package; with --coverage also a threshold, which that share of the windows reaches and
below which the answer is "unknown". The last line is one JSON document.
"""

import json
import sys
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any

from edgehar.command_line import Parser
from edgehar.config import option, positional
from edgehar.entry import guarded
from edgehar.errors import ConfigError, PackageError
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
from edgehar.package.folder import EdgePackage, amend_package
from edgehar.package.manifest import Manifest
from edgehar.signals.clip import UNKNOWN


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


def check_fit(manifest: Manifest, answers: OutOfFold) -> None:
    """Raise DataError unless the answers are about the package's labels, sensors and training subjects.

    Raises PackageError if the package does not say who its training and test subjects are.
    """
    kept: list[Any] = [manifest.provenance.get(f"{part}_subjects") for part in ("train", "test")]
    if not all(isinstance(subjects, list | tuple) for subjects in kept):
        raise PackageError(
            f"{manifest.name}: its provenance names no training and test subjects; expected both, to keep them apart; "
            "export the model again"
        )
    train, test = ([str(name) for name in subjects] for subjects in kept)
    sensors = [spec.name for spec in manifest.modalities]
    answers.check(manifest.labels, sensors, train, test, of="the package")


def calibrate(package: Path, out_of_fold: Path, coverage: float | None = None) -> TemperatureScaling:
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
    found = TemperatureScaling(
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


def summary(found: TemperatureScaling) -> str:
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


PARSER = Parser(CalibrateConfig, "edgehar calibrate", (__doc__ or "").partition("\n")[0])


def run(config: CalibrateConfig) -> int:
    """Calibrate a package and print the result; the last line is one JSON document."""
    found = calibrate(Path(config.package), Path(config.out_of_fold), config.coverage)
    document = {"package": config.package, "calibration": found.to_json()}
    sys.stdout.write(summary(found) + "\n" + json.dumps(document) + "\n")
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
