"""Takes the features of the next steps from the buffers of one sensor of many streams, all in one pass."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgehar.deploy.samples import MAX_VALUE
from edgehar.deploy.stream.sensor_buffer import SensorBuffer
from edgehar.signals.clip import Bools, Floats, all_true
from edgehar.signals.preprocess import prepare_valid
from edgehar.signals.resampling import between

MAX_BUFFERED = 128
"""A sensor with more buffered samples is resampled by itself: each of a pass takes the memory of the longest."""


class Take(NamedTuple):
    """The steps `first` to `end`, exclusive, of a sensor at the stream's time `now_s`; see `SensorBuffer.take`."""

    sensor: SensorBuffer
    first: int
    end: int
    now_s: float | None


def merge_all(sensors: Iterable[SensorBuffer]) -> None:
    """`SensorBuffer.merge` for many buffers of one kind of sensor: their new samples are converted together."""
    unmerged = [(sensor, sensor.unmerged_rows()) for sensor in sensors]
    waiting = [(sensor, rows) for sensor, rows in unmerged if rows is not None]
    if len(waiting) < 2:
        return  # `merge` is called where it is needed
    chunks = [rows for _, rows in waiting]
    ends: NDArray[np.intp] = np.cumsum([len(chunk) for chunk in chunks])
    rows = np.concatenate(chunks)
    usable = np.maximum.reduce(np.abs(rows), axis=1) <= MAX_VALUE  # NaN compares False
    firsts = ends - [len(chunk) for chunk in chunks]
    good = np.logical_and.reduceat(usable, firsts)
    values: Floats = (rows if all_true(usable) else np.where(usable[:, None], rows, 0)).astype(np.float32)
    for (sensor, _), first, end, is_good in zip(waiting, firsts.tolist(), ends.tolist(), good.tolist(), strict=True):
        if is_good:
            sensor.merge(values[first:end])


def take_all(takes: Sequence[Take]) -> tuple[Floats, Bools]:
    """`SensorBuffer.take` of several streams: features (N, P, G, F) of all their steps, and (N,) which are valid.

    All are of one sensor of one package. Buffers of regular samples are resampled together.
    """
    by_length: dict[int, list[int]] = defaultdict(list)
    for index, take in enumerate(takes):
        if _is_regular(take):
            by_length[take.end - take.first].append(index)
    found: list[tuple[Floats, Bools] | None] = [None] * len(takes)
    for length, indices in by_length.items():
        features, good = _take_regular([takes[index] for index in indices], length)
        if len(indices) == len(takes) and all_true(good):
            return features, np.ones(len(features), bool)
        for place, index in enumerate(indices):
            rows = slice(place * length, (place + 1) * length)
            found[index] = (features[rows], np.ones(length, bool)) if good[place] else None
    for index, take in enumerate(takes):
        if found[index] is None:
            found[index] = take.sensor.take(take.first, take.end, take.now_s)
    parts = [part for part in found if part is not None]
    return np.concatenate([features for features, _ in parts]), np.concatenate([valid for _, valid in parts])


def _is_regular(take: Take) -> bool:
    """Whether the steps only need interpolation between samples before and after them, as far as times tell."""
    sensor = take.sensor
    sensor.merge()
    times_s, last_frame, patch = sensor.times_s, sensor.last_frame, sensor.spec.patch
    return (
        sensor.is_plain
        and 2 <= len(times_s) <= MAX_BUFFERED
        and last_frame is not None
        and last_frame[1]
        and not sensor.gaps.is_held
        and sensor.spec.name not in sensor.normalisation.bones
        and bool(times_s[0] <= take.first * patch * sensor.frame_s)
        and bool(times_s[-1] >= (take.end * patch - 1) * sensor.frame_s)
        and sensor.is_final(take.end - 1)
    )


def _take_regular(takes: list[Take], steps: int) -> tuple[Floats, Bools]:
    """Features (B * N, P, G, F) of B buffers, N steps each, and (B,) which of them have no gap and no lost joint.

    Only those are taken; the features of the others mean nothing.
    """
    sensors = [take.sensor for take in takes]
    spec, frame_s = sensors[0].spec, sensors[0].frame_s
    frames_each = steps * spec.patch
    first = np.asarray([take.first * spec.patch for take in takes], np.float64)
    grid_s = (first[:, None] + np.arange(frames_each)) * frame_s  # (B, L)
    times = [sensor.times_s for sensor in sensors]
    counts = np.asarray([len(one) for one in times])
    times_s = np.concatenate(times)
    padded = np.full((len(takes), int(counts.max())), np.inf)
    padded[np.arange(padded.shape[1]) < counts[:, None]] = times_s
    # As searchsorted of each row: the number of samples before a frame.
    right = np.maximum((padded[:, None, :] < grid_s[:, :, None]).sum(axis=2), 1)
    right += (np.cumsum(counts) - counts)[:, None]
    values = np.concatenate([sensor.samples for sensor in sensors])
    flat, _, span_s = between(values, times_s, grid_s.reshape(-1), right.reshape(-1))
    frames = flat.reshape(len(takes), frames_each, spec.channels)
    good: Bools = np.logical_and.reduce(span_s.reshape(grid_s.shape) <= sensors[0].longest_gap_s, axis=1)
    last_frames = [last_frame[0] for sensor in sensors if (last_frame := sensor.last_frame) is not None]
    previous = np.concatenate(last_frames).reshape(len(takes), spec.channels)
    if spec.is_skeleton:
        good &= ~np.logical_or.reduce(np.isnan(flat).reshape(len(takes), -1), axis=1)
        good &= ~np.logical_or.reduce(np.isnan(previous), axis=1)
    features = prepare_valid(frames, previous, spec, frame_s, sensors[0].normalisation)
    passed = (padded <= grid_s[:, -1:]).sum(axis=1)
    for take, last, count, is_good in zip(takes, frames[:, -1], passed.tolist(), good.tolist(), strict=True):
        if is_good:
            take.sensor.finish_take(last.copy(), True, take.end, count)
    return features, good
