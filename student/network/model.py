"""The student: a patch-local encoder and a small temporal head, so that a hop on the board costs one step.

The encoder turns one step of every modality into one token and looks at nothing else; most of the work sits in it.
The head reads the tokens of a window. Streaming computes the encoder on the new step only and the head on a ring of
tokens, and a whole clip goes through the very same functions.
"""

from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgehar.config import option
from edgehar.errors import ConfigError
from edgehar.signals.modality import ModalitySpec
from edgehar.teacher.network.layers import Block, FeedForward, check_heads


@dataclass(frozen=True)
class StudentConfig:
    """Sizes of the student."""

    stem: int = option(64, "units of each modality's first layer")
    width: int = option(80, "channels in the encoder")
    encoder_blocks: int = option(2, "feed-forward blocks of the encoder")
    hidden: int = option(80, "units of an encoder block")
    token: int = option(40, "channels of the token a step becomes")
    heads: int = option(4, "attention heads of the temporal head")
    head_blocks: int = option(1, "blocks of the temporal head")
    head_hidden: int = option(96, "feed-forward units of a head block")

    def __post_init__(self) -> None:
        """Refuse sizes no network has."""
        check_heads(self.token, self.heads, "token", "heads")
        sizes = (self.stem, self.width, self.hidden, self.head_hidden, self.encoder_blocks, self.head_blocks)
        if min(sizes) < 1:
            raise ConfigError(f"sizes and blocks {sizes} of the student; expected each above 0")


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"stem": 24, "width": 32, "encoder_blocks": 1, "hidden": 32, "token": 32, "heads": 2, "head_hidden": 32},
    "base": {},
    "large": {"stem": 192, "width": 192, "encoder_blocks": 3, "hidden": 384, "token": 96, "head_hidden": 192},
}


class NetworkOutput(NamedTuple):
    """What the student says of a batch.

    Attributes:
        logits: (B, K).
        fused: (B, D) features the classifier saw.
        steps: (B, S, D) tokens after the head's blocks.
    """

    logits: Tensor
    fused: Tensor
    steps: Tensor


class EncoderBlock(nn.Module):
    """A feed-forward part, normalised before and added to its input."""

    def __init__(self, dim: int, hidden: int) -> None:
        """`hidden` units."""
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.feedforward = FeedForward(dim, hidden)

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        return tokens + self.feedforward(self.norm(tokens))


class Encoder(nn.Module):
    """One step of every modality -> one token; nothing outside the step is needed."""

    def __init__(self, config: StudentConfig, specs: tuple[ModalitySpec, ...]) -> None:
        """Build for these modalities, in their order."""
        super().__init__()
        self.names = tuple(spec.name for spec in specs)
        sizes = {spec.name: spec.patch * spec.groups * spec.features for spec in specs}
        self.stem = nn.ModuleDict({name: nn.Linear(size, config.stem) for name, size in sizes.items()})
        self.modality_projection = nn.ModuleDict({name: nn.Linear(config.stem, config.width) for name in sizes})
        self.missing = nn.ParameterDict({name: nn.Parameter(torch.zeros(config.width)) for name in sizes})
        self.blocks = nn.ModuleList(EncoderBlock(config.width, config.hidden) for _ in range(config.encoder_blocks))
        self.norm = nn.LayerNorm(config.width)
        self.token_projection = nn.Linear(config.width, config.token)

    @property
    def parts(self) -> list[EncoderBlock]:
        """The blocks, with their type."""
        return cast(list[EncoderBlock], list(self.blocks))

    def forward(self, features: dict[str, Tensor], valid: Tensor) -> Tensor:
        """Tokens (..., D).

        Args:
            features: modality -> (..., P*G*F).
            valid: (..., M), 1 where the modality's step is valid, else 0.
        """
        parts: list[Tensor] = []
        for number, name in enumerate(self.names):
            there = valid[..., number : number + 1]
            seen = self.modality_projection[name](functional.gelu(self.stem[name](features[name])))
            parts.append(seen * there + self.missing[name] * (1 - there))
        fused = reduce(torch.add, parts)
        for block in self.blocks:
            fused = block(fused)
        return self.token_projection(self.norm(fused))


class Head(nn.Module):
    """The tokens of a window -> logits."""

    def __init__(self, config: StudentConfig, steps: int, classes: int) -> None:
        """S = `steps`, K = `classes`."""
        super().__init__()
        self.position_embedding = nn.Parameter(torch.randn(steps, config.token) * 0.02)
        self.blocks = nn.ModuleList(
            Block(config.token, config.heads, config.head_hidden) for _ in range(config.head_blocks)
        )
        self.norm = nn.LayerNorm(config.token)
        self.classifier = nn.Linear(config.token, classes)

    @property
    def parts(self) -> list[Block]:
        """The blocks, with their type."""
        return cast(list[Block], list(self.blocks))

    def read(self, tokens: Tensor) -> NetworkOutput:
        """(B, S, D) -> logits, pooled features and the tokens after the blocks."""
        tokens = tokens + self.position_embedding
        for block in self.blocks:
            tokens = block(tokens)
        fused = self.norm(tokens.mean(1))
        return NetworkOutput(self.classifier(fused), fused, tokens)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, S, D) -> logits (B, K)."""
        return self.read(tokens).logits


class StudentNetwork(nn.Module):
    """Encoder and head together, for training."""

    def __init__(self, config: StudentConfig, specs: tuple[ModalitySpec, ...], steps: int, classes: int) -> None:
        """Build for these modalities, S = `steps` and K = `classes`."""
        super().__init__()
        self.config, self.specs = config, specs
        self.encoder = Encoder(config, specs)
        self.head = Head(config, steps, classes)

    def forward(self, features: dict[str, Tensor], valid: dict[str, Tensor]) -> NetworkOutput:
        """Classify windows.

        Args:
            features: modality -> (B, S, P, G, F).
            valid: modality -> (B, S) bool.
        """
        flat = {name: tensor.flatten(2) for name, tensor in features.items()}  # (B, S, P*G*F)
        there = torch.stack([valid[name] for name in self.encoder.names], 2).to(next(iter(flat.values())).dtype)
        return self.head.read(self.encoder(flat, there))
