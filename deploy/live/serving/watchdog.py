"""Tells systemd that the service is ready and alive (sd_notify); does nothing elsewhere."""

import contextlib
import os
import socket
import time
from collections.abc import Iterable, Iterator

from edgehar.deploy.live.json_lines import StreamMessage

SOCKET_VARIABLE, INTERVAL_VARIABLE = "NOTIFY_SOCKET", "WATCHDOG_USEC"


def notify(state: str) -> None:
    """Send a state, such as READY=1, to the socket that systemd names; see sd_notify(3)."""
    path = os.environ.get(SOCKET_VARIABLE)
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        connection.setblocking(False)
        connection.sendto(state.encode(), address)


def interval_s() -> float | None:
    """Seconds between two signs of life, half of the unit's WatchdogSec as sd_watchdog_enabled(3) recommends.

    None without a watchdog.
    """
    given = os.environ.get(INTERVAL_VARIABLE, "")
    return int(given) / 2e6 if given.isdecimal() and int(given) else None


def watched(messages: Iterable[StreamMessage | None]) -> Iterator[StreamMessage | None]:
    """Pass messages through; they come from the thread that recognises and writes, and so prove that it is alive."""
    if not os.environ.get(SOCKET_VARIABLE):
        yield from messages
        return
    notify("READY=1")
    between_s, next_s = interval_s(), 0.0
    try:
        for message in messages:
            if between_s is not None and (now_s := time.monotonic()) >= next_s:
                notify("WATCHDOG=1")
                next_s = now_s + between_s
            yield message
    finally:
        notify("STOPPING=1")
