"""Augmentation of a batch of prepared windows: other bodies, other headings, other tempos, lost sensors.

Everything acts on features, in place of recordings: the scales of `signals.preprocess` are the same for the three
axes of a group, so a rotation of the features is a rotation of the body or of the sensor.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edgehar.config import option
from edgehar.signals.modality import ModalitySpec


@dataclass(frozen=True)
class AugmentConfig:
    """How far augmented windows stray from recorded ones."""

    heading_deg: float = option(25.0, "standard deviation of the body's rotation about the vertical")
    tilt_deg: float = option(5.0, "standard deviation of a skeleton's tilt")
    mounting_deg: float = option(15.0, "standard deviation of an inertial sensor's rotation")
    size: float = option(0.1, "standard deviation of body size and sensor gain")
    tempo: float = option(0.15, "standard deviation of speed")
    crop: float = option(0.25, "longest share of a clip cut away at its ends")
    warp: float = option(0.1, "strongest bend of time within a window, in shares of the window")
    shift: float = option(0.03, "standard deviation of the offset between modalities, in shares of the window")
    noise: float = option(0.05, "standard deviation of noise, in shares of a feature's scale")
    lost_joint: float = option(0.05, "chance of losing a joint or sensor for a window")
    lost_step: float = option(0.05, "chance of losing a step")
    lost_modality: float = option(0.15, "chance of losing a modality for a window; never all of them")


def _normal(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    return torch.randn(shape, generator=generator).to(like.device)


def _uniform(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    return torch.rand(shape, generator=generator).to(like.device)


def rotation(angles_rad: Tensor) -> Tensor:
    """(B, 3) rotation vectors -> (B, 3, 3) rotation matrices, by the exponential map (Rodrigues' formula)."""
    x, y, z = angles_rad.unbind(1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)
    return torch.linalg.matrix_exp(skew)


def resample_time(frames: Tensor, position: Tensor) -> Tensor:
    """Straight-line interpolation along time.

    Args:
        frames: (B, L, C).
        position: (B, L) fractional frame numbers in [0, L - 1].
    """
    left = position.floor().long().clamp(0, frames.shape[1] - 2)
    weight = (position - left)[..., None]
    index = left[..., None].expand(-1, -1, frames.shape[2])
    return frames.gather(1, index) * (1 - weight) + frames.gather(1, index + 1) * weight


def lose_modalities(
    valid: dict[str, Tensor], names: list[str], chance: float, generator: torch.Generator
) -> dict[str, Tensor]:
    """Mark whole modalities as missing, never all that a window has."""
    batch = len(valid[names[0]])
    lost = torch.rand(batch, len(names), generator=generator) < chance
    spared = torch.randint(len(names), (batch,), generator=generator)
    lost[torch.arange(batch), spared] = False
    lost = lost.to(valid[names[0]].device)
    present = torch.stack([valid[name].any(1) for name in names], 1)
    lost &= (present & ~lost).any(1, keepdim=True)
    return {name: valid[name] & ~lost[:, column, None] for column, name in enumerate(names)}


def augment(
    features: dict[str, Tensor],
    valid: dict[str, Tensor],
    specs: tuple[ModalitySpec, ...],
    config: AugmentConfig,
    generator: torch.Generator,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Stray from the recorded windows.

    Args:
        features: modality -> (B, S, P, G, F).
        valid: modality -> (B, S) bool.
        specs: the modalities.
        config: how far.
        generator: source of every random number (CPU).

    Returns:
        features and validity of the same shapes.
    """
    names = [spec.name for spec in specs]
    some = features[names[0]]
    batch, steps = some.shape[:2]
    begin = _uniform((batch, 1), generator, some) * config.crop / 2
    end = 1 - _uniform((batch, 1), generator, some) * config.crop / 2
    bend = config.warp * (2 * _uniform((batch, 1), generator, some) - 1)
    tempo = torch.exp(config.tempo * _normal((batch, 1, 1, 1, 1), generator, some))
    moved: dict[str, Tensor] = {}
    for spec in specs:
        tokens = features[spec.name]  # (B, S, P, G, F)
        length = steps * spec.patch
        phase = torch.linspace(0, 1, length, device=tokens.device)[None]
        offset = config.shift * _normal((batch, 1), generator, some)
        position = begin + (end - begin) * (phase + bend * torch.sin(torch.pi * phase)) + offset
        position = position.clamp(0, 1) * (length - 1)
        frames = resample_time(tokens.reshape(batch, length, -1), position)
        frames = frames.reshape(batch, length, spec.groups, 2, spec.group)  # value, motion
        if spec.group == 3:
            angles = _normal((batch, 3), generator, some)
            if spec.is_skeleton:
                spread = torch.full((3,), config.tilt_deg, device=some.device)
                spread[spec.vertical] = config.heading_deg
            else:
                spread = torch.full((3,), config.mounting_deg, device=some.device)
            turn = rotation(torch.deg2rad(angles * spread))
            frames = torch.einsum("blgkc,bdc->blgkd", frames, turn)
        frames = frames * (1 + config.size * _normal((batch, 1, 1, 1, 1), generator, some))
        if spec.is_skeleton:
            frames = torch.cat([frames[..., :1, :], frames[..., 1:, :] * tempo], 3)
        frames = frames + config.noise * _normal(tuple(frames.shape), generator, some)
        kept = _uniform((batch, 1, spec.groups, 1, 1), generator, some) >= config.lost_joint
        moved[spec.name] = (frames * kept).reshape(tokens.shape)
    shown = {name: valid[name] & (_uniform((batch, steps), generator, some) >= config.lost_step) for name in names}
    shown = lose_modalities(shown, names, config.lost_modality, generator) if len(names) > 1 else shown
    return {name: moved[name] * shown[name][..., None, None, None] for name in names}, shown


def mix(
    features: dict[str, Tensor],
    valid: dict[str, Tensor],
    target: Tensor,
    strength: float,
    generator: torch.Generator,
) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
    """Mixup (arXiv 1710.09412) of windows and their (B, K) targets, with the heavier part first.

    A step is valid where both parts are; `strength` is the parameter of the Beta distribution. Windows without a target
    (zeros) are mixed with each other only, as half a target would say that the rest is nothing.
    """
    batch = len(target)
    order = torch.randperm(batch, generator=generator).to(target.device)
    partner, told = torch.empty_like(order), target.any(1)
    for alike in (told, ~told):
        partner[alike] = order[alike[order]]
    seed = int(torch.randint(2**31, (1,), generator=generator))
    share = np.random.default_rng(seed).beta(strength, strength, batch)
    weight = torch.as_tensor(np.maximum(share, 1 - share), dtype=target.dtype, device=target.device)
    mixed_target = target * weight[:, None] + target[partner] * (1 - weight[:, None])
    both = {
        name: flags & flags[partner] | ~flags[partner].any(1, keepdim=True) & flags for name, flags in valid.items()
    }
    wide = weight[:, None, None, None, None]
    mixed: dict[str, Tensor] = {}
    for name, tokens in features.items():
        lone = ~valid[name][partner].any(1)[:, None, None, None, None]
        blended = tokens * wide + tokens[partner] * (1 - wide)
        mixed[name] = torch.where(lone, tokens, blended) * both[name][..., None, None, None]
    return mixed, both, mixed_target
