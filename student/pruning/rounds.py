"""Pruning in rounds: each removes units down to its limit, then recovers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgehar.errors import ConfigError
from edgehar.student.network.blocks import blocks_of
from edgehar.student.pruning.cost import COSTS
from edgehar.student.pruning.drop_blocks import without_blocks
from edgehar.student.pruning.recover import HELD_OUT_UPDATE, RecoveryConfig, recover
from edgehar.student.pruning.removal import PrunedNetwork, Removal, shrink
from edgehar.student.windows import Inputs, WindowSampler, take_windows
from edgehar.teacher.network.layers import count_macs, count_parameters
from edgehar.teacher.training.batches import update_generator
from edgehar.teacher.training.loop import TrainConfig
from edgehar.teacher.training.processes import ProcessGroup
from edgehar.teacher.training.progress import History

SCORING_WINDOWS, AGREEMENT_WINDOWS = 256, 512
"""Windows for criteria and sensitivity, and held-out windows for the agreement of two networks."""


@dataclass(frozen=True)
class Schedule:
    """What is removed and how a network recovers.

    Attributes:
        removal: which units are removed, and the limit after the last round.
        drop_blocks: whole blocks removed before the first round.
        rounds: number of rounds; each reduces the cost by the same factor.
        recovery: losses and early stopping.
        training: updates of all rounds together, and optimiser.
        seed: random seed.
    """

    removal: Removal
    drop_blocks: int
    rounds: int
    recovery: RecoveryConfig
    training: TrainConfig
    seed: int


@torch.no_grad()
def agreement(one: nn.Module, other: nn.Module, inputs: Inputs) -> float:
    """Share of windows for which two networks predict the same class."""
    return float((one(*inputs).logits.argmax(1) == other(*inputs).logits.argmax(1)).float().mean())


def prune_in_rounds(
    unpruned: nn.Module,
    sampler: WindowSampler,
    schedule: Schedule,
    processes: ProcessGroup,
    progress: Path,
    key: list[Any],
    score: Callable[[nn.Module], dict[str, Any]] | None,
) -> tuple[Any, History, dict[str, Any]]:
    """Remove and recover, round by round.

    Args:
        unpruned: not changed.
        sampler: draws the windows that criteria, recovery and agreement use.
        schedule: what to remove and how to recover.
        processes: the processes that train together.
        progress: progress file of the first round; later rounds append a number to its name.
        key: everything else the result depends on; progress files with another key are ignored.
        score: scores a network on the test subjects, or None.

    Returns:
        The pruned network, the training curve of all rounds, and measurements.

    Raises ConfigError if the network already meets the limit, or the limit cannot be reached.
    """
    removal, seed, rounds = schedule.removal, schedule.seed, schedule.rounds
    held_out = sampler.draw(AGREEMENT_WINDOWS, update_generator(seed, HELD_OUT_UPDATE - 1))
    single = take_windows(held_out, slice(1))
    measure = COSTS[removal.limited]

    def cost(network: nn.Module) -> float:
        return measure(network, single)

    cost_before = cost(unpruned)
    limit = removal.cost_limit(cost_before)
    if cost_before <= limit and not schedule.drop_blocks:
        raise ConfigError(
            f"{removal.limit_option} {limit:g}: the unpruned network has {cost_before:g}; expected a lower limit"
        )
    windows = sampler.draw(SCORING_WINDOWS, update_generator(seed, 0))
    network, target_block = without_blocks(unpruned, schedule.drop_blocks, windows)
    pruned = PrunedNetwork(network, target_block, {})
    training = replace(schedule.training, updates=max(1, round(schedule.training.updates / rounds)))
    history: History = []
    facts: dict[str, Any] = {}
    files = [progress, *(progress.with_name(f"{progress.name}.{index}") for index in range(1, rounds))]
    for index, file in enumerate(files):
        share = (index + 1) / rounds
        round_limit = max(limit, cost_before ** (1 - share) * limit**share)  # the same factor in every round
        pruned = shrink(pruned, windows, removal, cost, round_limit)
        facts["agreement_removed"] = agreement(pruned.network.eval(), unpruned, held_out)
        if score is not None:
            facts["evaluation_removed"] = score(pruned.network)
        # Part of the key, since a measured latency may lead to other units in a resumed run.
        kept = {name: units.tolist() for name, units in pruned.kept.items()}
        points = recover(
            pruned, unpruned, sampler, schedule.recovery, training, seed + index, processes, file,
            [*key, pruned.target_block, kept],
        )  # fmt: skip
        done = history[-1]["update"] if history else 0
        history += [point | {"update": done + point["update"]} for point in points]
    facts |= {
        # Measured again: recovery changes the tensors, and a measured latency varies.
        "limit": {"of": removal.limited, "asked": limit, "reached": cost(pruned.network)},
        "parameters": count_parameters(pruned.network.requires_grad_(True)),
        "macs": count_macs(pruned.network, *single),
        "macs_before": count_macs(unpruned, *single),
        "agreement_recovered": agreement(pruned.network, unpruned, held_out),
        "updates": history[-1]["update"],
        "blocks": blocks_of(pruned.network),
    }
    if score is not None:
        facts["evaluation"] = score(pruned.network)
    return pruned.network, history, facts
