"""Windows near the mean window of each activity (source `means`).

The means and principal directions are stored in the checkpoint (`edgehar.teacher.training.moments`).
"""

import torch

from edgehar.errors import CheckpointError
from edgehar.signals.modality import ModalitySpec
from edgehar.student.windows import Inputs
from edgehar.teacher.augmentation.geometric import AugmentConfig, augment
from edgehar.teacher.training.moments import Moments

MAX_INTERPOLATION = 0.5
"""Largest share of another activity's mean in a window."""


class WindowMeansSampler:
    """Draws interpolations of stored means, displaced along the stored directions and augmented."""

    def __init__(self, moments: Moments, specs: tuple[ModalitySpec, ...], steps: int, lost_modality: float) -> None:
        """Windows of S = `steps`; `lost_modality` is the probability that a modality is missing.

        Raises CheckpointError if there are no moments, or moments of windows of another size.
        """
        self._shapes = {spec.name: (steps, spec.patch, spec.groups, spec.features) for spec in specs}
        sizes = [torch.Size(shape).numel() for shape in self._shapes.values()]
        if any(name not in moments or moments[name].shape[1:] != (sum(sizes),) for name in ("means", "directions")):
            found = {name: tuple(tensor.shape) for name, tensor in moments.items()} or "none"
            raise CheckpointError(
                f"window moments: found {found}; expected means and directions of {sum(sizes)} features; distil again, "
                "or choose another --source"
            )
        self._means, self._directions = moments["means"].float(), moments["directions"].float()
        self._specs, self._sizes = specs, sizes
        self._augment = AugmentConfig(lost_modality=lost_modality)

    def draw(self, batch: int, generator: torch.Generator) -> Inputs:
        """A batch of B windows."""
        own, other = torch.randint(len(self._means), (2, batch), generator=generator)
        share = MAX_INTERPOLATION * torch.rand(batch, 1, generator=generator) ** 4
        spread = 0.5 + torch.rand(batch, 1, generator=generator)
        offsets = spread * torch.randn(batch, len(self._directions), generator=generator)  # (B, R)
        flat = self._means[own] * (1 - share) + self._means[other] * share + offsets @ self._directions  # (B, D)
        parts = zip(self._shapes.items(), flat.split(self._sizes, 1), strict=True)
        features = {name: part.reshape(batch, *shape) for (name, shape), part in parts}
        valid = {name: torch.ones(batch, shape[0], dtype=torch.bool) for name, shape in self._shapes.items()}
        return augment(features, valid, self._specs, self._augment, generator)
