"""One stream for each person whose samples arrive together, in bounded number."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from edgehar.deploy.stream.clocks.sample_counts import SampleCounts, total
from edgehar.deploy.stream.recognizer import StreamRecognizer
from edgehar.deploy.stream.segments import Activity, Segmenter
from edgehar.errors import ConfigError, DataError
from edgehar.signals.clip import Prediction

MAX_PEOPLE, TIMEOUT_S = 16, 60.0
MAX_NAME_CHARACTERS = 64


@dataclass(frozen=True)
class PersonResult:
    """What a push, a timeout or the end of the recording gave for one person.

    Attributes:
        person: the name; None for samples without one.
        predictions: of the windows that are now complete, in order.
        activities: those that have now ended; empty without a segmenter.
    """

    person: str | None
    predictions: list[Prediction]
    activities: list[Activity]


@dataclass
class _Person:
    stream: StreamRecognizer
    segmenter: Segmenter | None
    arrived_s: float


def check_person(person: Any) -> str:
    """The name of a person; raises DataError unless it is text of 1 to 64 printable characters without outer blanks."""
    is_name = isinstance(person, str) and 1 <= len(person) <= MAX_NAME_CHARACTERS and person.isprintable()
    if not is_name or person != person.strip():
        shown = "null" if person is None else repr(person)
        shown = shown if len(shown) <= MAX_NAME_CHARACTERS else shown[:MAX_NAME_CHARACTERS] + "..."
        raise DataError(
            f"person is {shown}; expected a name of 1 to {MAX_NAME_CHARACTERS} printable characters without blanks "
            "around it; correct it, or omit it for no person"
        )
    return person


def with_name(person: str | None, warning: str) -> str:
    """A warning of a person's stream, with the person's name."""
    return warning if person is None else f"person {person}: {warning}"


class PeopleStreams:
    """A `StreamRecognizer` of its own for each person, created with the first sample; see there for `push`.

        people = edgehar.PeopleStreams(lambda: edgehar.StreamRecognizer(recognizer, ["wrist"]))
        for result in people.push("ann", "wrist", samples, times_s):
            act_on(result.person, result.predictions)

    People share no clock and no samples. Samples with the person None have a stream that is never forgotten and does
    not count as a person. Not for several threads at once.

    Args:
        open_stream: creates the stream of one person.
        open_segmenter: creates the segmenter of one person; None for no activities.
        max_people: most people at one time.
        timeout_s: a person without samples for this long, by their arrival, is flushed and forgotten.
    """

    def __init__(
        self,
        open_stream: Callable[[], StreamRecognizer],
        open_segmenter: Callable[[], Segmenter] | None = None,
        max_people: int = MAX_PEOPLE,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Start without people; raises ConfigError for a limit out of range."""
        if max_people < 1 or not timeout_s > 0:
            raise ConfigError(
                f"max_people {max_people} and timeout_s {timeout_s}: expected at least 1 person, and more than 0 s"
            )
        self._max_people, self._timeout_s = max_people, timeout_s
        self._open_stream, self._open_segmenter = open_stream, open_segmenter
        self._nobody = self._open()
        self._people: dict[str, _Person] = {}
        self._gone: dict[str, SampleCounts] = {}
        self._warnings: list[str] = []
        self.known = 0

    def push(
        self, person: str | None, modality: str, samples: Any, times_s: Any, now_s: float | None = None
    ) -> list[PersonResult]:
        """Add samples of one sensor of one person.

        Args:
            person: the name, 1 to 64 printable characters without blanks around it; None for no person, as lines
                without one.
            modality: see `StreamRecognizer.push`, as the next two.
            samples: (n, C).
            times_s: (n,).
            now_s: time of arrival; `time.monotonic()` if None.

        Returns:
            What is complete now: of people who are forgotten, then of this one.

        Raises:
            DataError: as `StreamRecognizer.push`, for a name of another form, or for one person too many; nothing is
                changed then, except for people who are forgotten.
        """
        now_s = time.monotonic() if now_s is None else now_s
        found = self.expire(now_s)
        one = self._nobody if person is None else self._people.get(check_person(person))
        is_new = one is None
        if one is None:
            if len(self._people) >= self._max_people:
                raise DataError(
                    f"person {person!r}: {len(self._people)} others have a stream; expected at most "
                    f"{self._max_people} people at one time; raise --max-people, or wait until one of them is "
                    "forgotten"
                )
            one = self._open()
        predictions = one.stream.push(modality, samples, times_s)
        if is_new and person is not None:
            self._people[person] = one
            self.known += 1
        one.arrived_s = now_s
        self._note_warnings(person, one)
        return [*found, *self._result(person, one, predictions, ended=False)]

    def expire(self, now_s: float) -> list[PersonResult]:
        """Flush and forget everybody without samples for the timeout; called by `push`, too."""
        silent = [name for name, one in self._people.items() if now_s - one.arrived_s > self._timeout_s]
        return [result for name in silent for result in self._forget(name)]

    def flush(self) -> list[PersonResult]:
        """The end of the recording: flush all and forget everybody."""
        found = [result for name in list(self._people) for result in self._forget(name)]
        return [*self._result(None, self._nobody, self._nobody.stream.flush(), ended=True), *found]

    def take_warnings(self) -> list[str]:
        """As `StreamRecognizer.take_warnings`, of all people; with their names."""
        warnings, self._warnings = self._warnings, []
        return warnings

    @property
    def counts(self) -> dict[str, SampleCounts]:
        """Modality -> counts of all people's samples together, those of forgotten people included."""
        streams = [self._nobody, *self._people.values()]
        return total([self._gone, *(one.stream.counts for one in streams)])

    def _open(self) -> _Person:
        segmenter = None if self._open_segmenter is None else self._open_segmenter()
        return _Person(self._open_stream(), segmenter, 0.0)

    def _forget(self, name: str) -> list[PersonResult]:
        one = self._people.pop(name)
        predictions = one.stream.flush()
        self._note_warnings(name, one)
        self._gone = total([self._gone, one.stream.counts])
        return list(self._result(name, one, predictions, ended=True))

    def _note_warnings(self, person: str | None, one: _Person) -> None:
        self._warnings += [with_name(person, warning) for warning in one.stream.take_warnings()]

    def _result(
        self, person: str | None, one: _Person, predictions: list[Prediction], ended: bool
    ) -> Iterator[PersonResult]:
        activities: list[Activity] = []
        if one.segmenter is not None:
            activities = one.segmenter.push(predictions) + (one.segmenter.flush() if ended else [])
        if predictions or activities:
            yield PersonResult(person, predictions, activities)
