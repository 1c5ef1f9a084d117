"""Suspicious skeletons: joints at zero or never seen, a vertical axis that is none, bodies in other units."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgehar.data.recordings.problem import Problem
from edgehar.data.recordings.suspicions.recorded import Recorded, median
from edgehar.data.recordings.suspicions.triaxial import lengths
from edgehar.signals.clip import Floats
from edgehar.signals.modality import ModalitySpec

HEAD = ("head", "nose", "neck")
FEET = ("foot", "ankle", "toe", "heel")
MAX_SIZE_RATIO = {2: 30.0, 3: 4.0}
"""Axes -> largest plausible ratio of the sizes of two people; a picture shows them from near and far."""
BODY_SIZE = {"m": (0.3, 4.0), "mm": (300.0, 4000.0), "cm": (30.0, 400.0)}
"""Unit -> bounds of the distance from head to feet."""
MOSTLY_LOST = 0.5
"""Share of the samples above which a joint is named as lost."""
MIN_UPRIGHT = 0.5
"""Share of the recordings in which the body stands along another axis than `vertical`, for a warning."""


def joints_at_zero(spec: ModalitySpec, recorded: Recorded) -> list[Problem]:
    """Joints at the origin of all axes while others are not: lost joints written as 0."""
    values = recorded.blocks
    joints = values.reshape(len(values), spec.groups, spec.group)
    zero = (joints == 0).all(axis=2)  # (T, G)
    zero = zero[~zero.all(1)]
    if not len(zero):
        return []
    share = zero.mean(0)
    # Joints relative to the root, or to another one, have that one at 0 always.
    origin = share == 1.0
    if origin.sum() <= 1:
        share = np.where(origin & (np.arange(spec.groups) == spec.root), 0, share)
    lost = np.flatnonzero(share)
    if not len(lost):
        return []
    shown = ", ".join(f"{spec.joints[joint]} ({share[joint]:.0%})" for joint in lost[:4])
    more = f" and {len(lost) - 4} more joints" if len(lost) > 4 else ""
    message = f"joints at 0 in all axes: {shown}{more} of the samples; if they are lost, leave their cells empty (NaN)"
    return [recorded.warning(message)]


def lost_shares(spec: ModalitySpec, recorded: Sequence[Recorded]) -> dict[str, float]:
    """Joint -> share of the valid samples in which it is lost (NaN), of joints that are ever lost; most often first."""
    lost, count = np.zeros(spec.groups), 0
    for each in recorded:
        values = each.values[each.valid]
        lost += np.isnan(values[:, :: spec.group]).sum(axis=0)
        count += len(values)
    shares = dict(zip(spec.joints, (lost / max(count, 1)).tolist(), strict=True))
    return {name: share for name, share in sorted(shares.items(), key=lambda item: -item[1]) if share > 0}


def lost_joints(folder: str, spec: ModalitySpec, recorded: Sequence[Recorded]) -> list[Problem]:
    """Joints that no recording shows, or few samples."""
    shares = lost_shares(spec, recorded)
    never = [name for name, share in shares.items() if share == 1.0]
    rare = [f"{name} ({share:.0%})" for name, share in shares.items() if MOSTLY_LOST < share < 1.0]
    problems: list[Problem] = []
    if never:
        names, verb = ", ".join(never), "are" if len(never) > 1 else "is"
        message = f"{names} {verb} lost (NaN) in every sample of every recording; leave out what the sensor never sees"
        problems.append(Problem(folder, 0, message, is_warning=True))
    if rare:
        message = f"lost (NaN) in most samples: {', '.join(rare)}; leave out what the sensor hardly sees"
        problems.append(Problem(folder, 0, message, is_warning=True))
    return problems


def height(spec: ModalitySpec, recorded: Recorded) -> NDArray[np.float64] | None:
    """Median vector (axes,) from the feet to the head; None if the joints' names do not say which these are."""
    names = [name.lower() for name in spec.joints]
    head = next((names.index(name) for key in HEAD for name in names if key in name), None)
    ends = [[row for row, name in enumerate(names) if key in name] for key in FEET]
    feet = next((rows for rows in ends if rows), None)
    values = recorded.blocks
    if head is None or feet is None or not len(values):
        return None
    joints = values.reshape(len(values), spec.groups, spec.group).astype(np.float64)
    vectors: NDArray[np.float64] = joints[:, head, None] - joints[:, feet]  # (T, feet, axes)
    known = ~np.isnan(vectors).any(2)
    return np.median(vectors[known], axis=0) if known.any() else None


