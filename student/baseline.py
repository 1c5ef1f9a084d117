"""Baselines on the same windows and split as the student: nearest neighbour, MiniRocket, an LSTM and a TCN.

edgehar baseline lstm --out runs/demo/lstm.json

They show what the transformer, the pretraining and the distillation are worth. Each learns from the training subjects'
labels alone and is scored once on the test subjects, as it is after the last update.
"""

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import MISSING, asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgehar.checks import check_seed
from edgehar.command_line import Parser
from edgehar.config import group, option, positional
from edgehar.data.registry import DataOptions
from edgehar.entry import guarded
from edgehar.errors import ConfigError, DataError
from edgehar.files.atomic import read_json, write_json
from edgehar.metrics.classification import score
from edgehar.metrics.logits_file import fed_name, feeds
from edgehar.signals.windows import Windows
from edgehar.student.baselines.minirocket import minirocket
from edgehar.student.baselines.nearest import nearest_neighbour
from edgehar.student.baselines.networks import Lstm, LstmConfig, Tcn, TcnConfig, count_window_macs
from edgehar.student.logits import fed_only
from edgehar.teacher.augmentation.compose import Variation
from edgehar.teacher.augmentation.geometric import AugmentConfig
from edgehar.teacher.augmentation.part_swap import ExchangeConfig, Partners
from edgehar.teacher.network.layers import count_parameters
from edgehar.teacher.training.batches import WindowTensors, to_tensors
from edgehar.teacher.training.loop import ProcessGroup, TrainConfig, train
from edgehar.teacher.training.stage import (
    LossOf,
    StageData,
    cross_entropy,
    load_stage_data,
    locked_output,
    report_score,
    score_on,
)

KINDS = ("nearest", "minirocket", "lstm", "tcn")
FORMAT = "edgehar-baseline"


@dataclass(frozen=True)
class RegularisationConfig:
    """How labels are softened and shared."""

    smoothing: float = option(0.1, "label smoothing (lstm, tcn)")
    mixup: float = option(0.3, "Beta parameter of mixup; 0 mixes nothing (lstm, tcn)")

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if not 0 <= self.smoothing < 1 or not self.mixup >= 0:
            raise ConfigError(f"--smoothing {self.smoothing}, --mixup {self.mixup}: expected 0 to below 1, 0 or more")


@dataclass(frozen=True)
class BaselineOptions:
    """Options of the command; those of training and augmentation are for lstm and tcn."""

    kind: str = positional(f"one of {', '.join(KINDS)}")
    out: str = option(MISSING, "JSON file to write")
    seed: int = option(0, "reproduces the run")
    kernels: int = option(10_000, "features to compute (minirocket)")
    data: DataOptions = group(DataOptions)
    lstm: LstmConfig = group(LstmConfig)
    tcn: TcnConfig = group(TcnConfig)
    train: TrainConfig = group(TrainConfig)
    augment: AugmentConfig = group(AugmentConfig)
    exchange: ExchangeConfig = group(ExchangeConfig)
    labels: RegularisationConfig = group(RegularisationConfig)

    def __post_init__(self) -> None:
        """Refuse a baseline nobody wrote."""
        if self.kind not in KINDS:
            raise ConfigError(f"baseline {self.kind!r} is unknown; expected one of {', '.join(KINDS)}")
        check_seed(self.seed)


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {
        "lstm_stem": 24, "lstm_units": 24, "lstm_layers": 1, "tcn_channels": 24, "kernels": 1000,
        "updates": 250, "learning_rate": 4e-3, "ema_decay": 0.98,
    },
    "base": {"updates": 1500, "learning_rate": 3e-3},
}  # fmt: skip


@dataclass(frozen=True)
class BaselineResult:
    """What a baseline is and how well it does.

    Attributes:
        parameters: numbers fitted to, or kept from, the training windows.
        macs: multiply-adds per window; None where most of the work is not multiplication.
        scores: sensors fed, joined with "+" -> score on the test subjects.
        history: points of the training curve, if there is one.
    """

    parameters: int
    macs: int | None
    scores: dict[str, dict[str, Any]]
    history: list[dict[str, float]]


@contextmanager
def locked_result(out: Path, processes: ProcessGroup) -> Generator[Path, None, None]:
    """Hold the file to write and yield the one for resuming, which goes when the result is there.

    Raises ConfigError if `out` is something else than an earlier result.
    """
    if out.exists():
        found = read_json(out) if out.is_file() and out.suffix == ".json" else None
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise ConfigError(f"--out {out}: exists and is no baseline's result; nothing was changed; choose another")
    with locked_output(out, processes) as progress:
        yield progress


