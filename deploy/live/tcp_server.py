"""TCP server as the source of a live stream: reads the lines of several clients; none can lock out the others."""

import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import cast

from edgehar.deploy.live.json_lines import StreamMessage
from edgehar.deploy.live.network import POLL_S, Address, enable_keepalive, log
from edgehar.deploy.live.remarks import Remarks
from edgehar.deploy.live.sources import Peer
from edgehar.errors import ConfigError

MAX_CLIENTS, MOST_CLIENTS = 32, 512
"""Most clients at one time: by default, and as an option."""
CLIENT_TIMEOUT_S = 300.0
SILENT_S = 1.0
"""A client without a complete line for this long may have to make room for a new one."""
ACCEPT_RETRY_S = 1.0
"""Pause after a failed accept, such as without a free file descriptor: the waiting client would fail again at once."""


class Clients:
    """The clients of a listening socket.

    Args:
        server: the socket; not blocking.
        remarks: where connections that end are reported.
        max_clients: most clients at one time; one more replaces the one that has been silent for longest.
        timeout_s: a client without a complete line for this long is disconnected.
    """

    def __init__(self, server: socket.socket, remarks: Remarks, max_clients: int, timeout_s: float) -> None:
        """Start without clients."""
        self._server, self._remarks = server, remarks
        self._max_clients, self._timeout_s = max_clients, timeout_s
        self._selector = selectors.DefaultSelector()
        self._selector.register(server, selectors.EVENT_READ)
        self._paused_until_s: float | None = None
        self.peers: list[Peer] = []

    def wait(self) -> tuple[list[Peer], bool]:
        """Wait for up to POLL_S; the clients that have sent something, and whether a new one waits."""
        if self._paused_until_s is not None and time.monotonic() >= self._paused_until_s:
            self._selector.register(self._server, selectors.EVENT_READ)
            self._paused_until_s = None
        ready = [cast("Peer | None", key.data) for key, _ in self._selector.select(POLL_S)]
        return [peer for peer in ready if peer is not None], None in ready

    def accept(self, now_s: float) -> None:
        """Accept the client that waits, if there is room or a client has been silent."""
        try:
            connection, address = self._server.accept()
        except OSError as problem:
            self._remarks.add("cannot accept a client", str(problem.strerror or problem))
            if not isinstance(problem, BlockingIOError | ConnectionAbortedError):
                self.pause(now_s)
            return
        name = str(Address(*address[:2]))
        if len(self.peers) >= self._max_clients:
            oldest = min(self.peers, key=lambda peer: peer.last_line_s)
            if now_s - oldest.last_line_s < SILENT_S:
                self._remarks.add(name, f"rejected; the maximum of {self._max_clients} clients is connected")
                connection.close()
                return
            self._remarks.add(oldest.name, "disconnected; it was silent for longest, and a new client needs its place")
            self.close(oldest)
        connection.setblocking(False)
        enable_keepalive(connection)
        self.peers.append(peer := Peer(connection, name, self._remarks))
        self._selector.register(connection, selectors.EVENT_READ, peer)

    def pause(self, now_s: float) -> None:
        """Accept nobody for ACCEPT_RETRY_S."""
        self._selector.unregister(self._server)
        self._paused_until_s = now_s + ACCEPT_RETRY_S

    def close_silent(self, now_s: float) -> None:
        """Disconnect the clients without a complete line for `timeout_s`."""
        for peer in [one for one in self.peers if now_s - one.last_line_s > self._timeout_s]:
            self._remarks.add(peer.name, f"disconnected; it was silent for {self._timeout_s:g} s (--client-timeout-s)")
            self.close(peer)

    def close(self, peer: Peer) -> None:
        """Disconnect a client."""
        self._selector.unregister(peer.connection)
        self.peers.remove(peer)
        peer.connection.close()

    def close_all(self) -> None:
        """Disconnect all."""
        for peer in list(self.peers):
            self.close(peer)
        self._selector.close()


def open_server(address: Address, backlog: int) -> socket.socket:
    """A listening socket that does not block; raises ConfigError if the address cannot be used."""
    try:
        family, _, _, _, socket_address = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        server = socket.create_server(socket_address[:2], family=family, backlog=backlog)  # type: ignore[arg-type]
    except OSError as problem:
        raise ConfigError(
            f"--listen {address}: {problem.strerror or problem}; expected an address of this machine and a free port; "
            "choose another one"
        ) from None
    server.setblocking(False)
    return server


def listen(
    address: Address,
    once: bool,
    stop: threading.Event,
    max_clients: int = MAX_CLIENTS,
    timeout_s: float = CLIENT_TIMEOUT_S,
) -> Iterator[StreamMessage]:
    """Accept clients and read their lines in order of arrival.

    Args:
        address: where to listen; port 0 takes a free port, which is logged.
        once: end when the last client has disconnected.
        stop: ends the source.
        max_clients: see `Clients`, as the next one.
        timeout_s: seconds.

    Raises:
        ConfigError: the address cannot be used.
    """
    with open_server(address, max_clients) as server, closing(Remarks()) as remarks:
        log(f"listening on {Address(*server.getsockname()[:2])}")
        clients = Clients(server, remarks, max_clients, timeout_s)
        try:
            while not stop.is_set():
                had_clients = bool(clients.peers)
                ready, is_waiting = clients.wait()
                # While the recogniser is behind, lines wait unread: only who had sent nothing by now was silent.
                now_s = time.monotonic()
                for peer in ready:
                    yield from peer.lines()
                    if not peer.open:
                        clients.close(peer)
                clients.close_silent(now_s)
                if is_waiting:
                    clients.accept(now_s)
                if once and had_clients and not clients.peers:
                    return
        finally:
            clients.close_all()
