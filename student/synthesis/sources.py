"""Where windows come from when no recording is at hand, and what of the training data each source needs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

from edgehar.choices import SOURCES_BY_OPTION, unused_options
from edgehar.config import group, option
from edgehar.data.registry import DataOptions
from edgehar.errors import ConfigError
from edgehar.signals.modality import ModalitySpec
from edgehar.student.synthesis.frame_statistics import FrameStatisticsConfig, FrameStatisticsSampler
from edgehar.student.synthesis.generator import GeneratorConfig, train_generator
from edgehar.student.synthesis.inversion import InversionConfig, invert
from edgehar.student.synthesis.sensor_noise import SensorNoiseSampler
from edgehar.student.synthesis.simulated import simulated_windows
from edgehar.student.synthesis.window_means import WindowMeansSampler
from edgehar.student.windows import Inputs, WindowSampler, some_of
from edgehar.teacher.augmentation.geometric import AugmentConfig, augment, lose_modalities
from edgehar.teacher.augmentation.sensor_faults import FaultConfig, FaultyWindows, faulty_windows
from edgehar.teacher.training.batches import update_generator
from edgehar.teacher.training.checkpoint import Checkpoint
from edgehar.teacher.training.stage import load_data_of

NOTHING = "nothing but the network"
SOURCES = {
    "means": "means and main directions of the training windows (moments.safetensors)",
    "smooth": "mean, covariance and spread of motion of single frames (statistics in checkpoint.json)",
    "simulated": NOTHING,
    "inverted": NOTHING,
    "generated": NOTHING,
    "noise": NOTHING,
    "recordings": "the training recordings themselves",
}
"""Source -> what of the training data it needs."""
DEFAULT = ("means", "smooth", "inverted")
"""Where none is asked for: the first of them for which a checkpoint keeps enough."""


@dataclass(frozen=True)
class SourceConfig:
    """What a network is pruned and recovered on; of several sources each gives its share of every batch."""

    source: tuple[str, ...] = option(
        (),
        f"one or several of {', '.join(SOURCES)}; if none is given, means, smooth or inverted, the first for which the "
        "checkpoint keeps enough",
    )
    people: int = option(20, "simulated people to draw from")
    dream: FrameStatisticsConfig = group(FrameStatisticsConfig)
    inversion: InversionConfig = group(InversionConfig)
    generator: GeneratorConfig = group(GeneratorConfig)

    def __post_init__(self) -> None:
        """Refuse what is no source."""
        if set(self.source) - set(SOURCES) or len(set(self.source)) < len(self.source):
            raise ConfigError(
                f"--source {','.join(self.source)}: expected one or several of {', '.join(SOURCES)}, once"
            )
        if self.people < 1:
            raise ConfigError(f"--people {self.people}: expected 1 or more")

    def reject_unused_options(self, names: tuple[str, ...]) -> None:
        """Raise ConfigError for an option that is not at its default and that none of these sources takes."""
        mine, usual = (
            {"people": config.people, **vars(config.dream), **vars(config.inversion), **vars(config.generator)}
            for config in (self, SourceConfig())
        )
        for name in unused_options([name for name in mine if mine[name] != usual[name]], names):
            raise ConfigError(
                f"--{name.replace('_', '-')} {mine[name]} with --source {','.join(names)}: has no effect there, only "
                f"with {', '.join(SOURCES_BY_OPTION[name])}; leave it out or choose another --source"
            )

    def names(self, checkpoint: Checkpoint) -> tuple[str, ...]:
        """The sources asked for, or the default one for this checkpoint."""
        kept = (checkpoint.moments, checkpoint.facts.get("statistics"), True)
        return self.source or next((name,) for name, enough in zip(DEFAULT, kept, strict=True) if enough)


class NoiseSampler:
    """White noise; its variance is 1 because that of a feature of the training windows is."""

    def __init__(self, specs: tuple[ModalitySpec, ...], steps: int, lost_modality: float) -> None:
        """Windows of S = `steps`; `lost_modality` is the chance that one lacks a modality."""
        self._specs, self._steps, self._lost_modality = specs, steps, lost_modality

    def draw(self, batch: int, generator: torch.Generator) -> Inputs:
        """A batch of B windows."""
        names = [spec.name for spec in self._specs]
        valid = {name: torch.ones(batch, self._steps, dtype=torch.bool) for name in names}
        shown = lose_modalities(valid, names, self._lost_modality, generator)
        features = {
            spec.name: torch.randn(batch, self._steps, spec.patch, spec.groups, spec.features, generator=generator)
            for spec in self._specs
        }
        return {name: tokens * shown[name][..., None, None, None] for name, tokens in features.items()}, shown


Draw = Callable[[int, torch.Generator], Inputs]
"""A batch of so many windows."""


class AugmentedSampler:
    """Windows from anywhere, varied each time they are drawn, as recorded ones are in training."""

    def __init__(self, drawn: Draw, specs: tuple[ModalitySpec, ...], lost_modality: float) -> None:
        """Vary what `drawn` gives; `lost_modality` is the chance that a window lacks a modality."""
        self._drawn, self._specs = drawn, specs
        self._augment = AugmentConfig(lost_modality=lost_modality)

    def draw(self, batch: int, generator: torch.Generator) -> Inputs:
        """A batch of B windows."""
        return augment(*self._drawn(batch, generator), self._specs, self._augment, generator)


def any_of(windows: Inputs) -> Draw:
    """Any of these windows, with replacement."""
    count = len(next(iter(windows[1].values())))
    return lambda batch, generator: some_of(windows, torch.randint(count, (batch,), generator=generator))


def any_recorded(windows: FaultyWindows) -> Draw:
    """Any of the training windows, sound or from a faulty copy, with replacement."""

    def drawn(batch: int, generator: torch.Generator) -> Inputs:
        rows = torch.randint(len(windows.clean), (batch,), generator=generator).numpy()
        features, valid, _ = windows.rows(rows, generator)
        return features, valid

    return drawn


def on(device: torch.device, windows: Inputs) -> Inputs:
    """The same windows on a device."""
    features, valid = windows
    return {k: part.to(device) for k, part in features.items()}, {k: part.to(device) for k, part in valid.items()}


class MixedSampler:
    """One or more sources of which each gives its share of a batch, on the device of the network."""

    def __init__(self, sources: list[WindowSampler], device: torch.device) -> None:
        """Draw from all of these."""
        self._sources, self._device = sources, device

    def draw(self, batch: int, generator: torch.Generator) -> Inputs:
        """A batch of B windows, or as many as there are sources if that is more."""
        count = len(self._sources)
        sizes = [max(1, (batch + place) // count) for place in range(count)]
        parts = [source.draw(size, generator) for source, size in zip(self._sources, sizes, strict=True)]
        features = {name: torch.cat([part[name] for part, _ in parts]) for name in parts[0][0]}
        return on(self._device, (features, {name: torch.cat([part[name] for _, part in parts]) for name in features}))


def recorded_windows(checkpoint: Checkpoint, options: DataOptions, seed: int) -> FaultyWindows:
    """The training windows of a checkpoint, from wherever its recordings are now, and their faulty copies."""
    data = load_data_of(checkpoint, options)
    return faulty_windows(data, FaultConfig(), seed, torch.device("cpu"), lambda windows: windows)


def create_sampler(
    config: SourceConfig,
    checkpoint: Checkpoint,
    network: nn.Module,
    seed: int,
    device: torch.device,
    data: DataOptions | None = None,
) -> WindowSampler:
    """What draws the windows that `config` asks for, on the device of the network.

    `data` says where the recordings are, if not where they were. Raises CheckpointError if the checkpoint lacks what a
    source needs.
    """
    info, lost = checkpoint.info, config.dream.lost_modality
    specs, steps = info.modalities, info.window.steps

    @cache  # simulated people take seconds, and two sources begin with them
    def simulated() -> Inputs:
        return simulated_windows(info, config.people, seed)

    def opened(name: str) -> WindowSampler:
        match name:
            case "means":
                return WindowMeansSampler(checkpoint.moments, specs, steps, lost)
            case "smooth":
                return FrameStatisticsSampler(checkpoint.facts.get("statistics"), specs, steps, config.dream)
            case "simulated":
                return AugmentedSampler(any_of(simulated()), specs, lost)
            case "inverted":
                begun = AugmentedSampler(any_of(simulated()), specs, 0.0)
                start = on(device, begun.draw(config.inversion.inverted, update_generator(seed, 0)))
                inverted = invert(network, start, len(info.labels), config.inversion)
                return AugmentedSampler(any_of(on(torch.device("cpu"), inverted)), specs, lost)
            case "generated":
                classes = len(info.labels)
                made = train_generator(network, specs, steps, classes, config.generator, seed, device).cpu()
                return AugmentedSampler(lambda batch, generator: made.draw(batch, generator)[0], specs, lost)
            case "recordings":
                return AugmentedSampler(
                    any_recorded(recorded_windows(checkpoint, data or DataOptions(), seed)), specs, lost
                )
            case _:
                return NoiseSampler(specs, steps, lost)

    def sensed(name: str) -> WindowSampler:
        if name in ("recordings", "noise"):  # the former have faults of their own
            return opened(name)
        return SensorNoiseSampler(opened(name), specs, info.window, checkpoint.normalisation, config.dream.noisy_sensor)

    return MixedSampler([sensed(name) for name in config.names(checkpoint)], device)
