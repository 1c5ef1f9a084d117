"""Mirrored windows: left and right of a body exchanged, and sensors as if worn on its other side.

A skeleton is reflected through a vertical plane between its left and right joints, which then change names. A sensor
cannot be reflected: worn on the other side, one of its axes points the other way relative to the mirrored body. With
that axis k, the acceleration changes the sign of its component k; the angular rate, a pseudovector, changes the signs
of the other two. The magnetic field follows the acceleration, as if the plane contained it: the person is mirrored, the
earth is not.
"""

import re
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from edgehar.signals.kinds import ANGULAR_RATE, declared_kind, kinds_are_declared
from edgehar.signals.modality import NO_MIRROR, ModalitySpec

_OTHER_SIDE = {"left": "right", "right": "left", "l": "r", "r": "l"}
_SIDES = (r"left|right", r"^[lr]|(?<![^\W_])[lr](?![^\W_])|[lr]$")
"""Words, then letters, that may stand for a side; they do if the name of the other side exists."""
_MEASURED = r"(?i)acc\w*?(?=_|$)|gyr\w*?(?=_|$)|mag\w*?(?=_|$)|linear|gravity|left|right|_"
"""What is not a part of the name of the unit that a sensor belongs to."""
_TRUNK = r"(?i)hip|shoulder"


def _exchanged(side: str) -> str:
    other = _OTHER_SIDE[side.lower()]
    return other.upper() if side.isupper() else other.capitalize() if side[0].isupper() else other


@cache
def partners(names: tuple[str, ...]) -> tuple[int, ...]:
    """Index of each name's partner on the other side, or its own.

    Sides are left and right, or l and r at the start, at the end or between separators: left_wrist, LWrist, wrist_l.
    """

    def partner_of(name: str) -> int:
        for pattern in _SIDES:
            for found in re.finditer(pattern, name, re.IGNORECASE):
                other = name[: found.start()] + _exchanged(found[0]) + name[found.end() :]
                if other in names:
                    return names.index(other)
        return names.index(name)

    found = [partner_of(name) for name in names]
    return tuple(other if found[other] == index else index for index, other in enumerate(found))


@cache
def sensor_partners(specs: tuple[ModalitySpec, ...]) -> tuple[int, ...]:
    """Index of each sensor's partner on the other side of the body, declared alike except for its name; or its own."""

    def declared(spec: ModalitySpec) -> ModalitySpec:
        return replace(spec, name="any", columns=())

    def alike(one: ModalitySpec, other: ModalitySpec) -> bool:
        kinds = [[declared_kind(spec, group) for group in range(spec.groups)] for spec in (one, other)]
        return not one.is_skeleton and declared(one) == declared(other) and kinds[0] == kinds[1]

    found = partners(tuple(spec.name for spec in specs))
    return tuple(other if alike(specs[index], specs[other]) else index for index, other in enumerate(found))


def can_mirror(spec: ModalitySpec) -> bool:
    """Whether the declaration says enough: sides of joints, separate values, or what each triaxial sensor measures."""
    if spec.mirror == NO_MIRROR:
        return False
    if spec.is_skeleton:
        partner = partners(spec.joints)
        return partner[spec.root] == spec.root and partner != tuple(range(spec.groups))
    return spec.group == 1 or (spec.group == 3 and kinds_are_declared(spec))


def _plane(values: Tensor, known: Tensor, spec: ModalitySpec) -> Tensor:
    """Reflections (B, axes, axes) through the vertical plane across the mean line from left to right joints.

    The line is the first principal axis of the horizontal differences, so that people who face each other, with
    opposite differences, have a common plane. Only hips and shoulders count if their names are known.

    Args:
        values: (B, L, G, axes).
        known: (B, L, G) False where a joint is lost.
        spec: the skeleton.
    """
    reflections = torch.eye(spec.group, dtype=values.dtype, device=values.device).repeat(len(values), 1, 1)
    if spec.is_picture:
        reflections[:, 1 - spec.vertical, 1 - spec.vertical] = -1
        return reflections
    pairs = [(one, other) for one, other in enumerate(partners(spec.joints)) if one < other]
    trunk = [pair for pair in pairs if re.search(_TRUNK, spec.joints[pair[0]])]
    left, right = torch.tensor(trunk or pairs, device=values.device).T
    across = (values[:, :, right] - values[:, :, left]) * (known[:, :, right] & known[:, :, left])[..., None]
    first, second = (axis for axis in range(3) if axis != spec.vertical)
    x, z = across[..., first], across[..., second]  # (B, L, pairs)
    cosine, sine = (x * x - z * z).sum((1, 2)), 2 * (x * z).sum((1, 2))  # of twice the angle of the line
    length = torch.hypot(cosine, sine)
    cosine = torch.where(length > 0, cosine / length.clamp(min=1e-30), 1)
    sine = torch.where(length > 0, sine / length.clamp(min=1e-30), 0)
    reflections[:, first, first], reflections[:, second, second] = -cosine, cosine
    reflections[:, first, second] = reflections[:, second, first] = -sine
    return reflections


