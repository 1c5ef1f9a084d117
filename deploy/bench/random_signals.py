"""Random signals of the right shape, to run a package without a recording."""

import numpy as np

from edgehar.signals.clip import Floats
from edgehar.signals.modality import ModalitySpec, WindowSpec


def random_signal(spec: ModalitySpec, samples: int, generator: np.random.Generator) -> Floats:
    """A random walk (T, C) in the sensor's channels."""
    steps = generator.standard_normal((samples, spec.channels)) / spec.rate_hz
    return np.cumsum(steps, axis=0).astype(np.float32)


def random_recording(
    specs: tuple[ModalitySpec, ...], window: WindowSpec, windows: int, generator: np.random.Generator
) -> dict[str, Floats]:
    """Random signals at the nominal rates, long enough for this many windows."""
    length_s = (window.steps + (windows - 1) * window.hop) * window.step_s
    return {spec.name: random_signal(spec, int(np.ceil(length_s * spec.rate_hz)) + 2, generator) for spec in specs}
