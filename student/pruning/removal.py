"""Removes as few units of a network as bring its cost to a limit."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from edgehar.errors import ConfigError
from edgehar.student.pruning.allocation import ALLOCATIONS, MAX_REMOVED_SHARE, Plan, in_multiples
from edgehar.student.pruning.cost import UNITS, format_cost
from edgehar.student.pruning.importance import SCORE_FUNCTIONS
from edgehar.student.pruning.units import KeptUnits, Part, RemovedUnits, parts_of, remove
from edgehar.student.windows import Inputs, take_windows

BISECTION_STEPS = 14


@dataclass(frozen=True)
class PrunedNetwork:
    """A network after removal, and how it corresponds to the unpruned one.

    Attributes:
        network: the pruned network.
        target_block: each remaining block -> the block of the unpruned network whose output it has to reproduce.
        kept: part -> remaining units of the unpruned network; only channels and tokens are used.
    """

    network: Any
    target_block: dict[str, str]
    kept: KeptUnits

    def pairs(self) -> list[tuple[str, str, slice | Tensor]]:
        """Block, its target block, and the remaining channels of the target's output."""
        # The channels of a student's encoder, or those of a teacher outside its joint blocks.
        ends = (
            units
            for name, units in self.kept.items()
            if name.startswith("encoder.modality_projection.") or name.endswith(".merge")
        )
        channels: slice | Tensor = next(ends, slice(None))

        def remaining(block: str) -> slice | Tensor:
            sequence = block.rpartition(".blocks.")[0]
            match block.partition(".")[0]:
                case "head":
                    return self.kept.get("encoder.token_projection", slice(None))
                case "tokens":
                    return self.kept.get(f"{sequence}.embed", slice(None))
                case _:
                    return channels

        return [(block, target, remaining(block)) for block, target in self.target_block.items()]


@dataclass(frozen=True)
class Removal:
    """Which units are removed first, and until when.

    Attributes:
        criterion: name in `SCORE_FUNCTIONS`.
        allocation: name in `ALLOCATIONS`.
        width: whether channels are removed, too, not only units and heads.
        multiple: see `in_multiples`.
        limited: name in `cost.COSTS`.
        limit: a share of the unpruned network's cost for "macs", otherwise the cost itself.
    """

    criterion: str
    allocation: str
    width: bool
    multiple: int
    limited: str
    limit: float

    @property
    def limit_option(self) -> str:
        """The option that sets the limit."""
        return f"--{self.limited.replace('_', '-')}"

    def cost_limit(self, unpruned_cost: float) -> float:
        """The limit as a cost."""
        return self.limit * unpruned_cost if self.limited == "macs" else self.limit


def _equal_counts(one: RemovedUnits, other: RemovedUnits) -> bool:
    """Whether both remove the same units: the order within a part is fixed, so equal counts are equal units."""
    return all(len(one[name]) == len(units) for name, units in other.items())


def remove_to_limit(
    network: nn.Module,
    parts: list[Part],
    plan: Plan,
    inputs: Inputs,
    cost: Callable[[Any], float],
    limit: float,
    limited: str = "macs",
) -> tuple[Any, KeptUnits]:
    """Remove as few units as bring a network's cost to `limit` (bisection on the strength of the plan).

    The steps of the plan set the resolution: a channel, a head, or with `uniform` a 128th of each part.

    Raises ConfigError if the cost exceeds the limit at full strength; it names the option of `limited`.
    """
    low, high = 0.0, 1.0
    removed = plan(high)
    insufficient: RemovedUnits | None = None
    best = remove(network, removed, parts, inputs)
    smallest = cost(best[0])
    if smallest > limit:
        raise ConfigError(
            f"--{limited.replace('_', '-')}: found a limit of {format_cost(limit)} {UNITS[limited]}; expected "
            f"{format_cost(smallest)} or more, the cost with up to {MAX_REMOVED_SHARE:.0%} of the units removed "
            "(subject to --multiple)"
        )
    for _ in range(BISECTION_STEPS):
        middle = (low + high) / 2
        candidate = plan(middle)
        if _equal_counts(candidate, removed):
            high = middle  # already known to meet the limit
            continue
        if insufficient is not None and _equal_counts(candidate, insufficient):
            low = middle
            continue
        pruned = remove(network, candidate, parts, inputs)
        if cost(pruned[0]) > limit:
            low, insufficient = middle, candidate
        else:
            high, best, removed = middle, pruned, candidate
    return best


def shrink(
    before: PrunedNetwork, windows: Inputs, removal: Removal, cost: Callable[[Any], float], limit: float
) -> PrunedNetwork:
    """Remove units until the network costs at most `limit`; raises ConfigError if that cannot be reached."""
    network = before.network
    parts = parts_of(network, removal.width)
    trainable = copy.deepcopy(network).requires_grad_(True)
    scores = SCORE_FUNCTIONS[removal.criterion](trainable, parts, windows)
    plan = in_multiples(ALLOCATIONS[removal.allocation](network, parts, scores, windows), parts, removal.multiple)
    pruned, kept = remove_to_limit(network, parts, plan, take_windows(windows, slice(2)), cost, limit, removal.limited)
    # Indices of the unpruned network, not of the previous round's.
    of_unpruned = {name: before.kept[name][units] if name in before.kept else units for name, units in kept.items()}
    return PrunedNetwork(pruned, before.target_block, of_unpruned)
