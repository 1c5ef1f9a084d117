"""Data, output folder and scores of a training stage: one run of pretrain, finetune, distill, prune or baseline.

Stages of an experiment, which run such commands one after the other, are in `edgehar.experiments.stage`.
"""

import sys
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgehar.data.columns import in_order_of
from edgehar.data.pretraining import stored_place
from edgehar.data.registry import DataOptions
from edgehar.data.splits import Split, seen_before
from edgehar.errors import CheckpointError, ConfigError, DataError, SplitError
from edgehar.files.atomic import locked, progress_files
from edgehar.metrics.recordings import score_windows
from edgehar.signals.clip import Dataset, DatasetInfo
from edgehar.signals.limits import MAX_LISTED_BYTES, declaration_problem, json_bytes, size_problem
from edgehar.signals.preprocess import Normalisation
from edgehar.signals.windows import Windows, cut, fit_normalisation
from edgehar.teacher.training.checkpoint import Checkpoint, check_replaceable
from edgehar.teacher.training.processes import ProcessGroup

KEPT = ("frame_rate", "few_labels")
"""Data options that every later stage takes over."""


@dataclass(frozen=True)
class StageData:
    """A data set, its split and its windows.

    Attributes:
        dataset: clips of every subject.
        split: training and test subjects.
        normalisation: scales of the training subjects.
        train: windows of the training subjects, unlabelled ones included.
        test: labelled windows of the test subjects.
        options: name, root, modalities, excluded activities, split and subjects, as stored in checkpoints.
        fingerprint: changes when a file of the data set does.
    """

    dataset: Dataset
    split: Split
    normalisation: Normalisation
    train: Windows
    test: Windows
    options: dict[str, Any]
    fingerprint: str


@contextmanager
def locked_output(out: Path, processes: ProcessGroup) -> Generator[Path, None, None]:
    """Lock `out` against other writers and yield the path of its progress file.

    On success the progress file is deleted, and with it those of further rounds, whose names end in a number.
    """
    target = out.resolve()
    with locked(out) if processes.rank == 0 else nullcontext():
        yield target.with_name(f".{target.name}.progress")
        if processes.rank == 0:
            for file in progress_files(target):
                file.unlink(missing_ok=True)


@contextmanager
def checkpoint_output(out: Path, processes: ProcessGroup, *read: str, kind: str) -> Generator[Path, None, None]:
    """Lock the output folder of a checkpoint of this kind and yield the path of its progress file.

    Args:
        out: the checkpoint's folder.
        processes: the processes that train together.
        read: folders of the checkpoints that the stage reads.
        kind: as in `Checkpoint`.

    Raises:
        ConfigError: the folder is not writable, holds anything but a checkpoint of this kind, or overlaps with a folder
            in `read`.
    """
    target = out.resolve()
    for folder in read:
        source = Path(folder).resolve()
        if target == source or source in target.parents or target in source.parents:
            raise ConfigError(f"--out {out}: would replace {folder} or lie within it; choose a folder beside it")
    if not out.name or out.name == "..":
        raise ConfigError(f"--out {out}: expected the path of a folder to create, such as runs/mine")
    check_replaceable(out, kind)
    with locked_output(out, processes) as progress:
        yield progress


def load_stage_data(options: DataOptions, normalisation: Normalisation | None = None) -> StageData:
    """Load a data set, split its subjects and cut its windows; test windows serve for the final score only.

    Raises DataError if there are fewer than two labels, a modality without training data, or no labelled test window.
    """
    dataset = options.load()
    problem = declaration_problem(dataset.info) or size_problem(dataset.info)
    if problem:
        raise DataError(f"{dataset.info.name}: {problem}; no package could hold it")
    split = options.make_split(dataset)
    listed = json_bytes(split.train_recordings)
    if listed > MAX_LISTED_BYTES:
        raise SplitError(
            f"split {split.name}: names of {len(split.train_recordings)} training recordings of {listed} bytes as "
            f"JSON; expected {MAX_LISTED_BYTES} at most, since a package lists them; use shorter names"
        )
    if len(dataset.info.labels) < 2:
        raise DataError(f"{dataset.info.name}: found one label, {dataset.info.labels}; expected two or more")
    trained = Dataset(dataset.info, options.train_clips(dataset, split))
    scales = fit_normalisation(trained, trained.subjects) if normalisation is None else normalisation
    train = cut(trained.clips, dataset.info, scales)
    test = cut(split.test_clips(dataset.clips), dataset.info, scales).labelled()
    unusable = [name for name, valid in train.valid.items() if not valid.any()]
    if unusable:
        raise DataError(
            f"{', '.join(unusable)}: no training recording of split {split.name} has a valid sample; record some, or "
            "exclude the sensor with --modalities"
        )
    if not len(test):
        raise DataError(
            f"--split {split.name}: found no labelled window in the test; label some or choose another split"
        )
    stored = {
        **stored_place(options),
        "modalities": [spec.name for spec in dataset.info.modalities],
        "without": list(options.without),
        **{name: value for name in KEPT if (value := getattr(options, name)) is not None},
        "split": split.name,
        "train_subjects": list(split.train),
        "test_subjects": list(split.test),
        **({"train_recordings": list(split.train_recordings)} if split.by_trial else {}),
    }
    return StageData(dataset, split, scales, train, test, stored, options.fingerprint())


