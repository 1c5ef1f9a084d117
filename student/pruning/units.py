"""The prunable units of a network and their removal: feed-forward and stem units, attention heads, channels.

torch-pruning (DepGraph, arXiv 2301.12900) finds the rows and columns of all tensors that belong to a unit.
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
from edgehar.teacher.network.convolutions import PatchConvolutions
from edgehar.teacher.network.layers import Attention, FeedForward
from edgehar.teacher.network.model import Teacher
from edgehar.teacher.network.tokens import StepTokens

PartHook = Callable[["Part", nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...] | None]
"""Called with the input of a part's reader before each forward pass; may return another input."""


@dataclass(frozen=True)
class Part:
    """The prunable units of one layer.

    Attributes:
        name: name of the layer whose outputs the units are.
        kind: "units", "heads", "channels" (of the encoder or of a teacher), "token" channels, or "joints" (joint
            channels).
        count: number of units.
        reader: name of the layer whose input the units are.
        copies: how often the reader's input holds all units, one copy after the other.
    """

    name: str
    kind: str
    count: int
    reader: str
    copies: int = 1

    def by_unit(self, rows: Tensor) -> Tensor:
        """Inputs of the reader (..., R) -> (..., count, R / count)."""
        if self.copies > 1:
            return rows.unflatten(-1, (self.copies, self.count)).transpose(-1, -2)
        return rows.unflatten(-1, (self.count, -1))

    def as_rows(self, units: Tensor) -> Tensor:
        """Inverse of `by_unit`."""
        return (units.transpose(-1, -2) if self.copies > 1 else units).flatten(-2)


Scores = dict[str, Tensor]
"""Part -> (count,), the importance of each unit."""
RemovedUnits = dict[str, Tensor]
"""Part -> indices of the units to remove, (n,) int64."""
KeptUnits = dict[str, Tensor]
"""Part -> indices of the remaining units, (n,) int64, ascending."""


def _first_parts(name: str, layer: PatchConvolutions, reader: str) -> list[Part]:
    """The units of a modality's convolutions, whose outputs `reader` reads."""
    counts = [convolution.convolution.out_channels for convolution in layer.typed_layers]
    names = [f"{name}.layers.{index}" for index in range(len(counts))]
    parts = [
        Part(f"{name}.convolution", "units", count, following)
        for name, count, following in zip(names, counts[:-1], names[1:], strict=False)
    ]
    return [*parts, Part(f"{names[-1]}.convolution", "units", counts[-1], reader, copies=2)]


def parts_of(network: nn.Module, width: bool) -> list[Part]:
    """The prunable parts of a network, in its order; channels, token channels and joint channels only if `width`."""
    parts: list[Part] = []
    for name, module in network.named_modules():
        if isinstance(module, FeedForward):
            parts.append(Part(f"{name}.expand", "units", module.expand.out_features, f"{name}.contract"))
        elif isinstance(module, Attention):
            parts.append(Part(f"{name}.qkv", "heads", module.heads, f"{name}.project"))
    if isinstance(network, StudentNetwork):
        encoder = network.encoder
        projection = "encoder.modality_projection"
        parts = [
            part
            for name, layer in encoder.typed_stems.items()
            for part in _first_parts(f"encoder.stem.{name}", layer, f"{projection}.{name}")
        ] + parts
        if width:
            first = f"{projection}.{encoder.names[0]}"
            parts.append(Part(first, "channels", len(encoder.norm.weight), "encoder.norm"))
            tokens, head = encoder.token_projection.out_features, network.head
            copies = head.classifier.in_features // tokens
            parts.append(Part("encoder.token_projection", "token", tokens, "head.norm", copies))
    elif isinstance(network, Teacher):
        layers = {f"tokens.{name}": cast(StepTokens, layer) for name, layer in network.tokens.items()}
        parts = [
            part
            for name, tokens in layers.items()
            for part in _first_parts(f"{name}.convolutions", tokens.convolutions, f"{name}.embed")
        ] + parts
        if width:
            for name, tokens in layers.items():
                if tokens.blocks:
                    parts.append(Part(f"{name}.embed", "joints", tokens.embed.out_features, f"{name}.blocks.0"))
            channels = network.fusion_tokens.shape[1]
            parts.append(Part(f"tokens.{network.specs[0].name}.merge", "channels", channels, "fusion"))
    return parts


@contextmanager
def part_hooks(network: nn.Module, parts: list[Part], hook: PartHook) -> Generator[None, None, None]:
    """Register a hook on the reader of every part, as long as the context lasts."""
    handles = [network.get_submodule(part.reader).register_forward_pre_hook(partial(hook, part)) for part in parts]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def output_rows(network: nn.Module, part: Part, units: Tensor) -> list[int]:
    """Indices of the outputs of a part's layer that belong to the given units."""
    if part.kind != "heads":
        return units.tolist()
    attention = cast(Attention, network.get_submodule(part.name.removesuffix(".qkv")))
    index = torch.arange(3 * attention.heads * attention.head_dim).reshape(3, attention.heads, attention.head_dim)
    return index[:, units].flatten().tolist()


def dependency_graph(network: nn.Module, inputs: Inputs) -> torch_pruning.DependencyGraph:
    """torch-pruning's dependency graph of a network, traced on these windows."""
    unwrapped: list[tuple[nn.Parameter, int]] = []
    if isinstance(network, Teacher):
        unwrapped = unwrapped_parameters(network)
    if isinstance(network, StudentNetwork):
        unwrapped = [*((entry, 0) for entry in network.encoder.missing.values()), (network.head.position_embedding, 1)]
    return torch_pruning.DependencyGraph().build_dependency(
        network,
        cast(Any, inputs),
        unwrapped_parameters=cast(Any, unwrapped),
        forward_fn=lambda model, windows: (
            dependency_forward(model, cast(Inputs, windows)) if isinstance(model, Teacher) else model(*windows).logits
        ),
        verbose=False,
    )


def dependency_group(graph: torch_pruning.DependencyGraph, network: nn.Module, part: Part, units: Tensor) -> Any:
    """torch-pruning's group of all tensors that lose rows or columns with the given units."""
    layer = network.get_submodule(part.name)
    rows = output_rows(network, part, units)
    prune = (
        torch_pruning.prune_conv_out_channels
        if isinstance(layer, nn.Conv1d)
        else torch_pruning.prune_linear_out_channels
    )
    return graph.get_pruning_group(layer, cast(Any, prune), idxs=rows)


def remove(network: nn.Module, removed: RemovedUnits, parts: list[Part], inputs: Inputs) -> tuple[Any, KeptUnits]:
    """Remove units from a copy of a network.

    Args:
        network: not changed.
        removed: part -> indices of the units to remove; at least one unit of each part must remain.
        parts: parts of the network.
        inputs: any windows, to trace the dependencies on.

    Returns:
        The pruned copy, and the remaining units of each part.
    """
    pruned = copy.deepcopy(network).requires_grad_(True)
    graph = dependency_graph(pruned, inputs)
    kept: KeptUnits = {}
    for part in parts:
        units = removed.get(part.name, torch.zeros(0, dtype=torch.long))
        keep = torch.ones(part.count, dtype=torch.bool)
        keep[units] = False
        kept[part.name] = keep.nonzero()[:, 0]
        if len(units):
            dependency_group(graph, pruned, part, units).prune()
            if part.kind == "heads":
                cast(Attention, pruned.get_submodule(part.name.removesuffix(".qkv"))).heads -= len(units)
    return pruned, kept
