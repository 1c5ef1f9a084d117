"""Angular rates in degrees among radians, or in another unit than declared, told from how fast people turn.

`units` compares the angular rate with the turning of gravity, which is more certain, but needs an accelerometer in the
same sensor that shows it clearly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgehar.data.recordings.problem import Problem
from edgehar.data.recordings.suspicions.recorded import Recorded, group_text, median, of_group
from edgehar.data.recordings.suspicions.triaxial import lengths
from edgehar.data.recordings.suspicions.units import Group
from edgehar.signals.kinds import ANGULAR_RATE, declared_kind, declared_rate_unit
from edgehar.signals.modality import ModalitySpec

MAX_RAD = 35.0
"""rad/s; 2,000 deg/s, the usual range of such sensors."""
MIN_DEG = 10.0
"""deg/s; whoever moves turns faster."""
PERCENTILE, FAST = 0.99, 0.9
"""Of |angular rate| in a recording: its level; of the levels of a person's recordings."""
MIN_MOVEMENT = {"g": 0.2, "m/s2": 2.0, "mg": 200.0}
"""Unit -> standard deviation of the acceleration above which a recording moves."""
RATIO = 57.3
BAND = 2.0
"""Factor around `RATIO`, or 1 / `RATIO`, in which a ratio of levels is taken for degrees among radians."""
MIN_PEERS, PEERS_SHARE, MAX_SPREAD = 2, 0.8, 4.0
"""The others are compared with if they are so many, and this share of them is within this factor of their median."""
MIN_SAMPLES = 20
Levels = list[tuple[Recorded, float]]
OTHER = {"deg/s": "rad/s", "rad/s": "deg/s"}


@dataclass(frozen=True)
class Gyroscope:
    """A group that is declared as angular rate.

    Attributes:
        group: index of the group.
        levels: recordings with their 99th percentiles of |angular rate|.
        used: those of them that move; all of them, if none is known to.
        moves: whether they are known to move, without which slow rates are not suspicious.
        units: unit that it seems to be in -> people; without people whose rates are plausible in both units.
    """

    group: int
    levels: Levels
    used: Levels
    moves: bool
    units: dict[str, list[str]]

    @property
    def fastest(self) -> float:
        """The level that 90 % of the recordings in use do not exceed."""
        return _fastest([level for _, level in self.used])


def moving(
    spec: ModalitySpec,
    specs: Sequence[ModalitySpec],
    recorded: dict[str, list[Recorded]],
    groups: dict[str, list[Group]],
) -> set[str]:
    """Names of the recordings in which the sensor's accelerometer moves, or if it has none, any.

    Args:
        spec: the sensor.
        specs: all sensors.
        recorded: sensor -> its samples in each recording.
        groups: sensor -> what its groups seem to measure.
    """
    has_own = any(group.kind == "acceleration" for group in groups[spec.name])
    return {
        each.recording
        for other in ([spec] if has_own else specs)
        for group in groups[other.name]
        for each in recorded[other.name]
        if group.kind == "acceleration"
        and len(each.blocks) >= MIN_SAMPLES
        and _deviation(each, other, group.group) > MIN_MOVEMENT[group.unit]
    }


def _deviation(recorded: Recorded, spec: ModalitySpec, group: int) -> float:
    return float(np.sqrt(of_group(recorded.blocks, spec, group).var(0).sum()))


def gyroscopes(spec: ModalitySpec, recorded: Sequence[Recorded], moved: set[str]) -> list[Gyroscope]:
    """The groups that are declared as angular rates, with their levels.

    Args:
        spec: the sensor.
        recorded: its samples.
        moved: names of the recordings that are known to move.
    """
    if spec.is_skeleton or spec.group != 3:
        return []
    long = [each for each in recorded if len(each.blocks) >= MIN_SAMPLES]
    found: list[Gyroscope] = []
    for group in range(spec.groups):
        if declared_kind(spec, group) == ANGULAR_RATE and long:
            levels = [(each, _level(each, spec, group)) for each in long]
            known = [(each, level) for each, level in levels if each.recording in moved]
            units: dict[str, list[str]] = {}
            for who, own in _by_subject(known or levels).items():
                units.setdefault(_unit(own, bool(known)), []).append(who)
            units.pop("", None)
            found.append(Gyroscope(group, levels, known or levels, bool(known), units))
    return found


def _level(recorded: Recorded, spec: ModalitySpec, group: int) -> float:
    return float(np.quantile(lengths(of_group(recorded.blocks, spec, group)), PERCENTILE))


def _fastest(levels: Sequence[float]) -> float:
    return float(np.quantile(levels, FAST))


def _unit(levels: list[float], moves: bool) -> str:
    """The only unit in which these levels are plausible, or an empty text."""
    fast = _fastest(levels)
    return "deg/s" if fast > MAX_RAD else "rad/s" if moves and 0 < fast < MIN_DEG else ""


def _by_subject(levels: Levels) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for each, level in levels:
        found.setdefault(each.subject, []).append(level)
    return found


