"""The first prediction of an unknown package; `edgehar.deploy.runtime.isolation` calls it in a child process."""

from typing import Any

import numpy as np

from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.runtime.providers import CPU
from edgehar.errors import PackageError
from edgehar.package.folder import EdgePackage
from edgehar.signals.clip import Floats

WINDOWS = 3
"""Windows of zeros, of random numbers, and without any valid sensor."""


def predict_once(path: str, precisions: list[str], files: dict[str, Any]) -> None:
    """Load each precision on the CPU and classify three windows.

    Args:
        path: the package's folder.
        precisions: of its graphs.
        files: the files of the manifest that the caller opened.

    Raises PackageError for a package that cannot be loaded, or whose files are no longer those of the caller.
    """
    package = EdgePackage.open(path)
    if package.manifest.files != files:
        raise PackageError(f"{path}: changed while it was opened; expected no other writer; open it again")
    steps = package.manifest.window.steps
    random = np.random.default_rng(0)
    features: dict[str, Floats] = {}
    for spec in package.manifest.modalities:
        values = np.zeros((WINDOWS, steps, spec.patch * spec.groups * spec.features), np.float32)
        values[1] = random.standard_normal(values.shape[1:])
        features[spec.name] = values.reshape(WINDOWS * steps, -1)
    valid = np.ones((WINDOWS, steps, len(features)), np.float32)
    valid[2] = 0
    for precision in precisions:
        recognizer = Recognizer(package, precision, providers=[CPU])
        tokens = recognizer.encode(features, valid.reshape(WINDOWS * steps, -1))
        recognizer.classify(tokens.reshape(WINDOWS, steps, -1))
