"""Lines on their way to a sink that may go away: a bounded number is kept, and what is lost is counted."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from edgehar.deploy.live.network import POLL_S, say

KEPT_LINES = 1000
"""Unsent lines that are kept for a sink that is away; the oldest make room for newer ones."""
CLOSE_S = 2.0
"""How long the end of the command waits for a sink to take what is left."""


class Outbox:
    """Lines on their way to a sink that may go away, sent by a thread of its own.

    Args:
        name: of the sink, for people.
        deliver: runs in the thread; takes lines with `lines` or `next_line` and says what became of them.
        patient: wait for a sink that is there but slower, rather than drop lines: for recordings, which can wait.
    """

    def __init__(self, name: str, deliver: Callable[["Outbox"], None], patient: bool = False) -> None:
        """Start the thread."""
        self.name = name
        self._patient = patient
        self._lines: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._away, self._remark = False, ""
        self._taken = self._delivered = self._dropped = 0
        self._deadline_s: float | None = None
        self._thread = threading.Thread(target=deliver, args=(self,), name=name, daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Take a line; if too many wait already, the oldest of them is dropped."""
        with self._changed:
            if self._patient:
                self._changed.wait_for(lambda: len(self._lines) < KEPT_LINES or self._away)
            if len(self._lines) >= KEPT_LINES:
                self._lines.popleft()
                self._dropped += 1
            self._lines.append(line.encode() + b"\n")
            self._taken += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Send what is left if the sink takes it soon, and report what it never got."""
        with self._changed:
            self._deadline_s = time.monotonic() + CLOSE_S
            self._changed.notify_all()
        self._thread.join(CLOSE_S + POLL_S)
        with self._changed:
            lost = self._taken - self._delivered
        if lost:
            say(f"{self.name}: {lost} of {self._taken} lines were not delivered")

    def next_line(self) -> bytes | None:
        """The next line, waiting for one; None when the outbox is closed and nothing is left, or time is up."""
        with self._changed:
            while not self._lines:
                if self._deadline_s is not None:
                    return None
                self._changed.wait()
            if self.expired():
                return None
            self._changed.notify_all()
            return self._lines.popleft()

    def lines(self) -> Iterator[bytes]:
        """Lines as they come, until there will be no more."""
        while (line := self.next_line()) is not None:
            yield line

    def delivered(self, count: int = 1) -> None:
        """Say that lines have arrived, or at least left this machine."""
        with self._changed:
            self._delivered += count

    def expired(self) -> bool:
        """Whether it is too late to send anything."""
        return self._deadline_s is not None and time.monotonic() > self._deadline_s

    def here(self) -> None:
        """Say that the sink can be reached."""
        with self._changed:
            dropped, self._dropped, self._away, self._remark = self._dropped, 0, False, ""
        say(f"{self.name}: connected" + (f"; {dropped} lines were dropped meanwhile" if dropped else ""))

    def away(self, reason: object) -> None:
        """Say that the sink cannot be reached; people are told once for each reason."""
        remark = str(reason)
        with self._changed:
            self._away, known, self._remark = True, self._remark, remark
            self._changed.notify_all()
        if remark != known:
            say(f"{self.name}: {remark}; the last {KEPT_LINES} lines are kept, trying again")

    def pause(self, pause_s: float, in_hand: bool) -> bool:
        """Wait before another attempt; False if there is nothing more to try."""
        end_s = time.monotonic() + pause_s
        with self._changed:
            while (left_s := end_s - time.monotonic()) > 0:
                if self._deadline_s is not None and not (self._lines or in_hand):
                    return False
                if self.expired():
                    return False
                self._changed.wait(min(left_s, POLL_S))
        return True
