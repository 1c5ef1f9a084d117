"""Train the lite student from one teacher or several: their soft predictions, their features, and the labels.

python student/distill.py --teacher runs/demo/teacher --out runs/demo/student
"""

import math
import sys
import time
from dataclasses import MISSING, asdict, dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgehar.choices import PSEUDO_LABELS
from edgehar.command_line import Parser
from edgehar.config import Options, group, option
from edgehar.data.registry import DataOptions
from edgehar.entry import guarded
from edgehar.errors import ConfigError
from edgehar.student.distillation.ensemble import TeacherTargets, TeacherEnsemble, require_same_data
from edgehar.student.distillation.initialise import initialise_from_teacher
from edgehar.student.distillation.pseudo_labels import NONE, chosen_windows, labelled_subset
from edgehar.student.losses import contrastive, decoupled, feature_regression, relational, soft_targets
from edgehar.student.network.model import PRESETS, StudentNetwork, StudentConfig
from edgehar.teacher.augmentation.compose import Variation
from edgehar.teacher.augmentation.geometric import AugmentConfig, lose_modalities
from edgehar.teacher.augmentation.part_swap import ExchangeConfig, Partners
from edgehar.teacher.augmentation.sensor_faults import FaultConfig, FaultyWindows, faulty_windows
from edgehar.teacher.network.layers import count_macs, count_parameters
from edgehar.teacher.pretraining.contrast import gathered
from edgehar.teacher.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edgehar.teacher.training.loop import ProcessGroup, TrainConfig, train
from edgehar.teacher.training.moments import measure_moments, measure_statistics
from edgehar.teacher.training.stage import (  # fmt: skip
    LossOf,
    checkpoint_output,
    cross_entropy,
    example,
    load_data_of,
    report_score,
    score_on,
)


@dataclass(frozen=True)
class DistillConfig(Options):
    """What the student learns from."""

    temperature: float = option(2.0, "temperature of the soft predictions")
    soft: float = option(1.0, "weight of the teacher's soft predictions")
    hard: float = option(0.2, "weight of the labels")
    feature: float = option(0.5, "weight of the regression of the teacher's features")
    mixup: float = option(0.5, "Beta parameter of mixup, seen by teacher and student alike; 0 mixes nothing")
    layers: int = option(0, "blocks over time of the teacher that are regressed, too, spread evenly over its depth")
    relational: float = option(0.0, "weight of distances and angles between the windows of a batch")
    contrastive: float = option(0.0, "weight of finding the teacher's features of the same window in the batch")
    decoupled: float = option(0.0, "weight of the soft predictions with target and other classes decoupled")
    pseudo_labels: str = option(
        NONE,
        "labels from the teachers for unlabelled windows, with --soft 0 --feature 0 --hard 1; equal: as many of each "
        "activity from every subject",
        choices=PSEUDO_LABELS,
    )
    init_from_teacher: bool = option(False, "begin with the directions that the first teacher's first layers look at")
    label_share: float = option(
        1.0, "share of the labelled training windows whose labels are used, as in finetune", above=0, at_most=1
    )
    label_draw: int = option(0, "which windows are in that share", at_least=0)

    def __post_init__(self) -> None:
        """Refuse values out of range, and weights that leave nothing to learn."""
        super().__post_init__()
        for name in ("soft", "hard", "feature", "mixup", "relational", "contrastive", "decoupled"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"--{name} {getattr(self, name)}: expected a number from 0")
        if not 0 < self.temperature < math.inf:
            raise ConfigError(f"--temperature {self.temperature}: expected a number above 0")
        if self.layers < 0 or (self.layers and not self.feature):
            raise ConfigError(
                f"--layers {self.layers}, --feature {self.feature}: "
                "expected a whole number from 0, and a weight above 0 to regress any layer"
            )
        if self.pseudo_labels != NONE and not self.hard:
            raise ConfigError(
                f"--pseudo-labels {self.pseudo_labels} with --hard 0: nothing is learnt from labels; give --hard a "
                "weight above 0, such as 1, or leave the option out"
            )
        if not self.hard and not self.taught:
            raise ConfigError("every loss has weight 0; expected one above 0, such as --hard 1")

    @property
    def taught(self) -> bool:
        """Whether anything is learnt from the teachers, not from labels alone."""
        return any((self.soft, self.feature, self.relational, self.contrastive, self.decoupled))


