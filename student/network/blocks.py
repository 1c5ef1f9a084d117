"""The residual blocks of a teacher or student, by module name."""

from torch import nn

from edgehar.student.network.model import EncoderBlock
from edgehar.teacher.network.layers import Block


def blocks_of(network: nn.Module) -> list[str]:
    """Names of the residual blocks, in the order of the network."""
    return [name for name, module in network.named_modules() if isinstance(module, Block | EncoderBlock)]


def block_sequences(network: nn.Module) -> dict[str, list[str]]:
    """Name of each list of consecutive blocks -> names of its blocks."""
    sequences: dict[str, list[str]] = {}
    for name in blocks_of(network):
        sequences.setdefault(name.rpartition(".")[0], []).append(name)
    return sequences
