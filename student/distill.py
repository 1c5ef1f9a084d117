"""Train the lite student from one teacher or several: their soft predictions, their features, and the labels.

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
from edgehar.errors import CheckpointError
from student.lite import PRESETS, Lite, LiteConfig
from student.losses import feature_regression, soft_targets
from student.rebuild import rebuild_teacher
from teacher.augment import AugmentConfig, lose_modalities
from teacher.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from teacher.exchange import ExchangeConfig, Partners
from teacher.faulty import FaultConfig, FaultyWindows, faulty_windows
from teacher.layers import count_macs, count_parameters
from teacher.model import Teacher, TeacherOutput
from teacher.moments import measure_moments, measure_statistics
from teacher.stage import (
    LossOf,
    cross_entropy,
    example,
    follow,
    load_stage_data,
    report_score,
    score_on,
    workplace,
)  # fmt: skip
from teacher.train import Crew, TrainConfig, train
from teacher.vary import Variation


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

    teacher: tuple[str, ...] = option(MISSING, "folder of the teacher checkpoint; of several, the mean counts")
    out: str = option(MISSING, "folder of the student checkpoint to write")
    seed: int = option(0, "reproduces the run")
    data: DataOptions = group(DataOptions)
    network: LiteConfig = group(LiteConfig)
    train: TrainConfig = group(TrainConfig)
    augment: AugmentConfig = group(AugmentConfig)
    exchange: ExchangeConfig = group(ExchangeConfig)
    faults: FaultConfig = group(FaultConfig)
    distill: DistillConfig = group(DistillConfig)


LENGTHS: dict[str, dict[str, Any]] = {
    "tiny": {"updates": 400, "learning_rate": 4e-3, "average": 0.98},
    "nano": {"updates": 2000, "learning_rate": 3e-3},
    "base": {"updates": 2000, "learning_rate": 3e-3},
    "large": {"updates": 30_000, "batch": 256, "learning_rate": 2e-3, "average": 0.999},
}


class Teachers(nn.Module):
    """One teacher or several as one: mean logits, and the features of all side by side."""

    def __init__(self, checkpoints: list[Checkpoint]) -> None:
        """Rebuild them, frozen."""
        super().__init__()
        members: list[Teacher] = []
        for checkpoint in checkpoints:
            members.append(rebuild_teacher(checkpoint))
        self.members = nn.ModuleList(members)
        self.dim = sum(member.config.dim for member in members)
        self.eval().requires_grad_(False)

    def forward(self, features: dict[str, Tensor], valid: dict[str, Tensor]) -> TeacherOutput:
        """As `Teacher`, without the heads of single modalities."""
        outputs: list[TeacherOutput] = [member(features, valid) for member in self.members]
        return TeacherOutput(
            torch.stack([output.logits for output in outputs]).mean(0),
            {},
            torch.cat([output.fused for output in outputs], -1),
            torch.cat([output.steps for output in outputs], -1),
        )


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
    windows: FaultyWindows,
    teachers: Teachers,
    variation: Variation,
    lost_modality: float,
    config: DistillConfig,
    crew: Crew,
) -> LossOf:
    """The teachers see sound, whole windows; the student sees the same with faults and lost sensors (KARMMA)."""
    names = [spec.name for spec in variation.info.modalities]
    partners = Partners(windows.sound.label)

    def loss_of(model: nn.Module, rows: NDArray[Any], generator: torch.Generator) -> Tensor:
        faulty = windows.rows(rows, generator)
        other = windows.sound.rows(partners.draw(rows, generator)) if variation.exchanges else None
        state = generator.get_state()
        features, valid, target = variation.apply(faulty, other, generator)
        shown = valid if len(names) == 1 else lose_modalities(valid, names, lost_modality, generator)
        # The same random numbers again: what the teachers see differs from it by the faults alone.
        generator.set_state(state)
        sound, sound_valid, _ = variation.apply(windows.sound.rows(rows), other, generator)
        with torch.no_grad():
            known = teachers(crew.share_all(sound), crew.share_all(sound_valid))
        seen = {name: tokens * shown[name][..., None, None, None] for name, tokens in features.items()}
        logits, fused, steps = model(crew.share_all(seen), crew.share_all(shown))
        loss = config.soft * soft_targets(logits, known.logits, config.temperature)
        loss = loss + config.hard * cross_entropy(logits, crew.share(target))
        if config.feature:
            regression = feature_regression(fused, known.fused) + feature_regression(steps, known.steps)
            loss = loss + config.feature * regression
        return loss

    return loss_of


def agreeing(checkpoints: list[Checkpoint], folders: tuple[str, ...]) -> Checkpoint:
    """The first of several teachers; raises CheckpointError unless all know the same data."""
    if not checkpoints:
        raise CheckpointError("--teacher names no folder; expected one or more, separated by commas")
    first = checkpoints[0]
    for folder, other in zip(folders, checkpoints, strict=True):
        if (other.info, other.data) != (first.info, first.data):
            raise CheckpointError(
                f"--teacher {folder}: knows other recordings, sensors, activities or another split than {folders[0]}; "
                "expected teachers of the same data; train it again"
            )
    return first


def main(argv: list[str] | None = None) -> int:
    """Distil, score once on the test subjects, write the checkpoint."""
    presets = {name: PRESETS[name] | LENGTHS[name] for name in PRESETS}
    options = parse(DistillOptions, argv, "edgehar distill", __doc__ or "", presets)
    out, crew, started_s = Path(options.out), Crew.join(), time.monotonic()
    teachers_before = [load_checkpoint(Path(folder), ("teacher",)) for folder in options.teacher]
    before = agreeing(teachers_before, options.teacher)
    with workplace(out, crew) as progress:
        data = load_stage_data(follow(options.data, before.data), before.normalisation)
        info = data.dataset.info
        windows = faulty_windows(data, options.faults, options.seed, crew.device)
        # Lost sensors are the student's alone.
        whole = replace(options.augment, lost_modality=0.0)
        variation = Variation(info, whole, options.exchange, 0.0, options.distill.mixup)
        lost_modality = options.augment.lost_modality
        teachers = Teachers(teachers_before).to(crew.device)
        torch.manual_seed(options.seed)
        student = Lite(options.network, info.modalities, info.window.steps, len(info.labels))
        model = Apprentice(student, 2 * teachers.dim, teachers.dim).to(crew.device)
        history = train(
            model,
            distill_loss(windows, teachers, variation, lost_modality, options.distill, crew),
            len(windows.sound),
            options.train,
            options.seed,
            crew,
            "distill",
            progress,
            [asdict(options), data.fingerprint, [checkpoint.facts["options"] for checkpoint in teachers_before]],
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
                student.state_dict(), measure_moments(data.train, info.modalities, len(info.labels)),
            ),
        )  # fmt: skip
    report_score("student", evaluation)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
