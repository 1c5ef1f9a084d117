"""Time courses and smooth curves that movements are built from."""

from typing import NamedTuple

import numpy as np

from edgehar.simulation.body import Doubles

MANNER_PARAMETERS = 4
"""Numbers that describe how a subject performs an activity."""
GRAVITY_MPS2 = 9.80665
LIFT = "lift"
"""Name of the channel with the height of both feet above the ground, in metres."""


class Course(NamedTuple):
    """The time of one movement.

    Attributes:
        progress: (T,) 0 before the movement, 1 after it.
        cycle: (T,) phase of periodic movements, in cycles.
        seconds: duration of the movement.
    """

    progress: Doubles
    cycle: Doubles
    seconds: float


Channels = dict[str, Doubles]


def minimum_jerk(progress: Doubles) -> Doubles:
    """Minimum-jerk transition from 0 to 1 (quintic of Flash and Hogan, 1985); 0 before and 1 after."""
    x = np.clip(progress, 0, 1)
    return x**3 * (10 - 15 * x + 6 * x * x)


def keyframe_curves(progress: Doubles, times: tuple[float, ...], **targets: tuple[float, ...]) -> Channels:
    """Smooth curves through target angles at given times, without overshoot.

    Monotone cubic Hermite interpolation (Fritsch and Butland, 1984): the slope at a target is the harmonic mean of the
    neighbouring slopes, and 0 at extremes and at both ends.
    """
    at = np.asarray(times)
    values = np.array(list(targets.values())).T  # (K, channels)
    steps = np.diff(at)[:, None]
    rise = np.diff(values, axis=0) / steps
    product = rise[:-1] * rise[1:]
    total = rise[:-1] + rise[1:]
    slope = np.zeros_like(values)
    slope[1:-1] = np.where(product > 0, 2 * product / np.where(product > 0, total, 1), 0)
    x = np.clip(progress, at[0], at[-1])
    left = np.clip(np.searchsorted(at, x, side="right") - 1, 0, len(at) - 2)
    width = steps[left]
    part = ((x - at[left])[:, None]) / width
    start = (1 + 2 * part) * (1 - part) ** 2 * values[left] + part**2 * (3 - 2 * part) * values[left + 1]
    lean = part * (1 - part) ** 2 * slope[left] - part**2 * (1 - part) * slope[left + 1]
    curve = start + width * lean
    return {name: curve[:, column] for column, name in enumerate(targets)}


def bilateral(part: str, curve: Doubles) -> Channels:
    """The same angles for left and right."""
    return {f"left_{part}": curve, f"right_{part}": curve}


def pulse(cycle: Doubles, centre: float, width: float) -> Doubles:
    """A pulse of height 1 per cycle (von Mises shape), `width` cycles wide."""
    return np.exp((np.cos(2 * np.pi * (cycle - centre)) - 1) / (2 * np.pi * width) ** 2)


def plateau(progress: Doubles, rise: float = 0.22, fall: float = 0.22) -> Doubles:
    """A rise to 1, a plateau, and a fall to 0."""
    return minimum_jerk(progress / rise) - minimum_jerk((progress - 1 + fall) / fall)
