"""Reads a source in a thread of its own and queues its messages for the main thread."""

import queue
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

from edgehar.deploy.live.json_lines import StreamMessage
from edgehar.deploy.live.network import POLL_S

MAX_QUEUED_MESSAGES = 64
"""Messages that are queued for the recogniser; when the queue is full, the source waits."""
CLOSE_S = 2.0

MessageSource = Callable[[threading.Event], Iterator[StreamMessage]]
"""A source of stream messages: a generator function that ends soon after the given event is set; it polls the event
at least every POLL_S."""


class Inbox:
    """The messages of a source, in order of arrival.

    A context manager: the source runs within the block and is stopped at its end.

    Args:
        source: where messages come from.
        capacity: length of the queue.
    """

    def __init__(self, source: MessageSource, capacity: int = MAX_QUEUED_MESSAGES) -> None:
        """Create the thread, which starts with the block."""
        self._source, self._queue = source, queue.Queue[StreamMessage | None](capacity)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._read, name="source", daemon=True)

    def __enter__(self) -> "Inbox":
        """Start the source."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        """Stop the source and wait for its thread."""
        self.stop()
        self._thread.join(CLOSE_S)

    def stop(self) -> None:
        """Stop the source soon. Safe in a signal handler: the main thread never holds the event's lock."""
        self._stop.set()

    def messages(self, idle: Callable[[], None] | None = None) -> Iterator[StreamMessage]:
        """All messages until the source ends or is stopped; an exception of the source is raised here.

        Args:
            idle: called about every POLL_S while the queue is empty.
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
        if self._error is not None:
            raise self._error

    def _read(self) -> None:
        try:
            for message in self._source(self._stop):
                if not self._put(message):
                    break
        except BaseException as error:
            self._error = error  # raised by `messages`
        self._put(None)

    def _put(self, message: StreamMessage | None) -> bool:
        """Queue a message, waiting while the queue is full; False if the source is stopped meanwhile."""
        while True:
            try:
                self._queue.put(message, timeout=POLL_S)
            except queue.Full:
                if self._stop.is_set():
                    return False
                continue
            return True


@contextmanager
def stop_on_signals(stop: Callable[[], None]) -> Generator[None, None, None]:
    """Within the block the first SIGINT or SIGTERM calls `stop`; later ones go to the previous handlers."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kinds = (signal.SIGINT, signal.SIGTERM)
    previous = {kind: signal.getsignal(kind) for kind in kinds}

    def restore() -> None:
        for kind, handler in previous.items():
            signal.signal(kind, handler)

    def handle(number: int, frame: FrameType | None) -> None:
        restore()
        stop()

    for kind in kinds:
        signal.signal(kind, handle)
    try:
        yield
    finally:
        restore()
