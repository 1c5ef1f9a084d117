"""What a checkpoint keeps of its training windows, so that a network can be shrunk later without any of them.

Per activity the mean window, and for all activities together the few directions in which windows stray most from the
mean of theirs (principal components). No window is kept and no coordinate of one, so none can be read back; an
activity that few windows or a single person show shares the mean of all, as its own would be close to a recording.
It is data derived from recordings all the same: how people moved on average can be looked at.
"""

import torch
from torch import Tensor

from edgehar.errors import CheckpointError
from edgehar.modality import ModalitySpec
from edgehar.windows import Windows
from student.dream import Inputs
from teacher.augment import AugmentConfig, augment

DIRECTIONS = 16
FEWEST_WINDOWS, FEWEST_SUBJECTS = 8, 2
"""Of an activity, for a mean of its own."""
NEIGHBOUR = 0.5
"""How far a dreamed window lies on the way to another activity at most."""

Moments = dict[str, Tensor]
"""`means` (K, D) and `directions` (R, D), float16; D counts every feature of a window, modality after modality."""


def measure_moments(windows: Windows, specs: tuple[ModalitySpec, ...], classes: int) -> Moments:
    """Moments of prepared training windows, of which K = `classes` activities are named; steps not valid count not."""
    flat = torch.cat([torch.as_tensor(windows.features[spec.name]).flatten(1) for spec in specs], 1)  # (N, D)
    there = torch.cat(
        [
            torch.as_tensor(windows.valid[spec.name]).repeat_interleave(spec.patch * spec.groups * spec.features, 1)
            for spec in specs
        ],
        1,
    )
    label = torch.as_tensor(windows.label)

    def mean(chosen: Tensor) -> Tensor:
        seen = there[chosen]
        return (flat[chosen] * seen).sum(0) / seen.sum(0).clamp(min=1)

    means = mean(label >= 0).repeat(classes, 1)
    for activity in range(classes):
        chosen = label == activity
        people = set(windows.subject[chosen.numpy()].tolist())
        if int(chosen.sum()) >= FEWEST_WINDOWS and len(people) >= FEWEST_SUBJECTS:
            means[activity] = mean(chosen)
    labelled = label >= 0
    strays = (flat[labelled] - means[label[labelled]]) * there[labelled]
    most = min(DIRECTIONS, len(strays) // FEWEST_WINDOWS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _, lengths, directions = torch.svd_lowrank(strays, min(most + 8, *strays.shape), niter=4)
    scaled = directions.T[:most] * lengths[:most, None] / max(len(strays), 1) ** 0.5
    return {"means": means.half(), "directions": scaled.half()}


class MeanDreamer:
    """Draws windows around the stored means, towards one another and along the stored directions, then augmented."""

    def __init__(self, moments: Moments, specs: tuple[ModalitySpec, ...], steps: int, lost_modality: float) -> None:
        """Windows of S = `steps`; `lost_modality` is the chance that one lacks a modality.

        Raises CheckpointError for moments of other windows, or none.
        """
        self._shapes = {spec.name: (steps, spec.patch, spec.groups, spec.features) for spec in specs}
        sizes = [torch.Size(shape).numel() for shape in self._shapes.values()]
        if any(name not in moments or moments[name].shape[1:] != (sum(sizes),) for name in ("means", "directions")):
            found = {name: tuple(tensor.shape) for name, tensor in moments.items()} or "none"
            raise CheckpointError(
                f"moments of the training windows: found {found}; expected means and directions of {sum(sizes)} "
                "features; distil again, or choose another --source"
            )
        self._means, self._directions = moments["means"].float(), moments["directions"].float()
        self._specs, self._sizes = specs, sizes
        self._augment = AugmentConfig(lost_modality=lost_modality)

    def draw(self, batch: int, generator: torch.Generator) -> Inputs:
        """A batch of B windows."""
        own, other = torch.randint(len(self._means), (2, batch), generator=generator)
        share = NEIGHBOUR * torch.rand(batch, 1, generator=generator) ** 4
        spread = 0.5 + torch.rand(batch, 1, generator=generator)
        strays = spread * torch.randn(batch, len(self._directions), generator=generator)
        flat = self._means[own] * (1 - share) + self._means[other] * share + strays @ self._directions  # (B, D)
        named = zip(self._shapes.items(), flat.split(self._sizes, 1), strict=True)
        features = {name: part.reshape(batch, *shape) for (name, shape), part in named}
        valid = {name: torch.ones(batch, shape[0], dtype=torch.bool) for name, shape in self._shapes.items()}
        return augment(features, valid, self._specs, self._augment, generator)