@dataclass(frozen=True)
class DistillOptions:
    """Options of the stage."""

    teacher: tuple[str, ...] = option(MISSING, "folder of the teacher checkpoint; of several, the mean counts")
    out: str = option(MISSING, "folder of the student checkpoint to write")
    seed: int = option(0, "reproduces the run")
    data: DataOptions = group(DataOptions)
    network: StudentConfig = group(StudentConfig)
    train: TrainConfig = group(TrainConfig)
    augment: AugmentConfig = group(AugmentConfig)
    exchange: ExchangeConfig = group(ExchangeConfig)
    faults: FaultConfig = group(FaultConfig)
    distill: DistillConfig = group(DistillConfig)


LENGTHS: dict[str, dict[str, Any]] = {
    "tiny": {"updates": 400, "learning_rate": 4e-3, "ema_decay": 0.98},
    "base": {"updates": 2000, "learning_rate": 3e-3},
    "large": {"updates": 30_000, "batch": 256, "learning_rate": 2e-3, "ema_decay": 0.999},
}


class StudentOutput(NamedTuple):
    """What the student says of a batch, and what the heads make of it.

    Attributes:
        logits: (B, K).
        pooled: (B, D) features of its own.
        heads: name -> (B, 2 * D') of "fused" and "contrast", (B, S, D') of "steps" and each "layer".
    """

    logits: Tensor
    pooled: Tensor
    heads: dict[str, Tensor]


class DistillationModel(nn.Module):
    """The student with the linear heads that are dropped after training."""

    def __init__(self, student: StudentNetwork, dim: int, config: DistillConfig) -> None:
        """Heads onto teachers of D' = `dim` channels, for those losses that have a weight."""
        super().__init__()
        self.student = student
        of_window = {"fused": config.feature, "contrast": config.contrastive}
        of_steps = {"steps": config.feature} | {f"layer{number}": config.feature for number in range(config.layers)}

        def linear(weights: dict[str, float], width: int) -> nn.ModuleDict:
            token = student.config.token
            return nn.ModuleDict({name: nn.Linear(token, width) for name, weight in weights.items() if weight})

        self.of_window, self.of_steps = linear(of_window, 2 * dim), linear(of_steps, dim)

    def forward(self, features: dict[str, Tensor], valid: dict[str, Tensor]) -> StudentOutput:
        """Arguments as of `StudentNetwork`."""
        output = self.student(features, valid)
        heads = {name: head(output.fused) for name, head in self.of_window.items()}
        heads |= {name: head(output.steps) for name, head in self.of_steps.items()}
        return StudentOutput(output.logits, output.fused, heads)


def weighted(said: StudentOutput, known: TeacherTargets, config: DistillConfig) -> list[Tensor]:
    """The losses that have a weight, times it, of what the teachers know."""
    losses: list[Tensor] = []
    if config.soft:
        losses.append(config.soft * soft_targets(said.logits, known.logits, config.temperature))
    if config.feature:
        regression = feature_regression(said.heads["fused"], known.fused)
        regression = regression + feature_regression(said.heads["steps"], known.steps)
        for number, layer in enumerate(known.layers):
            regression = regression + feature_regression(said.heads[f"layer{number}"], layer) / config.layers
        losses.append(config.feature * regression)
    if config.relational:
        losses.append(config.relational * relational(gathered(said.pooled), gathered(known.fused)))
    if config.contrastive:
        losses.append(config.contrastive * contrastive(said.heads["contrast"], known.fused))
    if config.decoupled:
        losses.append(config.decoupled * decoupled(said.logits, known.logits, config.temperature))
    return losses


