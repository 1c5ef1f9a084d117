"""What masked pretraining hides: chosen joints in every frame, chosen frames in every joint, or a whole sensor.

What stays visible is a grid of kept steps x kept groups, and the encoder computes on that grid only. Kinds of masking:

joint             the same joints in all frames (SkeletonMAE, arXiv 2209.02399); at a high ratio this is what tube
                  masking (VideoMAE, arXiv 2203.12602) is on joints: one spatial mask for every frame
frame             all joints of chosen frames (SkeletonMAE)
spatial-temporal  both together (SkeletonMAE)
motion            both, and what moves most is hidden more often (after MAMP, arXiv 2308.07092, section 3.3)
modality          all but one token of one sensor, which the others must explain; both together in those
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from edgehar.config import option
from edgehar.errors import ConfigError
from edgehar.signals.modality import ModalitySpec

KINDS = ("joint", "frame", "spatial-temporal", "motion", "modality")
MOTION_TEMPERATURE = 0.8
"""Of the softmax over motion, relative to the strongest motion (MAMP, section 3.3)."""


@dataclass(frozen=True)
class MaskingConfig:
    """Which kind, and the shares of joints (or triaxial sensors) and of steps that are hidden."""

    masking: str = option("spatial-temporal", f"what is hidden: {', '.join(KINDS)}")
    joint_ratio: float = option(0.4, "share of joints hidden in every frame")
    step_ratio: float = option(0.5, "share of steps hidden in every joint")

    def __post_init__(self) -> None:
        """Refuse unknown kinds and shares out of range."""
        if self.masking not in KINDS:
            raise ConfigError(f"--masking {self.masking}: expected one of {', '.join(KINDS)}")
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


def keep_some(batch: int, count: int, ratio: float, generator: torch.Generator, motion: Tensor | None = None) -> Tensor:
    """(B, kept) ascending random numbers below `count`; at least one is kept, and `ratio` of them are not.

    With `motion` (B, count) what moves more is kept less often: the kept ones are the last of a Gumbel top-k draw.
    """
    kept = max(1, round(count * (1 - ratio)))
    noise = torch.rand(batch, count, generator=generator)
    if motion is not None:
        strongest = motion.amax(1, keepdim=True).clamp(min=1e-6)
        gumbel = -torch.log(-torch.log(noise.clamp(1e-6, 1 - 1e-6)))
        noise = motion.cpu() / (MOTION_TEMPERATURE * strongest.cpu()) + gumbel
    return noise.argsort(1)[:, :kept].sort(1).values


def visible_grids(
    features: dict[str, Tensor], specs: tuple[ModalitySpec, ...], config: MaskingConfig, generator: torch.Generator
) -> dict[str, Visible]:
    """What the encoder may see of each modality, drawn anew for every sample.

    Args:
        features: modality -> (B, S, P, G, F); the last half of the F features are motions.
        specs: the modalities.
        config: kind and shares.
        generator: source of every random number (CPU).
    """
    lone = int(torch.randint(len(specs), (1,), generator=generator)) if config.masking == "modality" else -1
    joint_ratio = 0.0 if config.masking == "frame" else config.joint_ratio
    step_ratio = 0.0 if config.masking == "joint" else config.step_ratio
    grids: dict[str, Visible] = {}
    for place, spec in enumerate(specs):
        tokens = features[spec.name]
        batch, steps = tokens.shape[:2]
        by_step, by_group = None, None
        if config.masking == "motion":
            motion = tokens[..., spec.group :].abs().mean((2, 4))  # (B, S, G)
            by_step, by_group = motion.mean(2), motion.mean(1)
        gone = place == lone and len(specs) > 1
        grids[spec.name] = Visible(
            keep_some(batch, steps, 1.0 if gone else step_ratio, generator, by_step),
            keep_some(batch, spec.groups, 1.0 if gone else joint_ratio, generator, by_group),
        )
    return grids
