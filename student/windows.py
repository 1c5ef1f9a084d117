"""Batches of windows as networks take them, and the protocol of everything that draws such batches."""

from typing import Protocol

import torch
from torch import Tensor

Inputs = tuple[dict[str, Tensor], dict[str, Tensor]]
"""Features, modality -> (B, S, P, G, F), and validity, modality -> (B, S)."""


class WindowSampler(Protocol):
    """Draws batches of synthetic or recorded windows."""

    def draw(self, batch: int, generator: torch.Generator) -> Inputs:
        """A batch of B windows."""
        ...


def take_windows(windows: Inputs, rows: slice | Tensor) -> Inputs:
    """The windows at these rows."""
    features, valid = windows
    return {name: part[rows] for name, part in features.items()}, {name: part[rows] for name, part in valid.items()}
