"""Smooths the probabilities of successive windows and keeps the class until another one is clearly more probable."""

import numpy as np

from edgehar.signals.clip import Floats


class Smoother:
    """Exponential smoothing of probabilities, and hysteresis of the class.

    Args:
        smoothing: weight of the previous probabilities, 0 (none) to below 1.
        margin: a new class replaces the previous one only if it is more probable by more than this.
    """

    def __init__(self, smoothing: float, margin: float) -> None:
        """Start without a previous prediction."""
        self._smoothing, self._margin = smoothing, margin
        self.reset()

    def reset(self) -> None:
        """Forget the previous prediction."""
        self._previous: Floats | None = None  # (K,)
        self._previous_class = 0  # also where the label was "unknown"

    def smooth(self, probabilities: Floats) -> tuple[Floats, int]:
        """Smoothed probabilities (K,) and the class to report."""
        if not (self._smoothing or self._margin):
            return probabilities, int(probabilities.argmax())
        previous = self._previous
        if previous is not None and self._smoothing:
            mixed = self._smoothing * previous + (1 - self._smoothing) * probabilities
            probabilities = mixed.astype(np.float32)
        best = int(probabilities.argmax())
        if previous is not None and self._margin > 0:
            lead = float(probabilities[best]) - float(probabilities[self._previous_class])
            best = best if lead > self._margin else self._previous_class
        self._previous, self._previous_class = probabilities, best
        return probabilities, best
