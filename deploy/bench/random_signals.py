"""Made-up signals of the right shape and size, to run a package without a recording: they mean nothing."""

import numpy as np

from edgehar.signals.clip import Floats
from edgehar.signals.modality import ModalitySpec, WindowSpec


def example_signal(spec: ModalitySpec, samples: int, generator: np.random.Generator) -> Floats:
    """A smooth random walk (T, C) in the sensor's channels."""
    steps = generator.standard_normal((samples, spec.channels)) / spec.rate_hz
    return np.cumsum(steps, axis=0).astype(np.float32)


def example_recording(
    specs: tuple[ModalitySpec, ...], window: WindowSpec, windows: int, generator: np.random.Generator
) -> dict[str, Floats]:
    """Signals at the nominal rates that are long enough for this many windows."""
    length_s = (window.steps + (windows - 1) * window.hop) * window.step_s
    return {spec.name: example_signal(spec, int(np.ceil(length_s * spec.rate_hz)) + 2, generator) for spec in specs}
