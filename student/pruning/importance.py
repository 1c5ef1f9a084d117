"""Importance of each unit: one function per pruning criterion, from the network and any windows, labelled or not.

The criteria on weights and gradients, and their sums over all rows and columns of a unit, are torch-pruning's
(DepGraph, arXiv 2301.12900); gates and overlap of activations are implemented here.
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

from edgehar.choices import CRITERIA
from edgehar.student.losses import soft_targets
from edgehar.student.pruning.units import Part, Scores, dependency_graph, dependency_group, part_hooks
from edgehar.student.windows import Inputs, take_windows

GATE_LOW, GATE_HIGH, GATE_TEMPERATURE = -0.1, 1.1, 2 / 3
"""Stretched limits and temperature of the hard-concrete distribution (arXiv 1712.01312)."""
GATE_OPEN, GATE_COST, GATE_STEPS, GATE_RATE = 2.0, 0.02, 200, 0.05
"""Initial logit, weight of the penalty on open gates, updates and learning rate."""
NEIGHBOURS, NNK_STEPS = 10, 50


def _by_part(network: nn.Module, parts: list[Part], inputs: Inputs, importance: Any) -> Scores:
    """torch-pruning's importance of every unit; that of a head is the sum over its channels."""
    graph = dependency_graph(network, inputs)
    scores: Scores = {}
    for part in parts:
        rows = importance(dependency_group(graph, network, part, torch.arange(part.count))).detach().cpu()
        scores[part.name] = rows.reshape(3, part.count, -1).sum((0, 2)) if part.kind == "heads" else rows
    return scores


def _self_labelled(network: nn.Module, inputs: Inputs) -> tuple[Tensor, Tensor]:
    """Logits (B, K), and the predicted classes (B,), which serve as labels."""
    logits = network(*inputs).logits
    return logits, logits.detach().argmax(1)


def _compute_gradients(network: nn.Module, loss: Tensor) -> None:
    """Set the gradients of a loss; zero for parameters it does not depend on, such as a teacher's auxiliary heads."""
    network.zero_grad()
    loss.backward(retain_graph=True)
    for parameter in network.parameters():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)


def l1(network: nn.Module, parts: list[Part], inputs: Inputs) -> Scores:
    """Sum of absolute weights (L1 norm)."""
    return _by_part(network, parts, inputs, torch_pruning.importance.GroupMagnitudeImportance(p=1))


def l2(network: nn.Module, parts: list[Part], inputs: Inputs) -> Scores:
    """L2 norm of the weights."""
    return _by_part(network, parts, inputs, torch_pruning.importance.GroupMagnitudeImportance(p=2))


def lamp(network: nn.Module, parts: list[Part], inputs: Inputs) -> Scores:
    """Squared weight relative to the sum over all more important units (LAMP, arXiv 2010.07611)."""
    return _by_part(network, parts, inputs, torch_pruning.importance.LAMPImportance(p=2))


def taylor(network: nn.Module, parts: list[Part], inputs: Inputs) -> Scores:
    """First-order Taylor estimate of the change of the loss without the unit (arXiv 1906.10771)."""
    _compute_gradients(network, functional.cross_entropy(*_self_labelled(network, inputs)))
    return _by_part(network, parts, inputs, torch_pruning.importance.GroupTaylorImportance())


def hessian(network: nn.Module, parts: list[Part], inputs: Inputs) -> Scores:
    """Second-order estimate with the diagonal of the empirical Fisher matrix (optimal brain damage)."""
    importance = torch_pruning.importance.GroupHessianImportance()
    logits, predicted = _self_labelled(network, inputs)
    network.zero_grad()
    for loss in functional.cross_entropy(logits, predicted, reduction="none"):
        _compute_gradients(network, loss)
        importance.accumulate_grad(network)
    return _by_part(network, parts, inputs, importance)


def random_scores(network: nn.Module, parts: list[Part], inputs: Inputs) -> Scores:
    """Random scores (control); the windows determine the seed."""
    total = next(iter(inputs[0].values())).double().abs().sum()
    generator = torch.Generator().manual_seed(int(total * 1e3))
    return {part.name: torch.rand(part.count, generator=generator) for part in parts}


def _activations(network: nn.Module, parts: list[Part], inputs: Inputs) -> dict[str, Tensor]:
    """Part -> (N, units, L): activations of each unit (of each head, its channels concatenated) on N windows."""
    found: dict[str, Tensor] = {}

    def keep(part: Part, _: nn.Module, given: tuple[Tensor, ...]) -> None:
        tokens = given[0].reshape(len(next(iter(inputs[1].values()))), -1, given[0].shape[-1])  # (N, L, rows)
        found[part.name] = part.by_unit(tokens).permute(0, 2, 1, 3).flatten(2)

    with torch.no_grad(), part_hooks(network, parts, keep):
        network(*inputs)
    return found


