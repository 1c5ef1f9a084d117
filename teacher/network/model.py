"""The teacher: joints attend within a step, steps attend over time, modalities meet in mid-fusion tokens.

After DMFT (arXiv 2305.03810, section 3): an attentive spatial-temporal transformer per modality and a temporal
mid-fusion module. A modality that is missing, for a step or altogether, is a learned token, never zeros.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from edgehar.config import option
from edgehar.errors import ConfigError
from edgehar.signals.modality import ModalitySpec
from edgehar.teacher.network.layers import Block, check_sizes
from edgehar.teacher.network.masking import Visible
from edgehar.teacher.network.tokens import StepTokens

FUSED = "-"
"""Key of what all sensors say together; no modality can be called so."""


@dataclass(frozen=True)
class TeacherConfig:
    """Sizes of the teacher."""

    joint_dim: int = option(32, "channels of a joint token")
    joint_heads: int = option(4, "attention heads over joints")
    joint_blocks: int = option(1, "blocks of attention over joints within a step")
    dim: int = option(128, "channels of a step token")
    heads: int = option(4, "attention heads over time")
    time_blocks: int = option(3, "blocks of attention over time, per modality")
    fusion_blocks: int = option(1, "blocks of attention across modalities")
    fusion_tokens: int = option(4, "learned tokens that gather what the modalities say")
    feedforward: int = option(2, "feed-forward units per channel")
    drop_path: float = option(0.1, "chance of leaving a residual branch out for a sample")
    head_dim: int | None = option(None, "channels of a head over time; dim / heads if not given")

    def __post_init__(self) -> None:
        """Refuse sizes no network has."""
        check_sizes(self.joint_dim, self.joint_heads)
        if self.head_dim is None:
            check_sizes(self.dim, self.heads)
        elif min(self.dim, self.heads, self.head_dim) < 1:
            raise ConfigError(f"--dim {self.dim}, --heads {self.heads}, --head-dim {self.head_dim}: expected 1 or more")
        if (
            min(self.joint_blocks, self.time_blocks, self.fusion_blocks) < 0
            or min(self.fusion_tokens, self.feedforward) < 1
        ):
            raise ConfigError("a number of blocks below 0, or of fusion tokens or feed-forward units below 1")
        if not 0 <= self.drop_path < 1:
            raise ConfigError(f"--drop-path {self.drop_path}: expected 0 to below 1")


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"joint_dim": 16, "joint_heads": 2, "joint_blocks": 1, "dim": 48, "time_blocks": 1, "fusion_tokens": 2},
    "base": {},
    "large": {
        "joint_dim": 128, "joint_heads": 8, "joint_blocks": 4, "dim": 384, "heads": 8,
        "time_blocks": 6, "fusion_blocks": 2, "fusion_tokens": 8, "feedforward": 4,
    },
}  # fmt: skip


class TeacherOutput(NamedTuple):
    """What the teacher says of a batch.

    Attributes:
        logits: (B, K).
        modality_logits: modality -> (B, K), of the auxiliary heads.
        fused: (B, D') features the last layer saw.
        steps: (B, S, D) tokens after fusion, averaged over the modalities.
    """

    logits: Tensor
    modality_logits: dict[str, Tensor]
    fused: Tensor
    steps: Tensor


class Teacher(nn.Module):
    """Masked-pretrainable encoder of any set of modalities, with a classifier and one auxiliary head per modality."""

    def __init__(self, config: TeacherConfig, specs: tuple[ModalitySpec, ...], steps: int, classes: int) -> None:
        """Build for these modalities, S = `steps` and K = `classes`."""
        super().__init__()
        self.config, self.specs = config, specs
        dim, hidden = config.dim, config.feedforward * config.dim
        self.tokens = nn.ModuleDict(
            {
                spec.name: StepTokens(spec, config.joint_dim, config.joint_heads, config.joint_blocks, dim)
                for spec in specs
            }
        )
        self.missing = nn.ParameterDict({spec.name: nn.Parameter(torch.randn(dim) * 0.02) for spec in specs})
        self.position_embedding = nn.ParameterDict(
            {spec.name: nn.Parameter(torch.randn(steps, dim) * 0.02) for spec in specs}
        )

        def block() -> Block:
            return Block(dim, config.heads, hidden, config.drop_path, config.head_dim)

        self.time_blocks = nn.ModuleDict(
            {spec.name: nn.Sequential(*(block() for _ in range(config.time_blocks))) for spec in specs}
        )
        self.fusion_tokens = nn.Parameter(torch.randn(config.fusion_tokens, dim) * 0.02)
        self.modality_embedding = nn.ParameterDict({spec.name: nn.Parameter(torch.randn(dim) * 0.02) for spec in specs})
        self.fusion = nn.Sequential(*(block() for _ in range(config.fusion_blocks)))
        self.norm = nn.LayerNorm(2 * dim)
        self.classifier = nn.Linear(2 * dim, classes)
        self.modality_norm = nn.ModuleDict({spec.name: nn.LayerNorm(dim) for spec in specs})
        self.modality_head = nn.ModuleDict({spec.name: nn.Linear(dim, classes) for spec in specs})

    def encode(
        self, features: dict[str, Tensor], valid: dict[str, Tensor], visible: dict[str, Visible] | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
        """Tokens before and after the modalities met.

        Args:
            features: modality -> (B, S, P, G, F).
            valid: modality -> (B, S) bool.
            visible: modality -> the grid the encoder may see; None for everything.

        Returns:
            modality -> (B, S, D) before fusion, modality -> (B, S, D) after it, and (B, tokens, D) fusion tokens;
            with `visible`, Sv in place of S.
        """
        alone: dict[str, Tensor] = {}
        for spec in self.specs:
            name = spec.name
            seen = None if visible is None else visible[name]
            tokens = self.tokens[name](features[name], seen)  # (B, S, D)
            here = valid[name] if seen is None else valid[name].gather(1, seen.steps)
            tokens = torch.where(here[..., None], tokens, self.missing[name].to(tokens.dtype))
            position = self.position_embedding[name] if seen is None else self.position_embedding[name][seen.steps]
            alone[name] = self.time_blocks[name](tokens + position)
        batch = len(next(iter(alone.values())))
        parts = [self.fusion_tokens.expand(batch, -1, -1)]
        parts += [alone[spec.name] + self.modality_embedding[spec.name] for spec in self.specs]
        met = self.fusion(torch.cat(parts, 1))  # (B, tokens + M*S, D)
        gathered, *split = met.split([part.shape[1] for part in parts], 1)
        return alone, {spec.name: part for spec, part in zip(self.specs, split, strict=True)}, gathered

    def forward(self, features: dict[str, Tensor], valid: dict[str, Tensor]) -> TeacherOutput:
        """Classify a batch; arguments as in `encode`."""
        alone, together, gathered = self.encode(features, valid)
        pooled = self.pooled(alone, together, gathered)
        fused = pooled.pop(FUSED)
        auxiliary = {name: self.modality_head[name](features) for name, features in pooled.items()}
        steps = torch.stack([together[spec.name] for spec in self.specs]).mean(0)  # (B, S, D)
        return TeacherOutput(self.classifier(fused), auxiliary, fused, steps)

    def pooled(self, alone: dict[str, Tensor], together: dict[str, Tensor], gathered: Tensor) -> dict[str, Tensor]:
        """What the heads read of what `encode` gives: modality -> (B, D) of it alone, `FUSED` -> (B, 2 * D) of all."""
        pooled = {name: self.modality_norm[name](tokens.mean(1)) for name, tokens in alone.items()}
        everywhere = torch.stack([tokens.mean(1) for tokens in together.values()]).mean(0)  # (B, D)
        return pooled | {FUSED: self.norm(torch.cat([gathered.mean(1), everywhere], 1))}
