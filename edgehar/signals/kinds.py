"""What a group of channels measures according to its declaration: the names of its channels, its unit, its sensor."""

import re

from edgehar.signals.modality import ModalitySpec

POSITION, ACCELERATION, ANGULAR_RATE, MAGNETIC = "position", "acceleration", "angular rate", "magnetic field"
UNITS = {
    "g": r"(?<![a-z])g(?![a-z])",
    "m/s2": r"m\s?/\s?s|ms-2",
    "mg": r"(?<![a-z])mg(?![a-z])|milli-?g",
    "deg/s": r"deg|°|dps",
    "rad/s": r"rad",
}
"""Unit -> pattern of the texts that stand for it, in lower case."""
_KIND_OF_UNIT = {"g": ACCELERATION, "m/s2": ACCELERATION, "mg": ACCELERATION, "deg/s": ANGULAR_RATE,
                 "rad/s": ANGULAR_RATE}  # fmt: skip
_NAMES = {
    ACCELERATION: r"acc|^a_?[xyz]$",
    ANGULAR_RATE: r"gyr|angular|omega|^[gw]_?[xyz]$",
    MAGNETIC: r"mag|^m_?[xyz]$",
}
_MAGNETIC_UNIT = r"tesla|gauss|[uµμ]t(?![a-z])"


def units_in(text: str) -> set[str]:
    """The units of `UNITS` that a text names."""
    return {unit for unit, pattern in UNITS.items() if re.search(pattern, text.lower())}


def units_of_groups(unit: str, groups: int) -> list[str]:
    """The part of a unit that belongs to each group, "m/s2 and rad/s" of two; empty texts if that cannot be said."""
    parts = re.split(r"\s+and\s+|\s*[,;+]\s*", unit.strip())
    return parts if len(parts) == groups else [""] * groups


def _kind_of_unit(text: str) -> str:
    kinds = {_KIND_OF_UNIT[unit] for unit in units_in(text)}
    if re.search(_MAGNETIC_UNIT, text.lower()):
        kinds.add(MAGNETIC)
    return kinds.pop() if len(kinds) == 1 else ""


def _kind_of_names(names: tuple[str, ...]) -> str:
    kinds = [kind for kind, pattern in _NAMES.items() if all(re.search(pattern, name.lower()) for name in names)]
    return kinds[0] if len(kinds) == 1 else ""


def declared_kind(spec: ModalitySpec, group: int) -> str:
    """What a group measures, of `SIGNAL_KINDS`; empty if neither `kind` nor unit nor names say it.

    Where `kind` is not given, the unit counts first, unless there are several groups, whose channels may be named in
    another order.
    """
    if spec.kind:
        return spec.kind[group % len(spec.kind)]
    columns = spec.columns[group * spec.group : (group + 1) * spec.group]
    by_columns = _kind_of_names(columns) if columns else ""
    by_unit = _kind_of_unit(units_of_groups(spec.unit, spec.groups)[group])
    first, second = (by_columns, by_unit) if spec.groups > 1 else (by_unit, by_columns)
    return first or second or _kind_of_names((spec.name,))


def kinds_are_declared(spec: ModalitySpec) -> bool:
    """Whether the declaration says what each group measures."""
    return all(declared_kind(spec, group) for group in range(spec.groups))


def kinds_of(spec: ModalitySpec) -> tuple[str, ...]:
    """What each group measures, of `SIGNAL_KINDS`; joints of a skeleton are positions."""
    if spec.is_skeleton:
        return (POSITION,) * spec.groups
    return tuple(declared_kind(spec, group) or "other" for group in range(spec.groups))


def declared_rate_unit(spec: ModalitySpec) -> str:
    """The unit of angular rates that the declaration names, deg/s or rad/s; empty if none or both."""
    claimed = units_in(spec.unit) & {"deg/s", "rad/s"}
    return claimed.pop() if len(claimed) == 1 else ""
