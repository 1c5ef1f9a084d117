"""Transformer parts written by hand, so that heads and units can be removed for good later.

Attention after Vaswani et al. 2017 (section 3.2) with normalisation before each part; stochastic depth after
Huang et al. 2016. `torch.nn.MultiheadAttention` is not used: structured pruning cannot remove its heads.
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


def check_sizes(dim: int, heads: int) -> None:
    """Raise ConfigError unless `heads` attention heads share `dim` channels evenly."""
    if dim <= 0 or heads <= 0 or dim % heads:
        raise ConfigError(f"{heads} heads over {dim} channels; expected channels to be a multiple of heads, above 0")


class Attention(nn.Module):
    """Multi-head self-attention over the second-to-last axis; heads may be fewer than dim / head_dim after pruning."""

    def __init__(self, dim: int, heads: int, head_dim: int | None = None) -> None:
        """Heads of `head_dim` channels each (dim / heads unless given)."""
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
    """Two linear layers with a GELU between."""

    def __init__(self, dim: int, hidden: int) -> None:
        """From D to `hidden` units and back."""
        super().__init__()
        self.expand = nn.Linear(dim, hidden)
        self.contract = nn.Linear(hidden, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        return self.contract(functional.gelu(self.expand(tokens)))


class DropPath(nn.Module):
    """Leave a residual branch out for some samples while training."""

    def __init__(self, rate: float) -> None:
        """Leave out with probability `rate`."""
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
    """One transformer block: attention, then feed-forward, each normalised before and added to its input."""

    def __init__(self, dim: int, heads: int, hidden: int, drop_path: float = 0.0, head_dim: int | None = None) -> None:
        """`hidden` feed-forward units, heads as in `Attention`."""
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
    """Trainable parameters."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def count_macs(model: nn.Module, *inputs: object) -> int:
    """Multiply-adds of one forward pass in matrix products, as torch's own counter sees them."""
    counter = FlopCounterMode(display=False)
    training = model.training
    model.eval()
    with torch.no_grad(), counter:
        model(*inputs)
    model.train(training)
    return counter.get_total_flops() // 2


@contextmanager
def outputs_of(network: nn.Module, names: Sequence[str]) -> Generator[dict[str, Tensor], None, None]:
    """While open, the dict that is yielded holds what each of these modules gave last, by their names."""
    found: dict[str, Tensor] = {}

    def keep(name: str, _: nn.Module, given: object, output: Tensor) -> None:
        found[name] = output

    hooks = [network.get_submodule(name).register_forward_hook(partial(keep, name)) for name in names]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