def vertical_axis(folder: str, spec: ModalitySpec, recorded: Sequence[Recorded]) -> list[Problem]:
    """Compare `vertical` and its direction with the line from the feet to the head."""
    heights = [(each, found) for each in recorded if (found := height(spec, each)) is not None]
    standing = [(each, found) for each, found in heights if np.abs(found).max() > 0.8 * math.hypot(*found)]
    if not standing:
        return []
    axes = [int(np.abs(found).argmax()) for _, found in standing]
    usual = max(set(axes), key=axes.count)
    if usual != spec.vertical and axes.count(usual) > MIN_UPRIGHT * len(axes):
        share = axes.count(usual) / len(axes)
        message = f"head and feet lie apart along axis {usual} in {share:.0%} of the recordings; vertical is "
        message += f"{spec.vertical}; set vertical to {usual}, or exchange the axes"
        return [Problem(folder, 0, message, is_warning=True)]
    upright = [(each, found[usual] > 0) for (each, found), axis in zip(standing, axes, strict=True) if axis == usual]
    up = sum(above for _, above in upright)
    problems: list[Problem] = []
    if 0 < up < len(upright):
        rare = up * 2 < len(upright)
        for each, above in upright:
            if above == rare:
                where = ("above", "below") if above else ("below", "above")
                message = f"the head is {where[0]} the feet along axis {usual}, in the other recordings {where[1]}; "
                problems.append(each.warning(message + "reverse the axis"))
    elif not up and not spec.is_picture:
        message = f"the head is below the feet along axis {usual}: the axis points down; reverse it, here and live"
        problems.append(Problem(folder, 0, message, is_warning=True))
    rare_axes = [each for (each, _), axis in zip(standing, axes, strict=True) if axis != usual]
    if spec.group == 3 and 0 < len(rare_axes) <= max(0.1 * len(axes), 1) < len(axes) / 3:
        message = (
            f"head and feet do not lie apart along axis {usual}, as in the other recordings; lying, or other axes?"
        )
        problems += [each.warning(message) for each in rare_axes]
    return problems


def body_size(spec: ModalitySpec, recorded: Recorded) -> float | None:
    """Median distance between the joints' extremes, over the frames; None without a known joint."""
    values = recorded.blocks
    joints: Floats = values[~np.isnan(values).any(axis=1)].reshape(-1, spec.groups, spec.group)
    if not len(joints):
        return None
    return float(np.median(lengths(np.ptp(joints, axis=1).astype(np.float64))))


def body_sizes(folder: str, spec: ModalitySpec, recorded: Sequence[Recorded]) -> list[Problem]:
    """Bodies much larger or smaller than in the other recordings, or than the unit allows."""
    sizes = [(each, size) for each in recorded if (size := body_size(spec, each))]
    if not sizes:
        return []
    usual = median([size for _, size in sizes])
    largest = MAX_SIZE_RATIO[spec.group]
    problems: list[Problem] = []
    low, high = BODY_SIZE.get(spec.unit.strip().lower(), (0.0, float("inf")))
    if spec.group == 3 and spec.groups >= 10 and not low <= usual <= high:
        fits = [unit for unit, (least, most) in BODY_SIZE.items() if least <= usual <= most]
        message = f"bodies measure {usual:.3g}; unit says {spec.unit!r}; expected {' or '.join(fits) or 'metres'}; "
        problems.append(Problem(folder, 0, message + "correct the unit or convert", is_warning=True))
    for each, size in sizes:
        if not usual / largest < size < usual * largest:
            shown = f"{size / usual:.4g} times as large as" if size > usual else f"1/{usual / size:.4g} of those"
            message = f"the body is {shown} in the other recordings; millimetres among metres? convert it"
            problems.append(each.warning(message))
    return problems
