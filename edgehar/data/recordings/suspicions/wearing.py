"""How each person wears a sensor, compared with all people activity by activity: gravity, movement, energy.

Gravity is the mean acceleration. Movement is the covariance of the axes: its signs reveal an axis that is reversed even
if no gravity is along it. Both are compared as vectors of all activities side by side, so that an activity in which the
sensor moves about has less weight, and people with different activities are compared in those that others did, too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgehar.data.recordings.suspicions.recorded import Recorded, of_group
from edgehar.data.recordings.suspicions.triaxial import Doubles
from edgehar.signals.modality import ModalitySpec

MIN_PEOPLE = 3
"""Fewest people who did an activity, for a comparison in it: of two either may be wrong."""
MIN_ROWS = 4
AXES = "xyz"
_PAIRS = ([0, 0, 1], [1, 2, 2])


@dataclass(frozen=True)
class Turn:
    """A change of axes: one negated, a half turn, two exchanged, or a quarter turn.

    Attributes:
        text: completes "as if".
        matrix: (3, 3) with entries of -1, 0 and 1.
    """

    text: str
    matrix: Doubles


def _turns() -> Iterator[Turn]:
    for axis, name in enumerate(AXES):
        first, second = (other for other in range(3) if other != axis)
        pair = f"{AXES[first]} and {AXES[second]}"
        sign = np.where(np.arange(3) == axis, -1.0, 1.0)
        yield Turn(f"{name} were negated", np.diag(sign))
        yield Turn(f"{pair} were negated (a half turn about {name})", np.diag(-sign))
        exchange = np.eye(3)
        exchange[[first, second]] = exchange[[second, first]]
        yield Turn(f"{pair} were exchanged", exchange)
        for row in (first, second):
            quarter = exchange.copy()
            quarter[row] *= -1
            yield Turn(f"{pair} were exchanged and then {AXES[row]} negated (a quarter turn about {name})", quarter)


TURNS = tuple(_turns())
SIGN_CHANGES = tuple(turn for turn in TURNS if not turn.matrix[~np.eye(3, dtype=bool)].any())
"""Those that exchange no axes."""


@dataclass(frozen=True)
class Activities:
    """Gravity (A, 3) and movement (A, 3, 3), a covariance, of A activities."""

    gravity: Doubles
    movement: Doubles

    def turned(self, matrix: Doubles) -> "Activities":
        """The same with other axes."""
        return Activities(self.gravity @ matrix.T, matrix @ self.movement @ matrix.T)


def _angle_deg(first: Doubles, second: Doubles) -> float:
    """Angle between two vectors of any shape; 90 degrees if one has no length."""
    length = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(np.degrees(np.arccos(np.clip((first * second).sum() / length, -1, 1)))) if length else 90.0


def _pairs(movement: Doubles) -> Doubles:
    """Covariances of different axes (A, 3), relative to all of the matrix: each activity counts alike."""
    size = np.sqrt(np.einsum("aij,aij->a", movement, movement))
    return movement[:, _PAIRS[0], _PAIRS[1]] / np.maximum(size, 1e-12)[:, None]


@dataclass(frozen=True)
class Wearing:
    """How one person wears a sensor.

    Attributes:
        person: who.
        own: of the person, in the activities compared.
        usual: medians of all people, which one of three does not move.
    """

    person: str
    own: Activities
    usual: Activities

    @property
    def gravity_deg(self) -> float:
        """Angle between the person's gravity and the usual one, over all activities."""
        return _angle_deg(self.own.gravity, self.usual.gravity)

    @property
    def usual_gravity_deg(self) -> float:
        """The angle in half of the activities: small if one recording, or one posture, differs."""
        return float(np.quantile(list(map(_angle_deg, self.own.gravity, self.usual.gravity)), 0.5, method="lower"))

    @property
    def movement_deg(self) -> float:
        """Angle between the covariances of different axes; above 90 degrees axes move against each other."""
        return _angle_deg(_pairs(self.own.movement), _pairs(self.usual.movement))

    @property
    def energy(self) -> Doubles:
        """Standard deviation of each axis (3,) relative to the usual one; half of the activities differ as much."""
        own, usual = (np.sqrt(np.einsum("aii->ai", each.movement)) for each in (self.own, self.usual))
        ratio = np.log(np.maximum(own, 1e-9) / np.maximum(usual, 1e-9))  # (A, 3)
        row = np.argsort(np.abs(ratio), axis=0)[(len(ratio) - 1) // 2]
        return np.exp(ratio[row, range(3)])

    def turned(self, turn: Turn) -> "Wearing":
        """The same if the person's axes were changed."""
        return Wearing(self.person, self.own.turned(turn.matrix), self.usual)

    def best_turn(self, turns: Sequence[Turn] = TURNS) -> tuple[Turn, "Wearing"]:
        """The change of axes that brings gravity and movement closest to the usual ones, and what then remains."""
        changed = [(turn, self.turned(turn)) for turn in turns]
        return min(changed, key=lambda pair: pair[1].gravity_deg + pair[1].movement_deg)


def wearing(spec: ModalitySpec, group: int, recorded: Sequence[Recorded]) -> list[Wearing]:
    """Compare the people with each other in the activities that three or more did.

    Args:
        spec: the sensor.
        group: its accelerometer.
        recorded: samples of one label each.
    """
    found: dict[int | None, dict[str, list[tuple[Doubles, Doubles]]]] = {}
    for each in recorded:
        values = of_group(each.blocks, spec, group)
        if len(values) >= MIN_ROWS:
            people = found.setdefault(each.label, {})
            people.setdefault(each.subject, []).append((values.mean(0), np.cov(values.T, dtype=np.float64)))
    pairs: dict[str, list[tuple[Activities, Activities]]] = {}
    for people in found.values():
        if len(people) < MIN_PEOPLE:
            continue
        gravity = np.array([np.mean([mean for mean, _ in known], axis=0) for known in people.values()])
        movement = np.array([np.mean([spread for _, spread in known], axis=0) for known in people.values()])
        usual = Activities(np.median(gravity, axis=0), np.median(movement, axis=0))
        for index, person in enumerate(people):
            pairs.setdefault(person, []).append((Activities(gravity[index], movement[index]), usual))
    return [
        Wearing(person, _stacked([own for own, _ in compared]), _stacked([usual for _, usual in compared]))
        for person, compared in pairs.items()
    ]


def _stacked(activities: Sequence[Activities]) -> Activities:
    return Activities(np.stack([each.gravity for each in activities]), np.stack([each.movement for each in activities]))
