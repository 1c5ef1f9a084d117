"""The samples and tokens of many streams in arrays with a row for each, from which those of many are taken at once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.package.manifest import Manifest
from edgehar.signals.clip import Floats, Times
from edgehar.signals.modality import ModalitySpec

KEPT_WINDOWS = 4
"""Windows whose tokens are kept in one row, so that nearly every hop only writes its own."""
SPARE_SAMPLES = 32
"""Samples for which a row has room beside those of two hops."""


@dataclass
class SensorRows:
    """Samples of one sensor of many streams; `values` and `last` are views of `StreamRows.numbers`.

    Attributes:
        first: where its samples begin in a row of `StreamRows.numbers`.
        last_places: (C,) where its last frame is in such a row.
        times_s: (R, n) times of the samples.
        values: (R, n, C) the samples.
        last: (R, C) the last frame taken.
    """

    first: int
    last_places: NDArray[np.intp]
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
        numbers: (R, X) the samples of each sensor, the last frame of each, a 0 and a 1.
        sensors: modality -> its samples.
    """

    def __init__(self, manifest: Manifest, specs: dict[str, ModalitySpec]) -> None:
        """Start with one row, which is free."""
        window = manifest.window
        self.tokens: Floats = np.zeros((1, KEPT_WINDOWS * window.steps, manifest.token_dim), np.float32)
        rooms = {
            name: 2 * int(window.hop * window.step_s * spec.rate_hz) + SPARE_SAMPLES for name, spec in specs.items()
        }
        before_last = sum(rooms[name] * spec.channels for name, spec in specs.items())
        numbers = before_last + sum(spec.channels for spec in specs.values()) + 2
        self.numbers: Floats = np.zeros((1, numbers), np.float32)
        self.numbers[:, -1] = 1
        self.sensors: dict[str, SensorRows] = {}
        first, last = 0, before_last
        for name, spec in specs.items():
            places, times_s = np.arange(last, last + spec.channels), np.zeros((1, rooms[name]))
            self.sensors[name] = SensorRows(first, places, times_s, *self._views(first, places, rooms[name]))
            first, last = first + rooms[name] * spec.channels, last + spec.channels
        self._free = [0]

    def _views(self, first: int, last_places: NDArray[np.intp], room: int) -> tuple[Floats, Floats]:
        """Samples (R, n, C) and last frames (R, C) of a sensor."""
        channels = len(last_places)
        values = self.numbers[:, first : first + room * channels].reshape(-1, room, channels)
        return values, self.numbers[:, last_places[0] : last_places[0] + channels]

    def add(self) -> int:
        """A free row; the arrays grow if there is none, so that views of them are not to be kept."""
        if not self._free:
            rows = len(self.tokens)
            self._free = list(range(2 * rows - 1, rows - 1, -1))
            self.tokens, self.numbers = _doubled(self.tokens), _doubled(self.numbers)
            for sensor in self.sensors.values():
                sensor.times_s = _doubled(sensor.times_s)
                sensor.values, sensor.last = self._views(sensor.first, sensor.last_places, sensor.times_s.shape[1])
        return self._free.pop()

    def remove(self, row: int) -> None:
        """Free a row."""
        self._free.append(row)


def _doubled(rows: NDArray[Any]) -> NDArray[Any]:
    """As many rows more; what they hold is written before it is read."""
    return np.concatenate([rows, rows])
