"""The distillation objective: losses, their weights and the auxiliary heads they need."""

from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgehar.choices import NO_PSEUDO_LABELS, PSEUDO_LABELS
from edgehar.config import Options, option
from edgehar.errors import ConfigError
from edgehar.student.distillation.ensemble import TeacherEnsemble, TeacherTargets
from edgehar.student.distillation.stored_targets import StoredTargets
from edgehar.student.losses import contrastive, decoupled, feature_regression, relational, soft_targets
from edgehar.student.network.model import StudentNetwork
from edgehar.teacher.augmentation.compose import Augmentation
from edgehar.teacher.augmentation.geometric import drop_modalities
from edgehar.teacher.augmentation.part_swap import Partners
from edgehar.teacher.augmentation.sensor_faults import FaultyWindows
from edgehar.teacher.pretraining.contrast import gathered
from edgehar.teacher.training.loop import LossOf
from edgehar.teacher.training.saliency_guided import Guide
from edgehar.teacher.training.stage import cross_entropy


@dataclass(frozen=True)
class DistillConfig(Options):
    """Distillation."""

    temperature: float = option(2.0, "temperature of the soft targets", above=0)
    soft: float = option(1.0, "weight of the teachers' soft targets", at_least=0)
    hard: float = option(0.2, "weight of the labels", at_least=0)
    feature: float = option(0.5, "weight of the regression of the teachers' features", at_least=0)
    mixup: float = option(0.5, "Beta parameter of mixup, for teachers and student alike; 0 disables it", at_least=0)
    layers: int = option(0, "time blocks of the teachers to regress as well, evenly spaced in depth", at_least=0)
    relational: float = option(
        0.0, "weight of relational distillation: distances and angles between windows of a batch", at_least=0
    )
    contrastive: float = option(0.0, "weight of contrastive distillation (InfoNCE)", at_least=0)
    decoupled: float = option(0.0, "weight of decoupled distillation: target class and other classes", at_least=0)
    pseudo_labels: str = option(
        NO_PSEUDO_LABELS,
        "labels from the teachers for unlabelled windows, with --soft 0 --feature 0 --hard 1; equal: as many of each "
        "activity from every subject",
        choices=PSEUDO_LABELS,
    )
    label_share: float = option(
        1.0, "share of the labelled training windows whose labels are used, as in finetune", above=0, at_most=1
    )
    label_draw: int = option(0, "which windows are in that share", at_least=0)

    def __post_init__(self) -> None:
        """Raise ConfigError for weights that leave nothing to learn, or options without effect."""
        super().__post_init__()
        if self.layers and not self.feature:
            raise ConfigError(
                f"--layers {self.layers}, --feature 0: expected a --feature weight above 0, or --layers 0"
            )
        if self.pseudo_labels != NO_PSEUDO_LABELS and not self.hard:
            raise ConfigError(
                f"--pseudo-labels {self.pseudo_labels} with --hard 0: no loss uses labels; give --hard a weight above "
                "0, such as 1, or omit --pseudo-labels"
            )
        if not self.hard and not self.uses_teachers:
            raise ConfigError("every loss has weight 0; expected one above 0, such as --hard 1")

    @property
    def uses_teachers(self) -> bool:
        """Whether a loss needs the teachers' predictions or features."""
        return any((self.soft, self.feature, self.relational, self.contrastive, self.decoupled))


class StudentOutput(NamedTuple):
    """Outputs of the student and of the auxiliary heads for a batch.

    Attributes:
        logits: (B, K).
        pooled: (B, D) features, the classifier's input.
        heads: name -> (B, fused_dim) of "fused" and "contrast", (B, S, D') of "steps" and each "layer".
    """

    logits: Tensor
    pooled: Tensor
    heads: dict[str, Tensor]


