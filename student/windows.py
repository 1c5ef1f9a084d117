"""Windows that pruning trains on: the inputs of one batch and the type of their sources."""

from typing import Protocol

import torch
from torch import Tensor

Inputs = tuple[dict[str, Tensor], dict[str, Tensor]]
"""Features, modality -> (B, S, P, G, F), and validity, modality -> (B, S)."""


class WindowSampler(Protocol):
    """Windows that no one recorded."""

    def draw(self, batch: int, generator: torch.Generator) -> Inputs:
        """A batch of B windows."""
        ...


def some_of(windows: Inputs, rows: slice | Tensor) -> Inputs:
    """The windows at these places."""
    features, valid = windows
    return {name: part[rows] for name, part in features.items()}, {name: part[rows] for name, part in valid.items()}
