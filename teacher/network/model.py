"""The teacher: convolutions and spatial-temporal attention per modality, then mid-fusion of all modalities.

After DMFT (arXiv 2305.03810, section 3): a spatial-temporal transformer per modality (attention over the joints of a
step, then over steps) and a temporal mid-fusion module. Missing steps of a modality are replaced by a learned token.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from edgehar.config import Options, option
from edgehar.signals.modality import ModalitySpec
from edgehar.teacher.network.convolutions import check_kernel, token_convolutions
from edgehar.teacher.network.layers import Block, check_heads
from edgehar.teacher.network.masking import Visible
from edgehar.teacher.network.tokens import StepTokens, TokenSizes

FUSED = "-"
"""Key of the fused features of all modalities; no modality name is a dash."""


@dataclass(frozen=True)
class TeacherConfig(Options):
    """Teacher network size."""

    joint_dim: int = option(32, "channels of a joint token", at_least=1)
    joint_heads: int = option(4, "attention heads over joints", at_least=1)
    joint_blocks: int = option(1, "attention blocks over the joints of a step", at_least=0)
    dim: int = option(128, "channels of a step token", at_least=1)
    heads: int = option(4, "attention heads over time", at_least=1)
    time_blocks: int = option(3, "attention blocks over time, per modality", at_least=0)
    fusion_blocks: int = option(1, "attention blocks across modalities", at_least=0)
    fusion_tokens: int = option(4, "learned fusion tokens", at_least=1)
    feedforward: int = option(2, "feed-forward units per channel", at_least=1)
    drop_path: float = option(0.1, "stochastic depth: probability of dropping a residual branch", at_least=0, below=1)
    convolutions: int = option(2, "convolutions over the frames of a patch, and half as many over steps", at_least=1)
    kernel: int = option(5, "length of these convolutions, in frames or steps; an odd number", at_least=1)
    head_dim: int | None = option(None, "channels of an attention head over time; default: dim / heads", at_least=1)

    def __post_init__(self) -> None:
        """Raise ConfigError for channels that do not divide into heads."""
        super().__post_init__()
        check_kernel(self.kernel)
        check_heads(self.joint_dim, self.joint_heads, "joint-dim", "joint-heads")
        if self.head_dim is None:
            check_heads(self.dim, self.heads, "dim", "heads")

    @property
    def fused_dim(self) -> int:
        """Features of the classifier: mean of the fusion tokens, mean and maximum over time."""
        return 3 * self.dim


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"joint_dim": 16, "joint_heads": 2, "joint_blocks": 1, "dim": 48, "time_blocks": 1, "fusion_tokens": 2},
    "base": {},
    "large": {
        "joint_dim": 128, "joint_heads": 8, "joint_blocks": 4, "dim": 384, "heads": 8,
        "time_blocks": 6, "fusion_blocks": 2, "fusion_tokens": 8, "feedforward": 4,
    },
}  # fmt: skip


class TeacherOutput(NamedTuple):
    """Logits and features of a batch.

    Attributes:
        logits: (B, K).
        modality_logits: modality -> (B, K), of the auxiliary heads.
        fused: (B, 3 * D) features, the classifier's input.
        steps: (B, S, D) tokens after fusion, averaged over the modalities.
    """

    logits: Tensor
    modality_logits: dict[str, Tensor]
    fused: Tensor
    steps: Tensor


class Teacher(nn.Module):
    """Encoder of any set of modalities with a classifier and one auxiliary head per modality."""

    def __init__(self, config: TeacherConfig, specs: tuple[ModalitySpec, ...], steps: int, classes: int) -> None:
        """A network for the modalities `specs`, S = `steps` and K = `classes`."""
        super().__init__()
        self.config, self.specs = config, specs
        dim, hidden = config.dim, config.feedforward * config.dim
        sizes = TokenSizes(
            config.joint_dim, config.joint_heads, config.joint_blocks, config.convolutions, config.kernel
        )
        self.tokens = nn.ModuleDict({spec.name: StepTokens(spec, sizes, dim) for spec in specs})
        self.step_convolutions = nn.ModuleDict(
            {spec.name: token_convolutions(config.convolutions, dim, config.kernel) for spec in specs}
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
        self.norm = nn.LayerNorm(config.fused_dim)
        self.classifier = nn.Linear(config.fused_dim, classes)
        self.modality_norm = nn.ModuleDict({spec.name: nn.LayerNorm(dim) for spec in specs})
        self.modality_head = nn.ModuleDict({spec.name: nn.Linear(dim, classes) for spec in specs})

    def encode(
        self, features: dict[str, Tensor], valid: dict[str, Tensor], visible: dict[str, Visible] | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
        """Tokens before and after fusion of the modalities.

        Args:
            features: modality -> (B, S, P, G, F).
            valid: modality -> (B, S) bool.
            visible: modality -> visible grid; None for the whole window.

        Returns:
            modality -> (B, S, D) before fusion, modality -> (B, S, D) after it, and (B, tokens, D) fusion
            tokens; Sv instead of S if `visible` is given.
        """
        unimodal: dict[str, Tensor] = {}
        for spec in self.specs:
            name = spec.name
            grid = None if visible is None else visible[name]
            tokens = self.tokens[name](features[name], grid)  # (B, S, D)
            step_valid = valid[name] if grid is None else valid[name].gather(1, grid.steps)
            tokens = torch.where(step_valid[..., None], tokens, self.missing[name].to(tokens.dtype))
            position = self.position_embedding[name] if grid is None else self.position_embedding[name][grid.steps]
            if grid is None:  # visible steps are no neighbours
                tokens = self.step_convolutions[name](tokens)
            unimodal[name] = self.time_blocks[name](tokens + position)
        batch = len(next(iter(unimodal.values())))
        parts = [self.fusion_tokens.expand(batch, -1, -1)]
        parts += [unimodal[spec.name] + self.modality_embedding[spec.name] for spec in self.specs]
        joined = self.fusion(torch.cat(parts, 1))  # (B, tokens + M*S, D)
        fusion_tokens, *split = joined.split([part.shape[1] for part in parts], 1)
        return unimodal, {spec.name: part for spec, part in zip(self.specs, split, strict=True)}, fusion_tokens

    def forward(self, features: dict[str, Tensor], valid: dict[str, Tensor]) -> TeacherOutput:
        """Classify a batch; arguments as in `encode`."""
        unimodal, multimodal, fusion_tokens = self.encode(features, valid)
        pooled = self.pool(unimodal, multimodal, fusion_tokens)
        fused = pooled.pop(FUSED)
        auxiliary = {name: self.modality_head[name](features) for name, features in pooled.items()}
        steps = torch.stack([multimodal[spec.name] for spec in self.specs]).mean(0)  # (B, S, D)
        return TeacherOutput(self.classifier(fused), auxiliary, fused, steps)

    def pool(
        self, unimodal: dict[str, Tensor], multimodal: dict[str, Tensor], fusion_tokens: Tensor
    ) -> dict[str, Tensor]:
        """Pool the outputs of `encode`: modality -> (B, D) before fusion, `FUSED` -> (B, 3 * D) after it."""
        pooled = {name: self.modality_norm[name](tokens.mean(1)) for name, tokens in unimodal.items()}
        means = torch.stack([tokens.mean(1) for tokens in multimodal.values()])
        largest = torch.stack([tokens.amax(1) for tokens in multimodal.values()])
        parts = [fusion_tokens.mean(1), means.mean(0), largest.mean(0)]
        return pooled | {FUSED: self.norm(torch.cat(parts, 1))}
