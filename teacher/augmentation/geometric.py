"""Geometric and temporal augmentation: rotation, scale, tempo, cropping, time warp, noise, dropout, mixup.

All operations act on features, not on raw signals: `signals.preprocess` scales the three axes of a group alike, so
rotating the features rotates the body or the sensor.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edgehar.config import Options, option
from edgehar.signals.modality import ModalitySpec


@dataclass(frozen=True)
class AugmentConfig(Options):
    """Augmentation."""

    heading_deg: float = option(25.0, "standard deviation of a skeleton's rotation about the vertical, degrees")
    tilt_deg: float = option(5.0, "standard deviation of a skeleton's tilt, degrees")
    mounting_deg: float = option(15.0, "standard deviation of an inertial sensor's rotation, degrees")
    size: float = option(0.1, "standard deviation of body size and sensor gain, relative")
    tempo: float = option(0.15, "standard deviation of the logarithm of a skeleton's speed")
    crop: float = option(0.25, "largest share of a window cropped at its ends")
    warp: float = option(0.1, "largest time warp, as a share of the window")
    shift: float = option(0.03, "standard deviation of the time offset of each modality, as a share of the window")
    noise: float = option(0.05, "standard deviation of additive noise, relative to a feature's scale")
    lost_joint: float = option(0.05, "probability of dropping a joint or triaxial sensor for a window")
    lost_step: float = option(0.05, "probability of dropping a step of a modality")
    lost_modality: float = option(0.15, "probability of dropping a modality for a window; one always remains")


def _normal(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    return torch.randn(shape, generator=generator).to(like.device)


def _uniform(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    return torch.rand(shape, generator=generator).to(like.device)


def rotation(angles_rad: Tensor) -> Tensor:
    """Rotation vectors (B, 3) -> rotation matrices (B, 3, 3), by the exponential map (Rodrigues' formula)."""
    x, y, z = angles_rad.unbind(1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)
    return torch.linalg.matrix_exp(skew)


def resample_time(frames: Tensor, position: Tensor) -> Tensor:
    """Linear interpolation along time.

    Args:
        frames: (B, L, C).
        position: (B, L) fractional frame indices in [0, L - 1].
    """
    left = position.floor().long().clamp(0, frames.shape[1] - 2)
    weight = (position - left)[..., None]
    index = left[..., None].expand(-1, -1, frames.shape[2])
    return frames.gather(1, index) * (1 - weight) + frames.gather(1, index + 1) * weight


def drop_modalities(
    valid: dict[str, Tensor], names: list[str], probability: float, generator: torch.Generator
) -> dict[str, Tensor]:
    """Modality dropout: mark whole modalities as invalid, but never all of a window."""
    batch = len(valid[names[0]])
    dropped = torch.rand(batch, len(names), generator=generator) < probability
    spared = torch.randint(len(names), (batch,), generator=generator)
    dropped[torch.arange(batch), spared] = False
    dropped = dropped.to(valid[names[0]].device)
    present = torch.stack([valid[name].any(1) for name in names], 1)
    dropped &= (present & ~dropped).any(1, keepdim=True)
    return {name: valid[name] & ~dropped[:, column, None] for column, name in enumerate(names)}


def augment(
    features: dict[str, Tensor],
    valid: dict[str, Tensor],
    specs: tuple[ModalitySpec, ...],
    config: AugmentConfig,
    generator: torch.Generator,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Augment a batch of windows.

    Args:
        features: modality -> (B, S, P, G, F).
        valid: modality -> (B, S) bool.
        specs: the modalities.
        config: strength of each augmentation.
        generator: source of every random number (CPU).

    Returns:
        Features and validity of the same shapes.
    """
    names = [spec.name for spec in specs]
    first = features[names[0]]
    batch, steps = first.shape[:2]
    start = _uniform((batch, 1), generator, first) * config.crop / 2
    end = 1 - _uniform((batch, 1), generator, first) * config.crop / 2
    warp = config.warp * (2 * _uniform((batch, 1), generator, first) - 1)
    tempo = torch.exp(config.tempo * _normal((batch, 1, 1, 1, 1), generator, first))
    augmented: dict[str, Tensor] = {}
    for spec in specs:
        tokens = features[spec.name]  # (B, S, P, G, F)
        length = steps * spec.patch
        phase = torch.linspace(0, 1, length, device=tokens.device)[None]
        offset = config.shift * _normal((batch, 1), generator, first)
        position = start + (end - start) * (phase + warp * torch.sin(torch.pi * phase)) + offset
        position = position.clamp(0, 1) * (length - 1)
        frames = resample_time(tokens.reshape(batch, length, -1), position)
        frames = frames.reshape(batch, length, spec.groups, 2, spec.group)  # value, motion
        if spec.group == 3:
            angles = _normal((batch, 3), generator, first)
            if spec.is_skeleton:
                sigma_deg = torch.full((3,), config.tilt_deg, device=first.device)
                sigma_deg[spec.vertical] = config.heading_deg
            else:
                sigma_deg = torch.full((3,), config.mounting_deg, device=first.device)
            rotations = rotation(torch.deg2rad(angles * sigma_deg))
            frames = torch.einsum("blgkc,bdc->blgkd", frames, rotations)
        frames = frames * (1 + config.size * _normal((batch, 1, 1, 1, 1), generator, first))
        if spec.is_skeleton:
            frames = torch.cat([frames[..., :1, :], frames[..., 1:, :] * tempo], 3)
        frames = frames + config.noise * _normal(tuple(frames.shape), generator, first)
        keep = _uniform((batch, 1, spec.groups, 1, 1), generator, first) >= config.lost_joint
        augmented[spec.name] = (frames * keep).reshape(tokens.shape)
    still_valid = {
        name: valid[name] & (_uniform((batch, steps), generator, first) >= config.lost_step) for name in names
    }
    if len(names) > 1:
        still_valid = drop_modalities(still_valid, names, config.lost_modality, generator)
    return {name: augmented[name] * still_valid[name][..., None, None, None] for name in names}, still_valid


def mixup(
    features: dict[str, Tensor],
    valid: dict[str, Tensor],
    target: Tensor,
    strength: float,
    generator: torch.Generator,
) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
    """Mixup (arXiv 1710.09412) of windows and their (B, K) targets; the own window gets the larger weight.

    A step is valid where it is valid in both windows; a modality that the partner lacks stays unmixed. `strength` is
    the parameter of the Beta distribution. Unlabelled windows (zero targets) are mixed with each other only: mixed
    with a labelled one, the target would not sum to 1.
    """
    batch = len(target)
    order = torch.randperm(batch, generator=generator).to(target.device)
    partner, labelled = torch.empty_like(order), target.any(1)
    for group in (labelled, ~labelled):
        partner[group] = order[group[order]]
    seed = int(torch.randint(2**31, (1,), generator=generator))
    share = np.random.default_rng(seed).beta(strength, strength, batch)
    weight = torch.as_tensor(np.maximum(share, 1 - share), dtype=target.dtype, device=target.device)
    mixed_target = target * weight[:, None] + target[partner] * (1 - weight[:, None])
    both = {
        name: flags & flags[partner] | ~flags[partner].any(1, keepdim=True) & flags for name, flags in valid.items()
    }
    broadcast = weight[:, None, None, None, None]
    mixed: dict[str, Tensor] = {}
    for name, tokens in features.items():
        partner_lacks = ~valid[name][partner].any(1)[:, None, None, None, None]
        blended = tokens * broadcast + tokens[partner] * (1 - broadcast)
        mixed[name] = torch.where(partner_lacks, tokens, blended) * both[name][..., None, None, None]
    return mixed, both, mixed_target
