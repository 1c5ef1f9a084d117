"""Same-class augmentation: limb swap and interpolation between recordings.

Subjects differ in tempo, amplitude and posture. A window that takes a limb from another recording of its activity, or
that is interpolated with it, looks like a new subject. Meant for pre-cut clips, where equal normalised time means equal
progress of the activity.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgehar.config import Options, option
from edgehar.signals.modality import ModalitySpec

EXTRAPOLATION = 0.5
"""Largest step away from the partner, relative to the largest step towards it."""


@dataclass(frozen=True)
class ExchangeConfig(Options):
    """Same-class exchange (pre-cut clips only)."""

    limb: float = option(0.3, "probability of taking a limb from another clip of the activity", at_least=0, at_most=1)
    style: float = option(
        0.5, "largest interpolation towards another clip of the activity; 1 reaches it", at_least=0, at_most=1
    )


class Partners:
    """Draws partners: windows of the same activity; an unlabelled window is its own partner."""

    def __init__(self, label: Tensor) -> None:
        """`label` (N,) of all windows, -1 where unlabelled."""
        activities = int(label.max()) + 1
        label = torch.where(label < 0, activities + torch.arange(len(label), device=label.device), label)
        counts = torch.bincount(label)
        self.label = label
        self.order = torch.argsort(label, stable=True)
        self.first, self.count = counts.cumsum(0) - counts, counts

    def draw(self, rows: NDArray[np.intp], generator: torch.Generator) -> NDArray[np.intp]:
        """A random window of the same activity for each row; it may be the row itself."""
        label = self.label[torch.as_tensor(rows, device=self.label.device)]
        share = torch.rand(len(rows), generator=generator).to(label.device)
        index = self.first[label] + (share * self.count[label]).long()
        return self.order[index].cpu().numpy()


@cache
def limbs(parents: tuple[int, ...]) -> Tensor:
    """(G, G) bool: row j marks joint j and its descendants in the joint tree."""
    descendants = torch.eye(len(parents), dtype=torch.bool)
    for joint in range(len(parents)):
        ancestor = joint
        while parents[ancestor] != ancestor:
            ancestor = parents[ancestor]
            descendants[ancestor, joint] = True
    return descendants


def exchange(
    own: tuple[dict[str, Tensor], dict[str, Tensor]],
    other: tuple[dict[str, Tensor], dict[str, Tensor]],
    specs: tuple[ModalitySpec, ...],
    config: ExchangeConfig,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Interpolate windows with their partners and swap limbs.

    Interpolation follows mixup (arXiv 1710.09412), but within an activity, and extrapolates away from the partner, too.
    A limb is a joint with its descendants, as in part swaps of skeleton augmentation.

    Args:
        own: features (B, S, P, G, F) and validity (B, S) per modality.
        other: those of the partners.
        specs: the modalities.
        config: strength.
        generator: source of every random number (CPU).

    Returns:
        modality -> (B, S, P, G, F); steps that are invalid in either window are unchanged, and of joints that are lost
        in either only the limbs are swapped.
    """
    (features, valid), (partner_features, partner_valid) = own, other
    exchanged: dict[str, Tensor] = {}
    for spec in specs:
        window, partner = features[spec.name], partner_features[spec.name]
        batch, device = len(window), window.device
        both = (valid[spec.name] & partner_valid[spec.name])[:, :, None, None, None]
        low, high = -EXTRAPOLATION * config.style, config.style
        share = (low + (high - low) * torch.rand(batch, 1, 1, 1, 1, generator=generator)).to(device)
        mixed = window + share * (partner - window)
        if spec.lost_joints:
            known = window.any(-1, keepdim=True) & partner.any(-1, keepdim=True)  # (B, S, P, G, 1)
            mixed = torch.where(known, mixed, window)
        if spec.is_skeleton:
            joint = torch.randint(spec.groups, (batch,), generator=generator)
            chosen = torch.rand(batch, generator=generator) < config.limb
            limb = (limbs(spec.parents)[joint] & chosen[:, None]).to(device)  # (B, G)
            mixed = torch.where(limb[:, None, None, :, None], partner, mixed)
        exchanged[spec.name] = torch.where(both, mixed, window)
    return exchanged