def mirrored_body(tokens: Tensor, spec: ModalitySpec) -> Tensor:
    """Windows (B, S, P, G, F) of a skeleton with left and right exchanged; lost joints change sides, too."""
    frames = tokens.flatten(1, 2).unflatten(-1, (2, spec.group))  # (B, L, G, 2, axes)
    reflections = _plane(frames[..., 0, :], tokens.flatten(1, 2).any(-1), spec)
    mirrored = torch.einsum("blgkc,bdc->blgkd", frames[:, :, list(partners(spec.joints))], reflections)
    if spec.lost_joints:  # the root's value is a mark, not a position
        mirrored[:, :, spec.root, 0] = frames[:, :, spec.root, 0]
    return mirrored.reshape(tokens.shape)


def reflected_sensor(tokens: Tensor, spec: ModalitySpec, axis: Tensor) -> Tensor:
    """Windows (B, S, P, G, F) of an inertial unit whose axis (B,) of 0, 1, 2 points the other way; see the module."""
    signs = 1 - 2 * torch.nn.functional.one_hot(axis, 3).to(tokens)  # (B, 3)
    turns = [declared_kind(spec, group) == ANGULAR_RATE for group in range(spec.groups)]
    by_group = torch.stack([-signs if turn else signs for turn in turns], 1)  # (B, G, 3)
    return tokens * by_group.repeat(1, 1, 2)[:, None, None]


def mirror(
    features: dict[str, Tensor],
    valid: dict[str, Tensor],
    specs: tuple[ModalitySpec, ...],
    probability: float,
    generator: torch.Generator,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Mirror windows, each with all its modalities or not at all; sensors of the two sides exchange their windows.

    The axis of a sensor is the declared one, or else a random one for each window, the same for the accelerometer and
    the gyroscope of one unit. Features are scaled by sensor, so an exchange neglects that the two sides have slightly
    different scales. A modality of which `can_mirror` is False stays as it is.

    Args:
        features: modality -> (B, S, P, G, F).
        valid: modality -> (B, S) bool.
        specs: the modalities.
        probability: of mirroring a window; 0 draws no random numbers.
        generator: source of every random number (CPU).
    """
    if not probability:
        return features, valid
    first = features[specs[0].name]
    chosen = (torch.rand(len(first), generator=generator) < probability).to(first.device)
    units = [re.sub(_MEASURED, "", spec.name) for spec in specs]
    drawn: dict[str, Tensor] = {}
    for unit in dict.fromkeys(units):
        drawn[unit] = torch.randint(3, (len(first),), generator=generator).to(first.device)
    mirrored, now_valid = dict(features), dict(valid)
    for spec, partner, unit in zip(specs, sensor_partners(specs), units, strict=True):
        if not can_mirror(spec):
            continue
        source = specs[partner].name
        tokens = features[source]
        if spec.is_skeleton:
            tokens = mirrored_body(tokens, spec)
        elif spec.group == 3:
            axis = torch.full_like(drawn[unit], "xyz".index(spec.mirror)) if spec.mirror else drawn[unit]
            tokens = reflected_sensor(tokens, spec, axis)
        mirrored[spec.name] = torch.where(chosen[:, None, None, None, None], tokens, features[spec.name])
        now_valid[spec.name] = torch.where(chosen[:, None], valid[source], valid[spec.name])
    return mirrored, now_valid
