"""Serves the people of a live stream with one `Fleet`: hops of lines that are there already are computed together."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import NamedTuple

from edgehar.deploy.live.json_lines import Samples, StreamMessage, parse_line
from edgehar.deploy.live.network import MAX_LOG_CHARACTERS
from edgehar.deploy.live.remarks import Remarks
from edgehar.deploy.stream.clocks.sample_counts import SampleCounts
from edgehar.deploy.stream.fleet import Fleet
from edgehar.deploy.stream.segments import Activity, Segmenter
from edgehar.errors import ConfigError, DataError
from edgehar.signals.clip import Prediction

GATHER_S = 0.01
"""Most seconds that a hop waits while lines of other people, which are there already, are read."""


class Answer(NamedTuple):
    """A prediction, or an activity that has ended.

    Attributes:
        person: the name; None for samples without one.
        found: what is recognised.
        arrived_s: arrival of the line that completed the hop, as `time.monotonic`; None for what remained of a person
            who is forgotten, or at the end of the stream.
    """

    person: str | None
    found: Prediction | Activity
    arrived_s: float | None


class LiveFleet:
    """A fleet that forgets people by the arrival of their lines, with a segmenter for each person.

    Args:
        fleet: without people; it should forget nobody itself.
        open_segmenter: creates the segmenter of one person; None for no activities.
        timeout_s: a person without lines for this long is flushed and forgotten.

    Attributes:
        known: number of people who came; who comes back counts again.
        predictions: number of predictions.
        rejected: number of lines that were skipped because they could not be used.
        alive_s: when `stream_answers` last went on, as `time.monotonic`.
    """

    def __init__(self, fleet: Fleet, open_segmenter: Callable[[], Segmenter] | None, timeout_s: float) -> None:
        """Start without people."""
        self._fleet, self._open_segmenter, self._timeout_s = fleet, open_segmenter, timeout_s
        self._arrived_s = OrderedDict[str, float]()  # the longest silent first
        self._segmenters = dict[str | None, Segmenter]()
        self._due_s = dict[str | None, float]()  # whose hop is due -> arrival of the line that completed it
        self._compute_at_s = math.inf
        self._has_nobody = False
        self.known = self.predictions = self.rejected = 0
        self.alive_s = time.monotonic()

    def before_push(self, person: str | None, now_s: float) -> list[Answer]:
        """What is computed before samples of a person are pushed: a hop of theirs, and who is forgotten by now.

        Samples thus never wait inside the fleet, and are accepted or rejected as by a `StreamRecognizer`.
        """
        found = self.expire(now_s)
        return found + self.compute() if person in self._due_s else found

    def push(self, samples: Samples, arrived_s: float) -> list[Answer]:
        """Add samples; what is computed now: with one stream every hop that is due, else what has waited for GATHER_S.

        Raises:
            DataError: as `Fleet.push`; nothing is changed then.
            ConfigError: as `Fleet.push`.
        """
        person = samples.person
        is_due = self._fleet.push(*samples)
        if person is None:
            self._has_nobody = True
        else:
            self.known += person not in self._arrived_s
            self._arrived_s[person] = arrived_s
            self._arrived_s.move_to_end(person)
        if is_due:
            if not self._due_s:
                self._compute_at_s = time.monotonic() + GATHER_S
            self._due_s[person] = arrived_s
        if not self._due_s:
            return []
        is_alone = len(self._arrived_s) + self._has_nobody == 1
        return self.compute() if is_alone or time.monotonic() > self._compute_at_s else []

    def compute(self) -> list[Answer]:
        """The answers of all hops that are due, computed together."""
        if not self._due_s:
            return []
        due_s, self._due_s = self._due_s, {}
        polled = self._fleet.poll()
        return [one for person, found in polled for one in self._answers(person, [found], due_s.get(person))]

    def expire(self, now_s: float) -> list[Answer]:
        """Flush and forget everybody without lines for the timeout."""
        found: list[Answer] = []
        while self._arrived_s:
            person, arrived_s = next(iter(self._arrived_s.items()))
            if now_s - arrived_s <= self._timeout_s:
                break
            found += self._forget(person)
        return found

    def flush(self) -> list[Answer]:
        """The end of the stream: flush all and forget everybody."""
        found = self.compute() + [one for person in list(self._arrived_s) for one in self._forget(person)]
        rest = [prediction for _, prediction in self._fleet.flush()]  # of samples without a person
        return found + self._answers(None, rest, None) + self._ended(None)

    def take_warnings(self) -> list[str]:
        """As `Fleet.take_warnings`."""
        return self._fleet.take_warnings()

    @property
    def people(self) -> int:
        """Number of people who have a stream."""
        return len(self._arrived_s)

    @property
    def counts(self) -> dict[str, SampleCounts]:
        """As `Fleet.counts`."""
        return self._fleet.counts

    @property
    def counts_by_person(self) -> dict[str | None, dict[str, SampleCounts]]:
        """As `Fleet.counts_by_person`."""
        return self._fleet.counts_by_person

    def _forget(self, person: str) -> list[Answer]:
        del self._arrived_s[person]
        self._due_s.pop(person, None)
        return self._answers(person, self._fleet.forget(person), None) + self._ended(person)

    def _answers(self, person: str | None, found: list[Prediction], arrived_s: float | None) -> list[Answer]:
        self.predictions += len(found)
        answers = [Answer(person, one, arrived_s) for one in found]
        if self._open_segmenter is not None and found:
            segmenter = self._segmenters.get(person)
            if segmenter is None:
                segmenter = self._segmenters[person] = self._open_segmenter()
            answers += [Answer(person, one, arrived_s) for one in segmenter.push(found)]
        return answers

    def _ended(self, person: str | None) -> list[Answer]:
        """The last activity of a person."""
        segmenter = self._segmenters.pop(person, None)
        return [] if segmenter is None else [Answer(person, one, None) for one in segmenter.flush()]


def stream_answers(people: LiveFleet, messages: Iterable[StreamMessage | None], skip_bad: bool) -> Iterator[Answer]:
    """Answers to a stream of lines; those of each person in the order of their lines.

    Args:
        people: the recogniser.
        messages: the lines; None where none waits, see `Inbox.messages`.
        skip_bad: log and skip invalid lines rather than raise DataError; of each cause the first, then their number.
    """
    with closing(Remarks()) as remarks, closing(Remarks()) as warnings:
        for message in messages:
            people.alive_s = time.monotonic()
            if message is None:
                yield from people.compute()
                yield from people.expire(time.monotonic())
            else:
                try:
                    samples = parse_line(message)
                    if samples is None:
                        continue
                    yield from people.before_push(samples.person, message.arrived_s)
                    yield from people.push(samples, message.arrived_s)
                except (DataError, ConfigError) as problem:
                    reason = " ".join(str(problem).split())
                    if not skip_bad:
                        yield from people.compute()
                        raise DataError(f"{message.origin}: {reason}"[:MAX_LOG_CHARACTERS]) from None
                    remarks.add(message.origin, f"{reason[: MAX_LOG_CHARACTERS - 60 - len(message.origin)]}; skipped")
                    people.rejected += 1
                    continue
            for warning in people.take_warnings():
                warnings.add("", warning)
    yield from people.flush()
