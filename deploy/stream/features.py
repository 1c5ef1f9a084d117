"""Takes the features of the next steps from the sensors of one or many streams: all that are regular in one pass."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgehar.deploy.stream.rows import StreamRows
from edgehar.deploy.stream.sensor_buffer import SensorBuffer
from edgehar.deploy.stream.state import Hop
from edgehar.package.manifest import Manifest
from edgehar.signals.clip import Floats
from edgehar.signals.valid_frames import ValidFrames

Sensors = tuple[SensorBuffer, ...]
Streams = NDArray[np.intp]
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

    def try_take(self, hop: Hop, features: Floats) -> bool:
        """Take the usual steps of one hop, if all of the package's sensors are connected and regular.

        Args:
            hop: what to take.
            features: (N * sum of P * G * F,) to fill, sensor after sensor.

        Returns:
            Whether it was taken; if not, nothing has changed but `features`.
        """
        first, end, sensors = hop.first, hop.end, hop.state.in_order
        if end - first != self._usual_steps or len(sensors) != len(self._columns):
            return False
        for sensor in sensors:  # no generator expression: this is done for every hop
            if not sensor.is_regular(first, end):
                return False
        return self._regular_steps(hop.state.names, sensors).take_one(first, sensors, hop.state.rows, features)

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
        regular, steps, taken = self._regular_steps(names, parts[0].sensors), self._usual_steps, parts
        all_rows = parts[0].hop.state.rows
        features, good = regular.take([part.hop.first for part in parts], [part.sensors for part in parts], all_rows)
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

    def _regular_steps(self, names: tuple[str, ...], sensors: Sensors) -> "RegularSteps":
        """The usual steps of these sensors."""
        regular = self._regular.get(names)
        if regular is None:
            valid = np.array([name in names for name in self._columns], np.float32)
            regular = self._regular[names] = RegularSteps(sensors, self._usual_steps, valid)
        return regular


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
        channels = np.concatenate([np.tile(np.arange(spec.channels), steps * spec.patch) for spec in specs])  # (E,)
        frame = np.repeat(np.arange(len(widths)), widths)  # (E,)
        self._last = np.concatenate([sensor.rows.last_places for sensor in sensors])  # (C,)
        self._rest = np.append(self._last, (-2, -1))  # last frames, a 0 and a 1
        # For `take_one`: of each number that is needed, its frame, or L, and its place after the one of the frame.
        no_frame = np.full(len(self._rest), len(widths))
        self._numbers, self._frame = len(frame), frame
        self._of_frame = np.concatenate([frame, no_frame, frame])  # (2 E + C + 2,)
        self._places = np.concatenate([channels, self._rest, channels + widths[frame]])

    def take(self, first: Sequence[int], sensors: Sequence[Sensors], rows: StreamRows) -> tuple[Floats, list[bool]]:
        """Features (B, columns) of the steps from `first` on, of B streams, and which of these have no gap.

        Only those are taken; the features of the others mean nothing.
        """
        if len(first) == 1:
            features: Floats = np.empty((1, self._layout.features_count), np.float32)
            return features, [self.take_one(first[0], sensors[0], rows, features[0])]
        streams = np.array([of_stream[0].store.row for of_stream in sensors])
        frames, passed = self._frames(first, sensors, streams)
        numbers = np.concatenate([frames, rows.numbers[streams[:, None], self._rest]], axis=1)
        good = [min(over) > 0 for over in passed]
        rows.numbers[streams[good, None], self._last] = numbers[good].take(self._layout.last, axis=1)
        for step, of_stream, over, is_good in zip(first, sensors, passed, good, strict=True):
            if is_good:
                for sensor, one in zip(of_stream, over, strict=True):
                    sensor.finish_regular(step + self._steps, one)
        return self._layout.features(numbers), good

    def take_one(self, first: int, sensors: Sensors, rows: StreamRows, features: Floats) -> bool:
        """`take` of one stream into (columns,), all in one gather, and plain Python where that is faster."""
        starts: list[int] = []
        shares: list[float] = []
        end = first + self._steps
        passed = [sensor.bracket(first, end, starts, shares) for sensor in sensors]
        starts.append(0)  # of what belongs to no frame
        # As `edgehar.signals.resampling.between`, number by number.
        share = np.array(shares, np.float32).take(self._frame)  # (E,)
        numbers = rows.numbers[sensors[0].store.row]
        found = numbers.take(np.array(starts).take(self._of_frame) + self._places)
        frames, after = found[: self._numbers], found[-self._numbers :]
        after *= share
        np.subtract(1, share, out=share)
        frames *= share
        frames += after
        self._layout.features(found, features)
        if min(passed) == 0:
            return False
        numbers[self._last] = frames.take(self._layout.last)
        for sensor, one in zip(sensors, passed, strict=True):
            sensor.finish_regular(end, one)
        return True

    def _frames(
        self, first: Sequence[int], sensors: Sequence[Sensors], rows: Streams
    ) -> tuple[Floats, list[list[int]]]:
        """Frames (B, E) of several streams, sensor by sensor, and the numbers of samples before the last ones, or 0.

        0 stands for a sensor with a gap. To the bit as `take_one`.
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
