"""Sensor noise on synthetic windows, so that pruned networks stay robust to it.

Noise of a sample enters the features twice: in the value, and in the motion, the difference of two samples over their
distance in time, where it is several times as strong. A network recovered on clean windows only loses its robustness.
"""

import torch

from edgehar.signals.modality import ModalitySpec, WindowSpec
from edgehar.signals.preprocess import Normalisation
from edgehar.student.windows import Inputs, WindowSampler

MAX_NOISE = 0.25
"""Largest standard deviation of the noise, relative to the root mean square of the training values."""


class SensorNoiseSampler:
    """Adds noise of random strength to random sensors of another sampler's windows."""

    def __init__(
        self,
        sampler: WindowSampler,
        specs: tuple[ModalitySpec, ...],
        window: WindowSpec,
        normalisation: Normalisation,
        probability: float,
    ) -> None:
        """Windows of these sensors with this normalisation; `probability` is that of noise, per sensor and window."""
        self._sampler, self._specs, self._probability = sampler, specs, probability
        self._gain: dict[str, torch.Tensor] = {}
        for spec in specs:
            value, motion = torch.as_tensor(normalisation.scale[spec.name]).unbind(1)
            self._gain[spec.name] = (value / (window.step_s / spec.patch * motion))[:, None]  # (G, 1)

    def draw(self, batch: int, generator: torch.Generator) -> Inputs:
        """A batch of B windows."""
        features, valid = self._sampler.draw(batch, generator)
        noisy: dict[str, torch.Tensor] = {}
        for spec in self._specs:
            tokens = features[spec.name]  # (B, S, P, G, F)
            rows, steps = tokens.shape[:2]
            size = MAX_NOISE * torch.rand(rows, generator=generator)
            size = size * (torch.rand(rows, generator=generator) < self._probability)
            noise = torch.randn(rows, steps * spec.patch + 1, spec.groups, spec.group, generator=generator)
            noise = noise * size[:, None, None, None]
            value, motion = noise[:, 1:], noise[:, 1:] - noise[:, :-1]
            if spec.is_skeleton:  # relative to the root, which keeps its own motion
                root, root_motion = spec.root, motion[:, :, spec.root]
                value, motion = (part - part[:, :, root : root + 1] for part in (value, motion))
                motion[:, :, root] = root_motion
            added = torch.cat([value, motion * self._gain[spec.name]], -1).reshape(tokens.shape)
            added = added * valid[spec.name][..., None, None, None]
            noisy[spec.name] = tokens + (added * tokens.any(-1, keepdim=True) if spec.lost_joints else added)
        return noisy, valid
