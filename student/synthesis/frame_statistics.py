"""Smooth random motion with the statistics of the training frames (source `smooth`).

The statistics are the mean and covariance of the channels and the spread of their motion, over single frames
(`edgehar.teacher.training.moments`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgehar.config import Options, option
from edgehar.errors import CheckpointError, ConfigError
from edgehar.signals.clip import Floats
from edgehar.signals.modality import ModalitySpec
from edgehar.student.windows import Inputs
from edgehar.teacher.augmentation.geometric import AugmentConfig, drop_modalities, keep_groups


@dataclass(frozen=True)
class FrameStatisticsConfig(Options):
    """Windows of --source smooth."""

    slowest: float = option(0.3, "fewest cycles of a motion per window", above=0)
    fastest: float = option(4.0, "most cycles of a motion per window", above=0)
    waves: int = option(6, "cosines per channel", at_least=1)
    still: float = option(0.5, "share of the variance that is constant within a window", at_least=0, at_most=1)
    spread: float = option(1.3, "standard deviation of frames, relative to the stored one", at_least=0)

    def __post_init__(self) -> None:
        """Raise ConfigError if the slowest motion is faster than the fastest."""
        super().__post_init__()
        if self.slowest > self.fastest:
            raise ConfigError(f"--slowest {self.slowest}, --fastest {self.fastest}: expected the slowest to be lower")


def _factor(covariance: list[list[float]]) -> Floats:
    """(C, C) square root of a covariance: white noise times its transpose has that covariance."""
    values, vectors = np.linalg.eigh(np.asarray(covariance, np.float64))
    return (vectors * np.sqrt(np.maximum(values, 0))).astype(np.float32)


class FrameStatisticsSampler:
    """Draws sums of cosines with the stored mean and covariance, and motion with the stored spread."""

    def __init__(
        self,
        statistics: dict[str, Any] | None,
        specs: tuple[ModalitySpec, ...],
        steps: int,
        lost_modality: float,
        config: FrameStatisticsConfig,
    ) -> None:
        """Windows of S = `steps` for these modalities; `lost_modality` is the probability that a modality is missing.

        Raises CheckpointError if a modality has no statistics.
        """
        expected = {"mean", "covariance", "motion"}
        if statistics is None or any(not expected <= set(statistics.get(spec.name, ())) for spec in specs):
            raise CheckpointError(
                f"frame statistics: found {', '.join(statistics or {}) or 'none'}; expected "
                f"{', '.join(spec.name for spec in specs)}; train again, or prune with another --source"
            )
        self.specs, self.steps, self.lost_modality, self.config = specs, steps, lost_modality, config
        self.mean = {name: torch.tensor(entry["mean"]) for name, entry in statistics.items()}
        self.factor = {name: torch.as_tensor(_factor(entry["covariance"])) for name, entry in statistics.items()}
        self.motion = {name: torch.tensor(entry["motion"]) for name, entry in statistics.items()}

    def draw(self, batch: int, generator: torch.Generator) -> Inputs:
        """A batch of B windows."""
        config = self.config
        span = np.log(config.fastest / config.slowest)
        fastest = config.slowest * torch.exp(span * torch.rand(batch, 1, 1, generator=generator))
        spread = config.spread * (0.4 + 1.2 * torch.rand(batch, 1, 1, generator=generator))
        features: dict[str, Tensor] = {}
        for spec in self.specs:
            length, channels = self.steps * spec.patch, spec.channels
            cycles = fastest[..., None] * torch.rand(batch, 1, channels, config.waves, generator=generator)
            phase = torch.rand(batch, 1, channels, config.waves, generator=generator)
            time = torch.linspace(0, 1, length)[None, :, None, None]
            angle = 2 * torch.pi * (cycles * time + phase)  # (B, L, C, waves)
            wave = angle.cos().sum(-1) * (2 / config.waves) ** 0.5
            slope = -(angle.sin() * cycles).sum(-1)  # (B, L, C)
            constant = torch.randn(batch, 1, channels, generator=generator)
            noise = config.still**0.5 * constant + (1 - config.still) ** 0.5 * wave
            factor = self.factor[spec.name]
            value = self.mean[spec.name] + spread * (noise @ factor.T)
            # A channel without variance, such as a skeleton's root relative to itself, may still have motion.
            fixed = factor.abs().sum(1) == 0
            motion = torch.where(fixed, slope, slope @ factor.T)
            size = motion.square().mean((0, 1)).sqrt().clamp(min=1e-6)
            motion = motion / size * self.motion[spec.name] * spread
            shape = (batch, self.steps, spec.patch, spec.groups, spec.group)
            features[spec.name] = torch.cat([value.reshape(shape), motion.reshape(shape)], -1)
            if spec.lost_joints:
                features[spec.name] *= keep_groups(batch, spec, AugmentConfig().lost_joint, generator)
        valid = {spec.name: torch.ones(batch, self.steps, dtype=torch.bool) for spec in self.specs}
        if len(self.specs) > 1:
            valid = drop_modalities(valid, [spec.name for spec in self.specs], self.lost_modality, generator)
        return {name: tokens * valid[name][..., None, None, None] for name, tokens in features.items()}, valid
