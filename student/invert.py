"""Windows that a network itself asks for: gradient descent on the input until it names the activity it was told to.

DeepDream's inversion without its feature statistics (DeepInversion, arXiv 1912.08795, equation 2, matches those of
batch normalisation, which these networks do not have): cross-entropy with activities dealt out evenly, the total
variation of the change along time, and the distance from where the window began.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from edgehar.config import option
from student.dream import Inputs


@dataclass(frozen=True)
class InversionConfig:
    """How far inverted windows stray from where they began."""

    inverted: int = option(1024, "inverted windows to draw from")
    inversion_steps: int = option(150, "gradient steps of an inversion")
    inversion_rate: float = option(0.05, "size of a step, in a feature's scale")
    variation: float = option(0.3, "weight of the total variation along time of the change")
    distance: float = option(0.3, "weight of the mean square of the change")


def _roughness(change: Tensor) -> Tensor:
    """Mean absolute difference of a change (N, S, P, ...) from one frame to the next."""
    return change.flatten(1, 2).diff(dim=1).abs().mean()


def invert(network: nn.Module, start: Inputs, classes: int, config: InversionConfig) -> Inputs:
    """Windows that began like `start` (N, ...) and of which the network names as many for each of K = `classes`."""
    begun, valid = start
    target = torch.arange(len(next(iter(begun.values())))) % classes
    changes = {name: torch.zeros_like(tensor, requires_grad=True) for name, tensor in begun.items()}
    there = {name: valid[name][..., None, None, None] for name in begun}
    optimiser = torch.optim.Adam(changes.values(), lr=config.inversion_rate)
    for _ in tqdm(range(config.inversion_steps), "invert", unit="step", disable=None):
        moved = {name: begun[name] + change * there[name] for name, change in changes.items()}
        loss = functional.cross_entropy(network(moved, valid).logits, target)
        for change in changes.values():
            loss = loss + config.variation * _roughness(change) + config.distance * change.square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return {name: (begun[name] + change * there[name]).detach() for name, change in changes.items()}, valid
