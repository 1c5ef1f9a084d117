"""Noise of the sensors on windows that no one recorded, so that what is pruned on them stays as robust as it was.

Noise of a sample is in the features twice: in the value and, as the difference of two samples over their distance in
time, in the motion, where it is several times as strong. A network recovered on sound windows alone forgets what to
do about it.
"""

import torch

from edgehar.signals.modality import ModalitySpec, WindowSpec
from edgehar.signals.preprocess import Normalisation
from edgehar.student.windows import Inputs, WindowSampler

STRONGEST = 0.25
"""Standard deviation of the noise, in shares of the root-mean-square of the training values."""


class SensorNoiseSampler:
    """A source of which some sensors are noisy, each as strongly as chance has it."""

    def __init__(
        self,
        source: WindowSampler,
        specs: tuple[ModalitySpec, ...],
        window: WindowSpec,
        normalisation: Normalisation,
        chance: float,
    ) -> None:
        """Windows of these sensors, normalised like this; `chance` is that of a sensor to be noisy in a window."""
        self._source, self._specs, self._chance = source, specs, chance
        self._gain: dict[str, torch.Tensor] = {}
        for spec in specs:
            value, motion = torch.as_tensor(normalisation.scale[spec.name]).unbind(1)
            self._gain[spec.name] = (value / (window.step_s / spec.patch * motion))[:, None]  # (G, 1)

    def draw(self, batch: int, generator: torch.Generator) -> Inputs:
        """A batch of B windows."""
        features, valid = self._source.draw(batch, generator)
        noisy: dict[str, torch.Tensor] = {}
        for spec in self._specs:
            tokens = features[spec.name]  # (B, S, P, G, F)
            rows, steps = tokens.shape[:2]
            size = STRONGEST * torch.rand(rows, generator=generator)
            size = size * (torch.rand(rows, generator=generator) < self._chance)
            drawn = torch.randn(rows, steps * spec.patch + 1, spec.groups, spec.group, generator=generator)
            drawn = drawn * size[:, None, None, None]
            value, motion = drawn[:, 1:], drawn[:, 1:] - drawn[:, :-1]
            if spec.is_skeleton:  # relative to the root, which keeps its own motion
                root, of_root = spec.root, motion[:, :, spec.root]
                value, motion = (part - part[:, :, root : root + 1] for part in (value, motion))
                motion[:, :, root] = of_root
            added = torch.cat([value, motion * self._gain[spec.name]], -1).reshape(tokens.shape)
            noisy[spec.name] = tokens + added * valid[spec.name][..., None, None, None]
        return noisy, valid
