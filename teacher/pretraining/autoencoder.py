"""Masked autoencoder: a light decoder predicts the motion of hidden tokens from the encoded visible ones.

Asymmetric masked autoencoder (MAE, arXiv 2111.06377) on the visible grid of spatial-temporal masking (SkeletonMAE,
arXiv 2209.02399); the target is motion normalised per token (MAMP, arXiv 2308.07092, section 3.2). A contrastive loss
between two augmented and masked views of a window is added (MAViL, arXiv 2212.08071).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from edgehar.teacher.network.layers import Block
from edgehar.teacher.network.masking import Visible
from edgehar.teacher.network.model import FUSED, Teacher
from edgehar.teacher.pretraining.contrast import START_LOG_SCALE, Projection, agreement_loss

DECODER_HEADS = 4


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


class MaskedAutoencoder(nn.Module):
    """A teacher's encoder with decoders and projection heads that only pretraining needs."""

    def __init__(self, teacher: Teacher, steps: int, width: int = 64, contrast: float = 0.0) -> None:
        """One-block decoders of `width` channels; `contrast` is the weight of the contrastive loss, 0 for none."""
        super().__init__()
        self.teacher, self.steps, self.contrast = teacher, steps, contrast
        dim = teacher.config.dim
        names = [spec.name for spec in teacher.specs]
        self.decoder_embedding = nn.ModuleDict({name: nn.Linear(dim, width) for name in names})
        self.mask_token = nn.ParameterDict({name: nn.Parameter(torch.randn(width) * 0.02) for name in names})
        self.position_embedding = nn.ParameterDict(
            {name: nn.Parameter(torch.randn(steps, width) * 0.02) for name in names}
        )
        self.decoder = nn.ModuleDict({name: Block(width, DECODER_HEADS, 2 * width) for name in names})
        self.predict = nn.ModuleDict(
            {spec.name: nn.Linear(width, spec.groups * spec.patch * spec.group) for spec in teacher.specs}
        )
        if contrast:
            self.project = nn.ModuleDict(
                {name: Projection(dim) for name in names} | {FUSED: Projection(teacher.config.fused_dim)}
            )
            self.log_scale = nn.Parameter(torch.tensor(START_LOG_SCALE))

    def forward(self, views: list[View]) -> Tensor:
        """Mean reconstruction error of the views plus the weighted contrastive loss; scalar."""
        losses: list[Tensor] = []
        projected: list[dict[str, Tensor]] = []
        for view in views:
            unimodal, multimodal, fusion_tokens = self.teacher.encode(view.features, view.valid, view.visible)
            losses.append(self.reconstruction(multimodal, view))
            if self.contrast:
                pooled = self.teacher.pool(unimodal, multimodal, fusion_tokens)
                projected.append({name: self.project[name](features) for name, features in pooled.items()})
        loss = torch.stack(losses).mean()
        return loss + self.contrast * agreement_loss(projected, self.log_scale) if self.contrast else loss

    def reconstruction(self, encoded: dict[str, Tensor], view: View) -> Tensor:
        """Mean squared error of the motion of hidden tokens that are valid and not of a lost joint; scalar.

        Args:
            encoded: modality -> (B, Sv, D) visible steps.
            view: the encoder's input.
        """
        losses: list[Tensor] = []
        for spec in self.teacher.specs:
            name, visible = spec.name, view.visible[spec.name]
            embedded = self.decoder_embedding[name](encoded[name])  # (B, Sv, W)
            batch, _, width = embedded.shape
            decoder_input = self.mask_token[name].to(embedded.dtype).expand(batch, self.steps, -1).clone()
            decoder_input = decoder_input.scatter(1, visible.steps[:, :, None].expand(-1, -1, width), embedded)
            decoded = self.predict[name](self.decoder[name](decoder_input + self.position_embedding[name]))
            decoded = decoded.reshape(batch, self.steps, spec.groups, spec.patch * spec.group)
            target = motion_target(view.features[name], spec.group)  # (B, S, G, P*3)
            error = (decoded - target).square().mean(-1)  # (B, S, G)
            counted = visible.hidden(self.steps, spec.groups) & view.valid[name][..., None]
            if spec.lost_joints:
                counted &= view.features[name].transpose(2, 3).flatten(3).any(-1)
            losses.append((error * counted).sum() / counted.sum().clamp(min=1))
        return torch.stack(losses).mean()


def motion_target(features: Tensor, group: int) -> Tensor:
    """Motion of every token, normalised to zero mean and unit variance within the token.

    Args:
        features: (B, S, P, G, F); the last `group` of the F features are motions.
        group: channels of a group.

    Returns:
        (B, S, G, P * group).
    """
    motion = features[..., group:].transpose(2, 3).flatten(3)
    centred = motion - motion.mean(-1, keepdim=True)
    return centred / (motion.var(-1, keepdim=True, unbiased=False) + 1e-6).sqrt()
