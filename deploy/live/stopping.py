"""Ends a stream on a signal, soon, whatever its source or its sinks wait for."""

import math
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

STOP_S = 1.0
"""How long after a signal received lines are still processed, and standard output may still take lines."""


class StopEvent(threading.Event):
    """An event that records when it was set."""

    def __init__(self) -> None:
        """Start unset."""
        super().__init__()
        self._since_s = math.inf

    def set(self) -> None:
        """Set the event. Safe in a signal handler as long as the main thread does not wait for the event."""
        self._since_s = min(self._since_s, time.monotonic())
        super().set()

    def is_over(self) -> bool:
        """Whether the event was set more than STOP_S ago."""
        return time.monotonic() - self._since_s > STOP_S


@contextmanager
def stop_on_signals(stop: Callable[[], None]) -> Generator[None, None, None]:
    """Within the block the first SIGINT, SIGTERM or SIGHUP calls `stop`; later ones go to the previous handlers.

    A SIGHUP that is ignored, as by nohup, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kinds = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        kinds.append(signal.SIGHUP)
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
