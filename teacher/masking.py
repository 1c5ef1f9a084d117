"""What masked pretraining hides: chosen joints in every frame, and chosen frames in every joint.

Spatial-temporal masking after SkeletonMAE (arXiv 2209.02399): joint-level masking hides the same joints in all
frames, frame-level masking hides all joints of chosen frames, and both act together. What stays visible is thus
a grid of kept steps x kept groups, and the encoder computes on that grid only.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from edgehar.config import option
from edgehar.errors import ConfigError


@dataclass(frozen=True)
class MaskingConfig:
    """Shares of joints (or triaxial sensors) and of steps that are hidden."""

    joint_ratio: float = option(0.4, "share of joints hidden in every frame")
    step_ratio: float = option(0.5, "share of steps hidden in every joint")

    def __post_init__(self) -> None:
        """Refuse shares that hide nothing or more than everything."""
        if not 0 <= self.joint_ratio <= 1 or not 0 <= self.step_ratio <= 1:
            raise ConfigError(f"--joint-ratio {self.joint_ratio}, --step-ratio {self.step_ratio}: expected 0 to 1")


@dataclass(frozen=True)
class Visible:
    """The visible grid of one modality: kept step and group numbers, ascending.

    Attributes:
        steps: (B, Sv) int64.
        groups: (B, Gv) int64.
    """

    steps: Tensor
    groups: Tensor

    def hidden(self, steps: int, groups: int) -> Tensor:
        """(B, S, G) bool, True where a token is hidden from the encoder."""
        step_kept = torch.zeros(len(self.steps), steps, dtype=torch.bool, device=self.steps.device)
        group_kept = torch.zeros(len(self.groups), groups, dtype=torch.bool, device=self.groups.device)
        step_kept.scatter_(1, self.steps, True)
        group_kept.scatter_(1, self.groups, True)
        return ~(step_kept[:, :, None] & group_kept[:, None, :])


def keep_some(batch: int, count: int, ratio: float, generator: torch.Generator) -> Tensor:
    """(B, kept) ascending random numbers below `count`; at least one is kept, and `ratio` of them are not."""
    kept = max(1, round(count * (1 - ratio)))
    order = torch.rand(batch, count, generator=generator).argsort(1)
    return order[:, :kept].sort(1).values


def spatial_temporal(batch: int, steps: int, groups: int, config: MaskingConfig, generator: torch.Generator) -> Visible:
    """Joint-level and frame-level masking together, drawn anew for every sample."""
    return Visible(
        keep_some(batch, steps, config.step_ratio, generator),
        keep_some(batch, groups, config.joint_ratio, generator),
    )
