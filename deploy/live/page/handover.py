"""Hands samples and answers from the thread that recognises to the thread of the page; bounded, and never waits."""

import threading
import time
from collections import deque
from typing import NamedTuple

from edgehar.deploy.live.serving.live_fleet import Answer
from edgehar.deploy.stream.settings import Chunk

MAX_SAMPLES = 20_000
"""Samples that wait for the page; the oldest are dropped first."""
MAX_ANSWERS = 2_000

Received = tuple[str | None, Chunk]
"""A person and samples of one sensor."""


class Shown(NamedTuple):
    """An answer, and the seconds from the arrival of the line that completed it until it was written, if known."""

    answer: Answer
    latency_s: float | None


class Handover:
    """Samples and answers that wait for the page.

    Attributes:
        is_watched: whether samples are taken; without a client nobody sees them.
    """

    def __init__(self) -> None:
        """Start empty and unwatched."""
        self.is_watched = False
        self._samples, self._answers = deque[Received](), deque[Shown](maxlen=MAX_ANSWERS)
        self._count = 0
        self._lock = threading.Lock()

    def add_samples(self, person: str | None, samples: Chunk) -> None:
        """Take samples that the fleet accepted; their rows must not change afterwards."""
        if not self.is_watched:
            return
        with self._lock:
            self._samples.append((person, samples))
            self._count += len(samples.times_s)
            while self._count > MAX_SAMPLES:
                self._count -= len(self._samples.popleft()[1].times_s)

    def add_answer(self, answer: Answer) -> None:
        """Take an answer after it was written."""
        latency_s = None if answer.arrived_s is None else time.monotonic() - answer.arrived_s
        with self._lock:
            self._answers.append(Shown(answer, latency_s))

    def take(self) -> tuple[list[Received], list[Shown]]:
        """All that waits, in order."""
        with self._lock:
            samples, answers = self._samples, self._answers
            self._samples, self._answers = deque[Received](), deque[Shown](maxlen=MAX_ANSWERS)
            self._count = 0
        return list(samples), list(answers)
