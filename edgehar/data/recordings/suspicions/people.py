"""Names the people who seem to wear a sensor otherwise than all others, if people agree otherwise.

Measured on UTD-MHAD, SP-SW-HAR, selfBACK, SisFall, UMAFall and seglearn's shoulder exercises, see docs/own-data.md.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgehar.data.recordings.suspicions.recorded import Recorded, group_text
from edgehar.data.recordings.suspicions.wearing import SIGN_CHANGES, Wearing, wearing
from edgehar.signals.modality import ModalitySpec

MADS = 5.0
"""Median absolute deviations above the median of all people from which on somebody is outlying."""
GRAVITY_DEG, MOVEMENT_DEG, ENERGY = 40.0, 85.0, 2.0
"""Smallest angles, and smallest ratio of the energy of an axis, that are outlying."""
MOST_DEG = 20.0
"""Smallest angle of gravity in most activities; without it a single recording, or another posture, is the cause."""
AGREE_DEG, AGREE_MOVEMENT_DEG = 40.0, 60.0
"""Largest medians of the angles at which people agree."""
CLEARER_DEG = 40.0
"""How much closer a change of axes must bring a person's movement to the usual one."""
CURE = "check how the sensor was worn; correct the axes in the recordings, or train with a larger --mounting-deg"


@dataclass(frozen=True)
class Outlier:
    """A person who seems to wear a sensor otherwise, and how that shows."""

    person: str
    message: str


def outlying_people(spec: ModalitySpec, group: int, recorded: Sequence[Recorded]) -> list[Outlier]:
    """People whose gravity, movement or energy differs from everybody else's.

    Args:
        spec: the sensor.
        group: its accelerometer.
        recorded: samples of one label each.
    """
    people = wearing(spec, group, recorded)
    usual, turned = _outlying(people, lambda each: each.gravity_deg, GRAVITY_DEG)
    if usual > AGREE_DEG:  # an axis of one person is not that of another
        return []
    found = _by_energy(people) | _by_movement(people)
    found |= {each.person: _gravity_text(each, usual) for each in turned if each.usual_gravity_deg > MOST_DEG}
    return [Outlier(person, f"{group_text(spec, group)}: {message}") for person, message in found.items()]


def _outlying(
    people: Sequence[Wearing], value: Callable[[Wearing], float], least: float
) -> tuple[float, list[Wearing]]:
    """The median of a value over the people, and those whose value is far above it."""
    if not people:
        return 0.0, []
    values = np.array([value(each) for each in people])
    usual = float(np.median(values))
    limit = max(least, usual + MADS * float(np.median(np.abs(values - usual))))
    return usual, [each for each, own in zip(people, values, strict=True) if own > limit]


def _gravity_text(each: Wearing, usual_deg: float) -> str:
    turn, turned = each.best_turn()
    as_if = f", as if {turn.text}" if turned.gravity_deg < min(GRAVITY_DEG, each.gravity_deg / 2) else ""
    return (
        f"gravity of person {each.person!r} points {each.gravity_deg:.0f} degrees away from the median of all people "
        f"({usual_deg:.0f} is usual){as_if}; {CURE}"
    )


def _by_movement(people: Sequence[Wearing]) -> dict[str, str]:
    usual, found = _outlying(people, lambda each: each.movement_deg, MOVEMENT_DEG)
    messages: dict[str, str] = {}
    for each in found if usual <= AGREE_MOVEMENT_DEG else []:
        turn, turned = each.best_turn(SIGN_CHANGES)
        if turned.movement_deg < each.movement_deg - CLEARER_DEG:
            messages[each.person] = (
                f"axes of person {each.person!r} move against each other where those of the other people move together "
                f"({each.movement_deg:.0f} degrees apart, {usual:.0f} is usual), as if {turn.text}; "
                f"worn on the other side of the body? {CURE[0].upper()}{CURE[1:]}"
            )
    return messages


def _by_energy(people: Sequence[Wearing]) -> dict[str, str]:
    _, found = _outlying(people, lambda each: float(np.abs(np.log(each.energy)).max()), math.log(ENERGY))
    messages: dict[str, str] = {}
    for each in found:
        ratios = ", ".join(f"{axis} {ratio:.2g}" for axis, ratio in zip("xyz", each.energy, strict=True))
        messages[each.person] = (
            f"movement of person {each.person!r} differs in size from everybody else's ({ratios} times as large); "
            "exchanged axes, another range or a loose strap? Check how the sensor was worn, and its unit and range"
        )
    return messages
