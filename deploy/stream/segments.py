"""Joins the predictions of overlapping windows to activities with a start and an end."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from edgehar.errors import ConfigError
from edgehar.signals.clip import UNKNOWN, Prediction


@dataclass(frozen=True)
class Activity:
    """One activity over a span of time.

    Attributes:
        label: name of the activity.
        start_s: seconds on the stream's clock.
        end_s: seconds on the stream's clock.
        score: mean score of its predictions.
    """

    label: str
    start_s: float
    end_s: float
    score: float


@dataclass
class _Run:
    """Successive predictions of one label; only their sum is kept, since an activity may last for weeks."""

    label: str
    start_s: float
    score_sum: float = 0.0
    count: int = 0

    def add(self, score: float) -> None:
        self.score_sum, self.count = self.score_sum + score, self.count + 1

    def ended(self, end_s: float) -> Activity:
        return Activity(self.label, self.start_s, end_s, self.score_sum / self.count)


class Segmenter:
    """Joins predictions of the same label to activities.

    Where two overlapping windows have different labels, the activity changes half-way between their centres. After a
    pause an activity starts with its first window; before a pause it ends with its last window. A label shorter than
    `shortest_s` is ignored, and its time belongs to the activity before it. Time labelled "unknown" belongs to no
    activity. If the stream's clock goes back, a new activity starts.

    Args:
        shortest_s: seconds that a new label must last to end the activity before it.
    """

    def __init__(self, shortest_s: float = 0.0) -> None:
        """Start without predictions; raises ConfigError for a negative or infinite duration."""
        if not 0 <= shortest_s < math.inf:
            raise ConfigError(f"shortest_s {shortest_s}: expected a number from 0")
        self._shortest_s = shortest_s
        self._last: Prediction | None = None
        self._current: _Run | None = None  # has lasted for `shortest_s`
        self._next: _Run | None = None  # may still be too short

    @property
    def current(self) -> Activity | None:
        """The present activity, up to the last prediction; None if there is none or it is unknown."""
        if self._current is None or self._last is None or self._current.label == UNKNOWN:
            return None
        return self._current.ended(self._last.end_s)

    def push(self, predictions: Iterable[Prediction]) -> list[Activity]:
        """The activities that end with these predictions, which must be in order of time."""
        return [activity for one in predictions for activity in self._add(one)]

    def flush(self) -> list[Activity]:
        """The activity that is present at the end of a recording; the segmenter then starts again."""
        ended = self._close()
        self._last = None
        return ended

    def _add(self, prediction: Prediction) -> list[Activity]:
        ended: list[Activity] = []
        last, start_s = self._last, prediction.start_s
        if last is not None and last.start_s <= prediction.start_s <= last.end_s:
            start_s = (last.start_s + last.end_s + prediction.start_s + prediction.end_s) / 4
        elif last is not None:
            ended += self._close()
        self._last = prediction
        if self._current is not None and prediction.label == self._current.label:
            self._current.add(prediction.score)
            self._next = None
        elif self._next is not None and prediction.label == self._next.label:
            self._next.add(prediction.score)
        else:
            self._next = _Run(prediction.label, start_s)
            self._next.add(prediction.score)
        if self._next is not None and prediction.end_s - self._next.start_s >= self._shortest_s:
            ended += self._change()
        return ended

    def _change(self) -> list[Activity]:
        """Make the new label the present one and return the activity that it ends."""
        previous, self._current, self._next = self._current, self._next, None
        if previous is None or previous.label == UNKNOWN or self._current is None:
            return []
        return [previous.ended(self._current.start_s)]

    def _close(self) -> list[Activity]:
        """End the present activity with the last window; a new label that is still too short is dropped."""
        present, self._current, self._next = self._current, None, None
        if present is None or present.label == UNKNOWN or self._last is None:
            return []
        return [present.ended(self._last.end_s)]
