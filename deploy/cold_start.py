"""One prediction in a fresh process, and how much memory it needed: what `edgehar bench` starts and times.

python -m deploy.cold_start PACKAGE
"""

import json
import sys
from dataclasses import dataclass

import numpy as np

from deploy.device import peak_resident_bytes
from deploy.example import example_recording
from deploy.graph import DEFAULT_PROVIDERS
from deploy.recognizer import load
from edgehar.cli import guarded
from edgehar.config import option, parse, positional


@dataclass(frozen=True)
class ColdStartConfig:
    """Options of the measurement."""

    package: str = positional("folder of the edge package")
    precision: str | None = option(None, "precision to run; if none is given, as bench --tune chose, or the default")
    threads: int | None = option(None, "onnxruntime's threads; if none are given, as bench --tune chose, or 1")
    providers: tuple[str, ...] = option(DEFAULT_PROVIDERS, "onnxruntime's providers in order of preference")


def main(argv: list[str] | None = None) -> int:
    """Predict once on made-up signals; print the label and the peak resident memory as JSON."""
    config = parse(ColdStartConfig, argv, "python -m deploy.cold_start", (__doc__ or "").partition("\n")[0])
    recognizer = load(config.package, config.precision, config.threads, config.providers)
    manifest = recognizer.manifest
    signals = example_recording(manifest.modalities, manifest.window, 1, np.random.default_rng(0))
    label = recognizer.predict(signals).label
    sys.stdout.write(json.dumps({"label": label, "peak_resident_bytes": peak_resident_bytes()}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
