"""A service tells systemd that it is ready, alive and stopping, over a real socket."""

import contextlib
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.running import LONG_S, lines_of, running
from tests.deploy.streams import steady


@contextlib.contextmanager
def notifications(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path))
        receiver.settimeout(LONG_S)
        yield receiver


def test_states_in_order(sliding_package: Path, tmp_path: Path) -> None:
    with notifications(tmp_path / "notify") as receiver:
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "100000"}
        with running(sliding_package, "--stdin", environment=environment) as program:
            assert [receiver.recv(100) for _ in range(4)] == [b"READY=1", *[b"WATCHDOG=1"] * 3]  # also while idle
            program.send(*lines_of(steady(2.0, 1)))
            program.output.count(1)
            program.end(signal.SIGTERM)
            assert program.code() == 0
        while (state := receiver.recv(100)) == b"WATCHDOG=1":
            pass
        assert state == b"STOPPING=1"


@pytest.mark.parametrize("socket_name", ["", "missing"])
def test_without_a_receiver_nothing_changes(sliding_package: Path, tmp_path: Path, socket_name: str) -> None:
    environment = {"NOTIFY_SOCKET": socket_name and str(tmp_path / socket_name), "WATCHDOG_USEC": "100000"}
    with running(sliding_package, "--stdin", environment=environment) as program:
        program.send(*lines_of(steady(2.0, 1)))
        program.stdin.close()
        assert program.code() == 0
        assert program.output.all()
