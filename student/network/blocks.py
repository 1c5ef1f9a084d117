"""Access to the transformer blocks of a network."""

from torch import nn

from edgehar.student.network.model import EncoderBlock
from edgehar.teacher.network.layers import Block


def blocks_of(network: nn.Module) -> list[str]:
    """The residual blocks, in the order of the network."""
    return [name for name, module in network.named_modules() if isinstance(module, Block | EncoderBlock)]


def rows_of_blocks(network: nn.Module) -> dict[str, list[str]]:
    """Blocks that follow one another, by the list they stand in."""
    rows: dict[str, list[str]] = {}
    for name in blocks_of(network):
        rows.setdefault(name.rpartition(".")[0], []).append(name)
    return rows
