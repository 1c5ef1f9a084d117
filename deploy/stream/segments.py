"""From one prediction per window to activities with a beginning and an end."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from edgehar.errors import ConfigError
from edgehar.signals.clip import UNKNOWN, Prediction


@dataclass(frozen=True)
class Activity:
    """One span of one activity.

    Attributes:
        label: its name.
        start_s: seconds on the stream's clock.
        end_s: the same.
        score: mean score of the predictions it is made of.
    """

    label: str
    start_s: float
    end_s: float
    score: float


@dataclass
class _Run:
    """Predictions in a row with one label, from `start_s` on; an activity may last for weeks."""

    label: str
    start_s: float
    score_sum: float = 0.0
    count: int = 0

    def add(self, score: float) -> None:
        self.score_sum, self.count = self.score_sum + score, self.count + 1

    def ended(self, end_s: float) -> Activity:
        return Activity(self.label, self.start_s, end_s, self.score_sum / self.count)


class Segmenter:
    """Joins predictions that overlap and name the same label.

    Between two overlapping windows that name different labels the activity changes half-way between their middles; an
    activity after a pause begins where its first window does, and one before a pause ends where its last window does.
    A label that does not last for `shortest_s` is taken for a slip, and its time goes to the activity before it.
    Time whose label is "unknown" belongs to no activity. A stream whose clock goes back begins a new activity.

    Args:
        shortest_s: how long a new label must last to end the activity before it.
    """

    def __init__(self, shortest_s: float = 0.0) -> None:
        """Start with nothing heard; raises ConfigError for a negative or endless duration."""
        if not 0 <= shortest_s < math.inf:
            raise ConfigError(f"shortest activity {shortest_s} s; expected 0 or more")
        self._shortest_s = shortest_s
        self._last: Prediction | None = None
        self._now: _Run | None = None  # lasted long enough
        self._next: _Run | None = None  # may yet be a slip

    @property
    def current(self) -> Activity | None:
        """The activity going on, up to the last prediction; None if there is none or it is unknown."""
        if self._now is None or self._last is None or self._now.label == UNKNOWN:
            return None
        return self._now.ended(self._last.end_s)

    def push(self, predictions: Iterable[Prediction]) -> list[Activity]:
        """The activities that these predictions, in order of time, bring to an end."""
        return [activity for one in predictions for activity in self._add(one)]

    def flush(self) -> list[Activity]:
        """The activities still going on at the end of a recording; a new one starts afresh."""
        ended = self._close()
        self._last = None
        return ended

    def _add(self, one: Prediction) -> list[Activity]:
        ended: list[Activity] = []
        last, start_s = self._last, one.start_s
        if last is not None and last.start_s <= one.start_s <= last.end_s:
            start_s = (last.start_s + last.end_s + one.start_s + one.end_s) / 4
        elif last is not None:
            ended += self._close()
        self._last = one
        if self._now is not None and one.label == self._now.label:
            self._now.add(one.score)
            self._next = None
        elif self._next is not None and one.label == self._next.label:
            self._next.add(one.score)
        else:
            self._next = _Run(one.label, start_s)
            self._next.add(one.score)
        if self._next is not None and one.end_s - self._next.start_s >= self._shortest_s:
            ended += self._change()
        return ended

    def _change(self) -> list[Activity]:
        """The new label has lasted: it ends what was before it."""
        before, self._now, self._next = self._now, self._next, None
        if before is None or before.label == UNKNOWN or self._now is None:
            return []
        return [before.ended(self._now.start_s)]

    def _close(self) -> list[Activity]:
        """End everything where the last window ends; a label that has not lasted by then is a slip."""
        now, self._now, self._next = self._now, None, None
        return [] if now is None or now.label == UNKNOWN or self._last is None else [now.ended(self._last.end_s)]
