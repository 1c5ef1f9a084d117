"""The sinks of `--to`: standard output, files, TCP sockets and MQTT topics; a failed sink does not stop the others."""

import os
import select
import socket
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from edgehar.deploy.live.mqtt.broker import BrokerConnection, publish
from edgehar.deploy.live.mqtt.url import parse_url
from edgehar.deploy.live.network import (
    POLL_S,
    Address,
    descriptor_of,
    enable_keepalive,
    log,
    parse_address,
    retry_delays_s,
)
from edgehar.deploy.live.outbox import Outbox
from edgehar.deploy.live.stopping import StopEvent
from edgehar.errors import ConfigError
from edgehar.files.atomic import naming
from edgehar.files.results import print_text

STDOUT = "stdout"
SEND_S = 5.0
"""A receiver that accepts no data for this long counts as disconnected."""


def send_tcp(address: Address, outbox: Outbox) -> None:
    """Send lines to a server; a line that was not sent completely is sent again on the next connection."""
    delays_s, line = retry_delays_s(), None
    while True:
        try:
            with socket.create_connection((address.host, address.port), SEND_S) as connection:
                enable_keepalive(connection)
                outbox.set_connected()
                while (line := line or outbox.next_line()) is not None:
                    # Otherwise the first line after the peer closed would be lost without an error.
                    if select.select([connection], [], [], 0)[0] and not connection.recv(65536):
                        raise ConnectionError("the receiver closed the connection")
                    connection.sendall(line)
                    outbox.mark_delivered()
                    delays_s, line = retry_delays_s(), None
                return
        except OSError as problem:
            outbox.set_disconnected(problem.strerror or problem)
            if not outbox.wait_to_retry(next(delays_s), line is not None):
                return


class FileSink:
    """Appends lines to a file without buffering; on a full disk lines are dropped and the run continues.

    Attributes:
        problem: the first error, if a line was dropped.
    """

    def __init__(self, path: Path) -> None:
        """Open the file; raises ConfigError if that fails."""
        self._path, self._dropped, self._incomplete = path, 0, False
        self.problem: OSError | None = None
        try:
            self._file = path.open("ab", buffering=0)
        except OSError as problem:
            raise ConfigError(f"--to {path}: {problem.strerror}; expected a writable file; choose another") from None

    def write(self, line: str) -> None:
        """Append a line."""
        try:
            remaining = (b"\n" if self._incomplete else b"") + line.encode() + b"\n"
            while remaining:
                remaining = remaining[self._file.write(remaining) :]
                self._incomplete = bool(remaining)
        except OSError as problem:
            if not self._dropped:
                log(f"{self._path}: {problem.strerror or problem}; lines are dropped until it is writable")
                self.problem = OSError(problem.errno, problem.strerror, str(self._path))
            self._dropped += 1

    def close(self) -> None:
        """Close the file and log how many lines were not written."""
        self._file.close()
        if self._dropped:
            log(f"{self._path}: {self._dropped} lines were not written")


class StandardOutput:
    """Writes lines to standard output; a broken pipe ends the command.

    Args:
        stop: once it is over, lines that the reader does not take are dropped: a signal ends the command even if the
            reader of a pipe stands still.
    """

    def __init__(self, stop: StopEvent) -> None:
        """Raise ConfigError if standard output is closed."""
        if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]
            raise ConfigError("--to stdout: standard output is closed; expected an open one; choose a file by --to")
        self._descriptor, self._stop, self._dropped = descriptor_of(sys.stdout), stop, 0

    def write(self, line: str) -> None:
        """Write a line without buffering."""
        if self._descriptor is None:  # replaced by an object of Python
            print_text(line + "\n")
            return
        remaining = line.encode() + b"\n"
        with naming(Path("standard output")):
            while remaining and not self._dropped:
                if select.select([], [self._descriptor], [], POLL_S)[1]:
                    # A pipe with room takes this much without blocking.
                    remaining = remaining[os.write(self._descriptor, remaining[: select.PIPE_BUF]) :]
                elif self._stop.is_over():
                    break
        self._dropped += bool(remaining)

    def close(self) -> None:
        """Log how many lines were not written."""
        if self._dropped:
            log(f"standard output: {self._dropped} lines were not written; its reader stands still")


Sink = Outbox | FileSink | StandardOutput


def is_file(target: str) -> bool:
    """Whether a value of `--to` names a file."""
    return target != STDOUT and "://" not in target


def open_sink(target: str, block_when_full: bool, stop: StopEvent) -> Sink:
    """Open one sink of `--to`; raises ConfigError if that fails."""
    scheme, found, rest = target.partition("://")
    match scheme if found else "file":
        case "file" if target == STDOUT:
            return StandardOutput(stop)
        case "file":
            return FileSink(Path(target))
        case "tcp":
            return Outbox(target, partial(send_tcp, parse_address(rest)), block_when_full, stop)
        case "mqtt" | "mqtts":
            broker = BrokerConnection(parse_url(target))
            return Outbox(target, partial(publish, broker), block_when_full, stop)
        case _:
            raise ConfigError(f"--to {target}: expected stdout, a file, tcp://HOST:PORT or mqtt://HOST/TOPIC")


@contextmanager
def open_sinks(
    targets: Iterable[str], block_when_full: bool, stop: StopEvent | None = None
) -> Generator[Callable[[str], None], None, None]:
    """Open sinks and return a function that writes a line to each; they are closed at the end of the block.

    Args:
        targets: values of `--to`.
        block_when_full: see `Outbox`; for recordings.
        stop: once it is over, no sink blocks.

    Raises OSError at the end of a recording if a file has not taken every line.
    """
    stop = stop or StopEvent()
    sinks: list[Sink] = []
    with ExitStack() as stack:
        for target in targets:
            sinks.append(sink := open_sink(target, block_when_full, stop))
            stack.callback(sink.close)

        def write(line: str) -> None:
            for sink in sinks:
                sink.write(line)

        yield write
    for sink in sinks:
        if block_when_full and isinstance(sink, FileSink) and sink.problem is not None:
            raise sink.problem
