"""Pre-norm transformer layers whose heads and units structured pruning can remove.

Attention: Vaswani et al., 2017 (section 3.2). Stochastic depth: Huang et al., 2016. `torch.nn.MultiheadAttention` is
not used because structured pruning cannot remove its heads.
"""

import math
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from edgehar.errors import ConfigError


def check_heads(dim: int, heads: int, dim_option: str, heads_option: str) -> None:
    """Raise ConfigError unless `dim` channels divide evenly into `heads` attention heads."""
    if min(dim, heads) < 1 or dim % heads:
        raise ConfigError(
            f"--{dim_option} {dim}, --{heads_option} {heads}: expected channels to be a multiple of heads"
        )


class Attention(nn.Module):
    """Multi-head self-attention over the second-to-last axis; pruned, it has fewer heads than dim / head_dim."""

    def __init__(self, dim: int, heads: int, head_dim: int | None = None) -> None:
        """Attention of `heads` heads with `head_dim` channels each (default: dim / heads)."""
        super().__init__()
        self.heads = heads
        self.head_dim = dim // heads if head_dim is None else head_dim
        self.qkv = nn.Linear(dim, 3 * heads * self.head_dim)
        self.project = nn.Linear(heads * self.head_dim, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        batch, count, _ = tokens.shape
        packed = self.qkv(tokens).reshape(batch, count, 3, self.heads, self.head_dim)
        query, key, value = packed.permute(2, 0, 3, 1, 4).unbind(0)  # (B, H, N, D/H)
        weight = (query @ key.transpose(-2, -1) * (1 / math.sqrt(self.head_dim))).softmax(-1)  # (B, H, N, N)
        mixed = (weight @ value).transpose(1, 2).reshape(batch, count, self.heads * self.head_dim)
        return self.project(mixed)


class FeedForward(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, dim: int, hidden: int) -> None:
        """Layers from `dim` channels to `hidden` units and back."""
        super().__init__()
        self.expand = nn.Linear(dim, hidden)
        self.contract = nn.Linear(hidden, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        return self.contract(functional.gelu(self.expand(tokens)))


class DropPath(nn.Module):
    """Stochastic depth: zeroes a residual branch for random samples during training."""

    def __init__(self, rate: float) -> None:
        """Drop the branch with probability `rate`."""
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        """(B, ...) -> (B, ...)."""
        if not self.training or self.rate == 0:
            return branch
        shape = (len(branch),) + (1,) * (branch.dim() - 1)
        keep = torch.rand(shape, device=branch.device) >= self.rate
        return branch * keep / (1 - self.rate)


class Block(nn.Module):
    """A pre-norm transformer block: attention, then feed-forward, each with a residual connection."""

    def __init__(self, dim: int, heads: int, hidden: int, drop_path: float = 0.0, head_dim: int | None = None) -> None:
        """A block of `hidden` feed-forward units; `heads` and `head_dim` as in `Attention`."""
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = Attention(dim, heads, head_dim)
        self.feedforward_norm = nn.LayerNorm(dim)
        self.feedforward = FeedForward(dim, hidden)
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        tokens = tokens + self.drop_path(self.attention(self.attention_norm(tokens)))
        return tokens + self.drop_path(self.feedforward(self.feedforward_norm(tokens)))


def count_parameters(model: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def count_macs(model: nn.Module, *inputs: object) -> int:
    """Multiply-adds of the matrix products of one forward pass, by torch's FlopCounterMode."""
    counter = FlopCounterMode(display=False)
    training = model.training
    model.eval()
    with torch.no_grad(), counter:
        model(*inputs)
    model.train(training)
    return counter.get_total_flops() // 2


@contextmanager
def outputs_of(network: nn.Module, names: Sequence[str]) -> Generator[dict[str, Tensor], None, None]:
    """Yield a dict that holds the latest output of each named module while the context is open."""
    outputs: dict[str, Tensor] = {}

    def record(name: str, _module: nn.Module, _inputs: object, output: Tensor) -> None:
        outputs[name] = output

    hooks = [network.get_submodule(name).register_forward_hook(partial(record, name)) for name in names]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()
