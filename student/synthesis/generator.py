"""A small network that makes up windows on which a pruned copy of a network still errs.

Data-free adversarial distillation (arXiv 1912.11006, section 3): the generator seeks windows on which the two networks
disagree, the copy learns to agree on them. Beside that the network has to name the activity each window was made for,
as in DAFL (arXiv 1904.01186, section 3.2), so that the windows stay near what it was trained on. A window is a sum of
slow cosines per channel, and its motion the slope of that, so it is as smooth as people are.
"""

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from edgehar.config import option
from edgehar.errors import ConfigError
from edgehar.signals.modality import ModalitySpec
from edgehar.student.losses import soft_targets
from edgehar.student.pruning.importance import l2
from edgehar.student.pruning.units import parts_of, remove
from edgehar.student.windows import Inputs
from edgehar.teacher.training.batches import update_generator

NOISE, UNITS, WAVES = 64, 128, 8
BATCH = 64


@dataclass(frozen=True)
class GeneratorConfig:
    """How the generator is trained."""

    generator_steps: int = option(300, "updates of the generator, and of the copy it is trained against")
    generator_rate: float = option(2e-3, "learning rate of both")
    disagreement: float = option(0.5, "weight of the disagreement that the generator seeks")
    roughness: float = option(0.1, "weight of the mean absolute slope of generated signals")

    def __post_init__(self) -> None:
        """Refuse what trains nothing."""
        if self.generator_steps < 1 or not 0 < self.generator_rate < math.inf:
            raise ConfigError(
                f"--generator-steps {self.generator_steps}, --generator-rate {self.generator_rate}: expected 1 or "
                "more, and a finite rate above 0"
            )
        if not (0 <= self.disagreement < math.inf and 0 <= self.roughness < math.inf):
            raise ConfigError(
                f"--disagreement {self.disagreement}, --roughness {self.roughness}: expected finite "
                "weights of 0 or more"
            )


class WindowGenerator(nn.Module):
    """Noise and an activity -> the features of a window."""

    def __init__(self, specs: tuple[ModalitySpec, ...], steps: int, classes: int) -> None:
        """Windows of S = `steps` for these modalities; K = `classes`."""
        super().__init__()
        self._specs, self._steps, self._classes = specs, steps, classes
        self._sizes = [WAVES * spec.channels for spec in specs]
        self.hidden = nn.Linear(NOISE + classes, UNITS)
        self.weights = nn.Linear(UNITS, sum(self._sizes))

    def forward(self, noise: Tensor, activity: Tensor) -> dict[str, Tensor]:
        """(B, NOISE) and (B,) -> modality -> (B, S, P, G, F), each signal and its motion of root mean square near 1."""
        given = torch.cat([noise, functional.one_hot(activity, self._classes).to(noise.dtype)], 1)
        parts = self.weights(functional.gelu(self.hidden(given))).split(self._sizes, 1)
        features: dict[str, Tensor] = {}
        for spec, part in zip(self._specs, parts, strict=True):
            time = (torch.arange(self._steps * spec.patch, device=noise.device) + 0.5) / (self._steps * spec.patch)
            angle = math.pi * torch.arange(WAVES, device=noise.device)[:, None] * time  # (waves, L)
            share = 1 / (1 + torch.arange(WAVES, device=noise.device))
            amounts = part.unflatten(1, (spec.channels, WAVES)) * share  # (B, C, waves)
            slopes = amounts * torch.arange(WAVES, device=noise.device)
            signals = [amounts @ angle.cos(), -slopes @ angle.sin()]  # (B, C, L) each
            shape = (len(noise), self._steps, spec.patch, spec.groups, spec.group)
            scaled = [signal / signal.square().mean().sqrt().clamp(min=1e-6) for signal in signals]
            features[spec.name] = torch.cat([signal.transpose(1, 2).reshape(shape) for signal in scaled], -1)
        return features

    def draw(self, batch: int, generator: torch.Generator) -> tuple[Inputs, Tensor]:
        """A batch of B whole windows, and the activities that they were made for."""
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
    """A generator trained against the disagreement of `network` with a copy that lacks half of its units."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = WindowGenerator(specs, steps, classes).to(device)
    with torch.no_grad():
        begun, _ = made.draw(BATCH, update_generator(seed, 0))
    parts = parts_of(network, width=False)
    scores = l2(copy.deepcopy(network).requires_grad_(True), parts, begun)
    gone = {part.name: scores[part.name].argsort()[: part.count // 2] for part in parts}
    rival: Any = remove(network, gone, parts, begun)[0]
    rival.eval()
    seeks = torch.optim.Adam(made.parameters(), lr=config.generator_rate)
    learns = torch.optim.Adam(rival.parameters(), lr=config.generator_rate)
    for step in tqdm(range(config.generator_steps), "generator", unit="update", disable=None):
        windows, activity = made.draw(BATCH, update_generator(seed, step + 1))
        known = network(*windows).logits
        apart = soft_targets(rival(*windows).logits, known, 1.0)
        rough = sum(part.flatten(1, 2).diff(dim=1).abs().mean() for part in windows[0].values())
        loss = functional.cross_entropy(known, activity) + config.roughness * rough
        seeks.zero_grad()
        (loss - config.disagreement * apart).backward()
        seeks.step()
        features = {name: part.detach() for name, part in windows[0].items()}
        learns.zero_grad()
        soft_targets(rival(features, windows[1]).logits, known.detach(), 1.0).backward()
        learns.step()
    return made.requires_grad_(False)
