"""The samples and tokens of many streams in arrays with a row for each, from which those of many are taken at once."""

from dataclasses import dataclass

import numpy as np

from edgehar.package.manifest import Manifest
from edgehar.signals.clip import Floats, Times
from edgehar.signals.modality import ModalitySpec

KEPT_WINDOWS = 4
"""Windows whose tokens are kept in one row, so that nearly every hop only writes its own."""
SPARE_SAMPLES = 32
"""Samples for which a row has room beside those of two hops."""


@dataclass
class SensorRows:
    """Samples of one sensor of many streams.

    Attributes:
        times_s: (R, n) their times.
        values: (R, n, C) the samples.
        last: (R, C) the last frame taken.
    """

    times_s: Times
    values: Floats
    last: Floats


class StreamRows:
    """Rows of streams that come and go.

    Args:
        manifest: of the package.
        specs: the connected sensors.

    Attributes:
        tokens: (R, KEPT_WINDOWS * S, D).
        sensors: modality -> its samples.
    """

    def __init__(self, manifest: Manifest, specs: dict[str, ModalitySpec]) -> None:
        """Start with one row, which is free."""
        window = manifest.window
        self.tokens: Floats = np.zeros((1, KEPT_WINDOWS * window.steps, manifest.token_dim), np.float32)
        self.sensors: dict[str, SensorRows] = {}
        for name, spec in specs.items():
            samples = 2 * int(window.hop * window.step_s * spec.rate_hz) + SPARE_SAMPLES
            self.sensors[name] = SensorRows(
                np.zeros((1, samples)),
                np.zeros((1, samples, spec.channels), np.float32),
                np.zeros((1, spec.channels), np.float32),
            )
        self._free = [0]

    def add(self) -> int:
        """A free row; the arrays grow if there is none, so that views of them are not to be kept."""
        if not self._free:
            rows = len(self.tokens)
            self._free = list(range(2 * rows - 1, rows - 1, -1))
            self.tokens = np.concatenate([self.tokens, np.zeros_like(self.tokens)])
            for sensor in self.sensors.values():
                sensor.times_s = np.concatenate([sensor.times_s, np.zeros_like(sensor.times_s)])
                sensor.values = np.concatenate([sensor.values, np.zeros_like(sensor.values)])
                sensor.last = np.concatenate([sensor.last, np.zeros_like(sensor.last)])
        return self._free.pop()

    def remove(self, row: int) -> None:
        """Free a row."""
        self._free.append(row)
