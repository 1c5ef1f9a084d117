"""Where lines come from: standard input, a TCP socket of either role, or a recording replayed.

Each source is a generator of messages that looks at `stop` at least every POLL_S.
"""

import heapq
import itertools
import os
import select
import selectors
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from edgehar.deploy.live.json_lines import MAX_LINE_BYTES, Message, sample_line, whole_lines
from edgehar.deploy.live.network import POLL_S, Address, keep_alive, pauses_s, say
from edgehar.errors import ConfigError
from edgehar.signals.clip import Clip
from edgehar.signals.modality import ModalitySpec

CHUNK_BYTES = 65536
MAX_CLIENTS = 32
CONNECT_S = 5.0


def read_descriptor(descriptor: int, stop: threading.Event) -> Iterator[Message]:
    """Lines of an open file, pipe or terminal until it ends; a last line needs no line feed."""
    rest, numbers = bytearray(), itertools.count(1)
    while not stop.is_set():
        if not select.select([descriptor], [], [], POLL_S)[0]:
            continue
        chunk = os.read(descriptor, CHUNK_BYTES)
        for line in whole_lines(rest, chunk or b"\n"):
            yield Message(f"line {next(numbers)}", line)
        if not chunk:
            return


@dataclass
class Peer:
    """The other end of a connection, and the half line that it has sent so far."""

    connection: socket.socket
    name: str
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    rest: bytearray = field(default_factory=bytearray)
    open: bool = True

    def lines(self) -> Iterator[Message]:
        """What has arrived by now; `open` is False once no more will come. The connection has something to read."""
        try:
            chunk = self.connection.recv(CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError as problem:
            say(f"{self.name}: {problem.strerror or problem}")
            chunk = b""
        for line in whole_lines(self.rest, chunk):
            yield self._message(line)
            if len(line) > MAX_LINE_BYTES:
                self.rest.clear()
                self._refuse()
                return
        if len(self.rest) > MAX_LINE_BYTES:
            yield self._message(bytes(self.rest))
            self._refuse()
        elif not chunk:
            self.open = False
            if self.rest:
                say(f"{self.name}: left in the middle of line {next(self.numbers)}; that line is lost")

    def _message(self, line: bytes) -> Message:
        return Message(f"{self.name} line {next(self.numbers)}", line)

    def _refuse(self) -> None:
        self.open = False
        say(f"{self.name}: a line is longer than {MAX_LINE_BYTES} bytes; the connection is closed")


def listen(address: Address, once: bool, stop: threading.Event) -> Iterator[Message]:
    """Lines of any number of clients up to MAX_CLIENTS, in the order of arrival.

    Args:
        address: where to listen; port 0 takes a free one, which the remark on standard error tells.
        once: end when the last client has left.
        stop: ends the source.

    Raises ConfigError if the address cannot be had.
    """
    try:
        family, _, _, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        server = socket.create_server(place[:2], family=family, backlog=MAX_CLIENTS)  # type: ignore[arg-type]
    except OSError as problem:
        raise ConfigError(
            f"--listen {address}: {problem.strerror or problem}; expected an address of this machine and a free port; "
            "choose another"
        ) from None
    peers: dict[socket.socket, Peer] = {}
    with server, selectors.DefaultSelector() as selector:
        server.setblocking(False)
        selector.register(server, selectors.EVENT_READ)
        say(f"listening on {Address(*server.getsockname()[:2])}")
        try:
            while not stop.is_set():
                for key, _ in selector.select(POLL_S):
                    if key.fileobj is server:
                        _accept(server, selector, peers)
                        continue
                    peer = peers[key.fileobj]  # type: ignore[index]
                    yield from peer.lines()
                    if not peer.open:
                        selector.unregister(peer.connection)
                        del peers[peer.connection]
                        peer.connection.close()
                        if once and not peers:
                            return
        finally:
            for connection in peers:
                connection.close()


def _accept(server: socket.socket, selector: selectors.BaseSelector, peers: dict[socket.socket, Peer]) -> None:
    try:
        connection, place = server.accept()
    except OSError as problem:
        return say(f"a client could not be served: {problem.strerror or problem}")
    name = str(Address(*place[:2]))
    if len(peers) >= MAX_CLIENTS:
        say(f"{name}: not served; {MAX_CLIENTS} clients are connected, which is as many as can be")
        return connection.close()
    connection.setblocking(False)
    keep_alive(connection)
    peers[connection] = Peer(connection, name)
    selector.register(connection, selectors.EVENT_READ)


def connect(address: Address, once: bool, stop: threading.Event) -> Iterator[Message]:
    """Lines of a server; while it is away, it is tried again, at longer and longer intervals.

    Args:
        address: of the server.
        once: end when the server closes the connection.
        stop: ends the source.
    """
    pauses, remark = pauses_s(), ""
    while not stop.is_set():
        try:
            connection = socket.create_connection((address.host, address.port), CONNECT_S)
        except OSError as problem:
            if remark != (remark := str(problem.strerror or problem)):
                say(f"{address}: {remark}; trying again")
            stop.wait(next(pauses))
            continue
        remark = ""
        with connection:
            say(f"{address}: connected")
            keep_alive(connection)
            peer = Peer(connection, str(address))
            while peer.open and not stop.is_set():
                if select.select([connection], [], [], POLL_S)[0]:
                    for message in peer.lines():
                        pauses = pauses_s()  # it serves: should it go, it may be back soon
                        yield message
        if once or stop.is_set():
            return
        say(f"{address}: the connection ended; trying again")
        stop.wait(next(pauses))


def replay(clip: Clip, specs: Iterable[ModalitySpec], speed: float, stop: threading.Event) -> Iterator[Message]:
    """A recording as its sensors gave it: sample by sample in the order of time, lost samples as NaN.

    Args:
        clip: the recording; one without timestamps comes at the nominal rates.
        specs: the sensors to replay, those that the recording has.
        speed: times as fast as recorded; infinity for as fast as they are taken.
        stop: ends the source.
    """
    present = {spec.name: spec for spec in specs if spec.name in clip.signals}
    times_s = {
        name: clip.times_s.get(name, np.arange(len(clip.signals[name])) / spec.rate_hz).tolist()
        for name, spec in present.items()
    }
    events = heapq.merge(*(zip(times, itertools.repeat(name), itertools.count()) for name, times in times_s.items()))
    began_s, first_s = time.monotonic(), min((times[0] for times in times_s.values() if times), default=0.0)
    for number, (time_s, name, place) in enumerate(events, 1):
        wait_s = (time_s - first_s) / speed - (time.monotonic() - began_s)
        if stop.wait(wait_s) if wait_s > 0 else stop.is_set():
            return
        sample = clip.signals[name][place] if clip.valid[name][place] else np.full(present[name].channels, np.nan)
        yield Message(f"{clip.name} sample {number}", sample_line(name, time_s, sample.tolist()))
