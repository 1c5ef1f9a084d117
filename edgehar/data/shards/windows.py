"""Windows of packed recordings in a random order that depends on a seed and the epoch only, a few shards at a time.

An epoch has every window once. Its shards are permuted and taken in groups that fit into memory; the windows of a group
are permuted, too. A batch follows from its number alone, so that a training resumes at any update, and processes that
train together see the same batches.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgehar.data.shards.index import PackedSource, groups_by_size
from edgehar.data.shards.table import from_bytes
from edgehar.errors import ConfigError, DataError
from edgehar.signals.clip import Bools, Floats
from edgehar.signals.steps import ContinuousSteps, clip_steps
from edgehar.signals.windows import window_label, window_spans, window_starts

Batch = tuple[dict[str, Floats], dict[str, Bools], NDArray[np.int64]]
"""Features (B, S, P, G, F) and validity (B, S) by modality, and labels (B,), -1 where unlabelled."""

Place = tuple[int, int]
"""An epoch, and a group of its shards."""


@dataclass(frozen=True)
class Epoch:
    """The groups of one epoch.

    Attributes:
        groups: numbers of the shards of each group.
        ends: (groups,) windows up to the end of each group.
    """

    groups: list[list[int]]
    ends: NDArray[np.int64]


def epoch_of(source: PackedSource, most_bytes: float, seed: Sequence[int]) -> Epoch:
    """Shards in a random order, in groups that take `most_bytes` at most, each of one shard or more."""
    order: list[int] = np.random.default_rng(seed).permutation(len(source.shards)).tolist()
    groups = groups_by_size(order, lambda number: source.bytes_of(source.shards[number]), most_bytes)
    counts = [sum(source.shards[number].windows for number in group) for group in groups]
    return Epoch(groups, np.cumsum(counts))


@dataclass
class _Group:
    """Steps of some recordings, one after the other, and where windows start.

    Attributes:
        features: modality -> (steps, P, G, F).
        valid: modality -> (steps,).
        starts: (N,) first step of each window, in a random order.
        labels: (N,) their labels.
    """

    features: dict[str, Floats]
    valid: dict[str, Bools]
    starts: NDArray[np.intp]
    labels: NDArray[np.int64]


@dataclass
class ShardWindows:
    """Windows of one packed data set.

    Attributes:
        source: the packed data set.
        read: the bytes of a shard by its number.
        seed: of the order.
        most_bytes: memory for windows, of which two groups share it: one in use, one that is read ahead.
    """

    source: PackedSource
    read: Callable[[int], bytes]
    seed: Sequence[int]
    most_bytes: float
    _reader: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1), repr=False)
    _epochs: dict[int, Epoch] = field(default_factory=lambda: dict[int, Epoch](), repr=False)
    _loading: dict[Place, "Future[_Group]"] = field(default_factory=lambda: dict[Place, "Future[_Group]"](), repr=False)

    def __post_init__(self) -> None:
        """Raise ConfigError if a shard alone takes more than half of the memory."""
        largest = max(self.source.bytes_of(shard) for shard in self.source.shards)
        if largest > self.most_bytes / 2:
            raise ConfigError(
                f"{self.source.info.name}: a shard takes {largest / 1e6:.3g} MB in memory; expected two in its "
                f"{self.most_bytes / 1e6:.3g} MB; raise --memory-mb, or pack with a smaller --shard-mb"
            )

    def __len__(self) -> int:
        """N."""
        return self.source.windows

    def batch(self, number: int, size: int) -> Batch:
        """Windows `number * size` to `(number + 1) * size` of all epochs one after the other.

        Raises DataError for a damaged shard.
        """
        parts: list[Batch] = []
        position, end = number * size, (number + 1) * size
        while position < end:
            epoch, offset = divmod(position, len(self))
            ends = self._epoch(epoch).ends
            index = int(ends.searchsorted(offset, side="right"))
            first = offset - (int(ends[index - 1]) if index else 0)
            parts.append(self._take(epoch, index, first, first + end - position))
            position += len(parts[-1][2])
        features, valid, labels = zip(*parts, strict=True)
        return (
            {name: np.concatenate([part[name] for part in features]) for name in features[0]},
            {name: np.concatenate([part[name] for part in valid]) for name in valid[0]},
            np.concatenate(labels),
        )

    def _epoch(self, number: int) -> Epoch:
        if number not in self._epochs:
            self._epochs = {key: epoch for key, epoch in self._epochs.items() if key == number - 1}
            self._epochs[number] = epoch_of(self.source, self.most_bytes / 2, [*self.seed, number])
        return self._epochs[number]

    def _take(self, epoch: int, index: int, first: int, end: int) -> Batch:
        group = self._group(epoch, index)
        starts = group.starts[first:end]
        steps = starts[:, None] + np.arange(self.source.info.window.steps)  # (B, S)
        return (
            {name: array[steps] for name, array in group.features.items()},
            {name: array[steps] for name, array in group.valid.items()},
            group.labels[first:end],
        )

    def _group(self, epoch: int, index: int) -> _Group:
        """A group; the one after it is read ahead, all others are dropped."""
        last = index + 1 == len(self._epoch(epoch).groups)
        following = (epoch + 1, 0) if last else (epoch, index + 1)
        self._loading = {place: self._loading[place] for place in ((epoch, index), following) if place in self._loading}
        for place in ((epoch, index), following):
            if place not in self._loading:
                self._loading[place] = self._reader.submit(self._load, self._epoch(place[0]).groups[place[1]], place)
        return self._loading[epoch, index].result()

    def _load(self, shards: list[int], place: Place) -> _Group:
        info, listed = self.source.info, [self.source.shards[number] for number in shards]
        steps, windows = sum(shard.steps for shard in listed), sum(shard.windows for shard in listed)
        group = _Group(
            {
                spec.name: np.empty((steps, spec.patch, spec.groups, spec.features), np.float32)
                for spec in info.modalities
            },
            {spec.name: np.empty(steps, bool) for spec in info.modalities},
            np.empty(windows, np.intp),
            np.empty(windows, np.int64),
        )
        step = window = 0
        for number, shard in zip(shards, listed, strict=True):
            before = step, window
            data = self.read(number)
            try:
                step, window = self._fill(group, data, step, window)
                found = step - before[0], window - before[1]
                if found != (shard.steps, shard.windows):
                    raise DataError(f"found {found} steps and windows, expected {(shard.steps, shard.windows)}")
            except (DataError, ValueError) as problem:
                raise DataError(f"{info.name}, shard {number}: {problem}; pack the recordings again") from None
        order = np.random.default_rng([*self.seed, *place, 1]).permutation(windows)
        group.starts, group.labels = group.starts[order], group.labels[order]
        return group

    def _fill(self, group: _Group, data: bytes, step: int, window: int) -> tuple[int, int]:
        """Add the recordings of a shard after so many steps and windows; returns the new numbers of both."""
        source, info = self.source, self.source.info
        for clip in from_bytes(data, info, source.types):
            if info.window.kind == "clip":
                steps, start_s, end_s = clip_steps(clip, info, source.normalisation)
                count, starts, spans = info.window.steps, np.zeros(1, np.intp), [(start_s, end_s)]
            else:
                recording = ContinuousSteps.of(clip, info, source.normalisation)
                count = recording.count
                steps, starts = recording.between(0, count), window_starts(count, info)
                spans = window_spans(starts, info.window)
            for name, values in steps.features.items():
                group.features[name][step : step + count] = values
                group.valid[name][step : step + count] = steps.valid[name]
            chosen = slice(window, window + len(starts))
            group.starts[chosen] = step + starts
            group.labels[chosen] = [window_label(clip, *span) for span in spans]
            step, window = step + count, window + len(starts)
        return step, window
