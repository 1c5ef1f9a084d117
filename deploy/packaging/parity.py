"""Compares the outputs of two precisions on the package's parity arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import PackageError
from edgehar.package.folder import PARITY, QUANTISATION_ARRAYS, EdgePackage
from edgehar.signals.clip import Floats

Arrays = dict[str, NDArray[Any]]

AGREEMENT_FLOOR = 0.95
"""Smallest share of parity windows on which INT8 must predict the class of fp32; `edgehar verify` fails below."""
PARITY_TOLERANCE = 1e-4
"""Largest difference between the outputs of an fp32 graph and torch."""


def _checked_arrays(package: EdgePackage, file: str, outputs: tuple[str, ...]) -> Arrays:
    """Inputs of both graphs, and these outputs; raises PackageError unless they have the shapes of the manifest."""
    arrays, manifest = package.arrays(file), package.manifest
    expected: dict[str, tuple[int | str, ...]] = {
        spec.name: ("steps", spec.patch * spec.groups * spec.features) for spec in manifest.modalities
    }
    expected |= {
        "valid": ("steps", len(manifest.modalities)),
        "tokens": ("windows", manifest.window.steps, manifest.token_dim),
    }
    results = {"token": ("steps", manifest.token_dim), "logits": ("windows", len(manifest.labels))}
    expected |= {name: results[name] for name in outputs}
    missing = sorted(set(expected) - set(arrays))
    if missing:
        raise PackageError(f"{package.path / file}: no {', '.join(missing)}; export the model again")
    rows: dict[str | int, int] = {
        key: arrays[name].shape[0] if arrays[name].ndim else 0
        for key, name in (("steps", "valid"), ("windows", "tokens"))
    }
    wrong = [
        name
        for name, (first, *sizes) in expected.items()
        if arrays[name].shape != (rows[first], *sizes) or arrays[name].dtype != "float32"
    ]
    if wrong or not all(rows.values()):
        shown = ", ".join(f"{name} ({', '.join(map(str, shape))})" for name, shape in expected.items())
        raise PackageError(
            f"{package.path / file}: {', '.join(wrong) or 'arrays'} empty, not float32 or of another shape; expected "
            f"{shown}; export the model again"
        )
    return arrays


def parity_arrays(package: EdgePackage) -> Arrays:
    """The parity arrays; raises PackageError if one is missing or its shape differs from the manifest's."""
    return _checked_arrays(package, PARITY, ("token", "logits"))


def quantisation_arrays(package: EdgePackage) -> Arrays:
    """The inputs that measure the ranges of INT8; raises PackageError as `parity_arrays`."""
    return _checked_arrays(package, QUANTISATION_ARRAYS, ())


def parity_error(recognizer: Recognizer, arrays: Arrays) -> dict[str, float]:
    """Largest absolute difference between each graph's output and torch's."""
    token = recognizer.encode(arrays, arrays["valid"])
    logits = recognizer.classify(arrays["tokens"])
    return {
        "token": float(np.abs(token - arrays["token"]).max()),
        "logits": float(np.abs(logits - arrays["logits"]).max()),
    }


def _end_to_end(recognizer: Recognizer, arrays: Arrays) -> Floats:
    """Logits (B, K) of windows of parity steps, through encoder and head."""
    steps = recognizer.manifest.window.steps
    token = recognizer.encode(arrays, arrays["valid"])  # (N, D)
    if len(token) % steps == 0:
        return recognizer.classify(token.reshape(-1, steps, token.shape[1]))
    # No whole number of windows: a window starts at every step and wraps around at the end.
    rows = (np.arange(len(token))[:, None] + np.arange(steps)) % len(token)
    return recognizer.classify(token[rows])


def agreement(recognizer: Recognizer, reference: Recognizer, arrays: Arrays) -> dict[str, Any]:
    """Compare two precisions from sensor features to logits.

    Returns:
        windows, same_answer (share of windows with the same most probable class), largest_logit_difference, and
        largest_logit (of the reference, the scale of the difference).
    """
    logits, expected = _end_to_end(recognizer, arrays), _end_to_end(reference, arrays)
    return {
        "windows": len(logits),
        "same_answer": float((logits.argmax(1) == expected.argmax(1)).mean()),
        "largest_logit_difference": float(np.abs(logits - expected).max()),
        "largest_logit": float(np.abs(expected).max()),
    }
