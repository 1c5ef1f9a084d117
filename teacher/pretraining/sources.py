"""The data sets that pretraining learns from, and how often each is drawn."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from edgehar.data.registry import DataOptions
from edgehar.data.splits import Split, people_in
from edgehar.errors import CheckpointError, ConfigError, shortened
from edgehar.signals.clip import Dataset, DatasetInfo, natural_key
from edgehar.signals.windows import cut, fit_normalisation
from edgehar.teacher.training.batches import WindowTensors, to_tensors
from edgehar.teacher.training.stage import stored_place

EVERYONE = "all"
"""Split of which everybody is a training person."""


@dataclass(frozen=True)
class Source:
    """One data set.

    Attributes:
        info: its sensors, labels and window.
        windows: windows of the training people, each scaled by its sensor's own root-mean-square.
        people: number of training people.
        hours: duration of their recordings.
        options: as stored in checkpoints.
        fingerprint: changes when a file of the data set does.
    """

    info: DatasetInfo
    windows: WindowTensors
    people: int
    hours: float
    options: dict[str, Any]
    fingerprint: str

    @property
    def is_labelled(self) -> bool:
        """Whether there are two labels or more to learn."""
        return len(self.windows.label[self.windows.label >= 0].unique()) > 1


def options_of(options: DataOptions) -> list[DataOptions]:
    """The options of each data set of `--data A,B,C`."""
    names = [name for name in options.data.split(",") if name]
    if len(set(names)) < len(names) or not names:
        raise ConfigError(f"--data {options.data}: expected data sets or folders, each once, separated by commas")
    return [replace(options, data=name) for name in names]


def load_source(options: DataOptions, device: torch.device) -> Source:
    """The windows of a data set's training people; everybody's with `--split all`."""
    dataset = options.load()
    if options.split == EVERYONE:
        clips, split_name, recordings = dataset.clips, EVERYONE, tuple[str, ...]()
    else:
        split = options.make_split(dataset)
        clips, split_name, recordings = options.train_clips(dataset, split), split.name, split.train_recordings
    trained = Dataset(dataset.info, clips)
    windows = cut(trained.clips, dataset.info, fit_normalisation(trained, trained.subjects))
    window = dataset.info.window
    new_s = window.length_s if window.kind == "clip" else window.hop * window.step_s
    return Source(
        dataset.info,
        to_tensors(windows, device),
        len(people_in(trained.subjects)),
        len(windows) * new_s / 3600,
        {
            **stored_place(options),
            "modalities": [spec.name for spec in dataset.info.modalities],
            "without": list(options.without),
            "split": split_name,
            "train_subjects": list(trained.subjects),
            "train_recordings": list(recordings),
        },
        options.fingerprint(),
    )


def shares_of(sources: Sequence[Source]) -> list[float]:
    """How often each data set is drawn: the square root of its people and hours, so that small sets count, too."""
    weights = [math.sqrt(source.people * source.hours) for source in sources]
    return [weight / sum(weights) for weight in weights]


def check_unseen(sources: Sequence[Mapping[str, Any]], options: DataOptions, split: Split) -> None:
    """Raise CheckpointError if pretraining saw a person, or a recording of a split by trial, that a split tests on."""
    for source in sources:
        if source["data"] != stored_place(options)["data"]:
            continue
        kind, tested, seen = "subject", people_in(split.test), people_in(source["train_subjects"])
        if split.by_trial and source["train_recordings"]:
            kind, tested, seen = "recording", set(split.test_recordings), set(source["train_recordings"])
        if tested & seen:
            raise CheckpointError(
                f"split {split.name} tests on {kind} {shortened(sorted(tested & seen, key=natural_key))} of "
                f"{source['data']}, which pretraining has seen; expected others; choose another split or pretrain "
                "without them"
            )
