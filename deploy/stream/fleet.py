"""One recogniser, a stream for each of many people, and one batch of the network for all hops that are due."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

from edgehar.deploy.recognizer import Recognizer, load
from edgehar.deploy.stream.clocks.sample_counts import SampleCounts, total
from edgehar.deploy.stream.hops import HopComputer
from edgehar.deploy.stream.people import Person, check_person, with_name
from edgehar.deploy.stream.rows import StreamRows
from edgehar.deploy.stream.settings import Chunk, Push, StreamSettings
from edgehar.deploy.stream.state import Hop, StreamState
from edgehar.errors import ConfigError, DataError
from edgehar.signals.clip import Prediction

MAX_PEOPLE, IDLE_S, MAX_WARNINGS = 1024, 60.0, 1000
MAX_WAITING_SAMPLES = 4096
"""Most samples of one person that may wait for `Fleet.poll`; bounds memory where it is never called."""

PersonPredictions = list[tuple[str | None, Prediction]]
"""People, None for samples without a person, and their predictions."""


class Fleet:
    """The streams of many people, whose hops are computed together.

        fleet = edgehar.Fleet("PACKAGE", smoothing=0.5)
        while True:
            for person, modality, samples, times_s in messages():
                fleet.push(person, modality, samples, times_s)
            for person, prediction in fleet.poll():
                act_on(person, prediction)

    A person comes with the first push and has the predictions of a `StreamRecognizer` of their own. With fp32 on the
    CPU they are the same bits, however pushes and polls alternate; see `edgehar.deploy.stream.hops` for the kernels.
    With static INT8 they do not depend on the other people, but a value between two quantisation steps may be rounded
    otherwise than in a `StreamRecognizer`. Graphs with dynamic quantisation are computed person by person. People share
    no clock and no samples.

    A person is forgotten by `forget`, or when idle: when another person's timestamps have advanced by more than
    `idle_s` since the person's last push. That is time of the samples, not of the machine, so that a recording may be
    replayed at any speed; a single push counts for at most half of `idle_s`, so that one clock that jumps makes nobody
    idle. At `max_people`, a push of one more person is a DataError. Samples with the person None have a stream that is
    never forgotten and does not count.

    A person whose next hop is due receives nothing until it is computed: pushes wait for `poll`, at most
    4,096 samples per person. Several threads may use one fleet: the calls exclude each other.

    Args:
        recognizer: the opened package, or its path.
        modalities: see `StreamRecognizer`, as all up to `offsets_s`.
        smoothing: see there.
        margin: see there.
        lateness_s: see there.
        reorder_s: see there.
        offsets_s: see there.
        max_people: most people at one time.
        idle_s: see above; infinity forgets nobody.

    Attributes:
        seen: called with the person and the samples of each accepted push; must not call the fleet or change the rows.
    """

    def __init__(
        self,
        recognizer: Recognizer | Path | str,
        modalities: Iterable[str] = (),
        smoothing: float = 0.0,
        margin: float = 0.0,
        lateness_s: float = 0.5,
        reorder_s: float = 0.0,
        offsets_s: dict[str, float] | None = None,
        max_people: int = MAX_PEOPLE,
        idle_s: float = IDLE_S,
    ) -> None:
        """Start without people; raises ConfigError or DataError for an invalid argument, PackageError as `load`."""
        if not (isinstance(max_people, int) and max_people >= 1 and isinstance(idle_s, Real) and idle_s > 0):
            raise ConfigError(
                f"max_people {max_people!r} and idle_s {idle_s!r}: expected at least 1 person, and more than 0 s"
            )
        opened = recognizer if isinstance(recognizer, Recognizer) else load(recognizer)
        self._settings = StreamSettings(
            opened, modalities, smoothing, margin, lateness_s, reorder_s, offsets_s=offsets_s
        )
        self._computer = HopComputer(opened, min_steps=2)
        self._rows = StreamRows(opened.manifest, self._settings.specs)
        self._max_people, self._idle_s = max_people, idle_s
        self.seen: Callable[[str | None, Chunk], None] | None = None
        self._people = OrderedDict[str, Person]()  # the longest idle first
        self._nobody = self._open()
        self._due: dict[str | None, Person] = {}  # in the order in which they may have become due
        self._left: PersonPredictions = []  # of people who were forgotten
        self._gone: dict[str, SampleCounts] = {}
        self._warnings = deque[str](maxlen=MAX_WARNINGS)
        self._now_s = 0.0
        self._lock = threading.Lock()

    def push(self, person: str | None, modality: str, samples: Any, times_s: Any) -> bool:
        """Add the next samples of one sensor of one person.

        Args:
            person: the name, 1 to 64 printable characters without blanks around it; None for no person.
            modality: see `StreamRecognizer.push`, as the next two.
            samples: (n, C).
            times_s: (n,).

        Returns:
            Whether a hop of this person may be due, which `poll` computes.

        Raises:
            DataError: as `StreamRecognizer.push`, for a name of another form, for one person too many, or for too many
                samples that wait for `poll`; the samples are then not used.
            ConfigError: the sensor is not among those the fleet was opened for.
        """
        chunk = self._settings.checked(modality, samples, times_s)
        with self._lock:
            return self._push(person, chunk)

    def push_all(self, pushes: Sequence[Push]) -> bool:
        """`push` of each (person, modality, samples, times_s), in this order, at less cost.

        Returns whether a hop of one of these people may be due. Raises as `push`, at the first one that is wrong: those
        before it are used, it and those after it are not.
        """
        is_due = False
        with self._lock:
            for (person, *_), chunk in zip(pushes, self._settings.checked_all(pushes), strict=True):
                is_due |= self._push(person, chunk)
        return is_due

    def _push(self, person: str | None, chunk: Chunk) -> bool:
        """`push` of checked samples."""
        if type(person) is not str and person is not None:
            person = check_person(person)
        one = self._nobody if person is None else self._people.get(person)
        if one is None:
            person = check_person(person)
            one = self._admitted(person)
            try:
                self._receive(person, one, chunk)
            except DataError:
                one.state.close()
                raise
            self._people[person] = one
        else:
            self._receive(person, one, chunk)
            if person is not None:
                self._people.move_to_end(person)
        if self.seen is not None:
            self.seen(person, chunk)
        self._now_s = one.advance(chunk.times_s[-1], self._now_s, self._idle_s / 2)
        if one.state.warnings:
            self._collect_warnings(person, one)
        return one.hops is not None

    def _admitted(self, person: str) -> Person:
        """A new person; raises DataError at the limit."""
        self._forget_idle()
        if len(self._people) >= self._max_people:
            raise DataError(
                f"person {person!r}: {len(self._people)} others have a stream; expected at most {self._max_people} "
                "people at one time; raise max_people (--max-people), or wait until one of them is forgotten"
            )
        return self._open()

    def _open(self) -> Person:
        return Person(StreamState(self._settings, self._computer.absent_token, self._rows))

    def _receive(self, person: str | None, one: Person, chunk: Chunk) -> None:
        """Give samples to a stream, or let them wait until its hop is computed."""
        if one.hops is None:
            one.hops = one.state.receive(chunk)
            if one.hops is not None:
                self._due[person] = one
            return
        if one.waiting_samples + len(chunk.times_s) > MAX_WAITING_SAMPLES:
            raise DataError(
                f"person {person!r}: {one.waiting_samples} samples wait to be computed; expected at most "
                f"{MAX_WAITING_SAMPLES}; call poll() more often, or push fewer samples at once"
            )
        one.state.check_times(chunk.modality, chunk.times_s)
        one.waiting.append(chunk.copied())
        one.waiting_samples += len(chunk.times_s)

    def poll(self) -> PersonPredictions:
        """Compute every hop that is due, those of different people together.

        Returns:
            (person, prediction), in order for each person; after those of people who were forgotten meanwhile.
        """
        with self._lock:
            self._forget_idle()
            found = self._left + self._computed(list(self._due.items()))
            self._due, self._left = {}, []
            return found

    def _computed(self, due: list[tuple[str | None, Person]]) -> PersonPredictions:
        """The predictions of these people until none of their hops is due; one hop of each at a time."""
        found: PersonPredictions = []
        while due:
            hops, people, still_due = list[Hop](), list[str | None](), list[tuple[str | None, Person]]()
            for person, one in due:
                hop = self._next_hop(person, one)
                if one.state.warnings:
                    self._collect_warnings(person, one)
                if hop is None:
                    continue
                hops.append(hop)
                people.append(person)
                if hop.is_last:
                    one.hops = None
                if not hop.is_last or one.waiting:
                    still_due.append((person, one))
            computed = zip(people, self._computer.compute(hops), strict=True)
            found += [(person, prediction) for person, prediction in computed if prediction is not None]
            due = still_due
        return found

    def _next_hop(self, person: str | None, one: Person) -> Hop | None:
        """The next hop of a person, who then receives what waits, or None if none is due."""
        while True:
            try:
                hop = None if one.hops is None else next(one.hops, None)
                if hop is not None:
                    return hop
                one.hops = None
                if not one.waiting:
                    return None
                chunk = one.waiting.popleft()
                one.waiting_samples -= len(chunk.times_s)
                one.hops = one.state.receive(chunk)
            except DataError as problem:  # the clock was set while samples waited, and they are far from the new time
                self._warnings.append(with_name(person, f"{problem}; its samples are lost"))
                one.hops = None

    def forget(self, person: str) -> list[Prediction]:
        """Forget a person; the predictions of the whole steps that remain; none of somebody who is not known."""
        with self._lock:
            one = self._people.get(check_person(person))
            return [] if one is None else [prediction for _, prediction in self._forget(person, one)]

    def flush(self) -> PersonPredictions:
        """The end of all recordings: the predictions that remain; everybody is forgotten."""
        with self._lock:
            found, self._left = self._left, []
            for person, one in list(self._people.items()):
                found += self._forget(person, one)
            return found + self._flushed(None, self._nobody)

    def _flushed(self, person: str | None, one: Person) -> PersonPredictions:
        self._due.pop(person, None)
        found = self._computed([(person, one)])
        one.hops = one.state.flush()
        return found + self._computed([(person, one)])

    def _forget(self, person: str, one: Person) -> PersonPredictions:
        found = self._flushed(person, one)
        del self._people[person]
        self._gone = total([self._gone, one.state.counts])
        self._collect_warnings(person, one)
        one.state.close()
        return found

    def _collect_warnings(self, person: str | None, one: Person) -> None:
        self._warnings += [with_name(person, warning) for warning in one.state.take_warnings()]

    def _forget_idle(self) -> None:
        while self._people:
            person, one = next(iter(self._people.items()))
            if self._now_s - one.seen_s <= self._idle_s:
                return
            self._left += self._forget(person, one)

    @property
    def people(self) -> tuple[str, ...]:
        """The people who have a stream, the longest idle first."""
        with self._lock:
            return tuple(self._people)

    @property
    def counts(self) -> dict[str, SampleCounts]:
        """Modality -> counts of all people's samples together, without those that wait for `poll`."""
        with self._lock:
            return total([self._gone, self._nobody.state.counts, *(one.state.counts for one in self._people.values())])

    @property
    def counts_by_person(self) -> dict[str | None, dict[str, SampleCounts]]:
        """Person -> modality -> counts of the samples of everybody who has a stream, None for no person."""
        with self._lock:
            return {None: self._nobody.state.counts, **{name: one.state.counts for name, one in self._people.items()}}

    def take_warnings(self) -> list[str]:
        """As `StreamRecognizer.take_warnings`, of all people; with their names, at most 1,000."""
        with self._lock:
            warnings, self._warnings = list(self._warnings), deque[str](maxlen=MAX_WARNINGS)
            return warnings
