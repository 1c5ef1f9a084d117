"""Masked autoencoder: a light decoder predicts the motion of hidden tokens from the encoded visible ones.

Asymmetric masked autoencoder (MAE, arXiv 2111.06377) on the visible grid of spatial-temporal masking (SkeletonMAE,
arXiv 2209.02399); the target is motion normalised per token (MAMP, arXiv 2308.07092, section 3.2).
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgehar.signals.modality import ModalitySpec
from edgehar.teacher.network.layers import Block
from edgehar.teacher.network.masking import Visible
from edgehar.teacher.pretraining.universal import (  # fmt: skip
    DESCRIPTOR,
    FAMILIES,
    TIME_OCTAVES,
    describe_groups,
    describe_steps,
    family_of,
)

DECODER_HEADS = 4
FRAMES = 8
"""Frames of a step that are predicted, whatever the sensor's patch."""


class View(NamedTuple):
    """An augmented, masked view of a batch.

    Attributes:
        features: modality -> (B, S, P, G, F).
        valid: modality -> (B, S) bool.
        visible: modality -> visible grid.
    """

    features: dict[str, Tensor]
    valid: dict[str, Tensor]
    visible: dict[str, Visible]


class Decoder(nn.Module):
    """One-block decoders for the two families of signals; only pretraining needs them."""

    def __init__(self, dim: int, width: int) -> None:
        """Decoders of `width` channels for encoded tokens of D = `dim`."""
        super().__init__()
        self.embed = nn.ModuleDict({name: nn.Linear(dim, width) for name in FAMILIES})
        self.hidden = nn.ParameterDict({name: nn.Parameter(torch.randn(width) * 0.02) for name in FAMILIES})
        self.time = nn.ModuleDict({name: nn.Linear(2 * TIME_OCTAVES, width) for name in FAMILIES})
        self.block = nn.ModuleDict({name: Block(width, DECODER_HEADS, 2 * width) for name in FAMILIES})
        self.group = nn.ModuleDict({name: nn.Linear(DESCRIPTOR, width) for name in FAMILIES})
        self.predict = nn.ModuleDict({name: nn.Linear(width, FRAMES * 3) for name in FAMILIES})

    def loss(
        self, encoded: dict[str, Tensor], view: View, specs: Sequence[ModalitySpec], steps: int, step_s: float
    ) -> Tensor:
        """Mean squared error of the motion of hidden tokens that are valid and not of a lost joint; scalar.

        Args:
            encoded: modality -> (B, Sv, D) visible steps.
            view: the encoder's input.
            specs: its sensors; those with more than three axes per group are not predicted.
            steps: S.
            step_s: seconds per step.
        """
        losses: list[Tensor] = []
        for spec in specs:
            if spec.group > 3:
                continue
            name, family, visible = spec.name, family_of(spec).name, view.visible[spec.name]
            embedded = self.embed[family](encoded[name])  # (B, Sv, W)
            batch, _, width = embedded.shape
            tokens = self.hidden[family].to(embedded.dtype).expand(batch, steps, -1).clone()
            tokens = tokens.scatter(1, visible.steps[:, :, None].expand(-1, -1, width), embedded)
            tokens = tokens + cast(Tensor, self.time[family](describe_steps(steps, step_s).to(tokens)))
            described = self.group[family](describe_groups(spec).to(tokens))  # (G, W)
            joined = functional.gelu(self.block[family](tokens)[:, :, None] + described)  # (B, S, G, W)
            decoded = self.predict[family](joined).unflatten(-1, (FRAMES, 3))[..., : spec.group]
            error = (decoded.flatten(3) - motion_target(view.features[name], spec.group)).square().mean(-1)  # (B, S, G)
            counted = visible.hidden(steps, spec.groups) & view.valid[name][..., None]
            if spec.lost_joints:
                counted &= view.features[name].transpose(2, 3).flatten(3).any(-1)
            losses.append((error * counted).sum() / counted.sum().clamp(min=1))
        return torch.stack(losses).mean() if losses else next(iter(encoded.values())).sum() * 0


def motion_target(features: Tensor, group: int) -> Tensor:
    """Motion of every token in `FRAMES` frames, normalised to zero mean and unit variance within the token.

    Args:
        features: (B, S, P, G, F); the last `group` of the F features are motions.
        group: channels of a group.

    Returns:
        (B, S, G, FRAMES * group).
    """
    motion = features[..., group:].permute(0, 1, 3, 4, 2)  # (B, S, G, group, P)
    frames = functional.interpolate(motion.flatten(0, 2), FRAMES, mode="linear", align_corners=True)
    motion = frames.unflatten(0, motion.shape[:3]).transpose(3, 4).flatten(3)
    centred = motion - motion.mean(-1, keepdim=True)
    return centred / (motion.var(-1, keepdim=True, unbiased=False) + 1e-6).sqrt()
