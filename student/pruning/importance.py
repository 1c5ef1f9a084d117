"""What each unit of a network is worth: one function per criterion, all from the network and windows nobody recorded.

The sums over all tensors that a unit owns rows or columns of, and the criteria on weights and gradients, are
torch-pruning's (DepGraph, arXiv 2301.12900); gates and overlap of activations are edgehar's own.
"""

import copy
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn
from torch.nn import functional

from edgehar.student.losses import soft_targets
from edgehar.student.pruning.units import Part, Scores, graph_of, group_of, watched
from edgehar.student.windows import Inputs, some_of

GATE_LOW, GATE_HIGH, GATE_HEAT = -0.1, 1.1, 2 / 3
"""Ends and temperature of the hard-concrete distribution (arXiv 1712.01312)."""
GATE_OPEN, GATE_COST, GATE_STEPS, GATE_RATE = 2.0, 0.02, 200, 0.05
NEIGHBOURS, NNK_STEPS = 10, 50


def _by_part(network: nn.Module, parts: list[Part], inputs: Inputs, importance: Any) -> Scores:
    """torch-pruning's importance of every unit, those of a head's channels added up."""
    graph = graph_of(network, inputs)
    scores: Scores = {}
    for part in parts:
        rows = importance(group_of(graph, network, part, torch.arange(part.count))).detach().cpu()
        scores[part.name] = rows.reshape(3, part.count, -1).sum((0, 2)) if part.kind == "heads" else rows
    return scores


def _answers(network: nn.Module, inputs: Inputs) -> tuple[Tensor, Tensor]:
    """Logits (B, K), and the classes (B,) that they name: the labels of windows that have none."""
    logits = network(*inputs).logits
    return logits, logits.detach().argmax(1)


def _learn(network: nn.Module, loss: Tensor) -> None:
    """Gradients of a loss; zeros for what it does not depend on, such as a teacher's auxiliary heads."""
    network.zero_grad()
    loss.backward(retain_graph=True)
    for parameter in network.parameters():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)


def l1(network: nn.Module, parts: list[Part], inputs: Inputs) -> Scores:
    """Sum of absolute weights."""
    return _by_part(network, parts, inputs, torch_pruning.importance.GroupMagnitudeImportance(p=1))


def l2(network: nn.Module, parts: list[Part], inputs: Inputs) -> Scores:
    """Norm of the weights."""
    return _by_part(network, parts, inputs, torch_pruning.importance.GroupMagnitudeImportance(p=2))


def lamp(network: nn.Module, parts: list[Part], inputs: Inputs) -> Scores:
    """Squared weight over those of all units that are worth more (arXiv 2010.07611)."""
    return _by_part(network, parts, inputs, torch_pruning.importance.LAMPImportance(p=2))


def taylor(network: nn.Module, parts: list[Part], inputs: Inputs) -> Scores:
    """How much the loss changes without the unit, to first order (arXiv 1906.10771)."""
    _learn(network, functional.cross_entropy(*_answers(network, inputs)))
    return _by_part(network, parts, inputs, torch_pruning.importance.GroupTaylorImportance())


def hessian(network: nn.Module, parts: list[Part], inputs: Inputs) -> Scores:
    """The same to second order, by the diagonal of the empirical Fisher matrix (optimal brain damage)."""
    importance = torch_pruning.importance.GroupHessianImportance()
    logits, named = _answers(network, inputs)
    network.zero_grad()
    for loss in functional.cross_entropy(logits, named, reduction="none"):
        _learn(network, loss)
        importance.accumulate_grad(network)
    return _by_part(network, parts, inputs, importance)


def chance(network: nn.Module, parts: list[Part], inputs: Inputs) -> Scores:
    """A random number, another one with other windows: what any criterion has to beat."""
    drawn = next(iter(inputs[0].values())).double().abs().sum()
    generator = torch.Generator().manual_seed(int(drawn * 1e3))
    return {part.name: torch.rand(part.count, generator=generator) for part in parts}


def _activations(network: nn.Module, parts: list[Part], inputs: Inputs) -> dict[str, Tensor]:
    """Part -> (N, units, L): what each unit (or head, its channels one after the other) gave on N windows."""
    found: dict[str, Tensor] = {}

    def keep(part: Part, _: nn.Module, given: tuple[Tensor, ...]) -> None:
        tokens = given[0].reshape(len(next(iter(inputs[1].values()))), -1, given[0].shape[-1])  # (N, L, rows)
        found[part.name] = tokens.unflatten(2, (part.count, -1)).permute(0, 2, 1, 3).flatten(2)

    with torch.no_grad(), watched(network, parts, keep):
        network(*inputs)
    return found


