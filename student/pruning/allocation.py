"""How much of each part of a network goes, until what is left costs no more than it may."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from edgehar.errors import ConfigError
from edgehar.student.pruning.cost import UNITS
from edgehar.student.pruning.units import KeptUnits, Part, Scores, remove, watched
from edgehar.student.windows import Inputs

RemovedUnits = dict[str, Tensor]
"""Part -> the units that go."""
Plan = Callable[[float], RemovedUnits]
"""What goes at a strength between 0 (nothing) and 1; more goes with more strength."""

MOST = 0.97
"""Share of a part's units that goes at most; one unit always stays."""
LEVELS = 12
"""Shares of a part that its sensitivity is measured at, evenly from 0 to `MOST`."""
HALVINGS = 14
UNIFORM_STEPS = 128
"""Strengths at which the uniform plan changes; every published network was pruned with these."""
RISE = 1.01
"""Factor from level to level at least; where harm stayed level, a part would lose all those levels at once."""
LEAST_DIVERGENCE, MOST_HARM = 1e-5, 20.0
"""Divergences between which a strength lies when sensitivity decides."""


def _least(scores: Tensor, share: float) -> Tensor:
    """The units worth least, of which one at least stays."""
    return scores.argsort()[: min(int(share * len(scores)), len(scores) - 1)]


def uniform(network: nn.Module, parts: list[Part], scores: Scores, inputs: Inputs) -> Plan:
    """The same share of every part."""

    def plan(strength: float) -> RemovedUnits:
        share = MOST * math.ceil(strength * UNIFORM_STEPS) / UNIFORM_STEPS
        return {name: _least(worth, share) for name, worth in scores.items()}

    return plan


def ranked(network: nn.Module, parts: list[Part], scores: Scores, inputs: Inputs) -> Plan:
    """The units worth least of all, each in shares of the mean of its part."""
    worth = {name: entry / entry.mean().clamp(min=1e-12) for name, entry in scores.items()}
    ladder = torch.cat(list(worth.values())).sort().values

    def plan(strength: float) -> RemovedUnits:
        below = ladder[int(MOST * strength * (len(ladder) - 1))]
        return {name: _least(entry, float((entry < below).float().mean())) for name, entry in worth.items()}

    return plan


def sensitivity_of(network: nn.Module, parts: list[Part], scores: Scores, inputs: Inputs) -> dict[str, list[float]]:
    """Part -> how far the predictions move without a share of it: divergence at each level, always rising.

    The units are masked where they are read, the rest of the network stays as it is.
    """
    hidden: dict[str, Tensor] = {}

    def mask(part: Part, _: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        if part.name not in hidden:
            return None
        shown = given[0].unflatten(-1, (part.count, -1)).clone()
        shown[..., hidden[part.name], :] = 0
        return (shown.flatten(-2), *given[1:])

    found: dict[str, list[float]] = {}
    with torch.no_grad(), watched(network, parts, mask):
        wanted = network(*inputs).logits.log_softmax(1)
        for part in tqdm(parts, "sensitivity", unit="part", disable=None):
            harms = [0.0]
            for level in range(1, LEVELS + 1):
                hidden[part.name] = _least(scores[part.name], MOST * level / LEVELS)
                got = network(*inputs).logits.log_softmax(1)
                divergence = functional.kl_div(got, wanted, reduction="batchmean", log_target=True)
                harms.append(max(RISE * harms[-1], float(divergence)))
            del hidden[part.name]
            found[part.name] = harms
    return found


def sensitive(network: nn.Module, parts: list[Part], scores: Scores, inputs: Inputs) -> Plan:
    """Of every part as much as moves the predictions equally far."""
    harms = sensitivity_of(network, parts, scores, inputs)

    def plan(strength: float) -> RemovedUnits:
        if strength <= 0:
            return {name: worth[:0].long() for name, worth in scores.items()}
        bearable = math.exp(math.log(LEAST_DIVERGENCE) + strength * math.log(MOST_HARM / LEAST_DIVERGENCE))
        gone: RemovedUnits = {}
        for name, worth in scores.items():
            level = (
                next((place for place, divergence in enumerate(harms[name]) if divergence > bearable), LEVELS + 1) - 1
            )
            share = float(level)
            if level < LEVELS:  # part of the way to the next level
                low, high = harms[name][level], harms[name][level + 1]
                share += (bearable - low) / (high - low)
            gone[name] = _least(worth, MOST * share / LEVELS)
        return gone

    return plan


ALLOCATIONS = {"uniform": uniform, "ranked": ranked, "sensitivity": sensitive}
"""Name -> function that makes a plan of a network, its parts, their scores and windows."""


def in_multiples(plan: Plan, parts: list[Part], multiple: int) -> Plan:
    """A plan that leaves every part, heads aside, a multiple of so many units, or all: some more stay than `plan` says.

    Processors compute with so many numbers at a time that fewer take as long.
    """

    def rounded(strength: float) -> RemovedUnits:
        gone = plan(strength)
        for part in parts:
            if part.kind != "heads":
                stay = part.count - len(gone[part.name])
                gone[part.name] = gone[part.name][: max(0, part.count - math.ceil(stay / multiple) * multiple)]
        return gone

    return rounded


def shown(cost: float) -> str:
    """A cost for people, be it a fraction of a millisecond or millions of multiply-adds."""
    return f"{cost:,.0f}" if cost >= 1000 else f"{cost:.3g}"


def _as_many(one: RemovedUnits, other: RemovedUnits) -> bool:
    """Whether the same goes: units of a part always go in the same order."""
    return all(len(one[name]) == len(units) for name, units in other.items())


def remove_to_limit(
    network: nn.Module,
    parts: list[Part],
    plan: Plan,
    inputs: Inputs,
    cost: Callable[[Any], float],
    limit: float,
    of: str = "macs",
) -> tuple[Any, KeptUnits]:
    """Remove as little as makes a network cost no more than `limit` (bisection on the strength).

    As little as the plan's steps let go: a channel, a head, or with `uniform` a 128th of everything.

    Raises ConfigError if it costs more even with nearly nothing left; it names the option `of` that limits.
    """
    low, high = 0.0, 1.0
    gone = plan(high)
    too_few: RemovedUnits | None = None
    best = remove(network, gone, parts, inputs)
    least = cost(best[0])
    if least > limit:
        raise ConfigError(
            f"found {shown(least)} {UNITS[of]} with up to {MOST:.0%} of all units gone, as far as --multiple lets "
            f"them; expected a limit of that or more, not {shown(limit)} {UNITS[of]}; give a higher "
            f"--{of.replace('_', '-')}"
        )
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        fewer = plan(middle)
        if _as_many(fewer, gone):
            high = middle  # what is known to be within the limit
            continue
        if too_few is not None and _as_many(fewer, too_few):
            low = middle
            continue
        found = remove(network, fewer, parts, inputs)
        if cost(found[0]) > limit:
            low, too_few = middle, fewer
        else:
            high, best, gone = middle, found, fewer
    return best
