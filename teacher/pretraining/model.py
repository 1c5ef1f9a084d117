"""What pretraining trains: the universal weights, and the decoders and heads that only pretraining needs.

Three objectives, each with a weight: the motion of hidden tokens (`autoencoder`), agreement of two views and of the
sensors (`contrast`), and the labels of labelled data sets, each with classifiers of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from edgehar.config import Options, option
from edgehar.errors import ConfigError
from edgehar.signals.modality import ModalitySpec
from edgehar.teacher.network.convolutions import add_norms
from edgehar.teacher.network.model import FUSED, Teacher
from edgehar.teacher.pretraining.autoencoder import DECODER_HEADS, Decoder, View
from edgehar.teacher.pretraining.contrast import START_LOG_SCALE, Projection, agreement_loss
from edgehar.teacher.pretraining.universal import FAMILIES, Universal, family_of
from edgehar.teacher.training.stage import cross_entropy


@dataclass(frozen=True)
class ObjectiveConfig(Options):
    """Objectives."""

    masked: float = option(1.0, "weight of predicting the motion of hidden tokens", at_least=0)
    contrast: float = option(0.0, "weight of the contrastive loss between two views", at_least=0)
    label_weight: float = option(1.0, "weight of the labels of labelled data sets", at_least=0)
    decoder_width: int = option(64, "channels of the decoders", at_least=DECODER_HEADS)

    def __post_init__(self) -> None:
        """Raise ConfigError for no objective, or a width that does not divide into the decoder's heads."""
        super().__post_init__()
        if self.decoder_width % DECODER_HEADS:
            raise ConfigError(f"--decoder-width {self.decoder_width}: expected a multiple of {DECODER_HEADS}")
        if not self.masked + self.contrast + self.label_weight:
            raise ConfigError("--masked 0 --contrast 0 --label-weight 0: expected a weight above 0")

    @property
    def views(self) -> int:
        """Masked views of each batch."""
        return 2 if self.contrast else int(self.masked > 0)


class Batch(NamedTuple):
    """Windows of one data set.

    Attributes:
        source: index of the data set.
        specs: the sensors that this batch has.
        steps: S.
        step_s: seconds per step.
        views: augmented, masked views.
        features: modality -> (B, S, P, G, F), augmented.
        valid: modality -> (B, S) bool.
        target: (B, K) target probabilities, or None without labels.
    """

    source: int
    specs: tuple[ModalitySpec, ...]
    steps: int
    step_s: float
    views: list[View]
    features: dict[str, Tensor]
    valid: dict[str, Tensor]
    target: Tensor | None


MOST_ENCODERS = 64
"""Networks of different sensors that are kept, about 1 MB each; there are hundreds of subsets of five sensors."""

Encoded = tuple[dict[str, Tensor], dict[str, Tensor]]
"""Encoded tokens by modality, and pooled features by modality and of the fusion."""


class _Encode(nn.Module):
    """A teacher that encodes all inputs of a batch when it is called, as `functional_call` needs it."""

    def __init__(self, teacher: Teacher) -> None:
        super().__init__()
        self.teacher = teacher

    def forward(self, batch: Batch) -> list[Encoded]:
        """The masked views, then the whole windows if there are targets."""
        found: list[Encoded] = []
        for view in batch.views:
            unimodal, multimodal, fusion_tokens = self.teacher.encode(view.features, view.valid, view.visible)
            found.append((multimodal, self.teacher.pool(unimodal, multimodal, fusion_tokens)))
        if batch.target is not None:
            unimodal, multimodal, fusion_tokens = self.teacher.encode(batch.features, batch.valid)
            found.append((multimodal, self.teacher.pool(unimodal, multimodal, fusion_tokens)))
        return found


class Pretraining(nn.Module):
    """Universal weights with decoders, projections and classifiers."""

    def __init__(self, universal: Universal, objectives: ObjectiveConfig, classes: Sequence[int]) -> None:
        """One classifier for each data set, of so many labels."""
        super().__init__()
        self.universal, self.objectives = universal, objectives
        config = universal.config
        self.decoder = Decoder(config.dim, objectives.decoder_width)
        self.classifier = nn.ModuleList(nn.Linear(config.fused_dim, count) for count in classes)
        self.sensor_classifier = nn.ModuleList(nn.Linear(config.dim, count) for count in classes)
        if objectives.contrast:
            self.project = nn.ModuleDict(
                {name: Projection(config.dim) for name in FAMILIES} | {FUSED: Projection(config.fused_dim)}
            )
            self.log_scale = nn.Parameter(torch.tensor(START_LOG_SCALE))
        self._encoders: dict[tuple[tuple[ModalitySpec, ...], int], _Encode] = {}

    def encoder(self, specs: tuple[ModalitySpec, ...], steps: int) -> _Encode:
        """A teacher of these sensors without memory for weights."""
        if (specs, steps) not in self._encoders:
            if len(self._encoders) == MOST_ENCODERS:
                self._encoders.pop(next(iter(self._encoders)))
            with torch.device("meta"):
                teacher = Teacher(self.universal.config, specs, steps, 1)
                add_norms(teacher)
            self._encoders[specs, steps] = _Encode(teacher)
        return self._encoders[specs, steps].train(self.training)

    def forward(self, batch: Batch) -> Tensor:
        """Weighted sum of the losses; scalar."""
        weights = self.universal.weights_for(batch.specs, batch.steps, batch.step_s)
        encoder = self.encoder(batch.specs, batch.steps)
        named = {f"teacher.{name}": tensor for name, tensor in weights.items()}
        encoded: list[Encoded] = functional_call(encoder, named, (batch,))
        objectives, losses = self.objectives, [torch.zeros(())]
        if objectives.masked:
            masked = [
                self.decoder.loss(tokens, view, batch.specs, batch.steps, batch.step_s)
                for (tokens, _), view in zip(encoded, batch.views, strict=False)
            ]
            losses.append(objectives.masked * torch.stack(masked).mean())
        if objectives.contrast:
            family = {spec.name: family_of(spec).name for spec in batch.specs} | {FUSED: FUSED}
            projected = [
                {name: self.project[family[name]](features) for name, features in pooled.items()}
                for _, pooled in encoded[:2]
            ]
            losses.append(objectives.contrast * agreement_loss(projected, self.log_scale))
        if batch.target is not None:
            pooled = encoded[-1][1]
            fused = cross_entropy(self.classifier[batch.source](pooled[FUSED]), batch.target)
            single = [
                cross_entropy(
                    self.sensor_classifier[batch.source](pooled[spec.name]),
                    batch.target * batch.valid[spec.name].any(1).float()[:, None],
                )
                for spec in batch.specs
            ]
            losses.append(objectives.label_weight * (fused + 0.3 * torch.stack(single).mean()))
        return torch.stack([loss.to(losses[-1]) for loss in losses]).sum()
