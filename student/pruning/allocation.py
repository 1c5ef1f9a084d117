"""Allocation: how many units of each part are removed at a given strength, and which."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from edgehar.student.pruning.units import Part, RemovedUnits, Scores, part_hooks
from edgehar.student.windows import Inputs

Plan = Callable[[float], RemovedUnits]
"""Strength from 0 (removes nothing) to 1 -> the units to remove; their number does not decrease with the strength."""

MAX_REMOVED_SHARE = 0.97
"""Largest share of a part's units that is removed; at least one unit remains."""
SENSITIVITY_LEVELS = 12
"""Number of shares at which the sensitivity of a part is measured, evenly spaced up to `MAX_REMOVED_SHARE`."""
UNIFORM_STEPS = 128
"""Number of distinct strengths of the uniform plan; published networks were pruned with this value."""
MIN_INCREASE = 1.01
"""Smallest factor between levels: with equal divergences, one strength would remove all these levels of a part."""
MIN_DIVERGENCE, MAX_DIVERGENCE = 1e-5, 20.0
"""Divergence that the sensitivity plan allows per part: near strength 0, and at strength 1."""


def _least_important(scores: Tensor, share: float) -> Tensor:
    """Indices of the least important share of the units; at least one unit remains."""
    return scores.argsort()[: min(int(share * len(scores)), len(scores) - 1)]


def uniform(network: nn.Module, parts: list[Part], scores: Scores, inputs: Inputs) -> Plan:
    """The same share of every part."""

    def plan(strength: float) -> RemovedUnits:
        share = MAX_REMOVED_SHARE * math.ceil(strength * UNIFORM_STEPS) / UNIFORM_STEPS
        return {name: _least_important(importance, share) for name, importance in scores.items()}

    return plan


def ranked(network: nn.Module, parts: list[Part], scores: Scores, inputs: Inputs) -> Plan:
    """The least important units of the whole network; importance is relative to the mean of the part."""
    relative = {name: importance / importance.mean().clamp(min=1e-12) for name, importance in scores.items()}
    ascending = torch.cat(list(relative.values())).sort().values

    def plan(strength: float) -> RemovedUnits:
        threshold = ascending[int(MAX_REMOVED_SHARE * strength * (len(ascending) - 1))]
        return {
            name: _least_important(importance, float((importance < threshold).float().mean()))
            for name, importance in relative.items()
        }

    return plan


def sensitivity_of(network: nn.Module, parts: list[Part], scores: Scores, inputs: Inputs) -> dict[str, list[float]]:
    """Part -> divergence of the predictions without a share of its units, one value per level, increasing.

    The units are zeroed at the part's reader; the rest of the network is unchanged.
    """
    hidden: dict[str, Tensor] = {}

    def mask(part: Part, _: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        if part.name not in hidden:
            return None
        masked = part.by_unit(given[0]).clone()
        masked[..., hidden[part.name], :] = 0
        return (part.as_rows(masked), *given[1:])

    found: dict[str, list[float]] = {}
    with torch.no_grad(), part_hooks(network, parts, mask):
        expected = network(*inputs).logits.log_softmax(1)
        for part in tqdm(parts, "sensitivity", unit="part", disable=None):
            divergences = [0.0]
            for level in range(1, SENSITIVITY_LEVELS + 1):
                hidden[part.name] = _least_important(scores[part.name], MAX_REMOVED_SHARE * level / SENSITIVITY_LEVELS)
                predicted = network(*inputs).logits.log_softmax(1)
                divergence = functional.kl_div(predicted, expected, reduction="batchmean", log_target=True)
                divergences.append(max(MIN_INCREASE * divergences[-1], float(divergence)))
            del hidden[part.name]
            found[part.name] = divergences
    return found


def sensitive(network: nn.Module, parts: list[Part], scores: Scores, inputs: Inputs) -> Plan:
    """From each part the share whose removal causes the same divergence of the predictions."""
    divergences = sensitivity_of(network, parts, scores, inputs)

    def plan(strength: float) -> RemovedUnits:
        if strength <= 0:
            return {name: importance[:0].long() for name, importance in scores.items()}
        allowed = math.exp(math.log(MIN_DIVERGENCE) + strength * math.log(MAX_DIVERGENCE / MIN_DIVERGENCE))
        removed: RemovedUnits = {}
        for name, importance in scores.items():
            exceeding = (index for index, divergence in enumerate(divergences[name]) if divergence > allowed)
            level = next(exceeding, SENSITIVITY_LEVELS + 1) - 1
            share = float(level)
            if level < SENSITIVITY_LEVELS:  # linear interpolation to the next level
                low, high = divergences[name][level], divergences[name][level + 1]
                share += (allowed - low) / (high - low)
            removed[name] = _least_important(importance, MAX_REMOVED_SHARE * share / SENSITIVITY_LEVELS)
        return removed

    return plan


ALLOCATIONS = {"uniform": uniform, "ranked": ranked, "sensitivity": sensitive}
"""Name -> function of a network, its parts, their scores and windows that makes a plan."""


def in_multiples(plan: Plan, parts: list[Part], multiple: int) -> Plan:
    """A plan whose remaining units of each part, except heads, are a multiple of `multiple`, or all of them.

    It rounds up the number of remaining units. Vector units compute in fixed sizes, so fewer units take as long.
    """

    def rounded(strength: float) -> RemovedUnits:
        removed = plan(strength)
        for part in parts:
            if part.kind != "heads":
                remaining = part.count - len(removed[part.name])
                most = max(0, part.count - math.ceil(remaining / multiple) * multiple)
                removed[part.name] = removed[part.name][:most]
        return removed

    return rounded
