"""Adversarial generator of windows on which a network and a pruned copy disagree (source `generated`).

Data-free adversarial distillation (arXiv 1912.11006, section 3): the generator maximises the disagreement of the two
networks, the copy minimises it. In addition the network has to predict the activity that each window was generated
for, as in DAFL (arXiv 1904.01186, section 3.2), which keeps the windows close to the training distribution. A window
is a sum of slow cosines per channel, and its motion their slope, so it is as smooth as human motion.
"""

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from edgehar.config import Options, option
from edgehar.signals.modality import ModalitySpec
from edgehar.student.losses import soft_targets
from edgehar.student.pruning.importance import l2
from edgehar.student.pruning.units import parts_of, remove
from edgehar.student.windows import Inputs
from edgehar.teacher.training.batches import update_generator

NOISE, UNITS, WAVES = 64, 128, 8
BATCH = 64


@dataclass(frozen=True)
class GeneratorConfig(Options):
    """Windows of --source generated."""

    generator_steps: int = option(300, "updates of the generator and of its adversary, a pruned copy", at_least=1)
    generator_rate: float = option(2e-3, "learning rate of both", above=0)
    disagreement: float = option(0.5, "weight of the disagreement that the generator maximises", at_least=0)
    roughness: float = option(0.1, "weight of the mean absolute slope of generated signals", at_least=0)


class WindowGenerator(nn.Module):
    """Conditional generator: noise and an activity -> the features of a window."""

    def __init__(self, specs: tuple[ModalitySpec, ...], steps: int, classes: int) -> None:
        """A generator of windows of S = `steps` for these modalities and K = `classes`."""
        super().__init__()
        self._specs, self._steps, self._classes = specs, steps, classes
        self._sizes = [WAVES * spec.channels for spec in specs]
        self.hidden = nn.Linear(NOISE + classes, UNITS)
        self.weights = nn.Linear(UNITS, sum(self._sizes))

    def forward(self, noise: Tensor, activity: Tensor) -> dict[str, Tensor]:
        """(B, NOISE) and (B,) -> modality -> (B, S, P, G, F); root mean squares of signals and motions are near 1."""
        condition = torch.cat([noise, functional.one_hot(activity, self._classes).to(noise.dtype)], 1)
        parts = self.weights(functional.gelu(self.hidden(condition))).split(self._sizes, 1)
        features: dict[str, Tensor] = {}
        for spec, part in zip(self._specs, parts, strict=True):
            time = (torch.arange(self._steps * spec.patch, device=noise.device) + 0.5) / (self._steps * spec.patch)
            angle = math.pi * torch.arange(WAVES, device=noise.device)[:, None] * time  # (waves, L)
            decay = 1 / (1 + torch.arange(WAVES, device=noise.device))
            amplitudes = part.unflatten(1, (spec.channels, WAVES)) * decay  # (B, C, waves)
            slopes = amplitudes * torch.arange(WAVES, device=noise.device)
            signals = [amplitudes @ angle.cos(), -slopes @ angle.sin()]  # (B, C, L) each
            shape = (len(noise), self._steps, spec.patch, spec.groups, spec.group)
            scaled = [signal / signal.square().mean().sqrt().clamp(min=1e-6) for signal in signals]
            features[spec.name] = torch.cat([signal.transpose(1, 2).reshape(shape) for signal in scaled], -1)
        return features

    def draw(self, batch: int, generator: torch.Generator) -> tuple[Inputs, Tensor]:
        """A batch of B fully valid windows, and the activities they were generated for."""
        device = self.hidden.weight.device
        noise = torch.randn(batch, NOISE, generator=generator).to(device)
        activity = torch.randint(self._classes, (batch,), generator=generator).to(device)
        features = self(noise, activity)
        valid = {name: torch.ones(part.shape[:2], dtype=torch.bool, device=device) for name, part in features.items()}
        return (features, valid), activity


def train_generator(
    network: nn.Module,
    specs: tuple[ModalitySpec, ...],
    steps: int,
    classes: int,
    config: GeneratorConfig,
    seed: int,
    device: torch.device,
) -> WindowGenerator:
    """Train a generator against a copy of `network` without half of its units; `network` is not changed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = WindowGenerator(specs, steps, classes).to(device)
    with torch.no_grad():
        initial, _ = generator.draw(BATCH, update_generator(seed, 0))
    parts = parts_of(network, width=False)
    scores = l2(copy.deepcopy(network).requires_grad_(True), parts, initial)
    removed = {part.name: scores[part.name].argsort()[: part.count // 2] for part in parts}
    adversary: Any = remove(network, removed, parts, initial)[0]
    adversary.eval()
    generator_optimiser = torch.optim.Adam(generator.parameters(), lr=config.generator_rate)
    adversary_optimiser = torch.optim.Adam(adversary.parameters(), lr=config.generator_rate)
    for step in tqdm(range(config.generator_steps), "generator", unit="update", disable=None):
        windows, activity = generator.draw(BATCH, update_generator(seed, step + 1))
        expected = network(*windows).logits
        disagreement = soft_targets(adversary(*windows).logits, expected, 1.0)
        roughness = sum(part.flatten(1, 2).diff(dim=1).abs().mean() for part in windows[0].values())
        loss = functional.cross_entropy(expected, activity) + config.roughness * roughness
        generator_optimiser.zero_grad()
        (loss - config.disagreement * disagreement).backward()
        generator_optimiser.step()
        features = {name: part.detach() for name, part in windows[0].items()}
        adversary_optimiser.zero_grad()
        soft_targets(adversary(features, windows[1]).logits, expected.detach(), 1.0).backward()
        adversary_optimiser.step()
    return generator.requires_grad_(False)