class DistillationModel(nn.Module):
    """The student with linear heads onto the teachers' features; the heads are discarded after training."""

    def __init__(self, student: StudentNetwork, dim: int, fused_dim: int, config: DistillConfig) -> None:
        """Heads for the losses that have a weight; the teachers have D' = `dim` channels, `fused_dim` when fused."""
        super().__init__()
        self.student = student
        window_weights = {"fused": config.feature, "contrast": config.contrastive}
        step_weights = {"steps": config.feature} | {f"layer{index}": config.feature for index in range(config.layers)}

        def heads(weights: dict[str, float], inputs: int, outputs: int) -> nn.ModuleDict:
            return nn.ModuleDict({name: nn.Linear(inputs, outputs) for name, weight in weights.items() if weight})

        self.window_heads = heads(window_weights, student.head.classifier.in_features, fused_dim)
        self.step_heads = heads(step_weights, student.config.token, dim)

    def forward(self, features: dict[str, Tensor], valid: dict[str, Tensor]) -> StudentOutput:
        """Arguments as of `StudentNetwork`."""
        output = self.student(features, valid)
        heads = {name: head(output.fused) for name, head in self.window_heads.items()}
        heads |= {name: head(output.steps) for name, head in self.step_heads.items()}
        return StudentOutput(output.logits, output.fused, heads)


def weighted_losses(student: StudentOutput, targets: TeacherTargets, config: DistillConfig) -> list[Tensor]:
    """The losses against the teachers that have a weight, multiplied by it."""
    losses: list[Tensor] = []
    if config.soft:
        losses.append(config.soft * soft_targets(student.logits, targets.logits, config.temperature))
    if config.feature:
        regression = feature_regression(student.heads["fused"], targets.fused)
        regression = regression + feature_regression(student.heads["steps"], targets.steps)
        for index, layer in enumerate(targets.layers):
            regression = regression + feature_regression(student.heads[f"layer{index}"], layer) / config.layers
        losses.append(config.feature * regression)
    if config.relational:
        losses.append(config.relational * relational(gathered(student.pooled), gathered(targets.fused)))
    if config.contrastive:
        losses.append(config.contrastive * contrastive(student.heads["contrast"], targets.fused))
    if config.decoupled:
        losses.append(config.decoupled * decoupled(student.logits, targets.logits, config.temperature))
    return losses


def distill_loss(
    windows: FaultyWindows,
    teachers: TeacherEnsemble,
    augmentation: Augmentation,
    lost_modality: float,
    config: DistillConfig,
    guide: Guide,
    stored: StoredTargets | None = None,
) -> LossOf:
    """Cross-entropy with labels plus the losses against the teachers (KARMMA).

    The teachers get clean windows with all modalities; the student gets the same windows with sensor faults and
    modality dropout.

    Args:
        windows: training windows and their faulty copies.
        teachers: frozen; not evaluated if no loss uses them.
        augmentation: the same for teachers and student.
        lost_modality: probability that the student's window lacks a modality.
        config: weights of the losses.
        guide: calls the student, with masked copies of its windows if training is guided by saliency.
        stored: soft targets of further teachers for the same rows. A window that takes limbs or style of another keeps
            its own; mixup mixes them as it mixes the windows.
    """
    names = [spec.name for spec in augmentation.info.modalities]
    partners, processes = Partners(windows.clean.label), guide.processes

    def loss_of(model: nn.Module, rows: NDArray[Any], generator: torch.Generator) -> Tensor:
        faulty = windows.rows(rows, generator)
        other = windows.clean.rows(partners.draw(rows, generator)) if augmentation.needs_partners else None
        state = generator.get_state()
        features, valid, target = augmentation.apply(faulty, other, generator)
        if len(names) > 1:
            valid = drop_modalities(valid, names, lost_modality, generator)
        features = {name: tokens * valid[name][..., None, None, None] for name, tokens in features.items()}
        output, divergence = guide(model, features, valid, target, generator)
        student = StudentOutput(*output)
        loss = config.hard * cross_entropy(student.logits, processes.shard(target)) + divergence
        if not config.uses_teachers:
            return loss
        # Same random numbers, so the teachers' windows differ from the student's by faults and dropout only.
        generator.set_state(state)
        own = windows.clean.rows(rows)
        if stored is not None:
            own = *own[:2], stored.probabilities[torch.as_tensor(rows, device=stored.probabilities.device)]
        clean, clean_valid, mixed = augmentation.apply(own, other, generator)
        with torch.no_grad():
            targets: TeacherTargets = teachers(processes.shard_all(clean), processes.shard_all(clean_valid))
        if stored is not None:
            targets = targets._replace(logits=stored.combine(targets.logits, processes.shard(mixed)))
        return reduce(torch.add, weighted_losses(student, targets, config), loss)

    return loss_of
