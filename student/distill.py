"""Train the lite student from the teacher: its soft predictions, its features, and the labels.

python student/distill.py --teacher runs/demo/teacher --out runs/demo/student
"""

import sys
import time
from dataclasses import MISSING, asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgehar.cli import guarded
from edgehar.config import group, option, parse
from edgehar.datasets import DataOptions
from student.dream import measure_statistics
from student.lite import PRESETS, Lite, LiteConfig
from student.losses import feature_regression, soft_targets
from teacher.augment import AugmentConfig, augment, lose_modalities, mix
from teacher.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from teacher.layers import count_macs, count_parameters
from teacher.loader import WindowTensors, to_tensors
from teacher.model import Teacher, TeacherConfig
from teacher.stage import (
    LossOf,
    cross_entropy,
    example,
    follow,
    load_stage_data,
    one_hot,
    report_score,
    score_on,
    workplace,
)  # fmt: skip
from teacher.train import Crew, TrainConfig, train


@dataclass(frozen=True)
class DistillConfig:
    """What the student learns from."""

    temperature: float = option(2.0, "temperature of the soft predictions")
    soft: float = option(1.0, "weight of the teacher's soft predictions")
    hard: float = option(0.2, "weight of the labels")
    feature: float = option(0.5, "weight of the regression of the teacher's features")
    mixup: float = option(0.5, "Beta parameter of mixup, seen by teacher and student alike; 0 mixes nothing")


@dataclass(frozen=True)
class DistillOptions:
    """Options of the stage."""

    teacher: str = option(MISSING, "folder of the teacher checkpoint")
    out: str = option(MISSING, "folder of the student checkpoint to write")
    seed: int = option(0, "reproduces the run")
    data: DataOptions = group(DataOptions)
    network: LiteConfig = group(LiteConfig)
    train: TrainConfig = group(TrainConfig)
    augment: AugmentConfig = group(AugmentConfig)
    distill: DistillConfig = group(DistillConfig)


LENGTHS: dict[str, dict[str, Any]] = {
    "tiny": {"updates": 400, "learning_rate": 4e-3, "average": 0.98},
    "base": {"updates": 2000, "learning_rate": 3e-3},
    "large": {"updates": 30_000, "batch": 256, "learning_rate": 2e-3, "average": 0.999},
}


class Apprentice(nn.Module):
    """The student with the regression heads that are dropped after training."""

    def __init__(self, student: Lite, fused: int, steps: int) -> None:
        """Heads onto the teacher's fused features and step tokens of these widths."""
        super().__init__()
        self.student = student
        self.to_fused = nn.Linear(student.config.token, fused)
        self.to_steps = nn.Linear(student.config.token, steps)

    def forward(self, features: dict[str, Tensor], valid: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (B, K), regressed fused features and step tokens of the teacher."""
        output = self.student(features, valid)
        return output.logits, self.to_fused(output.fused), self.to_steps(output.steps)


def distill_loss(
    windows: WindowTensors,
    teacher: Teacher,
    student: Lite,
    augmentation: AugmentConfig,
    config: DistillConfig,
    crew: Crew,
) -> LossOf:
    """The teacher sees every modality of an augmented, mixed window; the student may lose one (KARMMA)."""
    specs, classes = teacher.specs, teacher.classifier.out_features
    names = [spec.name for spec in specs]
    whole = replace(augmentation, lost_modality=0.0)

    def loss_of(model: nn.Module, rows: NDArray[Any], generator: torch.Generator) -> Tensor:
        features, valid, label = windows.rows(rows)
        features, valid = augment(features, valid, specs, whole, generator)
        target = one_hot(label, classes, 0.0)
        if config.mixup:
            features, valid, target = mix(features, valid, target, config.mixup, generator)
        fewer = valid if len(names) == 1 else lose_modalities(valid, names, augmentation.lost_modality, generator)
        features, valid, fewer = crew.share_all(features), crew.share_all(valid), crew.share_all(fewer)
        target = crew.share(target)
        with torch.no_grad():
            known = teacher(features, valid)
        lost = {name: tokens * fewer[name][..., None, None, None] for name, tokens in features.items()}
        logits, fused, steps = model(lost, fewer)
        loss = config.soft * soft_targets(logits, known.logits, config.temperature)
        loss = loss + config.hard * cross_entropy(logits, target)
        if config.feature:
            regression = feature_regression(fused, known.fused) + feature_regression(steps, known.steps)
            loss = loss + config.feature * regression
        return loss

    return loss_of


def main(argv: list[str] | None = None) -> int:
    """Distil, score once on the test subjects, write the checkpoint."""
    presets = {name: PRESETS[name] | LENGTHS[name] for name in PRESETS}
    options = parse(DistillOptions, argv, "edgehar distill", __doc__ or "", presets)
    out, crew, started_s = Path(options.out), Crew.join(), time.monotonic()
    before = load_checkpoint(Path(options.teacher), ("teacher",))
    with workplace(out, crew) as progress:
        data = load_stage_data(follow(options.data, before.data), before.normalisation)
        info, labelled = data.dataset.info, data.train.labelled()
        sizes = TeacherConfig(**before.network)
        teacher = Teacher(sizes, info.modalities, info.window.steps, len(info.labels)).to(crew.device)
        teacher.load_state_dict(before.weights)
        teacher.eval().requires_grad_(False)
        torch.manual_seed(options.seed)
        student = Lite(options.network, info.modalities, info.window.steps, len(info.labels))
        model = Apprentice(student, 2 * sizes.dim, sizes.dim).to(crew.device)
        history = train(
            model,
            distill_loss(to_tensors(labelled, crew.device), teacher, student, options.augment, options.distill, crew),
            len(labelled),
            options.train,
            options.seed,
            crew,
            "distill",
            progress,
            [asdict(options), data.fingerprint, before.facts["options"]],
        )
        if crew.rank != 0:
            return 0
        evaluation = score_on(student, data.test, info.labels, crew.device)
        facts = {
            "parameters": count_parameters(student),
            "macs": count_macs(student, *example(data.train, crew.device)),
            "seconds": time.monotonic() - started_s,
            "evaluation": evaluation,
            "statistics": measure_statistics(data.train, info.modalities),
            "options": asdict(options),
        }
        save_checkpoint(
            out,
            Checkpoint(
                "student", asdict(options.network), info, data.normalisation, data.options, history, facts,
                student.state_dict(),
            ),
        )  # fmt: skip
    report_score("student", evaluation)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
