"""Takes the features of the next steps from the sensors of one or many streams: all that are regular in one pass."""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgehar.deploy.stream.sensor_buffer import SensorBuffer
from edgehar.deploy.stream.state import Hop
from edgehar.package.manifest import Manifest
from edgehar.signals.clip import Floats
from edgehar.signals.valid_frames import ValidFrames

Sensors = tuple[SensorBuffer, ...]


class FeatureTaker:
    """Fills the inputs of the encoder with the next steps of hops.

    Args:
        manifest: of the package.
    """

    def __init__(self, manifest: Manifest) -> None:
        """Compute nothing yet."""
        self._columns = {spec.name: column for column, spec in enumerate(manifest.modalities)}
        self._usual_steps = manifest.window.hop
        self._regular: dict[tuple[str, ...], RegularSteps] = {}  # by the names of the sensors

    def take(self, hops: Sequence[Hop], inputs: Mapping[str, Floats]) -> list[int]:
        """Take the steps of hops of different streams from their sensors, each once and in order.

        Args:
            hops: what to take.
            inputs: arrays to fill, from the first row on: modality -> (R, P * G * F), and "valid" (R, M). What belongs
                to sensors that are not connected is not changed.

        Returns:
            The newest step with a valid sensor of each hop; -1 if there is none.
        """
        together: dict[tuple[str, ...], list[_Part]] = {}
        alone: list[_Part] = []
        newest: list[int] = []
        row = 0
        for hop in hops:
            steps, sensors = hop.end - hop.first, hop.state.in_order
            regular = sensors
            if steps != self._usual_steps or not all([sensor.is_regular(hop.first, hop.end) for sensor in sensors]):
                regular = tuple(
                    sensor for sensor in sensors if steps == self._usual_steps and sensor.is_regular(hop.first, hop.end)
                )
                alone.append(_Part(len(newest), row, hop, tuple(one for one in sensors if one not in regular)))
            if regular:
                names = hop.state.names if regular is sensors else tuple(sensor.spec.name for sensor in regular)
                together.setdefault(names, []).append(_Part(len(newest), row, hop, regular))
            newest.append(hop.end - 1 if regular else -1)
            row += steps
        for names, parts in together.items():
            for part in self._take_together(names, parts, inputs):
                newest[part.place] = -1
                alone.append(part)
        valid = inputs["valid"]
        for _, first, hop, sensors in alone:
            rows = slice(first, first + hop.end - hop.first)
            for sensor in sensors:
                name = sensor.spec.name
                features, step_valid = sensor.take(hop.first, hop.end, hop.now_s)
                inputs[name][rows] = features.reshape(len(features), -1)
                valid[rows, self._columns[name]] = step_valid
        for place, first, hop, _ in alone:
            if newest[place] < 0:
                flags: list[list[float]] = valid[first : first + hop.end - hop.first].tolist()
                newest[place] = max([hop.first + step for step, one in enumerate(flags) if any(one)], default=-1)
        return newest

    def _take_together(
        self, names: tuple[str, ...], parts: list["_Part"], inputs: Mapping[str, Floats]
    ) -> list["_Part"]:
        """Take steps of regular sensors in one pass; returns what turned out to be irregular, which is not taken."""
        regular, steps = self._regular.get(names), self._usual_steps
        if regular is None:
            regular = self._regular[names] = RegularSteps(
                parts[0].sensors, steps, np.array([name in names for name in self._columns], np.float32)
            )
        features, good = regular.take([part.hop.first for part in parts], [part.sensors for part in parts])
        taken = parts
        if not all(good):
            features, taken = features[good], [part for part, is_good in zip(parts, good, strict=True) if is_good]
        if taken:
            first = taken[0].row
            if taken[-1].row - first == steps * (len(taken) - 1):  # one after the other
                rows: slice | NDArray[np.intp] = slice(first, first + steps * len(taken))
            else:
                rows = (np.asarray([part.row for part in taken])[:, None] + np.arange(steps)).reshape(-1)
            for name, columns in regular.columns.items():
                inputs[name][rows] = features[:, columns].reshape(len(taken) * steps, -1)
            inputs["valid"][rows] = regular.valid
        return [part for part, is_good in zip(parts, good, strict=True) if not is_good]


