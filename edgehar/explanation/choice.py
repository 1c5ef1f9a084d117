"""Chooses the window of a recording to explain: by number, by time, or the one with the highest score."""

from collections.abc import Callable, Iterable, Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgehar.checks import MAX_SHOWN
from edgehar.errors import ConfigError, DataError, shortened
from edgehar.signals.clip import Floats
from edgehar.signals.windows import Windows


class Choice(NamedTuple):
    """What to explain.

    Attributes:
        label: the activity; the most probable one of the window if None.
        window: number of the window, from 0.
        at_s: a time in the window; of several windows the one whose middle is nearest. Without `window` and `at_s`, the
            window with the highest score (of the label, if there is one).
    """

    label: str | None = None
    window: int | None = None
    at_s: float | None = None

    def check(self, labels: Sequence[str]) -> None:
        """Raise ConfigError for an unknown label, an impossible number or time, or a number and a time."""
        if self.label is not None and self.label not in labels:
            shown = repr(self.label)[:MAX_SHOWN]
            raise ConfigError(f"label {shown}: expected one that the network knows: {shortened(labels, 40)}")
        if self.window is not None and self.at_s is not None:
            raise ConfigError(f"window {self.window} and time {self.at_s} s: expected one of the two; omit the other")
        number: Any = self.window
        if number is not None and (isinstance(number, bool) or not isinstance(number, Integral) or int(number) < 0):
            raise ConfigError(f"window {number!r}: expected a whole number from 0")
        time_s: Any = self.at_s
        if time_s is not None and (not isinstance(time_s, Real) or not np.isfinite(float(time_s))):
            raise ConfigError(f"time {time_s!r} s: expected a finite number of seconds")


class Chosen(NamedTuple):
    """A window of a recording, as a batch of one, and its number."""

    windows: Windows
    number: int


def choose_window(
    batches: Iterable[Windows], choice: Choice, labels: Sequence[str], probabilities: Callable[[Windows], Floats]
) -> Chosen:
    """The window to explain; the windows are examined batch by batch and not kept.

    Args:
        batches: the windows of a recording, in order.
        choice: which one.
        labels: of the K activities.
        probabilities: (N, K) of prepared windows.

    Raises:
        DataError: no window has this number or includes this time; the error of the recording.
    """
    best: Chosen | None = None
    best_value = -np.inf
    count, first_s, last_s = 0, np.inf, -np.inf
    for windows in batches:
        values = _fit(windows, count, choice, labels, probabilities)
        row = int(values.argmax())
        if values[row] > best_value:
            best, best_value = Chosen(windows.take(np.array([row])), count + row), float(values[row])
            if choice.window is not None:
                return best
        count += len(windows)
        first_s, last_s = min(first_s, float(windows.start_s.min())), max(last_s, float(windows.end_s.max()))
    if best is not None:
        return best
    if choice.window is not None:
        raise DataError(
            f"window {choice.window}: the recording has {count} with a usable step; expected a number from 0 to "
            f"{count - 1}"
        )
    raise DataError(
        f"time {choice.at_s} s: in no window with a usable step; expected one from {first_s:.2f} to {last_s:.2f} s at "
        "which samples were recorded"
    )


def _fit(
    windows: Windows, before: int, choice: Choice, labels: Sequence[str], probabilities: Callable[[Windows], Floats]
) -> NDArray[np.float64]:
    """How well each window (N,) of a batch fits the choice, -inf if not at all; `before`: windows before the batch."""
    if choice.window is not None:
        return np.where(before + np.arange(len(windows)) == choice.window, 0.0, -np.inf)
    if choice.at_s is not None:
        inside = (windows.start_s <= choice.at_s) & (choice.at_s <= windows.end_s)
        return np.where(inside, -np.abs((windows.start_s + windows.end_s) / 2 - choice.at_s), -np.inf)
    scores = probabilities(windows).astype(np.float64)
    return scores.max(axis=1) if choice.label is None else scores[:, labels.index(choice.label)]
