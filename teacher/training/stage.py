"""What every training stage shares: recordings in, windows of the training subjects as tensors, scores out."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgehar.data.registry import NAMES, DataOptions
from edgehar.data.splits import Split
from edgehar.errors import CheckpointError, ConfigError, DataError
from edgehar.files.atomic import locked, progress_files
from edgehar.metrics.classification import score
from edgehar.signals.clip import Dataset, DatasetInfo
from edgehar.signals.preprocess import Normalisation
from edgehar.signals.windows import Windows, cut, fit_normalisation
from edgehar.teacher.training.checkpoint import Checkpoint, refuse_to_replace
from edgehar.teacher.training.loop import ProcessGroup


@dataclass(frozen=True)
class StageData:
    """One data set under one split.

    Attributes:
        dataset: clips of every subject.
        split: who trains, who tests.
        normalisation: measured on the training subjects.
        train: windows of the training subjects, unlabelled ones included.
        test: labelled windows of the test subjects.
        options: name, root, sensors, activities left out, split and subjects, as kept in checkpoints.
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
    """Keep others from writing `out`, and yield the file for resuming.

    It goes when the work is done, and with it those of further rounds, which are called the same with a number behind.
    """
    there = out.resolve()
    with locked(out) if processes.rank == 0 else nullcontext():
        yield there.with_name(f".{there.name}.progress")
        if processes.rank == 0:
            for file in progress_files(there):
                file.unlink(missing_ok=True)


@contextmanager
def checkpoint_output(out: Path, processes: ProcessGroup, *read: str, kind: str) -> Generator[Path, None, None]:
    """Hold the output folder of a stage that makes a checkpoint of this kind, and yield its file for resuming.

    Raises ConfigError if the folder cannot be written, holds anything but a checkpoint of the same kind, or would
    replace or lie within one of the checkpoints that are `read`.
    """
    here = out.resolve()
    for folder in read:
        there = Path(folder).resolve()
        if here == there or there in here.parents or here in there.parents:
            raise ConfigError(f"--out {out}: would replace {folder} or lie within it; choose a folder beside it")
    if not out.name or out.name == "..":
        raise ConfigError(f"--out {out}: expected a folder with a name of its own, such as runs/mine")
    refuse_to_replace(out, kind)
    with locked_output(out, processes) as progress:
        yield progress


def load_stage_data(options: DataOptions, normalisation: Normalisation | None = None) -> StageData:
    """Load, split and cut a data set; the test subjects are cut only to be scored in the end."""
    dataset = options.load()
    split = options.make_split(dataset)
    if len(dataset.info.labels) < 2:
        raise DataError(f"{dataset.info.name}: one label, {dataset.info.labels}; expected two or more to tell apart")
    scales = fit_normalisation(dataset, split.train) if normalisation is None else normalisation
    train = cut((clip for clip in dataset.clips if clip.subject in split.train), dataset.info, scales)
    test = cut((clip for clip in dataset.clips if clip.subject in split.test), dataset.info, scales).labelled()
    never = [name for name, valid in train.valid.items() if not valid.any()]
    if never:
        raise DataError(
            f"{', '.join(never)}: no training recording of split {split.name} has a usable sample; record some, or "
            "leave the sensor out with --modalities"
        )
    if not len(test):
        raise DataError(f"split {split.name}: no labelled window of a test subject; label some or choose another split")
    kept = {
        "data": options.data if options.data in NAMES else str(Path(options.data).resolve()),
        "root": None if options.root is None else str(Path(options.root).resolve()),
        "modalities": [spec.name for spec in dataset.info.modalities],
        "without": list(options.without),
        "split": split.name,
        "train_subjects": list(split.train),
        "test_subjects": list(split.test),
    }
    return StageData(dataset, split, scales, train, test, kept, options.fingerprint())


