"""Model inversion: gradient descent on windows until the network predicts given activities (source `inverted`).

The objective is DeepDream's: cross-entropy with evenly assigned activities, total variation of the change along time,
and squared distance from the initial window. DeepInversion's feature term (arXiv 1912.08795, equation 2) needs batch
normalisation, which these networks do not have.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from edgehar.config import Options, option
from edgehar.student.windows import Inputs

BATCH = 256
"""Windows that are changed together; of 1,024, memory that is allocated anew in every step takes most of the time."""


@dataclass(frozen=True)
class InversionConfig(Options):
    """Windows of --source inverted."""

    inverted: int = option(1024, "number of inverted windows to draw from", at_least=1)
    inversion_steps: int = option(150, "gradient steps", at_least=1)
    inversion_rate: float = option(0.05, "learning rate, relative to a feature's scale", above=0)
    variation: float = option(0.3, "weight of the total variation of the change along time", at_least=0)
    distance: float = option(0.3, "weight of the mean square of the change", at_least=0)


def _total_variation(change: Tensor) -> Tensor:
    """Total variation of a change (N, S, P, ...) along time: mean absolute difference of consecutive frames."""
    return change.flatten(1, 2).diff(dim=1).abs().mean()


def invert(network: nn.Module, start: Inputs, classes: int, config: InversionConfig) -> Inputs:
    """Change N initial windows until the network predicts their assigned activities, 0 to K - 1 in turn.

    Args:
        network: not changed.
        start: initial windows.
        classes: K.
        config: gradient steps and weights.
    """
    initial, valid = start
    first_sensor = next(iter(initial.values()))
    target = torch.arange(len(first_sensor), device=first_sensor.device) % classes
    firsts = range(0, len(target), BATCH)
    parts: list[dict[str, Tensor]] = []
    with tqdm(total=len(firsts) * config.inversion_steps, desc="invert", unit="step", disable=None) as bar:
        for first in firsts:
            rows = slice(first, first + BATCH)
            features, flags = ({name: part[rows] for name, part in given.items()} for given in start)
            parts.append(_inverted(network, (features, flags), target[rows], config, bar.update))
    return {name: torch.cat([part[name] for part in parts]) for name in initial}, valid


def _inverted(
    network: nn.Module, start: Inputs, target: Tensor, config: InversionConfig, advance: Callable[[], object]
) -> dict[str, Tensor]:
    """The changed windows of one batch, with the activities (B,) assigned; `advance` is called after each step."""
    initial, valid = start
    changes = {name: torch.zeros_like(tensor, requires_grad=True) for name, tensor in initial.items()}
    mask = {name: valid[name][..., None, None, None] for name in initial}
    optimiser = torch.optim.Adam(changes.values(), lr=config.inversion_rate)
    for _ in range(config.inversion_steps):
        changed = {name: initial[name] + change * mask[name] for name, change in changes.items()}
        loss = functional.cross_entropy(network(changed, valid).logits, target)
        for change in changes.values():
            loss = loss + config.variation * _total_variation(change) + config.distance * change.square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        advance()
    return {name: (initial[name] + change * mask[name]).detach() for name, change in changes.items()}
