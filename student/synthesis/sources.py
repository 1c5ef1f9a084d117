"""Sources of the windows for pruning (`--source`), what each needs of the training data, and their samplers."""

from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

from edgehar.choices import INVERTED, MEANS, RECORDINGS, SOURCES, SOURCES_BY_OPTION, unused_options
from edgehar.config import Options, group, option
from edgehar.data.registry import DataOptions
from edgehar.errors import ConfigError
from edgehar.student.synthesis.frame_statistics import FrameStatisticsConfig, FrameStatisticsSampler
from edgehar.student.synthesis.generator import GeneratorConfig, train_generator
from edgehar.student.synthesis.inversion import InversionConfig, invert
from edgehar.student.synthesis.samplers import (
    AugmentedSampler,
    MixedSampler,
    NoiseSampler,
    draw_from,
    draw_recorded,
    to_device,
)
from edgehar.student.synthesis.sensor_noise import SensorNoiseSampler
from edgehar.student.synthesis.simulated import simulated_windows
from edgehar.student.synthesis.window_means import WindowMeansSampler
from edgehar.student.windows import Inputs, WindowSampler
from edgehar.teacher.augmentation.sensor_faults import FaultConfig, FaultyWindows, faulty_windows
from edgehar.teacher.training.batches import update_generator
from edgehar.teacher.training.checkpoint import Checkpoint
from edgehar.teacher.training.stage import load_checkpoint_data

NOTHING = "nothing but the network"
DATA_NEEDED = {
    "means": "means and main directions of the training windows (moments.safetensors)",
    "smooth": "mean, covariance and spread of motion of single frames (statistics in checkpoint.json)",
    "simulated": NOTHING,
    "inverted": NOTHING,
    "generated": NOTHING,
    "noise": NOTHING,
    "recordings": "the training recordings themselves",
}
"""Source -> what it needs of the training data, as stored in checkpoints."""
assert tuple(DATA_NEEDED) == SOURCES, "SOURCES of edgehar/choices.py lists the same names in the same order"
DEFAULT_SOURCES = (MEANS, "smooth", INVERTED)
"""Without --source, the first of these for which the checkpoint holds enough."""


@dataclass(frozen=True)
class SourceConfig(Options):
    """Windows to prune with."""

    source: tuple[str, ...] = option(
        (),
        "sources, several with equal shares of each batch (default: the first of means, smooth and inverted for which "
        "the checkpoint holds enough)",
        choices=SOURCES,
    )
    people: int = option(20, "simulated subjects to draw from", at_least=1)
    lost_modality: float = option(0.1, "probability that a window lacks a modality", at_least=0, at_most=1)
    noisy_sensor: float = option(0.1, "probability that a sensor of a window is noisy", at_least=0, at_most=1)
    frames: FrameStatisticsConfig = group(FrameStatisticsConfig)
    inversion: InversionConfig = group(InversionConfig)
    generator: GeneratorConfig = group(GeneratorConfig)

    def __post_init__(self) -> None:
        """Raise ConfigError for a source given twice."""
        super().__post_init__()
        if len(set(self.source)) < len(self.source):
            raise ConfigError(f"--source {','.join(self.source)}: expected each source once")

    def reject_unused_options(self, sources: tuple[str, ...]) -> None:
        """Raise ConfigError for an option that differs from its default and that none of the sources uses."""
        given, defaults = (
            {
                "people": config.people,
                "noisy_sensor": config.noisy_sensor,
                **vars(config.frames),
                **vars(config.inversion),
                **vars(config.generator),
            }
            for config in (self, SourceConfig())
        )
        for name in unused_options([name for name in given if given[name] != defaults[name]], sources):
            raise ConfigError(
                f"--{name.replace('_', '-')} {given[name]}: has no effect with --source {','.join(sources)}, only with "
                f"{', '.join(SOURCES_BY_OPTION[name])}; omit it or choose another --source"
            )

    def sources_for(self, checkpoint: Checkpoint) -> tuple[str, ...]:
        """The sources of --source, or the default for this checkpoint."""
        available = (checkpoint.moments, checkpoint.facts.get("statistics"), True)
        return self.source or next((name,) for name, enough in zip(DEFAULT_SOURCES, available, strict=True) if enough)


def recorded_windows(checkpoint: Checkpoint, options: DataOptions, seed: int) -> FaultyWindows:
    """The training windows of a checkpoint and their faulty copies; `options` may give a new folder."""
    data = load_checkpoint_data(checkpoint, options)
    return faulty_windows(data, FaultConfig(), seed, torch.device("cpu"), lambda windows: windows)


def create_sampler(
    config: SourceConfig,
    checkpoint: Checkpoint,
    network: nn.Module,
    seed: int,
    device: torch.device,
    data: DataOptions | None = None,
) -> WindowSampler:
    """The sampler of the configured sources; its batches are on `device`.

    Args:
        config: sources and their options.
        checkpoint: for the shape of windows and the stored statistics.
        network: the checkpoint's network on `device`, for inversion and the generator.
        seed: random seed.
        device: device of the batches.
        data: the recordings, if not where the checkpoint was trained.

    Raises CheckpointError if the checkpoint lacks the statistics of a source.
    """
    info, lost = checkpoint.info, config.lost_modality
    specs, steps = info.modalities, info.window.steps

    @cache  # takes seconds, and two sources use it
    def simulated() -> Inputs:
        return simulated_windows(info, config.people, seed)

    def clean_sampler(name: str) -> WindowSampler:
        match name:
            case "means":
                return WindowMeansSampler(checkpoint.moments, specs, steps, lost)
            case "smooth":
                statistics = checkpoint.facts.get("statistics")
                return FrameStatisticsSampler(statistics, specs, steps, lost, config.frames)
            case "simulated":
                return AugmentedSampler(draw_from(simulated()), specs, lost)
            case "inverted":
                initial = AugmentedSampler(draw_from(simulated()), specs, 0.0)
                start = to_device(device, initial.draw(config.inversion.inverted, update_generator(seed, 0)))
                inverted = invert(network, start, len(info.labels), config.inversion)
                return AugmentedSampler(draw_from(to_device(torch.device("cpu"), inverted)), specs, lost)
            case "generated":
                classes = len(info.labels)
                trained = train_generator(network, specs, steps, classes, config.generator, seed, device).cpu()
                return AugmentedSampler(lambda batch, generator: trained.draw(batch, generator)[0], specs, lost)
            case "recordings":
                windows = recorded_windows(checkpoint, data or DataOptions(), seed)
                return AugmentedSampler(draw_recorded(windows), specs, lost)
            case "noise":
                return NoiseSampler(specs, steps, lost)
            case _:
                raise AssertionError(f"source {name!r} is in SOURCES and has no sampler here")

    def sampler(name: str) -> WindowSampler:
        if name in (RECORDINGS, "noise"):  # recordings have faulty copies
            return clean_sampler(name)
        return SensorNoiseSampler(
            clean_sampler(name), specs, info.window, checkpoint.normalisation, config.noisy_sensor
        )

    return MixedSampler([sampler(name) for name in config.sources_for(checkpoint)], device)