def inherit_data_options(options: DataOptions, before: dict[str, Any]) -> DataOptions:
    """The data an earlier stage trained on, where the command line does not name another.

    Raises CheckpointError if the command line asks for other training data than the checkpoint knows, or it knows none.
    """
    lacking = {"data", "root", "modalities", "split"} - set(before)
    if lacking:
        raise CheckpointError(
            f"damaged checkpoint: its data lacks {', '.join(sorted(lacking))}; train the earlier stage again"
        )
    defaults = DataOptions()
    if options.modalities and list(options.modalities) != before["modalities"]:
        raise CheckpointError(
            f"--modalities {','.join(options.modalities)}: the checkpoint knows {','.join(before['modalities'])}; "
            "leave the option out or train the earlier stage again"
        )
    if options.split not in (None, before["split"]):
        raise CheckpointError(
            f"--split {options.split}: the checkpoint was trained with {before['split']}, and another split would "
            "show it its test subjects; leave the option out or train the earlier stage again"
        )
    without: list[str] = before.get("without", [])  # checkpoints from before this option lack it
    if options.without and set(options.without) != set(without):
        raise CheckpointError(
            f"--without {','.join(options.without)}: the checkpoint was trained without {','.join(without) or 'none'}; "
            "leave the option out or train the earlier stage again"
        )
    same = options.data in (defaults.data, before["data"]) or str(Path(options.data).resolve()) == before["data"]
    return DataOptions(
        before["data"] if same else options.data,
        options.root or (before["root"] if same else None),
        tuple(before["modalities"]),
        before["split"],
        tuple(without),
    )


def named(info: DatasetInfo) -> tuple[list[str], list[str]]:
    """Activities and sensors in words."""
    return list(info.labels), [f"{spec.name} ({spec.channels} x {spec.rate_hz:g} Hz)" for spec in info.modalities]


def load_data_of(checkpoint: Checkpoint, options: DataOptions) -> StageData:
    """What a checkpoint was trained on, from wherever it is now.

    Raises CheckpointError if the recordings have other activities or sensors than the checkpoint knows.
    """
    data = load_stage_data(inherit_data_options(options, checkpoint.data), checkpoint.normalisation)
    both = zip(named(checkpoint.info), named(data.dataset.info), strict=True)
    for what, (known, found) in zip(("activities", "sensors"), both, strict=True):
        if known != found:
            raise CheckpointError(
                f"{what}: found {', '.join(found)} in the recordings; expected {', '.join(known)}, in this order, as "
                "the checkpoint knows them; give --data of its recordings, or train the earlier stage again"
            )
    return data


@torch.no_grad()
def predict(model: nn.Module, windows: Windows, device: torch.device, batch: int = 256) -> NDArray[np.float32]:
    """Logits (N, K) of prepared windows."""
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
    """Score of a network on labelled windows."""
    predicted = predict(model, windows, device).argmax(1)
    return score(windows.label, predicted, windows.subject, labels)


def report_score(what: str, evaluation: dict[str, Any]) -> None:
    """One line for the person at the terminal."""
    low, high = evaluation["wilson95"]
    sys.stdout.write(
        f"{what}: {evaluation['correct']}/{evaluation['total']} correct on test subjects, "
        f"{100 * evaluation['accuracy']:.2f} % (95 % interval {100 * low:.1f}-{100 * high:.1f})\n"
    )


def one_hot(label: Tensor, classes: int, smoothing: float) -> Tensor:
    """(B,) -> (B, K) targets with label smoothing (arXiv 1512.00567, section 7); zeros where there is no label (-1)."""
    hot = nn.functional.one_hot(label.clamp(min=0), classes).float()
    return (hot * (1 - smoothing) + smoothing / classes) * (label >= 0)[:, None]


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy of (B, K) logits against (B, K) target probabilities."""
    return -(target * logits.log_softmax(1)).sum(1).mean()


def example(windows: Windows, device: torch.device) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """One window as a batch of 1, to count with."""
    return (
        {name: torch.as_tensor(array[:1], device=device) for name, array in windows.features.items()},
        {name: torch.ones(1, array.shape[1], dtype=torch.bool, device=device) for name, array in windows.valid.items()},
    )


LossOf = Callable[[nn.Module, NDArray[np.intp], torch.Generator], Tensor]