def inherit_data_options(options: DataOptions, before: dict[str, Any]) -> DataOptions:
    """Data options of a later stage: those of the checkpoint, and the data set and its root as given.

    Raises CheckpointError if given options contradict the training data of the checkpoint, or it stores none.
    """
    lacking = {"data", "root", "modalities", "split"} - set(before)
    if lacking:
        raise CheckpointError(
            f"damaged checkpoint: data lacks {', '.join(sorted(lacking))}; train the earlier stage again"
        )
    defaults = DataOptions()
    if options.modalities and list(options.modalities) != before["modalities"]:
        raise CheckpointError(
            f"--modalities {','.join(options.modalities)}: the checkpoint has {','.join(before['modalities'])}; "
            "omit the option or train the earlier stage again"
        )
    if options.split not in (None, before["split"]):
        raise CheckpointError(
            f"--split {options.split}: the checkpoint was trained with {before['split']}; another split would test on "
            "subjects it was trained on; omit the option or train the earlier stage again"
        )
    without: list[str] = before.get("without", [])  # older checkpoints do not store it
    if options.without and set(options.without) != set(without):
        raise CheckpointError(
            f"--without {','.join(options.without)}: the checkpoint was trained without {','.join(without) or 'none'}; "
            "omit the option or train the earlier stage again"
        )
    kept: dict[str, Any] = {name: before.get(name) for name in KEPT}
    for name, value in kept.items():
        if getattr(options, name) not in (None, value):
            raise CheckpointError(
                f"--{name.replace('_', '-')} {getattr(options, name)}: the checkpoint has {value or 'the default'}; "
                "omit the option or train the earlier stage again"
            )
    same_data = options.data in (defaults.data, before["data"]) or str(Path(options.data).resolve()) == before["data"]
    return DataOptions(
        before["data"] if same_data else options.data,
        options.root or (before["root"] if same_data else None),
        tuple(before["modalities"]),
        before["split"],
        tuple(without),
        **kept,
    )


def _described(info: DatasetInfo) -> tuple[list[str], list[str]]:
    """Activities and sensors as shown in messages."""
    return list(info.labels), [
        f"{spec.name} ({spec.channels} x {spec.rate_hz:g} Hz{', joints may be lost' * spec.lost_joints})"
        for spec in info.modalities
    ]


def _check_split(before: dict[str, Any], split: Split) -> None:
    """Raise CheckpointError if the split, made again, tests on what the checkpoint was trained on."""
    seen = seen_before(split, before)
    if seen:
        raise CheckpointError(
            f"split {split.name} now tests on {seen}, which the checkpoint "
            "was trained on; expected the recordings of its training; restore them, or train the earlier stage again"
        )


def load_checkpoint_data(checkpoint: Checkpoint, options: DataOptions) -> StageData:
    """The data that a checkpoint was trained on, from its current location.

    Raises CheckpointError if the recordings have other activities or sensors than the checkpoint.
    """
    data = load_stage_data(inherit_data_options(options, checkpoint.data), checkpoint.normalisation)
    _check_split(checkpoint.data, data.split)
    pairs = zip(_described(checkpoint.info), _described(data.dataset.info), strict=True)
    for title, (expected, found) in zip(("activities", "sensors"), pairs, strict=True):
        if expected != found:
            raise CheckpointError(
                f"{title}: found {', '.join(found)} in the recordings; expected {', '.join(expected)}, in this order, "
                "as in the checkpoint; give --data of its recordings, or train the earlier stage again"
            )
    if in_order_of(data.dataset, checkpoint.info.modalities) is not data.dataset:
        raise CheckpointError(
            f"{data.dataset.info.name}: the columns have another order than in the checkpoint; put those of its "
            "training into `columns` of recordings.json, or train the earlier stage again"
        )
    return data


@torch.no_grad()
def predict(model: nn.Module, windows: Windows, device: torch.device, batch: int = 256) -> NDArray[np.float32]:
    """Logits (N, K) of windows; the network is left in evaluation mode."""
    model.eval()
    parts: list[Tensor] = []
    for start in range(0, len(windows), batch):
        span = slice(start, start + batch)
        output = model(
            {name: torch.as_tensor(array[span], device=device) for name, array in windows.features.items()},
            {name: torch.as_tensor(array[span], device=device) for name, array in windows.valid.items()},
        )
        parts.append(output.logits.float().cpu())
    return torch.cat(parts).numpy()


def score_on(model: nn.Module, windows: Windows, labels: tuple[str, ...], device: torch.device) -> dict[str, Any]:
    """Classification metrics of a network on labelled windows, see `edgehar.metrics.recordings.score_windows`."""
    return score_windows(windows, predict(model, windows, device), labels)


def report_score(name: str, evaluation: dict[str, Any]) -> None:
    """Print accuracy and confidence interval of a network in one line."""
    low, high = evaluation["wilson95"]
    sys.stdout.write(
        f"{name}: {evaluation['correct']}/{evaluation['total']} correct in the test, "
        f"{100 * evaluation['accuracy']:.2f} % (95 % interval {100 * low:.1f}-{100 * high:.1f})\n"
    )


def one_hot(label: Tensor, classes: int, smoothing: float) -> Tensor:
    """Smoothed targets (B, K) of labels (B,); zeros where unlabelled (-1). arXiv 1512.00567, section 7."""
    hot = nn.functional.one_hot(label.clamp(min=0), classes).float()
    return (hot * (1 - smoothing) + smoothing / classes) * (label >= 0)[:, None]


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy of (B, K) logits against (B, K) target probabilities."""
    return -(target * logits.log_softmax(1)).sum(1).mean()


def example_inputs(windows: Windows, device: torch.device) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Features and validity of one window, a batch of 1 for counting multiply-adds."""
    return (
        {name: torch.as_tensor(array[:1], device=device) for name, array in windows.features.items()},
        {name: torch.ones(1, array.shape[1], dtype=torch.bool, device=device) for name, array in windows.valid.items()},
    )
