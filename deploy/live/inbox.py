"""Reads a source in a thread of its own and queues its messages for the main thread."""

import queue
import threading
from collections.abc import Callable, Iterator
from types import TracebackType

from edgehar.deploy.live.json_lines import StreamMessage
from edgehar.deploy.live.network import POLL_S, log
from edgehar.deploy.live.stopping import StopEvent

MAX_QUEUED_MESSAGES = 64
"""Messages that are queued for the recogniser; when the queue is full, the source waits."""
SLOT_BYTES = 65_536
"""A message counts once more for each of these that its line has: the queue holds 4 MiB and one line at most."""
CLOSE_S = 1.0

MessageSource = Callable[[threading.Event], Iterator[StreamMessage]]
"""A source of stream messages: a generator function that ends soon after the given event is set; it polls the event
at least every POLL_S."""


class _MessageQueue(queue.Queue[StreamMessage | None]):
    """A queue whose length is bounded by the messages and by the bytes of their lines."""

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self._slots = 0

    def _qsize(self) -> int:
        return self._slots

    def _put(self, item: StreamMessage | None) -> None:
        super()._put(item)
        self._slots += self._slots_of(item)

    def _get(self) -> StreamMessage | None:
        item = super()._get()
        self._slots -= self._slots_of(item)
        return item

    def _slots_of(self, item: StreamMessage | None) -> int:
        return 1 if item is None else 1 + len(item.line) // SLOT_BYTES


class Inbox:
    """The messages of a source, in order of arrival.

    A context manager: the source runs within the block and is stopped at its end.

    Args:
        source: where messages come from.
        capacity: length of the queue.
        stop: stops the source; lines that were received before are processed for STOP_S.
    """

    def __init__(
        self, source: MessageSource, capacity: int = MAX_QUEUED_MESSAGES, stop: StopEvent | None = None
    ) -> None:
        """Create the thread, which starts with the block."""
        self._source, self._queue = source, _MessageQueue(capacity)
        self._stop = stop or StopEvent()
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

    def messages(self) -> Iterator[StreamMessage | None]:
        """All messages until the source ends or is stopped; an exception of the source is raised here.

        None means that no message waits: it comes before each wait for the next one, and about every POLL_S.
        """
        is_waiting = False
        while True:
            try:
                message = self._queue.get(is_waiting, POLL_S)
            except queue.Empty:
                if is_waiting and not self._thread.is_alive() and self._queue.empty():
                    break
                is_waiting = True
                yield None
                continue
            is_waiting = False
            if message is None:
                break
            if self._stop.is_over():
                log("stopped; the lines that were received last are not processed")
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
