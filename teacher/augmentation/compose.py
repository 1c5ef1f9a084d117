"""What happens to a batch between recordings and network: exchange, augmentation, mixup, always in this order."""

from dataclasses import dataclass

import torch
from torch import Tensor

from edgehar.signals.clip import DatasetInfo
from edgehar.teacher.augmentation.geometric import AugmentConfig, augment, mix
from edgehar.teacher.augmentation.part_swap import ExchangeConfig, exchange
from edgehar.teacher.training.stage import one_hot

Batch = tuple[dict[str, Tensor], dict[str, Tensor], Tensor]
"""Features, validity, and labels (B,) or targets (B, K)."""


@dataclass(frozen=True)
class Variation:
    """How the windows of a data set are varied.

    Attributes:
        info: the data set; only its pre-cut clips exchange parts.
        augment: how far windows stray.
        exchange: how much windows of one activity take from each other.
        smoothing: of the labels.
        mixup: Beta parameter; 0 mixes nothing.
    """

    info: DatasetInfo
    augment: AugmentConfig
    exchange: ExchangeConfig
    smoothing: float
    mixup: float

    @property
    def exchanges(self) -> bool:
        """Whether `apply` needs a partner for each window."""
        return self.info.window.kind == "clip"

    def apply(self, own: Batch, other: Batch | None, generator: torch.Generator) -> Batch:
        """Windows, and their partners if they exchange -> windows and their (B, K) targets, zeros without a label."""
        features, valid, label = own
        specs = self.info.modalities
        if other is not None:
            features = exchange((features, valid), other[:2], specs, self.exchange, generator)
        features, valid = augment(features, valid, specs, self.augment, generator)
        target = one_hot(label, len(self.info.labels), self.smoothing)
        return mix(features, valid, target, self.mixup, generator) if self.mixup else (features, valid, target)
