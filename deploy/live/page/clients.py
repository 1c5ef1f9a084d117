"""Sends events to the browsers that are connected: a bounded queue for each, which drops the oldest."""

import asyncio
import json
from collections import deque
from typing import Any

MAX_QUEUED = 20
"""Events that wait for a client, 2 seconds; the client sees from the numbers that some are missing."""
MAX_CLIENTS = 8


def event(kind: str, content: Any, number: int) -> bytes:
    """An event as the HTML standard defines it (9.2, server-sent events)."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return f"id: {number}\nevent: {kind}\ndata: {text}\n\n".encode()


class Client:
    """The events that wait for one browser."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._events = deque[bytes](maxlen=MAX_QUEUED)
        self._is_closed = False
        self._changed = asyncio.Event()

    def put(self, content: bytes) -> None:
        """Add an event; if the queue is full, the oldest is dropped."""
        self._events.append(content)
        self._changed.set()

    def close(self) -> None:
        """No event comes any more."""
        self._is_closed = True
        self._changed.set()

    async def next(self) -> bytes | None:
        """Wait for all events that are there, joined; None after the last one."""
        while not self._events:
            if self._is_closed:
                return None
            self._changed.clear()
            await self._changed.wait()
        found = b"".join(self._events)
        self._events.clear()
        return found
