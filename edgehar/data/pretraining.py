"""The recordings of a data set that pretraining learns from, and how checkpoints and shards name them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgehar.data.registry import NAMES, DataOptions
from edgehar.data.splits import people_in
from edgehar.errors import ConfigError
from edgehar.signals.clip import Dataset, DatasetInfo

EVERYONE = "all"
"""Split of which everybody is a training person."""
FRAME_RATE_HZ = 50.0
"""Sensors of several data sets are resampled to this rate, so that a convolution sees the same time of each."""


@dataclass(frozen=True)
class TrainingRecordings:
    """Recordings of the training people of a data set.

    Attributes:
        dataset: the declaration and these recordings.
        stored: data set, its place, sensors, split and people, as checkpoints store them.
    """

    dataset: Dataset
    stored: dict[str, Any]

    @property
    def people(self) -> int:
        """Number of people."""
        return len(people_in(self.dataset.subjects))


def options_of(options: DataOptions) -> list[DataOptions]:
    """The options of each data set of `--data A,B,C`; raises ConfigError for none, or one given twice."""
    names = [name for name in options.data.split(",") if name]
    if len(set(names)) < len(names) or not names:
        raise ConfigError(f"--data {options.data}: expected data sets or folders, each once, separated by commas")
    return [replace(options, data=name) for name in names]


def stored_place(options: DataOptions) -> dict[str, str | None]:
    """The data set and its folder as stored in checkpoints, by absolute paths."""
    return {
        "data": options.data if options.data in NAMES else str(Path(options.data).resolve()),
        "root": None if options.root is None else str(Path(options.root).resolve()),
    }


def training_recordings(options: DataOptions) -> TrainingRecordings:
    """The recordings of a split's training people; everybody's with `--split all`."""
    dataset = options.load()
    if options.split == EVERYONE:
        clips, split_name, recordings = dataset.clips, EVERYONE, tuple[str, ...]()
    else:
        split = options.make_split(dataset)
        clips, split_name, recordings = options.train_clips(dataset, split), split.name, split.train_recordings
    trained = Dataset(dataset.info, clips)
    stored = {
        **stored_place(options),
        "name": dataset.info.name,
        "modalities": [spec.name for spec in dataset.info.modalities],
        "without": list(options.without),
        "split": split_name,
        "train_subjects": list(trained.subjects),
        "train_recordings": list(recordings),
    }
    return TrainingRecordings(trained, stored)


def window_hours(info: DatasetInfo, windows: int) -> float:
    """Hours of recording that so many windows stand for; overlapping ones count once."""
    new_s = info.window.length_s if info.window.kind == "clip" else info.window.hop * info.window.step_s
    return windows * new_s / 3600
