"""What movements are made of: the course of time, smooth curves through target angles, and pulses."""

from typing import NamedTuple

import numpy as np

from edgehar.simulation.body import Doubles

MANNERS = 4
GRAVITY_MPS2 = 9.80665
LIFT = "lift"
"""The channel that is a height in metres: both feet leave the ground by this much."""


class Course(NamedTuple):
    """The time of one movement.

    Attributes:
        progress: (T,) 0 before the movement starts, 1 after it ended.
        cycle: (T,) cycles since some moment, for what repeats.
        seconds: length of the movement.
    """

    progress: Doubles
    cycle: Doubles
    seconds: float


Channels = dict[str, Doubles]


def ease(progress: Doubles) -> Doubles:
    """From 0 to 1 with the least jerk (the quintic of Flash and Hogan, 1985); 0 before and 1 after."""
    x = np.clip(progress, 0, 1)
    return x**3 * (10 - 15 * x + 6 * x * x)


def through(progress: Doubles, times: tuple[float, ...], **targets: tuple[float, ...]) -> Channels:
    """Smooth curves through target angles, which rest at extremes and swing through the rest.

    Cubic Hermite segments; the slope at a target is the harmonic mean of its neighbours' (Fritsch and
    Butland, 1984), and 0 at an extreme and at both ends, so that no angle overshoots a target.
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


def both(part: str, curve: Doubles) -> Channels:
    """The same angle left and right."""
    return {f"left_{part}": curve, f"right_{part}": curve}


def pulse(cycle: Doubles, centre: float, width: float) -> Doubles:
    """A bump of height 1 once a cycle (von Mises), `width` cycles wide."""
    return np.exp((np.cos(2 * np.pi * (cycle - centre)) - 1) / (2 * np.pi * width) ** 2)


def held(progress: Doubles, rise: float = 0.22, fall: float = 0.22) -> Doubles:
    """Up to 1, held, and back."""
    return ease(progress / rise) - ease((progress - 1 + fall) / fall)
