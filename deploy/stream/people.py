"""The people whose streams are recognised together, and their names."""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from edgehar.deploy.stream.settings import Chunk
from edgehar.deploy.stream.state import Hop, StreamState
from edgehar.errors import DataError

MAX_NAME_CHARACTERS = 64


def check_person(person: Any) -> str:
    """The name of a person, a `str` also of a subclass.

    Raises DataError unless it is text of 1 to 64 printable characters without outer blanks.
    """
    is_name = isinstance(person, str) and 1 <= len(person) <= MAX_NAME_CHARACTERS and person.isprintable()
    if not is_name or person != person.strip():
        shown = "null" if person is None else repr(person)
        shown = shown if len(shown) <= MAX_NAME_CHARACTERS else shown[:MAX_NAME_CHARACTERS] + "..."
        raise DataError(
            f"person is {shown}; expected a name of 1 to {MAX_NAME_CHARACTERS} printable characters without blanks "
            "around it; correct it, or omit it for no person"
        )
    return str(person)


def with_name(person: str | None, warning: str) -> str:
    """A warning of a person's stream, with the person's name."""
    return warning if person is None else f"person {person}: {warning}"


@dataclass(slots=True)
class Person:
    """A person's stream.

    Attributes:
        state: the stream.
        hops: those that it yields until it can receive again; None if it can.
        waiting: what was pushed meanwhile.
        waiting_samples: number of samples in it.
        last_s: newest timestamp of the last push.
        elapsed_s: the fleet's time by this person's timestamps.
        seen_s: the fleet's time at the last push.
    """

    state: StreamState
    hops: Iterator[Hop] | None = None
    waiting: deque[Chunk] = field(default_factory=lambda: deque[Chunk]())
    waiting_samples: int = 0
    last_s: float = math.inf
    elapsed_s: float = 0.0
    seen_s: float = 0.0

    def advance(self, time_s: float, now_s: float, longest_s: float) -> float:
        """The fleet's time after a push with this newest timestamp, which advances it by `longest_s` at most."""
        advance_s = time_s - self.last_s
        if self.last_s == math.inf:
            self.elapsed_s = now_s
        elif advance_s > 0:
            self.elapsed_s += min(advance_s, longest_s)
        self.last_s = time_s
        self.seen_s = max(now_s, self.elapsed_s)
        return self.seen_s
