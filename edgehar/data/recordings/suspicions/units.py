"""The units that accelerometers and gyroscopes seem to be in, and recordings in another one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgehar.data.recordings.problem import Problem
from edgehar.data.recordings.suspicions.recorded import Recorded, group_text, median, of_group
from edgehar.data.recordings.suspicions.triaxial import rest_magnitude, turning
from edgehar.signals.kinds import ACCELERATION, ANGULAR_RATE, declared_kind, units_in
from edgehar.signals.modality import ModalitySpec

GRAVITY = {"g": (0.8, 1.25), "m/s2": (7.8, 12.3), "mg": (800.0, 1250.0)}
"""Unit -> bounds of |acceleration| at rest."""
MIN_SHARE = 0.6
"""Share of the recordings of which |acceleration| at rest is within the bounds of one unit."""
MIN_CORRELATION, CERTAIN = 0.6, 0.8
MIN_TURNING = 3
"""Recordings that show clearly how gravity turns against the angular rate, for a statement about it."""
MIN_CERTAIN = 5
FACTOR = (0.8, 1.3)
"""Bounds of the factor of a gyroscope in rad/s, for a statement about the axes of all recordings."""
RADIANS_ABOVE = 0.13
"""Geometric mean of the factors of radians, 1, and degrees, 1/57."""
AXES_SHARE = 0.95
"""Share of these recordings that agree on the sign, without which nothing is said about axes."""
EXCHANGED = (0.7, 1.4)
"""Bounds of the ratio to the others' |acceleration| at rest, for a statement about exchanged channels."""


@dataclass(frozen=True)
class Group:
    """What a group of three channels seems to measure.

    Attributes:
        group: index of the group.
        kind: "acceleration" or "angular rate".
        unit: the unit that it seems to be in.
        level: |acceleration| at rest, or the factor between gravity's turning and the angular rate.
        per_file: file -> its own level.
        certain: files whose sign is certain: gravity turns closely as the angular rate says, or against it.
    """

    group: int
    kind: str
    unit: str
    level: float
    per_file: dict[str, float]
    certain: frozenset[str] = frozenset()


def unit_of_gravity(magnitude: float) -> str | None:
    """The unit in which this is |acceleration| at rest."""
    return next((unit for unit, (low, high) in GRAVITY.items() if low <= magnitude <= high), None)


def accelerometers(spec: ModalitySpec, recorded: Sequence[Recorded]) -> list[Group]:
    """The groups of a sensor that measure gravity at rest, with the units they seem to be in.

    A group whose declaration says that it measures something else is none, whatever its values are.
    """
    found: list[Group] = []
    for group in range(spec.groups) if not spec.is_skeleton and spec.group == 3 else ():
        if declared_kind(spec, group) not in ("", ACCELERATION):
            continue
        known = _rest_levels(spec, recorded, group)
        units = [unit_of_gravity(level) for level in known.values()]
        unit = max(GRAVITY, key=units.count)
        if found and unit != found[0].unit:
            continue
        if known and units.count(unit) >= MIN_SHARE * len(units):
            found.append(Group(group, "acceleration", unit, median(known.values()), known))
    return found


def triaxial_groups(spec: ModalitySpec, recorded: Sequence[Recorded]) -> list[Group]:
    """The accelerometers and gyroscopes among a sensor's groups, with the units they seem to be in."""
    gravity = accelerometers(spec, recorded)
    found = list(gravity)
    for group in range(spec.groups) if gravity else ():
        if group not in [each.group for each in gravity] and declared_kind(spec, group) in ("", ANGULAR_RATE):
            pairs = _turning(spec, recorded, gravity[0].group, group)
            factors = {file: factor for file, (factor, _) in pairs.items()}
            certain = frozenset(file for file, (_, correlation) in pairs.items() if abs(correlation) > CERTAIN)
            if len(factors) >= max(MIN_TURNING, 0.05 * len(recorded)):
                unit = "rad/s" if median(map(abs, factors.values())) > RADIANS_ABOVE else "deg/s"
                found.append(Group(group, "angular rate", unit, median(factors.values()), factors, certain))
    return found


def _rest_levels(spec: ModalitySpec, recorded: Sequence[Recorded], group: int) -> dict[str, float]:
    """File -> |mean| of a group's calmest seconds, where it is long enough."""
    levels = {
        each.file: rest_magnitude(of_group(each.blocks, spec, group), each.true_rate_hz or spec.rate_hz)
        for each in recorded
    }
    return {file: level for file, level in levels.items() if level is not None}


def exchanged(folder: str, spec: ModalitySpec, recorded: Sequence[Recorded], groups: Sequence[Group]) -> list[Problem]:
    """Recordings in which acceleration and another group seem to have changed places, or all of them."""
    if spec.is_skeleton or spec.group != 3:
        return []
    gravity = {each.group: each for each in groups if each.kind == "acceleration"}
    problems: list[Problem] = []
    for group in range(spec.groups):
        kind = declared_kind(spec, group)
        if kind == ACCELERATION or group in gravity:
            continue
        for other in gravity.values():
            problems += _exchanged_files(spec, recorded, group, other)
        missing = [
            other for other in range(spec.groups) if declared_kind(spec, other) == ACCELERATION and other not in gravity
        ]
        if kind == ANGULAR_RATE and missing:
            levels = list(_rest_levels(spec, recorded, group).values())
            claimed = units_in(spec.unit) & set(GRAVITY)
            if levels and sum(unit_of_gravity(level) in claimed for level in levels) >= MIN_SHARE * len(levels):
                own = median(_rest_levels(spec, recorded, missing[0]).values())
                message = _exchange_text(spec, group, median(levels), missing[0], own)
                problems.append(Problem(folder, 0, f"{message} in every recording", is_warning=True))
    return problems


