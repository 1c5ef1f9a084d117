"""Removal of whole residual blocks, least important first."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from edgehar.errors import ConfigError
from edgehar.student.network.blocks import block_sequences, blocks_of
from edgehar.student.windows import Inputs


def _without(network: nn.Module, name: str) -> Any:
    """A copy of a network without one block; the indices of later blocks move down."""
    pruned = copy.deepcopy(network)
    sequence, _, index = name.rpartition(".")
    del pruned.get_submodule(sequence)[int(index)]  # type: ignore[attr-defined]
    return pruned


@torch.no_grad()
def without_blocks(network: nn.Module, count: int, inputs: Inputs) -> tuple[Any, dict[str, str]]:
    """Remove blocks from a copy of a network, one by one those whose absence changes the predictions least.

    Args:
        network: not changed.
        count: number of blocks to remove; one block of each sequence remains.
        inputs: windows on which predictions are compared, by their divergence.

    Returns:
        The pruned copy, and for each of its blocks the block of `network` whose output it has to reproduce: the last
        one before the next remaining block.

    Raises ConfigError if `count` is more than can be removed.
    """
    most = sum(len(names) - 1 for names in block_sequences(network).values())
    if not 0 <= count <= most:
        raise ConfigError(
            f"--drop-blocks {count}: expected 0 to {most}; the network has {len(blocks_of(network))} blocks, and one "
            "of each sequence remains"
        )
    pruned: Any = copy.deepcopy(network)
    remaining = block_sequences(network)
    expected = network(*inputs).logits.log_softmax(1)

    def divergence(other: nn.Module) -> float:
        predicted: Tensor = other(*inputs).logits.log_softmax(1)
        return float(functional.kl_div(predicted, expected, reduction="batchmean", log_target=True))

    for _ in tqdm(range(count), "blocks", unit="block", disable=None if count else True):
        candidates = [name for names in block_sequences(pruned).values() if len(names) > 1 for name in names]
        least = min(candidates, key=lambda name: divergence(_without(pruned, name)))
        pruned = _without(pruned, least)
        sequence, _, index = least.rpartition(".")
        del remaining[sequence][int(index)]
    target_block: dict[str, str] = {}
    for sequence, names in block_sequences(network).items():
        ends = [*(names.index(after) for after in remaining[sequence][1:]), len(names)]
        target_block |= {f"{sequence}.{index}": names[end - 1] for index, end in enumerate(ends)}
    return pruned, target_block
