"""Where lines go: standard output, a file, a TCP socket, an MQTT topic; one that goes away does not stop the others."""

import select
import socket
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from edgehar.deploy.live import mqtt
from edgehar.deploy.live.network import Address, keep_alive, parse_address, pauses_s, say
from edgehar.deploy.live.outbox import Outbox
from edgehar.errors import ConfigError

STDOUT = "stdout"
SEND_S = 5.0
"""A receiver that takes nothing for so long counts as away."""


def deliver_tcp(address: Address, outbox: Outbox) -> None:
    """Send lines to a server; what was in hand when the connection broke is sent again on the next one."""
    pauses, line = pauses_s(), None
    while True:
        try:
            with socket.create_connection((address.host, address.port), SEND_S) as connection:
                keep_alive(connection)
                outbox.here()
                while (line := line or outbox.next_line()) is not None:
                    # Else the first line after the other side left would vanish without an error.
                    if select.select([connection], [], [], 0)[0] and not connection.recv(65536):
                        raise ConnectionError("the other side closed the connection")
                    connection.sendall(line)
                    outbox.delivered()
                    pauses, line = pauses_s(), None
                return
        except OSError as problem:
            outbox.away(problem.strerror or problem)
            if not outbox.pause(next(pauses), line is not None):
                return


class FileSink:
    """Lines appended to a file, each written out at once; a full disk loses lines, not the run."""

    def __init__(self, path: Path) -> None:
        """Open the file; raises ConfigError if that cannot be done."""
        self._path, self._lost, self._torn = path, 0, False
        try:
            self._file = path.open("ab", buffering=0)
        except OSError as problem:
            raise ConfigError(
                f"--to {path}: {problem.strerror}; expected a file that can be written; choose another"
            ) from None

    def write(self, line: str) -> None:
        """Append a line."""
        try:
            left = (b"\n" if self._torn else b"") + line.encode() + b"\n"
            while left:
                left = left[self._file.write(left) :]
                self._torn = bool(left)
        except OSError as problem:
            if not self._lost:
                say(f"{self._path}: {problem.strerror or problem}; lines are lost until it can be written")
            self._lost += 1

    def close(self) -> None:
        """Close the file and report what it never got."""
        self._file.close()
        if self._lost:
            say(f"{self._path}: {self._lost} lines were not written")


class StandardOutput:
    """Lines on standard output; when its reader leaves, the command ends."""

    def write(self, line: str) -> None:
        """Write a line out at once."""
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def close(self) -> None:
        """Nothing is left to write."""


Sink = Outbox | FileSink | StandardOutput


def open_sink(target: str, patient: bool) -> Sink:
    """One sink of `--to`; raises ConfigError if the target cannot be used."""
    scheme, found, rest = target.partition("://")
    match scheme if found else "file":
        case "file" if target == STDOUT:
            return StandardOutput()
        case "file":
            return FileSink(Path(target))
        case "tcp":
            return Outbox(target, partial(deliver_tcp, parse_address(rest)), patient)
        case "mqtt" | "mqtts":
            return Outbox(target, partial(mqtt.deliver, mqtt.Link(mqtt.parse_url(target))), patient)
        case _:
            raise ConfigError(
                f"--to {target}: expected stdout, a file, tcp://HOST:PORT or mqtt://HOST/TOPIC; correct it"
            )


@contextmanager
def opened(targets: Iterable[str], patient: bool) -> Generator[Callable[[str], None], None, None]:
    """A function that writes a line to each of the sinks; leaving the block closes them.

    Args:
        targets: as given with `--to`; "stdout" is standard output.
        patient: see `Outbox`.
    """
    with ExitStack() as stack:
        sinks: list[Sink] = []
        for target in targets:
            sinks.append(sink := open_sink(target, patient))
            stack.callback(sink.close)

        def write(line: str) -> None:
            for sink in sinks:
                sink.write(line)

        yield write
