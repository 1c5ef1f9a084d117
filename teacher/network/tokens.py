"""Step tokens of one modality: convolutions over a patch, then attention over the joints (or triaxial sensors).

The spatial half of DMFT's spatial-temporal transformer (arXiv 2305.03810): a group token is one group (a joint, or a
triaxial sensor) in one patch of frames. Where joints may be lost, a learned vector replaces a lost joint's features.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from edgehar.signals.modality import ModalitySpec
from edgehar.teacher.network.convolutions import PatchConvolutions
from edgehar.teacher.network.layers import Block
from edgehar.teacher.network.masking import Visible


@dataclass(frozen=True)
class TokenSizes:
    """Sizes of `StepTokens`.

    Attributes:
        joint_dim: Dj, channels of a group token.
        heads: attention heads over the groups.
        blocks: attention blocks over the groups.
        convolutions: convolutions over the frames of a group's patch.
        kernel: their length in frames.
    """

    joint_dim: int
    heads: int
    blocks: int
    convolutions: int
    kernel: int


def one_group(spec: ModalitySpec) -> ModalitySpec:
    """A modality of one of the groups alone, all of which share their convolutions; a joint is a triaxial sensor."""
    return replace(spec, channels=spec.group, joints=(), parents=(), columns=(), lost_joints=False)


class StepTokens(nn.Module):
    """Embeds the groups of a step, applies attention among them and merges them into one token per step."""

    def __init__(self, spec: ModalitySpec, sizes: TokenSizes, dim: int) -> None:
        """Group tokens, merged into step tokens of D = `dim` channels."""
        super().__init__()
        self.groups = spec.groups
        joint_dim = sizes.joint_dim
        self.convolutions = PatchConvolutions(one_group(spec), joint_dim, sizes.convolutions, sizes.kernel)
        self.embed = nn.Linear(2 * joint_dim, joint_dim)
        self.group_embedding = nn.Parameter(torch.randn(spec.groups, joint_dim) * 0.02)
        self.hidden_group = nn.Parameter(torch.zeros(joint_dim))
        self.lost_joints = spec.lost_joints
        if spec.lost_joints:
            self.lost_group = nn.Parameter(torch.zeros(joint_dim))
        self.blocks = nn.ModuleList(Block(joint_dim, sizes.heads, 2 * joint_dim) for _ in range(sizes.blocks))
        self.merge = nn.Linear(spec.groups * joint_dim, dim)

    @property
    def replacements(self) -> list[nn.Parameter]:
        """Learned vectors that replace groups: hidden ones in pretraining, and lost joints."""
        return [self.hidden_group, *([self.lost_group] if self.lost_joints else [])]

    def forward(self, features: Tensor, visible: Visible | None = None) -> Tensor:
        """Embed a modality.

        Args:
            features: (B, S, P, G, F).
            visible: the visible grid; None for the whole window.

        Returns:
            (B, S, D), or (B, Sv, D) for the visible steps.
        """
        tokens = features.transpose(2, 3).flatten(3)  # (B, S, G, P*F)
        embedding = self.group_embedding.expand(len(tokens), 1, -1, -1)  # (B, 1, G, Dj)
        if visible is not None:
            width = tokens.shape[-1]
            tokens = tokens.gather(1, visible.steps[:, :, None, None].expand(-1, -1, self.groups, width))
            index = visible.groups[:, None, :, None]
            tokens = tokens.gather(2, index.expand(-1, tokens.shape[1], -1, width))  # (B, Sv, Gv, P*F)
            embedding = embedding.gather(2, index.expand(-1, -1, -1, embedding.shape[-1]))
        batch, steps, groups, _ = tokens.shape
        embedded = self.embed(self.convolutions(tokens))  # (B, S, G, Dj)
        if self.lost_joints:  # all features of a lost joint are 0
            embedded = torch.where(tokens.any(-1, keepdim=True), embedded, self.lost_group.to(embedded.dtype))
        joints = (embedded + embedding).reshape(batch * steps, groups, -1)  # (B*S, G, Dj)
        for block in self.blocks:
            joints = block(joints)
        joints = joints.reshape(batch, steps, groups, -1)
        if visible is not None:
            hidden = self.hidden_group.to(joints.dtype).expand(batch, steps, self.groups, -1).clone()
            index = visible.groups[:, None, :, None].expand(-1, steps, -1, joints.shape[-1])
            joints = hidden.scatter(2, index, joints)
        return self.merge(joints.flatten(2))  # (B, S, D)