def _nnk(points: Tensor) -> Tensor:
    """Adjacency (N, N) of the non-negative kernel regression graph of N points (NNK, arXiv 1910.09383).

    The neighbours of a point are those of its nearest points that have a positive weight in the best non-negative
    combination of them.

    Args:
        points: (N, L).
    """
    square_distance = torch.cdist(points, points).square()
    kernel = torch.exp(-square_distance / (2 * square_distance.median().clamp(min=1e-12)))
    nearest = square_distance.fill_diagonal_(math.inf)
    near = nearest.topk(min(NEIGHBOURS, len(points) - 1), largest=False).indices  # (N, k)
    gram = kernel[near[:, :, None], near[:, None, :]]  # (N, k, k)
    target = kernel.gather(1, near)  # (N, k)
    step = 1 / gram.sum(-1).amax(-1, keepdim=True)  # no eigenvalue is above the largest row sum
    weights = target.clone()
    for _ in range(NNK_STEPS):  # projected gradient descent on the non-negative least squares
        weights = (weights - step * ((gram @ weights[..., None])[..., 0] - target)).clamp(min=0)
    return torch.zeros_like(kernel).scatter(1, near, (weights > 1e-4).to(kernel.dtype))


def overlap(network: nn.Module, parts: list[Part], inputs: Inputs) -> Scores:
    """How little the neighbourhood graph of a unit overlaps with any other unit's (CW-NNK, arXiv 2110.11400).

    Two units with the same neighbourhoods of windows are redundant, so one of them can be removed.
    """
    scores: Scores = {}
    for name, found in _activations(network, parts, inputs).items():
        activations = found.cpu()
        units = activations.shape[1]
        graphs = torch.stack([_nnk(activations[:, unit]).flatten() for unit in range(units)])  # (units, N * N)
        shared = graphs @ graphs.T
        sizes = graphs.sum(1)
        similarity = shared / torch.minimum(sizes[:, None], sizes[None]).clamp(min=1)
        importance = torch.ones(len(graphs))
        # The most redundant unit is ranked and taken out, one at a time, so that only one of a similar pair ranks low.
        similarity = similarity.fill_diagonal_(-1.0)
        for rank in range(len(graphs) - 1):
            most = similarity.amax(1)
            unit = int(most.argmax())
            importance[unit] = (rank + 1 + (1 - float(most[unit]))) / (len(graphs) + 1)
            similarity[unit], similarity[:, unit] = -1.0, -1.0
        scores[name] = importance
    return scores


def gates(network: nn.Module, parts: list[Part], inputs: Inputs) -> Scores:
    """Probability that a learned gate of each unit is open, under a penalty on open gates (arXiv 1712.01312)."""
    gated = copy.deepcopy(network).requires_grad_(False)
    openness = {part.name: torch.full((part.count,), GATE_OPEN, requires_grad=True) for part in parts}
    generator = torch.Generator().manual_seed(0)

    def gate(part: Part, _: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        noise = torch.rand(part.count, generator=generator).clamp(1e-6, 1 - 1e-6).to(given[0].device)
        soft = ((noise.logit() + openness[part.name].to(given[0].device)) / GATE_TEMPERATURE).sigmoid()
        gate_values = (soft * (GATE_HIGH - GATE_LOW) + GATE_LOW).clamp(0, 1)
        return (part.as_rows(part.by_unit(given[0]) * gate_values[:, None]), *given[1:])

    with torch.no_grad():
        expected = network(*inputs).logits
    for part in parts:
        gated.get_submodule(part.reader).register_forward_pre_hook(partial(gate, part))
    optimiser = torch.optim.Adam(openness.values(), lr=GATE_RATE)
    closed = GATE_TEMPERATURE * math.log(-GATE_LOW / GATE_HIGH)

    def open_probability(entry: Tensor) -> Tensor:
        return (entry - closed).sigmoid()

    for step in range(GATE_STEPS):
        rows = torch.randint(len(expected), (min(64, len(expected)),), generator=generator)
        cost = GATE_COST * min(1.0, 2 * step / GATE_STEPS)
        loss = soft_targets(gated(*take_windows(inputs, rows)).logits, expected[rows], 2.0)
        loss = loss + cost * torch.stack([open_probability(entry).sum() for entry in openness.values()]).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return {name: open_probability(entry).detach() for name, entry in openness.items()}


SCORE_FUNCTIONS: dict[str, Callable[[nn.Module, list[Part], Inputs], Scores]] = {
    "l1": l1,
    "l2": l2,
    "lamp": lamp,
    "taylor": taylor,
    "hessian": hessian,
    "overlap": overlap,
    "gates": gates,
    "random": random_scores,
}
"""Criterion -> function of a network whose parameters require gradients, its parts, and windows."""
assert tuple(SCORE_FUNCTIONS) == CRITERIA, "CRITERIA of edgehar/choices.py lists the same names in the same order"
