"""Whole residual blocks: which a network has, which can go, and what the block that stays before one has to give."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from edgehar.errors import ConfigError
from edgehar.student.network.blocks import blocks_of, rows_of_blocks
from edgehar.student.windows import Inputs


def _without(network: nn.Module, name: str) -> Any:
    """A copy without one block; those after it move up."""
    smaller = copy.deepcopy(network)
    row, _, place = name.rpartition(".")
    del smaller.get_submodule(row)[int(place)]  # type: ignore[attr-defined]
    return smaller


@torch.no_grad()
def without_blocks(network: nn.Module, count: int, inputs: Inputs) -> tuple[Any, dict[str, str]]:
    """A copy of a network without the blocks whose absence moves its predictions least, one after the other.

    Args:
        network: stays as it is.
        count: how many go; of those that follow one another, one stays.
        inputs: windows that the predictions are compared on.

    Returns:
        The smaller network, and for each of its blocks that block of `network` whose output it has to give: the last
        one before the next that stayed.

    Raises ConfigError if not so many can go.
    """
    most = sum(len(row) - 1 for row in rows_of_blocks(network).values())
    if not 0 <= count <= most:
        raise ConfigError(
            f"--drop-blocks {count}: expected 0 to {most}; the network has {len(blocks_of(network))}, and of those in "
            "a row one stays"
        )
    smaller: Any = copy.deepcopy(network)
    stays = rows_of_blocks(network)
    wanted = network(*inputs).logits.log_softmax(1)

    def divergence(other: nn.Module) -> float:
        got: Tensor = other(*inputs).logits.log_softmax(1)
        return float(functional.kl_div(got, wanted, reduction="batchmean", log_target=True))

    for _ in tqdm(range(count), "blocks", unit="block", disable=None if count else True):
        candidates = [name for row in rows_of_blocks(smaller).values() if len(row) > 1 for name in row]
        least = min(candidates, key=lambda name: divergence(_without(smaller, name)))
        smaller = _without(smaller, least)
        row, _, place = least.rpartition(".")
        del stays[row][int(place)]
    gives: dict[str, str] = {}
    for row, names in rows_of_blocks(network).items():
        ends = [*(names.index(after) for after in stays[row][1:]), len(names)]
        gives |= {f"{row}.{place}": names[end - 1] for place, end in enumerate(ends)}
    return smaller, gives
