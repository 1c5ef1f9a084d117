"""The sinks of `--to`: standard output, files, TCP sockets and MQTT topics; a failed sink does not stop the others."""

import select
import socket
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from edgehar.deploy.live import mqtt
from edgehar.deploy.live.network import Address, enable_keepalive, log, parse_address, retry_delays_s
from edgehar.deploy.live.outbox import Outbox
from edgehar.errors import ConfigError
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
    """Writes lines to standard output; a broken pipe ends the command."""

    def write(self, line: str) -> None:
        """Write and flush a line."""
        print_text(line + "\n")

    def close(self) -> None:
        """Do nothing: every line is flushed."""


Sink = Outbox | FileSink | StandardOutput


def open_sink(target: str, block_when_full: bool) -> Sink:
    """Open one sink of `--to`; raises ConfigError if that fails."""
    scheme, found, rest = target.partition("://")
    match scheme if found else "file":
        case "file" if target == STDOUT:
            return StandardOutput()
        case "file":
            return FileSink(Path(target))
        case "tcp":
            return Outbox(target, partial(send_tcp, parse_address(rest)), block_when_full)
        case "mqtt" | "mqtts":
            return Outbox(target, partial(mqtt.publish, mqtt.BrokerConnection(mqtt.parse_url(target))), block_when_full)
        case _:
            raise ConfigError(f"--to {target}: expected stdout, a file, tcp://HOST:PORT or mqtt://HOST/TOPIC")


@contextmanager
def open_sinks(targets: Iterable[str], block_when_full: bool) -> Generator[Callable[[str], None], None, None]:
    """Open sinks and return a function that writes a line to each; they are closed at the end of the block.

    Args:
        targets: values of `--to`.
        block_when_full: see `Outbox`; for recordings.

    Raises OSError at the end of a recording if a file has not taken every line.
    """
    sinks: list[Sink] = []
    with ExitStack() as stack:
        for target in targets:
            sinks.append(sink := open_sink(target, block_when_full))
            stack.callback(sink.close)

        def write(line: str) -> None:
            for sink in sinks:
                sink.write(line)

        yield write
    for sink in sinks:
        if block_when_full and isinstance(sink, FileSink) and sink.problem is not None:
            raise sink.problem
