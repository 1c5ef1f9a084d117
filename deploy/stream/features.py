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
Rows = NDArray[np.intp]
"""(B,) rows of streams, see `edgehar.deploy.stream.rows`."""


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
        if len(first) == 1:
            return self._take_one(first[0], sensors[0])
        rows = np.array([of_stream[0].store.row for of_stream in sensors])
        frames, passed = self._frames(first, sensors, rows)
        last = [sensor.rows.last for sensor in sensors[0]]  # of all streams
        before = [of_sensor.take(rows, axis=0) for of_sensor in last]
        constants = self._layout.constants[None].repeat(len(rows), axis=0)
        numbers = np.concatenate([frames, *before, constants], axis=1)
        good = [min(over) > 0 for over in passed]
        newest = numbers.take(self._layout.last, axis=1)  # (B, C)
        for of_sensor, channels in zip(last, self._channels, strict=True):
            of_sensor[rows[good]] = newest[good, channels]
        for step, of_stream, over, is_good in zip(first, sensors, passed, good, strict=True):
            if is_good:
                for sensor, one in zip(of_stream, over, strict=True):
                    sensor.finish_regular(step + self._steps, one)
        return self._layout.features(numbers), good

    def _take_one(self, first: int, sensors: Sensors) -> tuple[Floats, list[bool]]:
        """`take` of one stream: all sensors in one gather, and plain Python where that is faster."""
        values: list[Floats] = []
        starts: list[int] = []
        shares: list[float] = []
        passed: list[int] = []
        numbers, end = 0, first + self._steps
        for sensor in sensors:
            passed.append(sensor.bracket(first, end, numbers, starts, shares))
            values.append(sensor.store.values.reshape(-1))
            numbers += len(values[-1])
        # As `edgehar.signals.resampling.between`, number by number.
        share = np.array(shares, np.float32).take(self._frame)  # (E,)
        places = np.array(starts).take(self._frame) + self._places  # (2, E)
        frames, after = np.concatenate(values).take(places)  # (E,) each
        frames *= 1 - share
        after *= share
        frames += after
        row = np.concatenate([frames, *[sensor.last_values for sensor in sensors], self._layout.constants])
        is_good = min(passed) > 0
        if is_good:
            newest = row.take(self._layout.last)  # (C,)
            for sensor, channels, one in zip(sensors, self._channels, passed, strict=True):
                sensor.last_values[:] = newest[channels]
                sensor.finish_regular(end, one)
        return self._layout.features(row)[None], [is_good]

    def _frames(self, first: Sequence[int], sensors: Sequence[Sensors], rows: Rows) -> tuple[Floats, list[list[int]]]:
        """Frames (B, E) of several streams, sensor by sensor, and the numbers of samples before the last ones, or 0.

        0 stands for a sensor with a gap. To the bit as `_take_one`.
        """
        steps, streams = np.asarray(first)[:, None], rows[:, None]  # (B, 1)
        frames: list[Floats] = []
        passed: list[list[int]] = []
        for of_sensor in zip(*sensors, strict=True):
            one, samples = of_sensor[0], of_sensor[0].rows
            stores = [sensor.store for sensor in of_sensor]
            begin = np.array([store.first for store in stores])[:, None]  # (B, 1)
            end = np.array([store.end for store in stores])[:, None]
            places = begin + np.arange((end - begin).max())  # (B, n), the last ones beyond the end
            times_s = samples.times_s[streams, np.minimum(places, end - 1)]
            frames_s = (steps * one.spec.patch + np.arange(self._steps * one.spec.patch)) * one.frame_s  # (B, L)
            is_before = (times_s[:, None] < frames_s[:, :, None]) & (places < end)[:, None]
            after = np.maximum(np.count_nonzero(is_before, axis=2), 1)  # (B, L)
            before_s = np.take_along_axis(times_s, after - 1, 1)
            span_s = np.take_along_axis(times_s, after, 1) - before_s
            share = ((frames_s - before_s) / span_s).astype(np.float32)[:, :, None]
            of_frames = samples.values[streams, begin + after - 1]  # (B, L, C)
            of_frames *= 1 - share
            of_frames += samples.values[streams, begin + after] * share
            frames.append(of_frames.reshape(len(first), -1))
            is_bridged = (span_s <= one.longest_gap_s).all(1)
            passed.append(np.where(is_bridged, after[:, -1], 0).tolist())
        return np.concatenate(frames, axis=1), [list(over) for over in zip(*passed, strict=True)]
