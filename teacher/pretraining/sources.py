"""The data sets that pretraining learns from, and how often each is drawn."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgehar.config import Options, option
from edgehar.data.pretraining import FRAME_RATE_HZ, options_of, stored_place, training_recordings, window_hours
from edgehar.data.registry import DataOptions
from edgehar.data.shards.index import PackedSource, ShardFolder, is_shards
from edgehar.data.shards.windows import ShardWindows
from edgehar.data.splits import Split, seen_before
from edgehar.errors import CheckpointError, ConfigError
from edgehar.signals.clip import DatasetInfo
from edgehar.signals.windows import cut, fit_normalisation
from edgehar.teacher.training.batches import WindowTensors, to_tensors, update_generator

Batch = tuple[dict[str, Tensor], dict[str, Tensor], Tensor]
"""Features, validity and labels of windows, see `WindowTensors`."""


@dataclass(frozen=True)
class ShardOptions(Options):
    """Shards."""

    memory_mb: float = option(
        512.0, "megabytes for windows of shards, of all data sets together; more are shuffled better", above=0
    )


@dataclass(frozen=True)
class InMemory:
    """Windows of a folder, all in memory; each batch is a random choice."""

    windows: WindowTensors

    def __len__(self) -> int:
        """N."""
        return len(self.windows)

    def batch(self, number: int, size: int, generator: torch.Generator) -> Batch:
        """`size` different windows, or all of them if there are fewer."""
        del number
        rows = torch.randperm(len(self.windows), generator=generator)[:size].numpy()
        return self.windows.rows(rows.astype(np.intp))


@dataclass(frozen=True)
class Streamed:
    """Windows of shards, each of them once per epoch."""

    windows: ShardWindows
    device: torch.device

    def __len__(self) -> int:
        """N."""
        return len(self.windows)

    def batch(self, number: int, size: int, generator: torch.Generator) -> Batch:
        """The batch with this number, of `size` windows, or of all of them if there are fewer."""
        del generator
        features, valid, labels = self.windows.batch(number, min(size, len(self)))
        return (
            {name: torch.as_tensor(array, device=self.device) for name, array in features.items()},
            {name: torch.as_tensor(array, device=self.device) for name, array in valid.items()},
            torch.as_tensor(labels, device=self.device),
        )


@dataclass(frozen=True)
class Source:
    """One data set.

    Attributes:
        info: its sensors, labels and window.
        windows: windows of the training people, each scaled by its sensor's own root-mean-square.
        classes: number of labels that windows have.
        people: number of training people.
        hours: duration of their recordings.
        options: as stored in checkpoints.
        fingerprint: changes when a file of the data set does.
    """

    info: DatasetInfo
    windows: InMemory | Streamed
    classes: int
    people: int
    hours: float
    options: dict[str, Any]
    fingerprint: str

    @property
    def is_labelled(self) -> bool:
        """Whether there are two labels or more to learn."""
        return self.classes > 1


def load_source(options: DataOptions, device: torch.device) -> Source:
    """The windows of a data set's training people; everybody's with `--split all`."""
    recordings = training_recordings(options)
    trained = recordings.dataset
    windows = cut(trained.clips, trained.info, fit_normalisation(trained, trained.subjects))
    return Source(
        trained.info,
        InMemory(to_tensors(windows, device)),
        len(np.unique(windows.label[windows.label >= 0])),
        recordings.people,
        window_hours(trained.info, len(windows)),
        recordings.stored,
        options.fingerprint(),
    )


def _packed_source(
    folder: ShardFolder, number: int, seed: Sequence[int], most_bytes: float, device: torch.device
) -> Source:
    packed: PackedSource = folder.sources[number]
    windows = ShardWindows(packed, partial(folder.read, number), seed, most_bytes)
    return Source(
        packed.info,
        Streamed(windows, device),
        packed.classes,
        packed.people,
        packed.hours,
        packed.stored | {"packed": True},
        folder.fingerprint,
    )


def load_sources(
    options: DataOptions, shards: ShardOptions, seed: int, device: torch.device
) -> tuple[list[Source], float | None]:
    """The data sets of `--data A,B,C`, folders and shards, and the frame rate of all (None: each its own).

    Raises:
        ConfigError: options that shards cannot follow, since they were packed with others.
        DataError: recordings or shards cannot be read.
    """
    chosen = options_of(options)
    opened = {each.data: ShardFolder(each.data) for each in chosen if is_shards(each.data)}
    if len(opened) == len(chosen):
        given = [name for name in ("root", "modalities", "split", "without", "few_labels") if getattr(options, name)]
        if given:
            raise ConfigError(
                f"--{given[0].replace('_', '-')}: has no effect on shards; expected it when they were packed; omit it, "
                "or pack the recordings again with it"
            )
    rate = options.frame_rate
    if rate is None and (opened or len(chosen) > 1):
        rate = next((folder.frame_rate for folder in opened.values()), FRAME_RATE_HZ)
    for folder in opened.values():
        if folder.frame_rate != rate:
            raise ConfigError(
                f"{folder.name}: packed for {folder.frame_rate:g} frames per second, expected {rate:g}; omit "
                "--frame-rate, or pack the recordings again with it"
            )
    count = sum(len(folder.sources) for folder in opened.values())
    sources: list[Source] = []
    for each in chosen:
        if each.data not in opened:
            sources.append(load_source(replace(each, frame_rate=rate), device))
            continue
        for number in range(len(opened[each.data].sources)):
            words = [seed, len(sources)]
            sources.append(_packed_source(opened[each.data], number, words, 1e6 * shards.memory_mb / count, device))
    return sources, rate


def shares_of(sources: Sequence[Source]) -> list[float]:
    """How often each data set is drawn: the square root of its people and hours, so that small sets count, too."""
    weights = [math.sqrt(source.people * source.hours) for source in sources]
    return [weight / sum(weights) for weight in weights]


@dataclass(frozen=True)
class Draws:
    """The data set of each update, and how many updates before had the same one.

    Attributes:
        shares: how often each data set is drawn.
        number: (updates,) earlier updates of the same data set.
    """

    shares: Tensor
    number: NDArray[np.int64] = field(repr=False)

    @staticmethod
    def of(sources: Sequence[Source], seed: int, updates: int) -> "Draws":
        """Those of a training, from the seed alone."""
        shares = torch.tensor(shares_of(sources))
        number = np.empty(updates, np.int64)
        taken = [0] * len(sources)
        draws = Draws(shares, number)
        for update in range(updates):
            index = draws.source(update_generator(seed, update))
            number[update] = taken[index]
            taken[index] += 1
        return draws

    def source(self, generator: torch.Generator) -> int:
        """The index of an update's data set, the first number drawn from its generator."""
        return int(torch.multinomial(self.shares, 1, generator=generator))


def check_unseen(sources: Sequence[Mapping[str, Any]], options: DataOptions, name: str, split: Split) -> None:
    """Raise CheckpointError if pretraining saw a person, or a recording of a split by trial, that a split tests on.

    The data set is the same if its place is. That of shards and of shipped weights may be anywhere: there it is the
    same if its declared `name` is.
    """
    for source in sources:
        by_name = source.get("packed", False) or source["data"] == source.get("name")
        if source["data"] != stored_place(options)["data"] and not (by_name and source["name"] == name):
            continue
        seen = seen_before(split, source)
        if seen:
            raise CheckpointError(
                f"split {split.name} tests on {seen} of {name}, which pretraining has seen; expected others; choose "
                "another split, pretrain without them, or rename the data set if it only has the same name"
            )
