"""Recordings of one activity lend each other limbs and style, so that few people look like many.

Two people do the same thing differently: in tempo, amplitude, posture, or with a quieter left side. A window that takes
an arm from another recording of its activity, or moves part of the way towards it (or away from it), is a person nobody
recorded. Meant for pre-cut clips, where equal normalised time means equal progress of the activity.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgehar.config import option
from edgehar.errors import ConfigError
from edgehar.signals.modality import ModalitySpec

FARTHEST_AWAY = 0.5
"""How far a window moves away from its partner at most, in shares of the farthest it moves towards it."""


@dataclass(frozen=True)
class ExchangeConfig:
    """How much windows of one activity take from each other; clips only."""

    limb: float = option(0.3, "chance of taking a limb from another clip of the activity")
    style: float = option(0.5, "farthest move towards another clip of the activity, 1 being all the way")

    def __post_init__(self) -> None:
        """Refuse chances and distances out of range."""
        if not 0 <= self.limb <= 1 or not 0 <= self.style <= 1:
            raise ConfigError(f"--limb {self.limb}, --style {self.style}: expected 0 to 1")


class Partners:
    """For any window, another one of the same activity; for one without a label, itself."""

    def __init__(self, label: Tensor) -> None:
        """`label` (N,) of all windows, -1 where there is none."""
        activities = int(label.max()) + 1
        label = torch.where(label < 0, activities + torch.arange(len(label), device=label.device), label)
        counts = torch.bincount(label)
        self.label = label
        self.order = torch.argsort(label, stable=True)
        self.first, self.count = counts.cumsum(0) - counts, counts

    def draw(self, rows: NDArray[np.intp], generator: torch.Generator) -> NDArray[np.intp]:
        """A window of the same activity for each of these, itself included."""
        label = self.label[torch.as_tensor(rows, device=self.label.device)]
        share = torch.rand(len(rows), generator=generator).to(label.device)
        place = self.first[label] + (share * self.count[label]).long()
        return self.order[place].cpu().numpy()


@cache
def limbs(parents: tuple[int, ...]) -> Tensor:
    """(G, G) bool: row j marks joint j and every joint that hangs from it."""
    carried = torch.eye(len(parents), dtype=torch.bool)
    for joint in range(len(parents)):
        above = joint
        while parents[above] != above:
            above = parents[above]
            carried[above, joint] = True
    return carried


def exchange(
    own: tuple[dict[str, Tensor], dict[str, Tensor]],
    other: tuple[dict[str, Tensor], dict[str, Tensor]],
    specs: tuple[ModalitySpec, ...],
    config: ExchangeConfig,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Features of windows that took style and limbs from their partners.

    Style is a step along the line between the two, as in mixup (arXiv 1710.09412) but within an activity and also
    outwards; a limb is a joint with all that hangs from it, after the part swaps of skeleton augmentation.

    Args:
        own: features (B, S, P, G, F) and validity (B, S) per modality.
        other: those of the partners.
        specs: the modalities.
        config: how much.
        generator: source of every random number (CPU).

    Returns:
        modality -> (B, S, P, G, F); steps that are invalid in either stay as they are.
    """
    (features, valid), (theirs, their_valid) = own, other
    moved: dict[str, Tensor] = {}
    for spec in specs:
        mine, yours = features[spec.name], theirs[spec.name]
        batch, device = len(mine), mine.device
        both = (valid[spec.name] & their_valid[spec.name])[:, :, None, None, None]
        low, high = -FARTHEST_AWAY * config.style, config.style
        share = (low + (high - low) * torch.rand(batch, 1, 1, 1, 1, generator=generator)).to(device)
        lent = mine + share * (yours - mine)
        if spec.is_skeleton:
            joint = torch.randint(spec.groups, (batch,), generator=generator)
            chosen = torch.rand(batch, generator=generator) < config.limb
            limb = (limbs(spec.parents)[joint] & chosen[:, None]).to(device)  # (B, G)
            lent = torch.where(limb[:, None, None, :, None], yours, lent)
        moved[spec.name] = torch.where(both, lent, mine)
    return moved
