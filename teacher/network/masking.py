"""Masking for pretraining: random joints, frames or whole sensors are hidden from the encoder.

The visible part of a modality is a grid of steps x groups, and the encoder computes on this grid only. The kinds:

joint             the same joints hidden in all frames (SkeletonMAE, arXiv 2209.02399); at a high ratio equal to tube
                  masking (VideoMAE, arXiv 2203.12602) on joints: one spatial mask for every frame
frame             all joints hidden in some frames (SkeletonMAE)
spatial-temporal  joint and frame masking combined (SkeletonMAE)
motion            spatial-temporal masking that hides strong motion more often (MAMP, arXiv 2308.07092, section 3.3)
modality          one sensor is reduced to a single token, the others get spatial-temporal masking
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from edgehar.config import Options, option
from edgehar.signals.modality import ModalitySpec

KINDS = ("joint", "frame", "spatial-temporal", "motion", "modality")
MOTION_TEMPERATURE = 0.8
"""Temperature of the softmax over motion, relative to the strongest motion (MAMP, section 3.3)."""


@dataclass(frozen=True)
class MaskingConfig(Options):
    """Masking."""

    masking: str = option("spatial-temporal", "kind of masking", choices=KINDS)
    joint_ratio: float = option(
        0.4, "share of joints (or triaxial sensors) hidden in every frame", at_least=0, at_most=1
    )
    step_ratio: float = option(0.5, "share of steps hidden in every joint", at_least=0, at_most=1)


@dataclass(frozen=True)
class Visible:
    """The visible grid of one modality: indices of steps and groups, ascending.

    Attributes:
        steps: (B, Sv) int64.
        groups: (B, Gv) int64.
    """

    steps: Tensor
    groups: Tensor

    def hidden(self, steps: int, groups: int) -> Tensor:
        """(B, S, G) bool, True where a token is hidden from the encoder."""
        step_visible = torch.zeros(len(self.steps), steps, dtype=torch.bool, device=self.steps.device)
        group_visible = torch.zeros(len(self.groups), groups, dtype=torch.bool, device=self.groups.device)
        step_visible.scatter_(1, self.steps, True)
        group_visible.scatter_(1, self.groups, True)
        return ~(step_visible[:, :, None] & group_visible[:, None, :])


def sample_visible(
    batch: int, count: int, ratio: float, generator: torch.Generator, motion: Tensor | None = None
) -> Tensor:
    """Indices below `count` that stay visible, (B, V) int64, ascending; at least one, `ratio` of them hidden.

    With `motion` (B, count), stronger motion is hidden more often: the last of a Gumbel top-k draw are visible.
    """
    visible = max(1, round(count * (1 - ratio)))
    noise = torch.rand(batch, count, generator=generator)
    if motion is not None:
        strongest = motion.amax(1, keepdim=True).clamp(min=1e-6)
        gumbel = -torch.log(-torch.log(noise.clamp(1e-6, 1 - 1e-6)))
        noise = motion.cpu() / (MOTION_TEMPERATURE * strongest.cpu()) + gumbel
    return noise.argsort(1)[:, :visible].sort(1).values


def visible_grids(
    features: dict[str, Tensor], specs: tuple[ModalitySpec, ...], config: MaskingConfig, generator: torch.Generator
) -> dict[str, Visible]:
    """Draw the visible grid of every modality, independently for each sample.

    Args:
        features: modality -> (B, S, P, G, F); the last half of the F features are motions.
        specs: the modalities.
        config: kind and ratios.
        generator: source of every random number (CPU).
    """
    reduced = int(torch.randint(len(specs), (1,), generator=generator)) if config.masking == "modality" else -1
    joint_ratio = 0.0 if config.masking == "frame" else config.joint_ratio
    step_ratio = 0.0 if config.masking == "joint" else config.step_ratio
    grids: dict[str, Visible] = {}
    for index, spec in enumerate(specs):
        tokens = features[spec.name]
        batch, steps = tokens.shape[:2]
        step_motion, group_motion = None, None
        if config.masking == "motion":
            motion = tokens[..., spec.group :].abs().mean((2, 4))  # (B, S, G)
            step_motion, group_motion = motion.mean(2), motion.mean(1)
        single_token = index == reduced and len(specs) > 1
        grids[spec.name] = Visible(
            sample_visible(batch, steps, 1.0 if single_token else step_ratio, generator, step_motion),
            sample_visible(batch, spec.groups, 1.0 if single_token else joint_ratio, generator, group_motion),
        )
    return grids