def distill_loss(
    windows: FaultyWindows,
    teachers: TeacherEnsemble,
    variation: Variation,
    lost_modality: float,
    config: DistillConfig,
    processes: ProcessGroup,
) -> LossOf:
    """The teachers see sound, whole windows; the student sees the same with faults and lost sensors (KARMMA)."""
    names = [spec.name for spec in variation.info.modalities]
    partners = Partners(windows.clean.label)

    def loss_of(model: nn.Module, rows: NDArray[Any], generator: torch.Generator) -> Tensor:
        faulty = windows.rows(rows, generator)
        other = windows.clean.rows(partners.draw(rows, generator)) if variation.exchanges else None
        state = generator.get_state()
        features, valid, target = variation.apply(faulty, other, generator)
        shown = valid if len(names) == 1 else lose_modalities(valid, names, lost_modality, generator)
        seen = {name: tokens * shown[name][..., None, None, None] for name, tokens in features.items()}
        said = StudentOutput(*model(processes.shard_all(seen), processes.shard_all(shown)))
        loss = config.hard * cross_entropy(said.logits, processes.shard(target))
        if not config.taught:
            return loss
        # The same random numbers again: what the teachers see differs from it by the faults alone.
        generator.set_state(state)
        clean, sound_valid, _ = variation.apply(windows.clean.rows(rows), other, generator)
        with torch.no_grad():
            known = teachers(processes.shard_all(clean), processes.shard_all(sound_valid))
        return reduce(torch.add, weighted(said, known, config), loss)

    return loss_of


PARSER = Parser(
    DistillOptions, "edgehar distill", __doc__ or "", {name: PRESETS[name] | LENGTHS[name] for name in PRESETS}
)


def run(options: DistillOptions) -> int:
    """Distil, score once on the test subjects, write the checkpoint."""
    config = options.distill
    out, processes, started_s = Path(options.out), ProcessGroup.from_environment(), time.monotonic()
    teachers_before = [load_checkpoint(Path(folder), ("teacher",)) for folder in options.teacher]
    before = require_same_data(teachers_before, options.teacher)
    with checkpoint_output(out, processes, *options.teacher, kind="student") as progress:
        data = load_data_of(before, options.data)
        info = data.dataset.info
        teachers = TeacherEnsemble(teachers_before, config.layers).to(processes.device)
        told = labelled_subset(data.train, config.label_share, config.label_draw)
        chosen = chosen_windows(data, told, config.taught, config.pseudo_labels, teachers, processes.device)
        windows = faulty_windows(data, options.faults, options.seed, processes.device, chosen)
        # Lost sensors are the student's alone.
        whole = replace(options.augment, lost_modality=0.0)
        variation = Variation(info, whole, options.exchange, 0.0, config.mixup)
        lost_modality = options.augment.lost_modality
        torch.manual_seed(options.seed)
        student = StudentNetwork(options.network, info.modalities, info.window.steps, len(info.labels))
        if config.init_from_teacher:
            initialise_from_teacher(student, teachers.first)
        model = DistillationModel(student, teachers.dim, config).to(processes.device)
        history = train(
            model,
            distill_loss(windows, teachers, variation, lost_modality, config, processes),
            len(windows.clean),
            options.train,
            options.seed,
            processes,
            "distill",
            progress,
            [asdict(options), data.fingerprint, [checkpoint.digest() for checkpoint in teachers_before]],
        )
        if processes.rank != 0:
            return 0
        evaluation = score_on(student, data.test, info.labels, processes.device)
        facts = {
            "parameters": count_parameters(student),
            "macs": count_macs(student, *example(data.train, processes.device)),
            "seconds": time.monotonic() - started_s,
            "evaluation": evaluation,
            "labelled_windows": len(told),
            "pseudo_labelled_windows": int((windows.clean.label >= 0).sum()) - len(told),
            "statistics": measure_statistics(data.train, info.modalities),
            "options": asdict(options),
        }
        save_checkpoint(
            out,
            Checkpoint(
                "student", asdict(options.network), info, data.normalisation, data.options, history, facts,
                student.state_dict(), measure_moments(chosen(data.train), info.modalities, len(info.labels)),
            ),
        )  # fmt: skip
    report_score("student", evaluation)
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
