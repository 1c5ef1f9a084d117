"""Window samplers that need no statistics: white noise, augmented copies of given windows, and mixtures."""

from collections.abc import Callable

import torch

from edgehar.signals.modality import ModalitySpec
from edgehar.student.windows import Inputs, WindowSampler, take_windows
from edgehar.teacher.augmentation.geometric import AugmentConfig, augment, drop_modalities
from edgehar.teacher.augmentation.sensor_faults import FaultyWindows

Draw = Callable[[int, torch.Generator], Inputs]
"""Draws a batch of the given size."""


class NoiseSampler:
    """Draws white noise of variance 1, which is the variance of the features of training windows."""

    def __init__(self, specs: tuple[ModalitySpec, ...], steps: int, lost_modality: float) -> None:
        """Windows of S = `steps`; `lost_modality` is the probability that a modality is missing."""
        self._specs, self._steps, self._lost_modality = specs, steps, lost_modality

    def draw(self, batch: int, generator: torch.Generator) -> Inputs:
        """A batch of B windows."""
        names = [spec.name for spec in self._specs]
        whole = {name: torch.ones(batch, self._steps, dtype=torch.bool) for name in names}
        valid = drop_modalities(whole, names, self._lost_modality, generator)
        features = {
            spec.name: torch.randn(batch, self._steps, spec.patch, spec.groups, spec.features, generator=generator)
            for spec in self._specs
        }
        return {name: tokens * valid[name][..., None, None, None] for name, tokens in features.items()}, valid


class AugmentedSampler:
    """Augments every drawn window, as recorded windows are augmented in training."""

    def __init__(self, draw: Draw, specs: tuple[ModalitySpec, ...], lost_modality: float) -> None:
        """Augment the windows of `draw`; `lost_modality` is the probability that a modality is missing."""
        self._draw, self._specs = draw, specs
        self._augment = AugmentConfig(lost_modality=lost_modality)

    def draw(self, batch: int, generator: torch.Generator) -> Inputs:
        """A batch of B windows."""
        return augment(*self._draw(batch, generator), self._specs, self._augment, generator)


class MixedSampler:
    """Draws an equal share of each batch from each of several samplers, on the device of the network."""

    def __init__(self, samplers: list[WindowSampler], device: torch.device) -> None:
        """Draw from all of these samplers."""
        self._samplers, self._device = samplers, device

    def draw(self, batch: int, generator: torch.Generator) -> Inputs:
        """A batch of B windows, but at least one of each sampler."""
        count = len(self._samplers)
        sizes = [max(1, (batch + index) // count) for index in range(count)]
        parts = [sampler.draw(size, generator) for sampler, size in zip(self._samplers, sizes, strict=True)]
        features = {name: torch.cat([part[name] for part, _ in parts]) for name in parts[0][0]}
        valid = {name: torch.cat([part[name] for _, part in parts]) for name in features}
        return to_device(self._device, (features, valid))


def draw_from(windows: Inputs) -> Draw:
    """Draw from these windows, with replacement."""
    count = len(next(iter(windows[1].values())))
    return lambda batch, generator: take_windows(windows, torch.randint(count, (batch,), generator=generator))


def draw_recorded(windows: FaultyWindows) -> Draw:
    """Draw training windows, clean or from a faulty copy, with replacement."""

    def draw(batch: int, generator: torch.Generator) -> Inputs:
        rows = torch.randint(len(windows.clean), (batch,), generator=generator).numpy()
        features, valid, _ = windows.rows(rows, generator)
        return features, valid

    return draw


def to_device(device: torch.device, windows: Inputs) -> Inputs:
    """The same windows on a device."""
    features, valid = windows
    return {k: part.to(device) for k, part in features.items()}, {k: part.to(device) for k, part in valid.items()}
