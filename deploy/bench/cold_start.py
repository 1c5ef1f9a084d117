"""Predict in a new process and report memory; `edgehar bench` starts and times it.

    python -m edgehar.deploy.bench.cold_start PACKAGE int8 1 CPUExecutionProvider [KEY]

Imports only the modules that a program with `edgehar.load` imports, so that the time is the runtime's own. Prints one
JSON line after the first prediction and one after many more.
"""

import json
import sys
from typing import Any

import numpy as np

from edgehar.deploy.recognizer import load
from edgehar.deploy.runtime.device import peak_resident_bytes, resident_bytes
from edgehar.signals.clip import Floats
from edgehar.signals.modality import ModalitySpec

PREDICTIONS = 100
"""Number of predictions after which the resident memory no longer grows."""


def waves(spec: ModalitySpec, length_s: float) -> Floats:
    """Sine waves (T, C); importing a random generator would add to the start time."""
    time_s = np.arange(int(length_s * spec.rate_hz) + 3)[:, None] / spec.rate_hz  # (T, 1)
    return np.sin(time_s * (1 + np.arange(spec.channels))).astype(np.float32)


def main(argv: list[str] | None = None) -> int:
    """Predict on generated signals once, then many times; print labels and resident memory after each."""
    arguments = sys.argv[1:] if argv is None else argv
    if len(arguments) not in (4, 5):
        sys.stderr.write(
            "usage: python -m edgehar.deploy.bench.cold_start PACKAGE PRECISION THREADS PROVIDER,... [KEY]\n"
        )
        return 2
    path, precision, threads, providers, *keys = arguments
    key = keys[0] if keys else None
    recognizer = load(path, precision, int(threads), providers.split(","), key=key)
    manifest = recognizer.manifest
    signals: dict[str, Any] = {spec.name: waves(spec, manifest.window.length_s) for spec in manifest.modalities}
    for predictions in (1, PREDICTIONS):
        labels = {recognizer.predict(signals).label for _ in range(predictions)}
        memory = {"resident_bytes": resident_bytes(), "peak_resident_bytes": peak_resident_bytes()}
        sys.stdout.write(json.dumps({"labels": sorted(labels), "predictions": predictions, **memory}) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