def _exchanged_files(
    spec: ModalitySpec, recorded: Sequence[Recorded], group: int, acceleration: Group
) -> list[Problem]:
    """Files in which this group is at rest as the others' acceleration, and the acceleration as the others' group."""
    strange = {file: level for file, level in acceleration.per_file.items() if not _is_near(level, acceleration.level)}
    if not strange:
        return []
    levels = _rest_levels(spec, recorded, group)
    usual = median(levels.values())
    low, high = (bound * acceleration.level for bound in EXCHANGED)
    return [
        each.warning(_exchange_text(spec, group, level, acceleration.group, own) + ", unlike in the other recordings")
        for each in recorded
        if (own := strange.get(each.file)) is not None
        and low < (level := levels[each.file]) < high
        and not _is_near(level, usual)
        and abs(own - usual) < abs(own - acceleration.level)
    ]


def _is_near(level: float, usual: float) -> bool:
    return 0.3 * usual < level < 3 * usual


def _exchange_text(spec: ModalitySpec, group: int, level: float, other: int, own: float) -> str:
    return (
        f"{group_text(spec, group)} measure {level:.3g} at rest, as gravity does, and {group_text(spec, other)} "
        f"{own:.3g}: acceleration and angular rate seem to be exchanged"
    )


def _turning(
    spec: ModalitySpec, recorded: Sequence[Recorded], gravity: int, group: int
) -> dict[str, tuple[float, float]]:
    """File -> factor and correlation between gravity's turning and this group, where they are clearly related."""
    found: dict[str, tuple[float, float]] = {}
    for each in recorded:
        values = each.blocks
        pair = turning(
            of_group(values, spec, gravity), of_group(values, spec, group), each.true_rate_hz or spec.rate_hz
        )
        if pair is not None and abs(pair[1]) > MIN_CORRELATION:
            found[each.file] = pair
    return found


def declared_units(folder: str, spec: ModalitySpec, groups: Sequence[Group]) -> list[Problem]:
    """Units that the declaration claims and the values deny, and axes that are reversed in all recordings."""
    claimed = units_in(spec.unit)
    problems: list[Problem] = []
    for each in groups:
        is_gravity = each.kind == "acceleration"
        rivals = set(GRAVITY) if is_gravity else {"deg/s", "rad/s"}
        if claimed & rivals and each.unit not in claimed:
            found = f"|acceleration| at rest is {each.level:.3g}" if is_gravity else "gravity turns"
            message = f"{group_text(spec, each.group)}: {found}, as in {each.unit}; unit says {spec.unit!r}; correct it"
            problems.append(Problem(folder, 0, message, is_warning=True))
        turned = abs(each.level) * (1 if each.unit == "rad/s" else math.degrees(1))
        sure = len(each.certain) >= MIN_CERTAIN and FACTOR[0] < turned < FACTOR[1]
        if not is_gravity and sure and _share_of_sign(each, -1) >= AXES_SHARE:
            message = (
                f"{group_text(spec, each.group)}: gravity turns against the angular rate; expected the axes of "
                "acceleration and angular rate to agree; exchange or reverse one"
            )
            problems.append(Problem(folder, 0, message, is_warning=True))
    return problems


def _share_of_sign(group: Group, sign: int) -> float:
    return sum(factor * sign > 0 for factor in group.per_file.values()) / len(group.per_file)


def mixed_units(spec: ModalitySpec, recorded: Sequence[Recorded], groups: Sequence[Group]) -> list[Problem]:
    """Recordings in another unit, or with other axes, than the rest."""
    by_file = {each.file: each for each in recorded}
    problems: list[Problem] = []
    for group in groups:
        for file, level in group.per_file.items():
            if file not in by_file:  # named as exchanged
                continue
            message = _difference(group, level, file in group.certain)
            if message:
                problems.append(by_file[file].warning(f"{group_text(spec, group.group)}: {message}"))
    return problems


def _difference(group: Group, level: float, certain: bool) -> str:
    """How one recording's level differs from the others', or an empty text."""
    ratio = level / group.level
    if group.kind == "acceleration":
        if _is_near(level, group.level):
            return ""
        unit = unit_of_gravity(level) or "another unit or range"
        return (
            f"|acceleration| at rest is {level:.3g}, in the other recordings {group.level:.3g}: "
            f"{unit} among {group.unit}; convert it"
        )
    if not 0.1 < abs(ratio) < 10:
        unit = "rad/s" if group.unit == "deg/s" else "deg/s"
        return f"gravity turns as if the angular rate were in {unit}, in the other recordings {group.unit}; convert it"
    others = len(group.per_file) - 1
    agreeing = _share_of_sign(group, 1 if group.level > 0 else -1) * len(group.per_file)
    if -1.6 < ratio < -0.6 and certain and agreeing >= AXES_SHARE * others:
        return "gravity turns against the angular rate, unlike in the other recordings; exchange or reverse an axis"
    return ""
