"""Serves the live page over HTTP from a thread of its own; needs uvicorn."""

import asyncio
import secrets
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from edgehar.deploy.live.network import Address, log
from edgehar.deploy.live.page.application import Application
from edgehar.deploy.live.page.handover import Handover
from edgehar.deploy.live.page.people import PagePeople
from edgehar.deploy.live.serving.live_fleet import LiveFleet
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import ConfigError

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

MAX_CONNECTIONS = 32
REQUEST_S = 5.0
"""A connection without a request for this long is closed."""
STALL_S = 30.0
"""A client that takes nothing for this long is disconnected."""
END_S = 1
"""How long the end of the run waits for clients to take the last events."""
MAX_REQUEST_BYTES = 8192
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class _Connection(H11Protocol):
    """A connection with limits: of their number, of the time until a request, and of the time a client stands still."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
            return
        self._restart(REQUEST_S)

    def handle_events(self) -> None:
        super().handle_events()
        if self.cycle is not None:  # pyright: ignore[reportUnnecessaryComparison]  (None before the first request)
            self._restart(None)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._restart(STALL_S)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._restart(None)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._restart(None)

    def _restart(self, after_s: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if after_s is None else self.loop.call_later(after_s, self.transport.abort)


def _listen(address: Address) -> socket.socket:
    """A listening socket; raises ConfigError if the address cannot be used."""
    try:
        family = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((address.host, address.port), family=family)
    except OSError as problem:
        reason = str(problem.strerror or problem).partition(" (while")[0]
        raise ConfigError(
            f"--page {address.port} at {address.host}: {reason}; expected a free port and an "
            "address of this machine; choose another one"
        ) from None


@contextmanager
def serve_page(
    address: Address, people: LiveFleet, recognizer: Recognizer, has_activities: bool
) -> Generator[Handover, None, None]:
    """Serve the page within the block; its address, with the token, is logged once.

    Args:
        address: where; port 0 takes a free one.
        people: the fleet; its lock is held while samples are counted.
        recognizer: explains predictions.
        has_activities: whether activities are written.

    Yields:
        What takes the samples and answers of the stream.

    Raises:
        ConfigError: the address cannot be used.
    """
    listener, token = _listen(address), secrets.token_urlsafe(16)
    handover = Handover()
    application = Application(token, handover, PagePeople(recognizer.manifest, has_activities), people, recognizer)
    server = uvicorn.Server(
        uvicorn.Config(
            cast("ASGI3Application", application),
            loop="asyncio",
            http=_Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_keep_alive=int(REQUEST_S),
            timeout_graceful_shutdown=END_S,
            h11_max_incomplete_event_size=MAX_REQUEST_BYTES,
        )
    )

    def ended(updates: asyncio.Task[None]) -> None:
        problem = None if updates.cancelled() else updates.exception()
        if problem is not None:  # recognition goes on without the page
            log(f"page: {type(problem).__name__}: {problem}; the page is closed")
            server.should_exit = True

    async def serve() -> None:
        updates = asyncio.create_task(application.send_updates(lambda: server.should_exit))
        updates.add_done_callback(ended)
        await server.serve(sockets=[listener])
        for connection in list(server.server_state.connections):
            if connection.transport is not None:  # pyright: ignore[reportUnnecessaryComparison]
                connection.transport.abort()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="page", daemon=True)
    thread.start()
    port = cast(int, listener.getsockname()[1])
    log(f"page at http://{Address(address.host, port)}/?token={token}")
    if address.host not in LOOPBACK:
        log(f"--page-address {address.host}: not encrypted; whoever reads the network or has the address sees the page")
    try:
        yield handover
    finally:
        server.should_exit = True
        thread.join()
