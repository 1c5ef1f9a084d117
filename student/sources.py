"""Where windows come from when no recording is at hand, and what of the training data each source needs."""

from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

from edgehar.config import group, option
from edgehar.datasets import DataOptions
from edgehar.errors import ConfigError
from edgehar.modality import ModalitySpec
from student.dream import DreamConfig, Dreamer, Inputs, Source, some_of
from student.generator import GeneratorConfig, WindowGenerator, train_generator
from student.invert import InversionConfig, invert
from student.means import MeanDreamer
from student.sensor_noise import Noisy
from student.simulated_motion import simulated_windows
from teacher.augment import AugmentConfig, augment, lose_modalities
from teacher.checkpoint import Checkpoint
from teacher.faulty import FaultConfig, FaultyWindows, faulty_windows
from teacher.loader import update_generator
from teacher.stage import follow, load_stage_data

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


@dataclass(frozen=True)
class SourceConfig:
    """What a network is pruned and recovered on; of several sources each gives its share of every batch."""

    source: tuple[str, ...] = option(
        (), f"one or several of {', '.join(SOURCES)}; means, or smooth if the checkpoint keeps none, if not given"
    )
    people: int = option(20, "simulated people to draw from")
    dream: DreamConfig = group(DreamConfig)
    inversion: InversionConfig = group(InversionConfig)
    generator: GeneratorConfig = group(GeneratorConfig)

    def __post_init__(self) -> None:
        """Refuse what is no source."""
        if set(self.source) - set(SOURCES) or len(set(self.source)) < len(self.source):
            raise ConfigError(
                f"--source {','.join(self.source)}: expected one or several of {', '.join(SOURCES)}, once"
            )

    def names(self, checkpoint: Checkpoint) -> tuple[str, ...]:
        """The sources asked for, or the default one for this checkpoint."""
        return self.source or (("means",) if checkpoint.moments else ("smooth",))


class Noise:
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


class Generated:
    """What a trained generator makes up, varied as recorded windows are."""

    def __init__(self, made: WindowGenerator, specs: tuple[ModalitySpec, ...], lost_modality: float) -> None:
        """Draw from this generator; `lost_modality` is the chance that a window lacks a modality."""
        self._made, self._specs = made, specs
        self._augment = AugmentConfig(lost_modality=lost_modality)

    def draw(self, batch: int, generator: torch.Generator) -> Inputs:
        """A batch of B windows."""
        windows, _ = self._made.draw(batch, generator)
        return augment(*windows, self._specs, self._augment, generator)


class Bank:
    """Windows made once, and varied each time they are drawn."""

    def __init__(self, windows: Inputs, specs: tuple[ModalitySpec, ...], lost_modality: float) -> None:
        """Draw from these; `lost_modality` is the chance that a window lacks a modality."""
        self._windows, self._specs = windows, specs
        self._augment = AugmentConfig(lost_modality=lost_modality)

    def draw(self, batch: int, generator: torch.Generator) -> Inputs:
        """A batch of B windows."""
        rows = torch.randint(len(next(iter(self._windows[1].values()))), (batch,), generator=generator)
        return augment(*some_of(self._windows, rows), self._specs, self._augment, generator)


class Recorded:
    """Training windows, sound or from a faulty copy, varied each time they are drawn."""

    def __init__(self, windows: FaultyWindows, specs: tuple[ModalitySpec, ...], lost_modality: float) -> None:
        """Draw from these; `lost_modality` is the chance that a window lacks a modality."""
        self._windows, self._specs = windows, specs
        self._augment = AugmentConfig(lost_modality=lost_modality)

    def draw(self, batch: int, generator: torch.Generator) -> Inputs:
        """A batch of B windows."""
        rows = torch.randint(len(self._windows.sound), (batch,), generator=generator).numpy()
        features, valid, _ = self._windows.rows(rows, generator)
        return augment(features, valid, self._specs, self._augment, generator)


def on(device: torch.device, windows: Inputs) -> Inputs:
    """The same windows on a device."""
    features, valid = windows
    return {k: part.to(device) for k, part in features.items()}, {k: part.to(device) for k, part in valid.items()}


class Several:
    """One or more sources of which each gives its share of a batch, on the device of the network."""

    def __init__(self, sources: list[Source], device: torch.device) -> None:
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
    data = load_stage_data(follow(options, checkpoint.data), checkpoint.normalisation)
    return faulty_windows(data, FaultConfig(), seed, torch.device("cpu"), lambda windows: windows)


def open_source(
    config: SourceConfig,
    checkpoint: Checkpoint,
    network: nn.Module,
    seed: int,
    device: torch.device,
    data: DataOptions | None = None,
) -> Source:
    """What draws the windows that `config` asks for, on the device of the network.

    `data` says where the recordings are, if not where they were. Raises CheckpointError if the checkpoint lacks what a
    source needs.
    """
    info, lost = checkpoint.info, config.dream.lost_modality
    specs, steps = info.modalities, info.window.steps

    @cache  # simulated people take seconds, and two sources begin with them
    def simulated() -> Inputs:
        return simulated_windows(info, config.people, seed)

    def opened(name: str) -> Source:
        match name:
            case "means":
                return MeanDreamer(checkpoint.moments, specs, steps, lost)
            case "smooth":
                return Dreamer(checkpoint.facts.get("statistics"), specs, steps, config.dream)
            case "simulated":
                return Bank(simulated(), specs, lost)
            case "inverted":
                begun = Bank(simulated(), specs, 0.0)
                start = on(device, begun.draw(config.inversion.inverted, update_generator(seed, 0)))
                inverted = invert(network, start, len(info.labels), config.inversion)
                return Bank(on(torch.device("cpu"), inverted), specs, lost)
            case "generated":
                classes = len(info.labels)
                made = train_generator(network, specs, steps, classes, config.generator, seed, device)
                return Generated(made.cpu(), specs, lost)
            case "recordings":
                return Recorded(recorded_windows(checkpoint, data or DataOptions(), seed), specs, lost)
            case _:
                return Noise(specs, steps, lost)

    def sensed(name: str) -> Source:
        if name in ("recordings", "noise"):  # the former have faults of their own
            return opened(name)
        return Noisy(opened(name), specs, info.window, checkpoint.normalisation, config.dream.noisy_sensor)

    return Several([sensed(name) for name in config.names(checkpoint)], device)
