"""The sources of a live stream: standard input, TCP as client, and replayed recordings.

Each source is a generator of messages that polls `stop` at least every POLL_S.
"""

import heapq
import itertools
import os
import select
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np

from edgehar.deploy.live.json_lines import MAX_LINE_BYTES, StreamMessage, complete_lines, sample_line
from edgehar.deploy.live.network import POLL_S, Address, enable_keepalive, retry_delays_s
from edgehar.deploy.live.remarks import MAX_STATUS_LINES, Remarks
from edgehar.signals.clip import Clip
from edgehar.signals.modality import ModalitySpec

CHUNK_BYTES = 65536
CONNECT_S = 5.0


def read_descriptor(descriptor: int, stop: threading.Event) -> Iterator[StreamMessage]:
    """Read lines from an open file, pipe or terminal until its end; the last line needs no line feed."""
    rest, numbers = bytearray(), itertools.count(1)
    while not stop.is_set():
        if not select.select([descriptor], [], [], POLL_S)[0]:
            continue
        chunk = os.read(descriptor, CHUNK_BYTES)
        for line in complete_lines(rest, chunk or b"\n"):
            yield StreamMessage(f"line {next(numbers)}", line)
        if not chunk:
            return


@dataclass
class Peer:
    """The peer of a connection, with the incomplete line received so far and the time of the last complete one."""

    connection: socket.socket
    name: str
    remarks: Remarks
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    rest: bytearray = field(default_factory=bytearray)
    open: bool = True
    last_line_s: float = field(default_factory=time.monotonic)

    def lines(self) -> Iterator[StreamMessage]:
        """Receive once from a readable connection and return the complete lines; clears `open` at the end."""
        try:
            chunk = self.connection.recv(CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError as problem:
            self.remarks.add(self.name, str(problem.strerror or problem))
            chunk = b""
        for line in complete_lines(self.rest, chunk):
            yield self._message(line)
            if len(line) > MAX_LINE_BYTES:
                self.rest.clear()
                self._reject()
                return
        if len(self.rest) > MAX_LINE_BYTES:
            yield self._message(bytes(self.rest))
            self._reject()
        elif not chunk:
            self.open = False
            if self.rest:
                self.remarks.add(self.name, f"disconnected within line {next(self.numbers)}; the line is dropped")

    def _message(self, line: bytes) -> StreamMessage:
        self.last_line_s = time.monotonic()
        return StreamMessage(f"{self.name} line {next(self.numbers)}", line)

    def _reject(self) -> None:
        self.open = False
        self.remarks.add(self.name, f"line longer than {MAX_LINE_BYTES} bytes; the connection is closed")


def connect(address: Address, once: bool, stop: threading.Event) -> Iterator[StreamMessage]:
    """Connect to a server and read its lines; reconnects with exponential backoff.

    Args:
        address: address of the server.
        once: end when the server closes the connection.
        stop: ends the source.
    """
    delays_s, last_reason = retry_delays_s(), ""
    with closing(Remarks()) as remarks, closing(Remarks(at_once=MAX_STATUS_LINES)) as status:
        while not stop.is_set():
            try:
                connection = socket.create_connection((address.host, address.port), CONNECT_S)
            except OSError as problem:
                if last_reason != (last_reason := str(problem.strerror or problem)):
                    status.add(str(address), f"{last_reason}; retrying")
                stop.wait(next(delays_s))
                continue
            last_reason = ""
            with connection:
                status.add(str(address), "connected")
                enable_keepalive(connection)
                peer = Peer(connection, str(address), remarks)
                while peer.open and not stop.is_set():
                    if select.select([connection], [], [], POLL_S)[0]:
                        for message in peer.lines():
                            delays_s = retry_delays_s()  # it works: restart the backoff
                            yield message
            if once or stop.is_set():
                return
            status.add(str(address), "the connection ended; retrying")
            stop.wait(next(delays_s))


def play_clip(
    clip: Clip, specs: Iterable[ModalitySpec], speed: float, stop: threading.Event
) -> Iterator[StreamMessage]:
    """Replay a recording sample by sample in order of time; invalid samples as NaN.

    Args:
        clip: the recording; without timestamps its samples have the nominal rates.
        specs: the sensors to replay; those not recorded are skipped.
        speed: factor of the recorded speed; infinity for no delays.
        stop: ends the source.
    """
    present = {spec.name: spec for spec in specs if spec.name in clip.signals}
    times_s = {
        name: clip.times_s.get(name, np.arange(len(clip.signals[name])) / spec.rate_hz).tolist()
        for name, spec in present.items()
    }
    events = heapq.merge(*(zip(times, itertools.repeat(name), itertools.count()) for name, times in times_s.items()))
    start_s, first_s = time.monotonic(), min((times[0] for times in times_s.values() if times), default=0.0)
    for number, (time_s, name, index) in enumerate(events, 1):
        wait_s = (time_s - first_s) / speed - (time.monotonic() - start_s)
        if stop.wait(wait_s) if wait_s > 0 else stop.is_set():
            return
        if index + 1 < len(times_s[name]) and times_s[name][index + 1] == time_s:
            continue  # the last sample of one time counts, as in the recording's windows
        sample = clip.signals[name][index] if clip.valid[name][index] else np.full(present[name].channels, np.nan)
        yield StreamMessage(f"{clip.name} sample {number}", sample_line(name, time_s, sample.tolist()))
