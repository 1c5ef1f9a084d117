"""The augmentation of a training batch: same-class exchange, geometric augmentation, mixup, in this order."""

from dataclasses import dataclass

import torch
from torch import Tensor

from edgehar.signals.clip import DatasetInfo
from edgehar.teacher.augmentation.geometric import AugmentConfig, augment, mixup
from edgehar.teacher.augmentation.part_swap import ExchangeConfig, exchange
from edgehar.teacher.training.stage import one_hot

Batch = tuple[dict[str, Tensor], dict[str, Tensor], Tensor]
"""Features, validity, and labels (B,) or targets (B, K)."""


@dataclass(frozen=True)
class Augmentation:
    """The augmentation of the windows of one data set.

    Attributes:
        info: the data set; exchange applies to pre-cut clips only.
        augment: strength of geometric augmentation.
        exchange: strength of same-class exchange.
        smoothing: label smoothing.
        mixup: parameter of mixup's Beta distribution; 0 for no mixup.
    """

    info: DatasetInfo
    augment: AugmentConfig
    exchange: ExchangeConfig
    smoothing: float
    mixup: float

    @property
    def needs_partners(self) -> bool:
        """Whether `apply` needs a same-class partner of each window."""
        return self.info.window.kind == "clip"

    def apply(self, own: Batch, other: Batch | None, generator: torch.Generator) -> Batch:
        """Augmented windows and their (B, K) targets, zeros where unlabelled.

        Args:
            own: windows with (B,) labels, or with (B, K) targets that sum to 1.
            other: their partners, or None for no exchange.
            generator: source of every random number (CPU).
        """
        features, valid, label = own
        specs = self.info.modalities
        if other is not None:
            features = exchange((features, valid), other[:2], specs, self.exchange, generator)
        features, valid = augment(features, valid, specs, self.augment, generator)
        target = label if label.ndim == 2 else one_hot(label, len(self.info.labels), self.smoothing)
        if not self.mixup:
            return features, valid, target
        lost_joints = [spec.name for spec in specs if spec.lost_joints]
        return mixup(features, valid, target, self.mixup, generator, lost_joints)
