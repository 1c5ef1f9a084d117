"""Clients of `--listen`: silent ones, more than the maximum, and a system without file descriptors."""

import contextlib
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgehar.deploy.live.network import Address
from edgehar.deploy.live.remarks import Remarks
from edgehar.deploy.live.tcp_server import CLIENT_TIMEOUT_S, SILENT_S, Clients, open_server
from tests.deploy.running import client, running, until

LOCALHOST = Address("127.0.0.1", 0)


class Served:
    """Clients of a server in this process, and what is reported about them."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._server = open_server(LOCALHOST, 8)
        self.port = self._server.getsockname()[1]
        self.clients = Clients(self._server, Remarks(write=self.lines.append), 2, CLIENT_TIMEOUT_S)

    def accept(self, now_s: float) -> None:
        until(lambda: self.clients.wait()[1], "a client")
        self.clients.accept(now_s)

    def close(self) -> None:
        self.clients.close_all()
        self._server.close()


@pytest.fixture
def served() -> Iterator[Served]:
    with contextlib.closing(Served()) as one:
        yield one


def test_silent_client_makes_room(served: Served) -> None:
    with client(served.port) as first, client(served.port) as second, client(served.port) as third:
        now_s = time.monotonic()
        served.accept(now_s)
        served.accept(now_s)
        silent, active = served.clients.peers
        active.last_line_s = silent.last_line_s + 1.0
        served.accept(silent.last_line_s + SILENT_S / 2)
        assert third.recv(1) == b""
        assert "rejected; the maximum of 2 clients" in served.lines[0]
        with client(served.port):
            served.accept(silent.last_line_s + 2 * SILENT_S)
            assert served.clients.peers[0] is active
            assert len(served.clients.peers) == 2
            assert "silent for longest" in served.lines[1]
            replaced = next(one for one in (first, second) if silent.name.endswith(f":{one.getsockname()[1]}"))
            assert replaced.recv(1) == b""


def test_idle_client_is_disconnected(served: Served) -> None:
    with client(served.port) as idle:
        served.accept(time.monotonic())
        (peer,) = served.clients.peers
        idle.sendall(b"half a line")
        until(lambda: list(peer.lines()) or peer.rest, "the bytes")
        served.clients.close_silent(peer.last_line_s + CLIENT_TIMEOUT_S)
        assert served.clients.peers == [peer]
        served.clients.close_silent(peer.last_line_s + CLIENT_TIMEOUT_S + 1)
        assert served.clients.peers == []
        assert idle.recv(1) == b""
        assert "silent for 300 s (--client-timeout-s)" in served.lines[0]


def test_without_file_descriptors_the_server_waits(served: Served) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with client(served.port):
        until(lambda: served.clients.wait()[1], "a client")
        lowest = os.dup(0)
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        try:
            served.clients.accept(time.monotonic() + 3600)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert served.lines == ["cannot accept a client: Too many open files"]
        assert served.clients.wait() == ([], False)  # although the client still waits


def test_server_accepts_again_after_a_pause(served: Served) -> None:
    with client(served.port):
        until(lambda: served.clients.wait()[1], "a client")
        served.clients.pause(time.monotonic())
        served.accept(time.monotonic())
        assert len(served.clients.peers) == 1


def test_silent_clients_lock_out_nobody(sliding_package: Path, lines: list[bytes]) -> None:
    options = ("--listen", "127.0.0.1:0", "--max-clients", "2", "--lateness-s", "inf")
    with running(sliding_package, *options) as program, contextlib.ExitStack() as stack:
        port = program.port()
        for _ in range(2):
            stack.enter_context(client(port))

        def is_served() -> bool:
            with contextlib.suppress(OSError), client(port) as sensors:
                sensors.sendall(b"".join(lines))
                time.sleep(0.05)
            return bool(program.output.lines)

        until(is_served, "a prediction")
        program.end()
        assert program.code() == 0
