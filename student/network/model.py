"""The student network: an encoder of single steps and a small temporal head.

The encoder maps one step of every modality to one token, without context; it holds most of the multiply-adds. The head
classifies the tokens of a window. A stream therefore computes the encoder for new steps only and the head on a buffer
of tokens; a whole clip uses the same two functions.
"""

from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from edgehar.config import Options, option
from edgehar.signals.modality import ModalitySpec
from edgehar.teacher.network.convolutions import PatchConvolutions, check_kernel, token_convolutions
from edgehar.teacher.network.layers import Block, FeedForward, check_heads, count_parameters

MOST_PARAMETERS = 100_000
"""Most parameters of a student whose stem is not given."""
STEMS = (48, 40, 32, 24, 16, 8)
"""Stems to choose from: the widest one that fits, or else the narrowest."""


@dataclass(frozen=True)
class StudentConfig(Options):
    """Student network size."""

    stem: int | None = option(
        None,
        f"units of the first layers; default: up to {STEMS[0]}, as {MOST_PARAMETERS} parameters allow",
        at_least=1,
    )
    width: int = option(80, "channels of the encoder", at_least=1)
    encoder_blocks: int = option(2, "feed-forward blocks of the encoder", at_least=1)
    hidden: int = option(80, "units of an encoder block", at_least=1)
    token: int = option(40, "channels of a step token", at_least=1)
    heads: int = option(4, "attention heads of the temporal head", at_least=1)
    head_blocks: int = option(1, "transformer blocks of the temporal head", at_least=1)
    head_hidden: int = option(96, "feed-forward units of a head block", at_least=1)
    convolutions: int = option(
        2, "convolutions over the frames of each modality's patch, and half as many over tokens", at_least=1
    )
    kernel: int = option(5, "length of these convolutions, in frames or tokens; an odd number", at_least=1)

    def __post_init__(self) -> None:
        """Raise ConfigError for channels that do not divide into heads, or an even kernel."""
        super().__post_init__()
        check_heads(self.token, self.heads, "token", "heads")
        check_kernel(self.kernel)


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"stem": 24, "width": 32, "encoder_blocks": 1, "hidden": 32, "token": 32, "heads": 2, "head_hidden": 32},
    "base": {},
    "large": {"stem": 192, "width": 192, "encoder_blocks": 3, "hidden": 384, "token": 96, "head_hidden": 192},
}


class NetworkOutput(NamedTuple):
    """Logits and features of a batch.

    Attributes:
        logits: (B, K).
        fused: (B, 3 * D) features, the classifier's input.
        steps: (B, S, D) tokens after the head's blocks.
    """

    logits: Tensor
    fused: Tensor
    steps: Tensor


class EncoderBlock(nn.Module):
    """Residual pre-norm feed-forward block."""

    def __init__(self, dim: int, hidden: int) -> None:
        """A block of D = `dim` channels and `hidden` units."""
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.feedforward = FeedForward(dim, hidden)

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        return tokens + self.feedforward(self.norm(tokens))


class Encoder(nn.Module):
    """One step of every modality -> one token, without context."""

    def __init__(self, config: StudentConfig, specs: tuple[ModalitySpec, ...]) -> None:
        """An encoder of these modalities, in this order."""
        super().__init__()
        self.names = tuple(spec.name for spec in specs)
        stem = STEMS[0] if config.stem is None else config.stem
        self.stem = nn.ModuleDict(
            {spec.name: PatchConvolutions(spec, stem, config.convolutions, config.kernel) for spec in specs}
        )
        self.modality_projection = nn.ModuleDict({name: nn.Linear(2 * stem, config.width) for name in self.names})
        self.missing = nn.ParameterDict({name: nn.Parameter(torch.zeros(config.width)) for name in self.names})
        self.blocks = nn.ModuleList(EncoderBlock(config.width, config.hidden) for _ in range(config.encoder_blocks))
        self.norm = nn.LayerNorm(config.width)
        self.token_projection = nn.Linear(config.width, config.token)

    @property
    def typed_blocks(self) -> list[EncoderBlock]:
        """`blocks` as a list of their type."""
        return cast(list[EncoderBlock], list(self.blocks))

    @property
    def typed_stems(self) -> dict[str, PatchConvolutions]:
        """`stem` as a dictionary of their type."""
        return {name: cast(PatchConvolutions, stem) for name, stem in self.stem.items()}

    def forward(self, features: dict[str, Tensor], valid: Tensor) -> Tensor:
        """Tokens (..., D).

        Args:
            features: modality -> (..., P*G*F).
            valid: (..., M), 1 where the modality's step is valid, else 0.
        """
        projected: list[Tensor] = []
        for index, name in enumerate(self.names):
            flag = valid[..., index : index + 1]
            channels = self.modality_projection[name](self.stem[name](features[name]))
            projected.append(channels * flag + self.missing[name] * (1 - flag))
        fused = reduce(torch.add, projected)
        for block in self.blocks:
            fused = block(fused)
        return self.token_projection(self.norm(fused))


class Head(nn.Module):
    """The tokens of a window -> logits."""

    def __init__(self, config: StudentConfig, steps: int, classes: int) -> None:
        """A head for windows of S = `steps` and K = `classes`."""
        super().__init__()
        self.convolutions = token_convolutions(config.convolutions, config.token, config.kernel)
        self.position_embedding = nn.Parameter(torch.randn(steps, config.token) * 0.02)
        self.blocks = nn.ModuleList(
            Block(config.token, config.heads, config.head_hidden) for _ in range(config.head_blocks)
        )
        self.norm = nn.LayerNorm(3 * config.token)
        self.classifier = nn.Linear(3 * config.token, classes)

    @property
    def typed_blocks(self) -> list[Block]:
        """`blocks` as a list of their type."""
        return cast(list[Block], list(self.blocks))

    def classify(self, tokens: Tensor) -> NetworkOutput:
        """(B, S, D) -> logits, pooled features and the tokens after the blocks."""
        tokens = self.convolutions(tokens)
        local = [tokens.mean(1), tokens.amax(1)]
        tokens = tokens + self.position_embedding
        for block in self.blocks:
            tokens = block(tokens)
        fused = self.norm(torch.cat([*local, tokens.mean(1)], 1))
        return NetworkOutput(self.classifier(fused), fused, tokens)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, S, D) -> logits (B, K)."""
        return self.classify(tokens).logits


class StudentNetwork(nn.Module):
    """Encoder and head, as they are trained and pruned."""

    def __init__(self, config: StudentConfig, specs: tuple[ModalitySpec, ...], steps: int, classes: int) -> None:
        """A network for these modalities, windows of S = `steps` and K = `classes`."""
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
        flags = torch.stack([valid[name] for name in self.encoder.names], 2).to(next(iter(flat.values())).dtype)
        return self.head.classify(self.encoder(flat, flags))


def sized(config: StudentConfig, specs: tuple[ModalitySpec, ...], steps: int, classes: int) -> StudentConfig:
    """The configuration with a stem: the one given, or else the widest of STEMS within MOST_PARAMETERS."""
    if config.stem is not None:
        return config
    for stem in STEMS:
        config = replace(config, stem=stem)
        with torch.device("meta"):
            network = StudentNetwork(config, specs, steps, classes)
        if count_parameters(network) <= MOST_PARAMETERS:
            break
    return config
