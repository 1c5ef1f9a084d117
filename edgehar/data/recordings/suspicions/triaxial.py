"""What a triaxial group measures: gravity at rest, its direction, and how it turns against the angular rate.

Seen from the sensor, gravity turns against the sensor's own rotation: dg/dt = -w x g for the unit vector g and the
angular rate w in rad/s. The factor between both sides is 1 for radians and 1/57 for degrees, and negative if an axis of
one of the two is reversed or two are exchanged.
"""

import math

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

SMOOTHING_S = 0.3
NEAR_GRAVITY = 0.15
"""Relative deviation of |acceleration| from its median up to which it points along gravity."""
MIN_STEADINESS = 0.6
"""Length of the mean acceleration relative to the mean length; a sensor that turns over has less."""


def lengths(vectors: Doubles) -> Doubles:
    """Lengths (T,) of vectors (T, axes)."""
    return np.sqrt(np.einsum("ij,ij->i", vectors, vectors))


def rest_magnitude(vectors: Doubles, rate_hz: float) -> float | None:
    """Median length of the mean vector (3,) of the calmest quarter of all seconds; None for less than half a second.

    The mean, because gravity is constant at rest while noise and vibration cancel out.
    """
    rows = max(int(rate_hz), 4)
    if len(vectors) < max(rows // 2, 4):
        return None
    rows = min(rows, len(vectors))
    seconds = vectors[: len(vectors) // rows * rows].reshape(-1, rows, 3)
    movement = seconds.std(axis=1).sum(axis=1)
    calm = seconds[np.argsort(movement)[: (len(seconds) + 3) // 4]]
    return float(np.median(lengths(calm.mean(axis=1))))


def gravity_direction(vectors: Doubles) -> Doubles | None:
    """Unit vector (3,) of the mean acceleration (T, 3); None if the sensor turns over and over."""
    if not len(vectors):
        return None
    mean = vectors.mean(axis=0)
    length = math.sqrt(float(mean @ mean))
    return mean / length if length > MIN_STEADINESS * float(lengths(vectors).mean()) and length > 0 else None


def _smooth(vectors: Doubles, width: int) -> Doubles:
    """Moving average over `width` samples."""
    total = np.cumsum(np.concatenate([np.zeros((1, 3)), vectors]), axis=0)
    return (total[width:] - total[:-width]) / width


def turning(acceleration: Doubles, rate: Doubles, rate_hz: float) -> tuple[float, float] | None:
    """Factor between the turning of gravity and the angular rate, and their correlation; None without rotation.

    Args:
        acceleration: (T, 3).
        rate: (T, 3) angular rate.
        rate_hz: sampling rate.
    """
    width = max(int(SMOOTHING_S * rate_hz), 1)
    if len(acceleration) < 4 * width + 8:
        return None
    smooth, turn = _smooth(acceleration, width), _smooth(rate, width)[1:-1]
    length = lengths(smooth)
    usual = float(np.median(length))
    if usual <= 0:
        return None
    direction = smooth / np.maximum(length, 1e-9)[:, None]
    change = (direction[2:] - direction[:-2]) * (rate_hz / 2)
    direction = direction[1:-1]
    expected = np.stack(
        [
            turn[:, 2] * direction[:, 1] - turn[:, 1] * direction[:, 2],
            turn[:, 0] * direction[:, 2] - turn[:, 2] * direction[:, 0],
            turn[:, 1] * direction[:, 0] - turn[:, 0] * direction[:, 1],
        ],
        axis=1,
    )  # -w x g
    near = np.abs(length[1:-1] / usual - 1) < NEAR_GRAVITY
    change, expected = change[near], expected[near]
    power, changed = float((expected * expected).sum()), float((change * change).sum())
    if power <= 0 or changed <= 0:
        return None
    product = float((change * expected).sum())
    return product / power, product / math.sqrt(power * changed)
