"""Buffers lines for a sink that may disconnect; the buffer is bounded and dropped lines are counted."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from edgehar.deploy.live.network import POLL_S, log
from edgehar.deploy.live.remarks import MAX_STATUS_LINES, Remarks
from edgehar.deploy.live.stopping import StopEvent

MAX_BUFFERED_LINES = 1000
"""Unsent lines buffered while a sink is disconnected; the oldest are dropped first."""
CLOSE_S = 2.0
"""Time that the end of the command waits for a sink to take the remaining lines."""


class Outbox:
    """Lines for a sink that may disconnect, sent by a thread of its own.

    Args:
        name: name of the sink in log lines.
        send: runs in the thread; takes lines with `lines` or `next_line` and reports with `mark_delivered`,
            `set_connected` and `set_disconnected`.
        block_when_full: let `write` wait for a sink that is connected but slow rather than drop lines; for recordings.
        stop: once it is over, `write` does not wait.
    """

    def __init__(
        self,
        name: str,
        send: Callable[["Outbox"], None],
        block_when_full: bool = False,
        stop: StopEvent | None = None,
    ) -> None:
        """Start the thread."""
        self.name = name
        self._stop, self._remarks = stop or StopEvent(), Remarks(at_once=MAX_STATUS_LINES)
        self._block_when_full = block_when_full
        self._lines: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._disconnected, self._last_reason = False, ""
        self._written = self._delivered = self._dropped = 0
        self._deadline_s: float | None = None
        self._thread = threading.Thread(target=send, args=(self,), name=name, daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Buffer a line; if the buffer is full, its oldest line is dropped."""
        with self._changed:
            while self._block_when_full and not self._has_room() and not self._stop.is_over():
                self._changed.wait(POLL_S)
            if len(self._lines) >= MAX_BUFFERED_LINES:
                self._lines.popleft()
                self._dropped += 1
            self._lines.append(line.encode() + b"\n")
            self._written += 1
            self._changed.notify_all()

    def _has_room(self) -> bool:
        return len(self._lines) < MAX_BUFFERED_LINES or self._disconnected

    def close(self) -> None:
        """Send the remaining lines if the sink takes them within CLOSE_S; log how many were not delivered."""
        with self._changed:
            self._deadline_s = time.monotonic() + CLOSE_S
            self._changed.notify_all()
        self._thread.join(CLOSE_S + POLL_S)
        with self._changed:
            lost = self._written - self._delivered
        self._remarks.close()
        if lost:
            log(f"{self.name}: {lost} of {self._written} lines were not delivered")

    def next_line(self) -> bytes | None:
        """Wait for the next line; None if the outbox is closed and empty, or its time is up."""
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
        """All lines until the outbox is closed."""
        while (line := self.next_line()) is not None:
            yield line

    def mark_delivered(self, count: int = 1) -> None:
        """Report lines as delivered, or at least as sent by this machine."""
        with self._changed:
            self._delivered += count

    def expired(self) -> bool:
        """Whether the time for sending the remaining lines is over."""
        return self._deadline_s is not None and time.monotonic() > self._deadline_s

    def set_connected(self) -> None:
        """Report that the sink is connected."""
        with self._changed:
            dropped, self._dropped, self._disconnected, self._last_reason = self._dropped, 0, False, ""
        self._remarks.add(self.name, "connected" + (f"; {dropped} lines were dropped meanwhile" if dropped else ""))

    def set_disconnected(self, reason: object) -> None:
        """Report that the sink is disconnected; logged once for each reason."""
        text = str(reason)
        with self._changed:
            self._disconnected, last_reason, self._last_reason = True, self._last_reason, text
            self._changed.notify_all()
        if text != last_reason:
            self._remarks.add(self.name, f"{text}; retrying, the last {MAX_BUFFERED_LINES} lines are kept")

    def wait_to_retry(self, delay_s: float, unsent: bool) -> bool:
        """Wait before the next attempt; False if none is needed or possible.

        Args:
            delay_s: seconds to wait.
            unsent: whether the caller holds a line that was taken but not sent.
        """
        end_s = time.monotonic() + delay_s
        with self._changed:
            while (left_s := end_s - time.monotonic()) > 0:
                if self._deadline_s is not None and not (self._lines or unsent):
                    return False
                if self.expired():
                    return False
                self._changed.wait(min(left_s, POLL_S))
        return True
