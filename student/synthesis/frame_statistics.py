"""Inputs that no one ever recorded: smooth motion drawn from the moments of single frames (`training.moments`)."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgehar.config import option
from edgehar.errors import CheckpointError, ConfigError
from edgehar.signals.clip import Floats
from edgehar.signals.modality import ModalitySpec
from edgehar.student.windows import Inputs
from edgehar.teacher.augmentation.geometric import lose_modalities


@dataclass(frozen=True)
class FrameStatisticsConfig:
    """How dreamed motion varies."""

    slowest: float = option(0.3, "fewest cycles of a dreamed motion per window")
    fastest: float = option(4.0, "most cycles of a dreamed motion per window")
    waves: int = option(6, "cosines a dreamed motion is made of")
    still: float = option(0.5, "share of the variance that stays constant over a window")
    spread: float = option(1.3, "spread of dreamed frames, in shares of the stored one")
    lost_modality: float = option(0.1, "chance that a dreamed window lacks a modality")
    noisy_sensor: float = option(0.1, "chance that a sensor of a dreamed window is noisy")

    def __post_init__(self) -> None:
        """Refuse motion that cannot be."""
        if not 0 < self.slowest <= self.fastest < math.inf or self.waves < 1:
            raise ConfigError(
                f"--slowest {self.slowest}, --fastest {self.fastest}, --waves {self.waves}: expected cycles above 0, "
                "the slowest first, and 1 wave or more"
            )
        shares = {"still": self.still, "lost-modality": self.lost_modality, "noisy-sensor": self.noisy_sensor}
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ConfigError(f"--{name} {share}: expected 0 to 1")
        if not 0 <= self.spread < math.inf:
            raise ConfigError(f"--spread {self.spread}: expected a finite number of 0 or more")


def _factor(covariance: list[list[float]]) -> Floats:
    """(C, C) square root of a covariance, so that unit noise times its transpose has that covariance."""
    values, vectors = np.linalg.eigh(np.asarray(covariance, np.float64))
    return (vectors * np.sqrt(np.maximum(values, 0))).astype(np.float32)


class FrameStatisticsSampler:
    """Draws batches of synthetic windows from stored statistics."""

    def __init__(
        self,
        statistics: dict[str, Any] | None,
        specs: tuple[ModalitySpec, ...],
        steps: int,
        config: FrameStatisticsConfig,
    ) -> None:
        """Windows of S = `steps` for these modalities; raises CheckpointError if there are no statistics of them."""
        known = {"mean", "covariance", "motion"}
        if statistics is None or any(not known <= set(statistics.get(spec.name, ())) for spec in specs):
            raise CheckpointError(
                f"moments of single frames: found {', '.join(statistics or {}) or 'none'}; expected "
                f"{', '.join(spec.name for spec in specs)}; train again, or prune with another --source"
            )
        self.specs, self.steps, self.config = specs, steps, config
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
            # A channel that never varies (a skeleton's root against itself) may still move, on its own.
            fixed = factor.abs().sum(1) == 0
            motion = torch.where(fixed, slope, slope @ factor.T)
            size = motion.square().mean((0, 1)).sqrt().clamp(min=1e-6)
            motion = motion / size * self.motion[spec.name] * spread
            shape = (batch, self.steps, spec.patch, spec.groups, spec.group)
            features[spec.name] = torch.cat([value.reshape(shape), motion.reshape(shape)], -1)
        valid = {spec.name: torch.ones(batch, self.steps, dtype=torch.bool) for spec in self.specs}
        if len(self.specs) > 1:
            valid = lose_modalities(valid, [spec.name for spec in self.specs], config.lost_modality, generator)
        return {name: tokens * valid[name][..., None, None, None] for name, tokens in features.items()}, valid
