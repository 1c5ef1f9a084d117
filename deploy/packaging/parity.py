"""How far one precision's answers are from another's, on the package's own parity arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import PackageError
from edgehar.package.folder import PARITY, EdgePackage
from edgehar.signals.clip import Floats

Arrays = dict[str, NDArray[Any]]

SAME_ANSWER_FLOOR = 0.95
"""Least share of parity windows on which INT8 must name the class that fp32 names; `edgehar verify` fails below it."""
PARITY_TOLERANCE = 1e-4
"""Largest difference of an fp32 graph's output from what torch computed."""


def parity_arrays(package: EdgePackage) -> Arrays:
    """The parity arrays; raises PackageError if one is missing or has another shape than the manifest says."""
    arrays, manifest = package.arrays(PARITY), package.manifest
    names = [spec.name for spec in manifest.modalities]
    lacking = sorted({*names, "valid", "token", "tokens", "logits"} - set(arrays))
    if lacking:
        raise PackageError(f"{package.path / PARITY}: no {', '.join(lacking)}; export the model again")
    steps = len(arrays["valid"])
    expected: dict[str, tuple[int, ...]] = {
        spec.name: (steps, spec.patch * spec.groups * spec.features) for spec in manifest.modalities
    }
    windows = len(arrays["tokens"])
    expected |= {
        "valid": (steps, len(names)),
        "token": (steps, manifest.token_dim),
        "tokens": (windows, manifest.window.steps, manifest.token_dim),
        "logits": (windows, len(manifest.labels)),
    }
    wrong = [name for name, shape in expected.items() if arrays[name].shape != shape or arrays[name].dtype != "float32"]
    if wrong or not steps or not windows:
        raise PackageError(
            f"{package.path / PARITY}: {', '.join(wrong) or 'arrays'} not float32 of the expected shape "
            f"{expected}; export the model again"
        )
    return arrays


def parity_error(recognizer: Recognizer, arrays: Arrays) -> dict[str, float]:
    """Largest absolute difference of each graph from what torch computed."""
    token = recognizer.encode(arrays, arrays["valid"])
    logits = recognizer.classify(arrays["tokens"])
    return {
        "token": float(np.abs(token - arrays["token"]).max()),
        "logits": float(np.abs(logits - arrays["logits"]).max()),
    }


def _end_to_end(recognizer: Recognizer, arrays: Arrays) -> Floats:
    """Logits (B, K) of windows made of the parity steps."""
    steps = recognizer.manifest.window.steps
    token = recognizer.encode(arrays, arrays["valid"])  # (N, D)
    if len(token) % steps == 0:
        return recognizer.classify(token.reshape(-1, steps, token.shape[1]))
    # Not whole windows: a window starts at every step, and goes on at the beginning.
    turn = (np.arange(len(token))[:, None] + np.arange(steps)) % len(token)
    return recognizer.classify(token[turn])


def agreement(recognizer: Recognizer, reference: Recognizer, arrays: Arrays) -> dict[str, Any]:
    """Compare two precisions from sensor features to logits.

    Returns:
        windows, same_answer (share of windows with the same most probable class), largest_logit_difference and
        largest_logit (of the reference, to judge the difference by).
    """
    ours, theirs = _end_to_end(recognizer, arrays), _end_to_end(reference, arrays)
    return {
        "windows": len(ours),
        "same_answer": float((ours.argmax(1) == theirs.argmax(1)).mean()),
        "largest_logit_difference": float(np.abs(ours - theirs).max()),
        "largest_logit": float(np.abs(theirs).max()),
    }
