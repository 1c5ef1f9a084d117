"""Masked pretraining: the encoder sees what is visible, a light decoder says how the rest moved.

Asymmetric masked autoencoder (MAE, arXiv 2111.06377) on the visible grid of spatial-temporal masking
(SkeletonMAE, arXiv 2209.02399); the target is motion normalised per token (MAMP, arXiv 2308.07092, section 3.2).
"""

import torch
from torch import Tensor, nn

from teacher.layers import Block
from teacher.masking import Visible
from teacher.model import Teacher


class MaskedAutoencoder(nn.Module):
    """A teacher's encoder with one light decoder per modality; the decoders are dropped after pretraining."""

    def __init__(self, teacher: Teacher, steps: int, width: int = 64) -> None:
        """Decoders of `width` channels and one block."""
        super().__init__()
        self.teacher, self.steps = teacher, steps
        dim = teacher.config.dim
        names = [spec.name for spec in teacher.specs]
        self.narrow = nn.ModuleDict({name: nn.Linear(dim, width) for name in names})
        self.hidden_step = nn.ParameterDict({name: nn.Parameter(torch.randn(width) * 0.02) for name in names})
        self.place = nn.ParameterDict({name: nn.Parameter(torch.randn(steps, width) * 0.02) for name in names})
        self.decoder = nn.ModuleDict({name: Block(width, 4, 2 * width) for name in names})
        self.predict = nn.ModuleDict(
            {spec.name: nn.Linear(width, spec.groups * spec.patch * spec.group) for spec in teacher.specs}
        )

    def forward(self, features: dict[str, Tensor], valid: dict[str, Tensor], visible: dict[str, Visible]) -> Tensor:
        """Mean squared error of the hidden, valid tokens' motion; scalar.

        Args:
            features: modality -> (B, S, P, G, F).
            valid: modality -> (B, S) bool.
            visible: modality -> what the encoder may see.
        """
        _, together, _ = self.teacher.encode(features, valid, visible)
        losses: list[Tensor] = []
        for spec in self.teacher.specs:
            name = spec.name
            narrow = self.narrow[name](together[name])  # (B, Sv, W)
            batch, _, width = narrow.shape
            everywhere = self.hidden_step[name].to(narrow.dtype).expand(batch, self.steps, -1).clone()
            everywhere = everywhere.scatter(1, visible[name].steps[:, :, None].expand(-1, -1, width), narrow)
            decoded = self.predict[name](self.decoder[name](everywhere + self.place[name]))
            decoded = decoded.reshape(batch, self.steps, spec.groups, spec.patch * spec.group)
            target = motion_target(features[name], spec.group)  # (B, S, G, P*3)
            error = (decoded - target).square().mean(-1)  # (B, S, G)
            counted = visible[name].hidden(self.steps, spec.groups) & valid[name][..., None]
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