def supervised_loss(windows: WindowTensors, variation: Variation, processes: ProcessGroup) -> LossOf:
    """Cross-entropy against softened labels of windows that are varied as they are for teacher and student."""
    partners = Partners(windows.label)

    def loss_of(model: nn.Module, rows: NDArray[Any], generator: torch.Generator) -> Tensor:
        other = windows.rows(partners.draw(rows, generator)) if variation.exchanges else None
        features, valid, target = variation.apply(windows.rows(rows), other, generator)
        output = model(processes.shard_all(features), processes.shard_all(valid))
        return cross_entropy(output.logits, processes.shard(target))

    return loss_of


def measure_network(
    data: StageData, labelled: Windows, options: BaselineOptions, processes: ProcessGroup, progress: Path
) -> BaselineResult:
    """Train an LSTM or a TCN; score it with all sensors and with each one alone."""
    info = data.dataset.info
    torch.manual_seed(options.seed)
    if options.kind == "lstm":
        model: nn.Module = Lstm(options.lstm, info.modalities, len(info.labels))
    else:
        model = Tcn(options.tcn, info.modalities, len(info.labels))
    model = model.to(processes.device)
    variation = Variation(info, options.augment, options.exchange, options.labels.smoothing, options.labels.mixup)
    loss_of = supervised_loss(to_tensors(labelled, processes.device), variation, processes)
    key = [asdict(options), data.fingerprint]
    history = train(model, loss_of, len(labelled), options.train, options.seed, processes, options.kind, progress, key)
    scores = {
        fed_name(fed): score_on(model, fed_only(data.test, fed), info.labels, processes.device)
        for fed in (feeds(tuple(spec.name for spec in info.modalities)) if processes.rank == 0 else ())
    }
    macs = count_window_macs(model, info.modalities, info.window.steps)
    return BaselineResult(count_parameters(model), macs, scores, history)


def measure(data: StageData, options: BaselineOptions, processes: ProcessGroup, progress: Path) -> BaselineResult:
    """Fit a baseline to the training subjects' labelled windows and score it on the test subjects' once.

    Raises DataError if the training subjects show fewer than two activities.
    """
    labelled, test, info = data.train.labelled(), data.test, data.dataset.info
    if len(np.unique(labelled.label)) < 2:
        raise DataError(
            f"split {data.split.name}: {len(labelled)} labelled windows to train on, all of one activity; "
            "expected two activities or more; label some or choose another split"
        )
    if options.kind in ("lstm", "tcn"):
        return measure_network(data, labelled, options, processes, progress)
    if options.kind == "nearest":
        predicted = nearest_neighbour(labelled, test)
        parameters = sum(array.size for array in labelled.features.values())
        macs = parameters
    else:
        predicted, parameters = minirocket(labelled, test, options.kernels, options.seed)
        macs = None
    everything = fed_name(tuple(spec.name for spec in info.modalities))
    return BaselineResult(parameters, macs, {everything: score(test.label, predicted, test.subject, info.labels)}, [])


PARSER = Parser(BaselineOptions, "edgehar baseline", __doc__ or "", PRESETS)


def run(options: BaselineOptions) -> int:
    """Fit, score once on the test subjects, write the result."""
    out, processes, started_s = Path(options.out), ProcessGroup.from_environment(), time.monotonic()
    if processes.rank != 0 and options.kind not in ("lstm", "tcn"):
        return 0
    with locked_result(out, processes) as progress:
        data = load_stage_data(options.data)
        measured = measure(data, options, processes, progress)
        if processes.rank != 0:
            return 0
        # Where the files lie is the business of one machine.
        chosen = {name: value for name, value in asdict(options).items() if name not in ("kind", "out", "seed", "data")}
        dataset = {name: value for name, value in data.options.items() if name not in ("data", "root")}
        result = {
            "format": FORMAT,
            "kind": options.kind,
            "seed": options.seed,
            "parameters": measured.parameters,
            "macs": measured.macs,
            "seconds": time.monotonic() - started_s,
            "dataset": {
                "name": data.dataset.info.name,
                **dataset,
                "train_windows": int((data.train.label >= 0).sum()),
                "test_windows": len(data.test),
            },
            "scores": measured.scores,
            "options": chosen,
            "history": measured.history,
        }
        write_json(out, result)
    report_score(options.kind, next(iter(measured.scores.values())))
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