def _nnk(points: Tensor) -> Tensor:
    """Who is whose neighbour (N, N) in a non-negative kernel regression graph (arXiv 1910.09383).

    Of the nearest points those stay whose weight is above 0 in the best non-negative combination of them.

    Args:
        points: (N, L).
    """
    apart = torch.cdist(points, points).square()
    kernel = torch.exp(-apart / (2 * apart.median().clamp(min=1e-12)))
    near = apart.fill_diagonal_(math.inf).topk(min(NEIGHBOURS, len(points) - 1), largest=False).indices  # (N, k)
    among = kernel[near[:, :, None], near[:, None, :]]  # (N, k, k)
    towards = kernel.gather(1, near)  # (N, k)
    step = 1 / among.sum(-1).amax(-1, keepdim=True)  # no eigenvalue is above the largest row sum
    weights = towards.clone()
    for _ in range(NNK_STEPS):  # projected gradient descent on the non-negative least squares
        weights = (weights - step * ((among @ weights[..., None])[..., 0] - towards)).clamp(min=0)
    return torch.zeros_like(kernel).scatter(1, near, (weights > 1e-4).to(kernel.dtype))


def overlap(network: nn.Module, parts: list[Part], inputs: Inputs) -> Scores:
    """How little a unit's neighbourhoods of windows overlap with any other unit's (CW-NNK, arXiv 2110.11400).

    Two units for which the same windows are alike say the same; one of them can go.
    """
    scores: Scores = {}
    for name, found in _activations(network, parts, inputs).items():
        given = found.cpu()
        graphs = torch.stack([_nnk(given[:, unit]).flatten() for unit in range(given.shape[1])])  # (units, N * N)
        shared = graphs @ graphs.T
        sizes = graphs.sum(1)
        alike = shared / torch.minimum(sizes[:, None], sizes[None]).clamp(min=1)
        worth = torch.ones(len(graphs))
        # One after the other the unit that repeats another most goes, so that of a pair not both do.
        left = alike.fill_diagonal_(-1.0)
        for rank in range(len(graphs) - 1):
            most = left.amax(1)
            unit = int(most.argmax())
            worth[unit] = (rank + 1 + (1 - float(most[unit]))) / (len(graphs) + 1)
            left[unit], left[:, unit] = -1.0, -1.0
        scores[name] = worth
    return scores


def gates(network: nn.Module, parts: list[Part], inputs: Inputs) -> Scores:
    """How open a gate before each unit stays where open gates cost (hard concrete, arXiv 1712.01312)."""
    gated = copy.deepcopy(network).requires_grad_(False)
    openness = {part.name: torch.full((part.count,), GATE_OPEN, requires_grad=True) for part in parts}
    generator = torch.Generator().manual_seed(0)

    def gate(part: Part, _: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        noise = torch.rand(part.count, generator=generator).clamp(1e-6, 1 - 1e-6).to(given[0].device)
        soft = ((noise.logit() + openness[part.name].to(given[0].device)) / GATE_HEAT).sigmoid()
        opened = (soft * (GATE_HIGH - GATE_LOW) + GATE_LOW).clamp(0, 1)
        return ((given[0].unflatten(-1, (part.count, -1)) * opened[:, None]).flatten(-2), *given[1:])

    with torch.no_grad():
        wanted = network(*inputs).logits
    for part in parts:
        gated.get_submodule(part.reader).register_forward_pre_hook(partial(gate, part))
    optimiser = torch.optim.Adam(openness.values(), lr=GATE_RATE)
    shut = GATE_HEAT * math.log(-GATE_LOW / GATE_HIGH)

    def stays(entry: Tensor) -> Tensor:
        return (entry - shut).sigmoid()

    for step in range(GATE_STEPS):
        rows = torch.randint(len(wanted), (min(64, len(wanted)),), generator=generator)
        cost = GATE_COST * min(1.0, 2 * step / GATE_STEPS)
        loss = soft_targets(gated(*some_of(inputs, rows)).logits, wanted[rows], 2.0)
        loss = loss + cost * torch.stack([stays(entry).sum() for entry in openness.values()]).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return {name: stays(entry).detach() for name, entry in openness.items()}


CRITERIA: dict[str, Callable[[nn.Module, list[Part], Inputs], Scores]] = {
    "l1": l1,
    "l2": l2,
    "lamp": lamp,
    "taylor": taylor,
    "hessian": hessian,
    "overlap": overlap,
    "gates": gates,
    "random": chance,
}
"""Name -> function of a network whose parameters take gradients, its parts, and windows."""
