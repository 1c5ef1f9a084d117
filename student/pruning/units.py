"""What can be removed from a network for good: units of feed-forward parts and stems, heads, channels, tokens.

Which rows and columns of which tensors go with a unit is worked out by torch-pruning (DepGraph, arXiv 2301.12900).
"""

import copy
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
import torch_pruning
from torch import Tensor, nn

from edgehar.student.network.model import StudentNetwork
from edgehar.student.pruning.tracing import dependency_forward, unwrapped_parameters
from edgehar.student.windows import Inputs
from edgehar.teacher.network.layers import Attention, FeedForward
from edgehar.teacher.network.model import Teacher
from edgehar.teacher.network.tokens import StepTokens

Watch = Callable[["Part", nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...] | None]
"""Sees what the reader of a part is given, and may give it something else."""


@dataclass(frozen=True)
class Part:
    """Units that are alike, each of which can go.

    Attributes:
        name: of the layer whose outputs they are.
        kind: "units", "heads", "channels" of the encoder (or of the teacher), "token" channels or those of "joints".
        count: how many.
        reader: the layer whose input they are.
    """

    name: str
    kind: str
    count: int
    reader: str


Scores = dict[str, Tensor]
"""Part -> (count,), what each unit is worth."""
KeptUnits = dict[str, Tensor]
"""Part -> the units that stayed, (n,) int64, ascending."""


def parts_of(network: nn.Module, width: bool) -> list[Part]:
    """Everything that can be made smaller, in the order of the network; channels, tokens, joints only if `width`."""
    parts: list[Part] = []
    for name, module in network.named_modules():
        if isinstance(module, FeedForward):
            parts.append(Part(f"{name}.expand", "units", module.expand.out_features, f"{name}.contract"))
        elif isinstance(module, Attention):
            parts.append(Part(f"{name}.qkv", "heads", module.heads, f"{name}.project"))
    if isinstance(network, StudentNetwork):
        encoder = network.encoder
        stems = [
            Part(
                f"encoder.stem.{name}",
                "units",
                cast(nn.Linear, layer).out_features,
                f"encoder.modality_projection.{name}",
            )
            for name, layer in encoder.stem.items()
        ]
        first = f"encoder.modality_projection.{encoder.names[0]}"
        parts = stems + parts
        if width:
            parts.append(Part(first, "channels", len(encoder.norm.weight), "encoder.norm"))
            parts.append(Part("encoder.token_projection", "token", encoder.token_projection.out_features, "head.norm"))
    elif isinstance(network, Teacher) and width:
        for name, layer in network.tokens.items():
            tokens = cast(StepTokens, layer)
            if tokens.blocks:
                count = tokens.embed.out_features
                parts.append(Part(f"tokens.{name}.embed", "joints", count, f"tokens.{name}.blocks.0"))
        channels = network.fusion_tokens.shape[1]
        parts.append(Part(f"tokens.{network.specs[0].name}.merge", "channels", channels, "fusion"))
    return parts


@contextmanager
def watched(network: nn.Module, parts: list[Part], watch: Watch) -> Generator[None, None, None]:
    """Let `watch` see every part's units wherever they are read."""
    hooks = [network.get_submodule(part.reader).register_forward_pre_hook(partial(watch, part)) for part in parts]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def rows_of(network: nn.Module, part: Part, units: Tensor) -> list[int]:
    """The outputs of a part's layer that belong to some of its units."""
    if part.kind != "heads":
        return units.tolist()
    attention = cast(Attention, network.get_submodule(part.name.removesuffix(".qkv")))
    place = torch.arange(3 * attention.heads * attention.head_dim).reshape(3, attention.heads, attention.head_dim)
    return place[:, units].flatten().tolist()


def graph_of(network: nn.Module, inputs: Inputs) -> torch_pruning.DependencyGraph:
    """Which tensors belong together."""
    loose: list[tuple[nn.Parameter, int]] = []
    if isinstance(network, Teacher):
        loose = unwrapped_parameters(network)
    if isinstance(network, StudentNetwork):
        loose = [*((entry, 0) for entry in network.encoder.missing.values()), (network.head.position_embedding, 1)]
    return torch_pruning.DependencyGraph().build_dependency(
        network,
        cast(Any, inputs),
        unwrapped_parameters=cast(Any, loose),
        forward_fn=lambda model, given: (
            dependency_forward(model, cast(Inputs, given)) if isinstance(model, Teacher) else model(*given).logits
        ),
        verbose=False,
    )


def group_of(graph: torch_pruning.DependencyGraph, network: nn.Module, part: Part, units: Tensor) -> Any:
    """All tensors that lose something with these units."""
    layer = network.get_submodule(part.name)
    rows = rows_of(network, part, units)
    return graph.get_pruning_group(layer, cast(Any, torch_pruning.prune_linear_out_channels), idxs=rows)


def remove(network: nn.Module, gone: dict[str, Tensor], parts: list[Part], inputs: Inputs) -> tuple[Any, KeptUnits]:
    """A copy of a network without some units, and which stayed.

    Args:
        network: stays as it is.
        gone: part -> the units to remove, fewer than there are.
        parts: of the network.
        inputs: any windows, to follow its computation on.
    """
    smaller = copy.deepcopy(network).requires_grad_(True)
    graph = graph_of(smaller, inputs)
    kept: KeptUnits = {}
    for part in parts:
        units = gone.get(part.name, torch.zeros(0, dtype=torch.long))
        stays = torch.ones(part.count, dtype=torch.bool)
        stays[units] = False
        kept[part.name] = stays.nonzero()[:, 0]
        if len(units):
            group_of(graph, smaller, part, units).prune()
            if part.kind == "heads":
                cast(Attention, smaller.get_submodule(part.name.removesuffix(".qkv"))).heads -= len(units)
    return smaller, kept