def _by_label(levels: Levels) -> list[Levels]:
    found: dict[int | None, Levels] = {}
    for each, level in levels:
        found.setdefault(each.label, []).append((each, level))
    return list(found.values())


def _ratio(own: float, peers: Sequence[float]) -> float | None:
    """The ratio of a level to those of peers; None if these are too few or do not agree."""
    if len(peers) < MIN_PEERS:
        return None
    usual = median(peers)
    agreeing = sum(usual / MAX_SPREAD < peer < usual * MAX_SPREAD for peer in peers)
    return own / usual if agreeing >= PEERS_SHARE * len(peers) and agreeing else None


def _is_other_unit(ratio: float, others: Sequence[float]) -> bool:
    """Whether a ratio is about that of degrees and radians, either way, and the others' unit does not deny it."""
    if not others:
        return False
    fast = _fastest(others)
    if RATIO / BAND < ratio < RATIO * BAND:
        return fast <= MAX_RAD
    return RATIO / BAND < 1 / max(ratio, 1e-9) < RATIO * BAND and fast >= MIN_DEG


def _difference(ratio: float, others: str) -> str:
    if ratio > 1:
        return f"{ratio:.0f} times that of the other {others}: deg/s among rad/s; convert it"
    return f"1/{1 / ratio:.0f} of that of the other {others}: rad/s among deg/s; convert it"


def _odd_people(levels: Levels, used: Levels) -> dict[str, float]:
    """Person -> ratio to everybody else's level, of the people in another unit than the others for most labels."""
    ratios: dict[str, list[float]] = {}
    for like in _by_label(levels):
        means = {who: median(own) for who, own in _by_subject(like).items()}
        for who, own in means.items():
            ratio = _ratio(own, [mean for other, mean in means.items() if other != who])
            if ratio is not None:
                ratios.setdefault(who, []).append(ratio)
    found: dict[str, float] = {}
    for who, own in ratios.items():
        others = [level for each, level in used if each.subject != who]
        odd = [ratio for ratio in own if _is_other_unit(ratio, others)]
        if 2 * len(odd) > len(own):
            found[who] = median(odd)
    return found


def _odd_recordings(used: Levels) -> Levels:
    """Recordings in another unit than the others of their label, with the ratio."""
    found: Levels = []
    for like in _by_label(used):
        usual = median(level for _, level in like)
        for each, level in like:
            if usual / MAX_SPREAD < level < usual * MAX_SPREAD:
                continue
            ratio = _ratio(level, [other_level for other, other_level in like if other is not each])
            others = [other_level for other, other_level in used if other is not each]
            if ratio is not None and _is_other_unit(ratio, others):
                found.append((each, ratio))
    return found


def other_units(
    folder: str, spec: ModalitySpec, found: Sequence[Gyroscope], groups: Sequence[Group], named: set[str]
) -> list[Problem]:
    """Warnings about people and recordings in another unit than the others, and about the declared unit.

    Args:
        folder: path of the sensor's folder.
        spec: the sensor.
        found: its gyroscopes.
        groups: what `units` found of it: a unit that gravity tells is not judged here.
        named: files that have been named already.
    """
    problems: list[Problem] = []
    by_gravity = {each.group for each in groups if each.kind == "angular rate"}
    for each in found:
        text = group_text(spec, each.group)
        levels = [(one, level) for one, level in each.levels if one.file not in named]
        used = [(one, level) for one, level in each.used if one.file not in named]
        people = _odd_people(levels, used)
        for who, ratio in people.items():
            message = f"{text}: angular rate of person {who!r} is {_difference(ratio, 'people')}"
            problems.append(Problem(folder, 0, message, is_warning=True))
        used = [(one, level) for one, level in used if one.subject not in people]
        recordings = _odd_recordings(used)
        for one, ratio in recordings:
            problems.append(one.warning(f"{text}: angular rate is {_difference(ratio, 'recordings')}"))
        odd = {one.file for one, _ in recordings}
        used = [(one, level) for one, level in used if one.file not in odd]
        if each.group not in by_gravity:
            problems += _declared(folder, spec, text, used, each.moves)
    return problems


def _declared(folder: str, spec: ModalitySpec, text: str, levels: Levels, moves: bool) -> list[Problem]:
    """Compare the declared unit with everybody's levels, and each person's."""
    unit = declared_rate_unit(spec)
    by_subject = _by_subject(levels)
    if not unit or not by_subject:
        return []
    wrong = {who: own for who, own in by_subject.items() if _unit(own, moves) == OTHER[unit]}
    whose = "" if len(wrong) == len(by_subject) else f" of {', '.join(map(repr, wrong))}"
    if not wrong:
        return []
    fast = _fastest([level for own in wrong.values() for level in own])
    message = (
        f"{text}: the fastest movements{whose} turn at {fast:.3g}, as in {OTHER[unit]}; unit says {spec.unit!r}; "
        "correct or convert it"
    )
    return [Problem(folder, 0, message, is_warning=True)]