class _Part(NamedTuple):
    """Some sensors of a hop, its place among the hops, and the row of its first step in the inputs."""

    place: int
    row: int
    hop: Hop
    sensors: Sensors


class RegularSteps:
    """Resamples and prepares a number of steps of some sensors, whose samples are regular, in one pass.

    Args:
        sensors: of one stream; those of other streams have the same declarations.
        steps: N.
        valid: (M,) 1 for each of the sensors, else 0.

    Attributes:
        columns: name -> where its features are.
    """

    def __init__(self, sensors: Sensors, steps: int, valid: Floats) -> None:
        """Compute the indices."""
        self.valid = valid
        specs = [sensor.spec for sensor in sensors]
        frames_s = [sensor.frame_s for sensor in sensors]
        self._steps, self._layout = steps, ValidFrames(specs, frames_s, steps, sensors[0].normalisation)
        self.columns, lengths = self._layout.columns, self._layout.lengths
        widths = np.repeat([spec.channels for spec in specs], lengths)  # (L,) of all sensors' frames
        # Of each number of the frames, (E,) of all sensors: its frame, and its places after the sample before begins.
        frame = np.repeat(np.arange(len(widths)), widths)
        channel = np.concatenate([np.tile(np.arange(spec.channels), steps * spec.patch) for spec in specs])
        self._frame, self._places = frame, np.stack([channel, channel + widths[frame]])  # (E,), (2, E)
        edges = np.cumsum([0, *(spec.channels for spec in specs)]).tolist()
        self._channels = [slice(*pair) for pair in itertools.pairwise(edges)]

    def take(self, first: Sequence[int], sensors: Sequence[Sensors]) -> tuple[Floats, list[bool]]:
        """Features (B, columns) of the steps from `first` on, of B streams, and which of these have no gap.

        Only those are taken; the features of the others mean nothing.
        """
        values: list[Floats] = []
        before: list[Floats] = []
        starts: list[int] = []
        shares: list[float] = []
        passed: list[list[int]] = []
        numbers, count, layout = 0, len(first), self._layout
        for step, of_stream in zip(first, sensors, strict=True):
            over: list[int] = []
            for sensor in of_stream:
                over.append(sensor.bracket(step, step + self._steps, numbers, starts, shares))
                numbers += len(sensor.store.times_s) * sensor.spec.channels
                values += [block.reshape(-1) for block in sensor.store.blocks]
                before.append(sensor.last_values)
            passed.append(over)
            before.append(layout.constants)
        # As `edgehar.signals.resampling.between`, number by number. A single stream has no axis: that is faster.
        batch = (count,) if count > 1 else ()
        places = np.array(starts).reshape(*batch, -1).take(self._frame, axis=-1)[..., None, :] + self._places
        share = np.array(shares, np.float32).reshape(*batch, -1).take(self._frame, axis=-1)  # (..., E)
        around = np.concatenate(values).take(places)  # (..., 2, E)
        frames, after = around[..., 0, :], around[..., 1, :]
        frames *= 1 - share
        after *= share
        frames += after
        rows = np.concatenate([frames, np.concatenate(before).reshape(*batch, -1)], axis=-1)
        good = [min(over) > 0 for over in passed]
        last = rows.take(layout.last, axis=-1).reshape(count, -1)
        for stream, is_good in enumerate(good):
            if is_good:
                own, end = last[stream], first[stream] + self._steps
                own = own.copy() if count > 1 else own  # a view would keep all streams' numbers
                for sensor, channels, one in zip(sensors[stream], self._channels, passed[stream], strict=True):
                    sensor.finish_take(own[channels], True, end, one)
        return layout.features(rows).reshape(count, -1), good
