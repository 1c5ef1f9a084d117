"""Baselines on the same windows and split as the student: nearest neighbour, random convolutions, small networks.

edgehar baseline lstm --out runs/demo/lstm.json

They measure what transformer, pretraining and distillation contribute. Each is fitted to the labelled windows of the
training subjects and scored once on the test subjects, after the last update.
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

from edgehar.command_line import Parser
from edgehar.config import Options, group, option, positional, seed_option
from edgehar.data.registry import DataOptions
from edgehar.entry import guarded
from edgehar.errors import ConfigError, DataError
from edgehar.files.atomic import read_json, write_json
from edgehar.metrics.logits_file import sensor_set_name, sensor_sets
from edgehar.metrics.recordings import score_windows
from edgehar.signals.clip import DatasetInfo
from edgehar.signals.windows import Windows
from edgehar.student.baselines.convolutional import DeepConvLstm, DeepConvLstmConfig, TinierHar
from edgehar.student.baselines.minirocket import KERNELS, RocketResult, minirocket
from edgehar.student.baselines.multirocket_hydra import RocketConfig, multirocket_hydra
from edgehar.student.baselines.nearest import nearest_neighbour
from edgehar.student.baselines.networks import Lstm, LstmConfig, Tcn, TcnConfig, count_window_macs
from edgehar.student.baselines.out_of_fold import write_predictions
from edgehar.student.logits import keep_sensors
from edgehar.teacher.augmentation.compose import Augmentation
from edgehar.teacher.augmentation.geometric import AugmentConfig
from edgehar.teacher.augmentation.part_swap import ExchangeConfig, Partners
from edgehar.teacher.network.layers import count_parameters
from edgehar.teacher.training.batches import WindowTensors, to_tensors
from edgehar.teacher.training.loop import LossOf, TrainConfig, train
from edgehar.teacher.training.processes import ProcessGroup
from edgehar.teacher.training.stage import (
    StageData,
    cross_entropy,
    load_stage_data,
    locked_output,
    report_score,
    score_on,
)

NETWORKS = ("lstm", "tcn", "deepconvlstm", "tinierhar")
ROCKETS = ("minirocket", "multirocket-hydra")
KINDS = ("nearest", *ROCKETS, *NETWORKS)
FORMAT = "edgehar-baseline"
NOT_STORED = ("kind", "out", "out_of_fold", "seed", "data")
"""Options that are stored elsewhere, or are paths."""


@dataclass(frozen=True)
class RegularisationConfig(Options):
    """Label smoothing and mixup (networks)."""

    smoothing: float = option(0.1, "label smoothing", at_least=0, below=1)
    mixup: float = option(0.3, "Beta parameter of mixup; 0 disables it", at_least=0)


@dataclass(frozen=True)
class BaselineOptions(Options):
    """Baseline; options of training and augmentation are for the networks: lstm, tcn, deepconvlstm, tinierhar."""

    kind: str = positional("baseline", choices=KINDS)
    out: str = option(MISSING, "JSON file to write")
    out_of_fold: str | None = option(
        None, "file of out-of-fold predictions to write, a teacher of edgehar distill (minirocket, multirocket-hydra)"
    )
    seed: int = seed_option()
    kernels: int = option(10_000, "features to compute (minirocket)", at_least=KERNELS)
    data: DataOptions = group(DataOptions)
    rocket: RocketConfig = group(RocketConfig)
    lstm: LstmConfig = group(LstmConfig)
    tcn: TcnConfig = group(TcnConfig)
    deepconvlstm: DeepConvLstmConfig = group(DeepConvLstmConfig)
    train: TrainConfig = group(TrainConfig)
    augment: AugmentConfig = group(AugmentConfig)
    exchange: ExchangeConfig = group(ExchangeConfig)
    labels: RegularisationConfig = group(RegularisationConfig)

    def __post_init__(self) -> None:
        """Raise ConfigError for values out of bounds, and for out-of-fold predictions that distill could not read."""
        super().__post_init__()
        if self.out_of_fold is not None and (self.kind not in ROCKETS or not self.out_of_fold.endswith(".npz")):
            raise ConfigError(
                f"--out-of-fold {self.out_of_fold} of {self.kind}: expected a file named *.npz and one of "
                f"{', '.join(ROCKETS)}; change them or omit the option"
            )


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {
        "lstm_stem": 24, "lstm_units": 24, "lstm_layers": 1, "tcn_channels": 24, "kernels": 1000,
        "multirocket_kernels": 168, "hydra_groups": 4, "deepconvlstm_maps": 4, "deepconvlstm_units": 24,
        "updates": 250, "learning_rate": 4e-3, "ema_decay": 0.98,
    },
    "base": {"updates": 1500, "learning_rate": 3e-3},
}  # fmt: skip


@dataclass(frozen=True)
class BaselineResult:
    """Size and scores of a baseline.

    Attributes:
        parameters: numbers fitted to or stored from the training windows.
        macs: multiply-adds per window; None if most operations are not multiplications.
        fitted_windows: number of training windows it was fitted to.
        scores: names of the sensors used, joined with "+" -> score on the test subjects.
        history: points of the training curve; empty without training by gradient descent.
    """

    parameters: int
    macs: int | None
    fitted_windows: int
    scores: dict[str, dict[str, Any]]
    history: list[dict[str, float]]


@contextmanager
def locked_output_file(out: Path, processes: ProcessGroup) -> Generator[Path, None, None]:
    """Lock the result file, and yield the progress file, which is deleted at the end.

    Raises ConfigError if `out` exists and is not a result of a baseline.
    """
    if out.exists():
        found = read_json(out) if out.is_file() and out.suffix == ".json" else None
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise ConfigError(
                f"--out {out}: found another file or folder there, expected a baseline result or none; nothing was "
                "changed; choose another file"
            )
    with locked_output(out, processes) as progress:
        yield progress


def supervised_loss(windows: WindowTensors, augmentation: Augmentation, processes: ProcessGroup) -> LossOf:
    """Cross-entropy against the smoothed labels of windows, augmented as for teacher and student."""
    partners = Partners(windows.label)

    def loss_of(model: nn.Module, rows: NDArray[Any], generator: torch.Generator) -> Tensor:
        other = windows.rows(partners.draw(rows, generator)) if augmentation.needs_partners else None
        features, valid, target = augmentation.apply(windows.rows(rows), other, generator)
        output = model(processes.shard_all(features), processes.shard_all(valid))
        return cross_entropy(output.logits, processes.shard(target))

    return loss_of


def build_network(options: BaselineOptions, info: DatasetInfo) -> nn.Module:
    """A network of this kind, untrained; raises DataError for windows too short for it."""
    specs, classes = info.modalities, len(info.labels)
    match options.kind:
        case "lstm":
            return Lstm(options.lstm, specs, classes)
        case "tcn":
            return Tcn(options.tcn, specs, classes)
        case "deepconvlstm":
            return DeepConvLstm(options.deepconvlstm, specs, info.window.steps, classes)
        case _:
            return TinierHar(specs, info.window.steps, classes)


def measure_network(
    data: StageData, labelled: Windows, options: BaselineOptions, processes: ProcessGroup, progress: Path
) -> BaselineResult:
    """Train a network; score it with all sensors and with each sensor alone."""
    info = data.dataset.info
    torch.manual_seed(options.seed)
    model = build_network(options, info).to(processes.device)
    augmentation = Augmentation(info, options.augment, options.exchange, options.labels.smoothing, options.labels.mixup)
    loss_of = supervised_loss(to_tensors(labelled, processes.device), augmentation, processes)
    key = [asdict(options), data.fingerprint]
    history = train(model, loss_of, len(labelled), options.train, options.seed, processes, options.kind, progress, key)
    names = tuple(spec.name for spec in info.modalities)
    scores = {
        sensor_set_name(sensors): score_on(model, keep_sensors(data.test, sensors), info.labels, processes.device)
        for sensors in (sensor_sets(names) if processes.rank == 0 else ())
    }
    macs = count_window_macs(model, info.modalities, info.window.steps)
    return BaselineResult(count_parameters(model), macs, len(labelled), scores, history)


def fit_rocket(options: BaselineOptions, train: Windows, test: Windows, classes: int) -> RocketResult:
    """Fit MiniRocket or MultiRocket-Hydra to labelled windows and predict others."""
    if options.kind == "minirocket":
        return minirocket(train, test, classes, options.kernels, options.rocket.max_windows, options.seed)
    return multirocket_hydra(train, test, classes, options.rocket, options.seed)


def measure(data: StageData, options: BaselineOptions, processes: ProcessGroup, progress: Path) -> BaselineResult:
    """Fit a baseline to the labelled windows of the training subjects and score it once on the test subjects.

    Raises DataError if the training subjects perform fewer than two activities.
    """
    labelled, test, info = data.train.labelled(), data.test, data.dataset.info
    if len(np.unique(labelled.label)) < 2:
        raise DataError(
            f"split {data.split.name}: found {len(labelled)} labelled training windows of one activity; expected two "
            "activities or more; label some or choose another split"
        )
    if options.kind in NETWORKS:
        return measure_network(data, labelled, options, processes, progress)
    classes = len(info.labels)
    if options.kind == "nearest":
        values = np.eye(classes)[nearest_neighbour(labelled, test)]  # a vote of each window
        parameters = macs = sum(array.size for array in labelled.features.values())
        fitted = len(labelled)
    else:
        values, parameters, fitted = fit_rocket(options, labelled, test, classes)
        macs = None
    sensors = sensor_set_name(tuple(spec.name for spec in info.modalities))
    return BaselineResult(parameters, macs, fitted, {sensors: score_windows(test, values, info.labels)}, [])


PARSER = Parser(BaselineOptions, "edgehar baseline", __doc__ or "", PRESETS)


def run(options: BaselineOptions) -> int:
    """Fit, score once on the test subjects, write the result."""
    out, processes, started_s = Path(options.out), ProcessGroup.from_environment(), time.monotonic()
    if processes.rank != 0 and options.kind not in NETWORKS:
        return 0
    with locked_output_file(out, processes) as progress:
        data = load_stage_data(options.data)
        measured = measure(data, options, processes, progress)
        if processes.rank != 0:
            return 0
        if options.out_of_fold is not None:
            classes = len(data.dataset.info.labels)
            write_predictions(
                Path(options.out_of_fold), data, lambda train, test: fit_rocket(options, train, test, classes).values
            )
        # Without paths, which belong to one machine.
        stored = {name: value for name, value in asdict(options).items() if name not in NOT_STORED}
        dataset = {name: value for name, value in data.options.items() if name not in ("data", "root")}
        result = {
            "format": FORMAT,
            "kind": options.kind,
            "seed": options.seed,
            "parameters": measured.parameters,
            "macs": measured.macs,
            "fitted_windows": measured.fitted_windows,
            "seconds": time.monotonic() - started_s,
            "dataset": {
                "name": data.dataset.info.name,
                **dataset,
                "train_windows": int((data.train.label >= 0).sum()),
                "test_windows": len(data.test),
            },
            "scores": measured.scores,
            "options": stored,
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
