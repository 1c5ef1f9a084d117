"""Geometric and temporal augmentation: mirroring, rotation, scale, tempo, crop, time warp, noise, dropout, mixup.

All operations act on features, not on raw signals: `signals.preprocess` scales the axes of a group alike, so rotating
the features rotates the body or the sensor. A 2-D skeleton is rotated in the picture; of a body that turns about the
vertical, the picture shows that it becomes narrower.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edgehar.config import Options, option
from edgehar.signals.modality import ModalitySpec
from edgehar.teacher.augmentation.mirror import mirror

MOST_LOST = 8
"""A window of a skeleton whose joints may be lost loses up to this many times --lost-joint of its joints."""


@dataclass(frozen=True)
class AugmentConfig(Options):
    """Augmentation."""

    heading_deg: float = option(
        25.0, "standard deviation of a skeleton's rotation about the vertical, degrees", at_least=0, at_most=180
    )
    tilt_deg: float = option(5.0, "standard deviation of a skeleton's tilt, degrees", at_least=0, at_most=180)
    mounting_deg: float = option(
        15.0, "standard deviation of an inertial sensor's rotation, degrees", at_least=0, at_most=180
    )
    size: float = option(0.1, "standard deviation of body size and sensor gain, relative", at_least=0, at_most=1)
    tempo: float = option(0.15, "standard deviation of the logarithm of a skeleton's speed", at_least=0, at_most=1)
    crop: float = option(0.25, "largest share of a window cropped at its ends", at_least=0, at_most=1)
    # Above 1 / pi, time would run backwards.
    warp: float = option(0.1, "largest time warp, as a share of the window", at_least=0, at_most=0.3)
    shift: float = option(
        0.03, "standard deviation of the time offset of each modality, as a share of the window", at_least=0, at_most=1
    )
    noise: float = option(0.05, "standard deviation of additive noise, relative to a feature's scale", at_least=0)
    lost_joint: float = option(
        0.05,
        "probability of dropping a joint or triaxial sensor for a window; up to 8 times as high, differently for each "
        "window, where lost_joints is set",
        at_least=0,
        below=1,
    )
    lost_step: float = option(0.05, "probability of dropping a step of a modality", at_least=0, below=1)
    lost_modality: float = option(
        0.15, "probability of dropping a modality for a window; one always remains", at_least=0, at_most=1
    )
    mirror: float = option(
        0.0,
        "probability of mirroring a window: left and right of a skeleton exchanged, inertial sensors as on the other "
        "side of the body",
        at_least=0,
        at_most=1,
    )


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


def _turn(frames: Tensor, spec: ModalitySpec, config: AugmentConfig, angles: Tensor) -> Tensor:
    """Rotate the body or the sensor.

    Args:
        frames: (B, L, G, 2, group) values and motions.
        spec: the modality, with groups of 2 or 3 axes.
        config: standard deviations.
        angles: (B, 3) standard normal numbers.
    """
    if spec.is_picture:
        tilt, heading = torch.deg2rad(angles[:, 0] * config.tilt_deg), torch.deg2rad(angles[:, 1] * config.heading_deg)
        width = torch.ones(len(frames), 2, device=frames.device)
        width[:, 1 - spec.vertical] = torch.cos(heading)
        cos, sin = torch.cos(tilt), torch.sin(tilt)
        rotations = torch.stack([cos, -sin, sin, cos], 1).reshape(-1, 2, 2) * width[:, None]  # narrower, then tilted
    else:
        sigma_deg = torch.full((3,), config.tilt_deg if spec.is_skeleton else config.mounting_deg, device=frames.device)
        if spec.is_skeleton:
            sigma_deg[spec.vertical] = config.heading_deg
        rotations = rotation(torch.deg2rad(angles * sigma_deg))
    return torch.einsum("blgkc,bdc->blgkd", frames, rotations)


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


def keep_groups(batch: int, spec: ModalitySpec, lost_joint: float, generator: torch.Generator) -> Tensor:
    """(B, 1, 1, G, 1) False where a window loses a joint or triaxial sensor, on the CPU.

    Each is lost with probability `lost_joint`. Of a skeleton whose joints may be lost, that probability is drawn for
    each window, up to MOST_LOST times as high, as a camera sees all of one person and half of another.
    """
    draw = torch.rand(batch, 1, 1, spec.groups, 1, generator=generator)
    if not spec.lost_joints:
        return draw >= lost_joint
    return draw >= MOST_LOST * lost_joint * torch.rand(batch, 1, 1, 1, 1, generator=generator)


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
    features, valid = mirror(features, valid, specs, config.mirror, generator)
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
        if spec.group == 3 or spec.is_picture:
            frames = _turn(frames, spec, config, _normal((batch, 3), generator, first))
        frames = frames * (1 + config.size * _normal((batch, 1, 1, 1, 1), generator, first))
        if spec.is_skeleton:
            frames = torch.cat([frames[..., :1, :], frames[..., 1:, :] * tempo], 3)
        frames = frames + config.noise * _normal(tuple(frames.shape), generator, first)
        keep = keep_groups(batch, spec, config.lost_joint, generator).to(first.device)[:, 0]  # (B, 1, G, 1)
        if spec.lost_joints:  # what was lost stays lost
            known = tokens.flatten(1, 2).any(-1).to(tokens.dtype)  # (B, L, G)
            keep = keep & (resample_time(known, position) == 1)[..., None]
        augmented[spec.name] = (frames * keep[..., None]).reshape(tokens.shape)
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
    lost_joints: Collection[str] = (),
) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
    """Mixup (arXiv 1710.09412) of windows and their (B, K) targets; the own window gets the larger weight.

    A step is valid where it is valid in both windows; a modality that the partner lacks stays unmixed. `strength` is
    the parameter of the Beta distribution. In the modalities `lost_joints`, a joint that the partner lacks stays
    unmixed, and one that the window lacks stays lost. Unlabelled windows (zero targets) are mixed with each other only:
    mixed with a labelled one, the target would not sum to 1.
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
        if name in lost_joints:
            known = tokens.any(-1, keepdim=True)  # (B, S, P, G, 1)
            blended = torch.where(known[partner], blended, tokens) * known
        mixed[name] = torch.where(partner_lacks, tokens, blended) * both[name][..., None, None, None]
    return mixed, both, mixed_target
