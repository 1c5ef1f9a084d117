"""Windows as tensors on the training device, and the batch and random numbers of each update."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgehar.signals.windows import Windows


@dataclass(frozen=True)
class WindowTensors:
    """A set of windows on one device.

    Attributes:
        features: modality -> (N, S, P, G, F).
        valid: modality -> (N, S) bool.
        label: (N,) int64, -1 where unlabelled.
    """

    features: dict[str, Tensor]
    valid: dict[str, Tensor]
    label: Tensor

    def __len__(self) -> int:
        """N."""
        return len(self.label)

    def rows(self, rows: NDArray[np.intp]) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
        """Features, validity and labels of these windows."""
        index = torch.as_tensor(rows, device=self.label.device)
        return (
            {name: tensor[index] for name, tensor in self.features.items()},
            {name: tensor[index] for name, tensor in self.valid.items()},
            self.label[index],
        )


def to_tensors(windows: Windows, device: torch.device) -> WindowTensors:
    """Copy windows to a device."""
    return WindowTensors(
        {name: torch.as_tensor(array, device=device) for name, array in windows.features.items()},
        {name: torch.as_tensor(array, device=device) for name, array in windows.valid.items()},
        torch.as_tensor(windows.label, device=device),
    )


def batch_rows(count: int, batch: int, update: int, seed: int) -> NDArray[np.intp]:
    """Rows of one update's batch; each epoch is a new permutation.

    They depend on the seed and the update only, so that training can resume at any update.
    """
    size = min(batch, count)
    per_epoch = count // size
    epoch, index = divmod(update, per_epoch)
    order = np.random.default_rng([seed, epoch]).permutation(count)
    return order[index * size : (index + 1) * size]


def update_generator(seed: int, update: int) -> torch.Generator:
    """The generator of one update, from the seed and the update only."""
    words = np.random.SeedSequence([seed, update]).generate_state(2)
    return torch.Generator().manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)
