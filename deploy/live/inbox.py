"""One thread reads a source, the main thread recognises; between them lies one bounded queue."""

import queue
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

from edgehar.deploy.live.json_lines import Message
from edgehar.deploy.live.network import POLL_S

WAITING_MESSAGES = 64
"""A source that is faster than the recogniser waits from here on: what it sends waits in its own buffers, not here."""
CLOSE_S = 2.0

Source = Callable[[threading.Event], Iterator[Message]]
"""Called with an event that tells it to end; it looks at the event every POLL_S or more often."""


class Inbox:
    """The messages of a source, in the order in which they arrived.

    Used in a `with` block; leaving it ends the source.
    """

    def __init__(self, source: Source, waiting: int = WAITING_MESSAGES) -> None:
        """Prepare to read; nothing runs before the block is entered."""
        self._source, self._queue = source, queue.Queue[Message | None](waiting)
        self._stop = threading.Event()
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._read, name="source", daemon=True)

    def __enter__(self) -> "Inbox":
        """Start to read."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        """End the source and wait for it."""
        self.stop()
        self._thread.join(CLOSE_S)

    def stop(self) -> None:
        """End the source soon. A signal may call it while `messages` waits: that never holds the event's lock."""
        self._stop.set()

    def messages(self, idle: Callable[[], None] | None = None) -> Iterator[Message]:
        """Every message until the source ends or is stopped; raises what the source raised.

        Args:
            idle: called about every POLL_S while nothing arrives.
        """
        while True:
            try:
                message = self._queue.get(timeout=POLL_S)
            except queue.Empty:
                if not self._thread.is_alive() and self._queue.empty():
                    break
                if idle is not None:
                    idle()
                continue
            if message is None:
                break
            yield message
        if self._problem is not None:
            raise self._problem

    def _read(self) -> None:
        try:
            for message in self._source(self._stop):
                if not self._put(message):
                    break
        except BaseException as problem:
            self._problem = problem  # the main thread raises it
        self._put(None)

    def _put(self, message: Message | None) -> bool:
        """Hand over a message, waiting for a place; False once the source was stopped and there is none."""
        while True:
            try:
                self._queue.put(message, timeout=POLL_S)
            except queue.Full:
                if self._stop.is_set():
                    return False
                continue
            return True


@contextmanager
def ended_by_signals(end: Callable[[], None]) -> Generator[None, None, None]:
    """Within the block, the first SIGINT or SIGTERM calls `end`; a further one does what it did before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.getsignal(kind) for kind in kinds}

    def restore() -> None:
        for kind, handler in before.items():
            signal.signal(kind, handler)

    def handle(number: int, frame: FrameType | None) -> None:
        restore()
        end()

    for kind in kinds:
        signal.signal(kind, handle)
    try:
        yield
    finally:
        restore()
