"""Windows that a network itself asks for: gradient descent on the input until it names the activity it was told to.

DeepDream's inversion without its feature statistics (DeepInversion, arXiv 1912.08795, equation 2, matches those of
batch normalisation, which these networks do not have): cross-entropy with activities dealt out evenly, the total
variation of the change along time, and the distance from where the window began.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from edgehar.config import option
from edgehar.errors import ConfigError
from edgehar.student.windows import Inputs


@dataclass(frozen=True)
class InversionConfig:
    """How far inverted windows stray from where they began."""

    inverted: int = option(1024, "inverted windows to draw from")
    inversion_steps: int = option(150, "gradient steps of an inversion")
    inversion_rate: float = option(0.05, "size of a step, in a feature's scale")
    variation: float = option(0.3, "weight of the total variation along time of the change")
    distance: float = option(0.3, "weight of the mean square of the change")

    def __post_init__(self) -> None:
        """Refuse what inverts nothing."""
        if self.inverted < 1 or self.inversion_steps < 1 or not 0 < self.inversion_rate < math.inf:
            raise ConfigError(
                f"--inverted {self.inverted}, --inversion-steps {self.inversion_steps}, --inversion-rate "
                f"{self.inversion_rate}: expected 1 or more of each, and a finite rate above 0"
            )
        if not (0 <= self.variation < math.inf and 0 <= self.distance < math.inf):
            raise ConfigError(
                f"--variation {self.variation}, --distance {self.distance}: expected finite weights of 0 or more"
            )


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
