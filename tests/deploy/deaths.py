"""Functions that a child process does not survive, for tests of `edgehar.deploy.runtime.isolation`."""

import signal
import time


def die(number: int) -> None:
    """End by a signal."""
    signal.raise_signal(number)


def wait(seconds: float) -> None:
    """Do not end."""
    time.sleep(seconds)


def allocate(size: int) -> None:
    """Need memory."""
    bytearray(size)
