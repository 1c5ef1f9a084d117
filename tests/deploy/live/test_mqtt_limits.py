"""Messages of any size from an MQTT broker need bounded memory."""

import socket
import threading
from pathlib import Path

import pytest

from edgehar.deploy.live.json_lines import MAX_LINE_BYTES
from edgehar.signals.clip import Prediction
from tests.deploy.broker import broker, publish
from tests.deploy.running import assert_same_predictions, open_server, running

HUGE_BYTES, MOST_GROWTH_MB = 30_000_000, 25
"""Size of a message, and how much more memory a run may need: less than to hold it once."""


def peak_mb(pid: int) -> float:
    """Most memory that a process has had so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def old_broker(server: socket.socket, payloads: list[bytes]) -> None:
    """A broker that accepts MQTT 3.1.1 only, and sends these messages to the first client that subscribes."""
    with server.accept()[0] as newer:
        assert newer.recv(1000)[8] == 5
        newer.sendall(b"\x20\x02\x00\x01")  # CONNACK: unacceptable protocol version
        newer.recv(1000)
    with server.accept()[0] as connection:
        assert connection.recv(1000)[8] == 4
        connection.sendall(b"\x20\x02\x00\x00")
        subscription = connection.recv(1000)
        connection.sendall(b"\x90\x03" + subscription[2:4] + b"\x01")  # SUBACK
        for payload in payloads:
            length = 4 + len(payload)
            digits = [length >> shift & 127 | (128 if length >> shift + 7 else 0) for shift in (0, 7, 14, 21)]
            while len(digits) > 1 and not digits[-1]:
                digits.pop()
            connection.sendall(b"\x30" + bytes(digits) + b"\x00\x02in" + payload)  # QoS 0
        while connection.recv(1000):
            pass


def test_huge_message_is_neither_sent_nor_kept(
    sliding_package: Path, lines: list[bytes], expected: list[Prediction], tmp_path: Path
) -> None:
    with broker(tmp_path) as one:
        publish(one.port, "in/retained", [b"x" * HUGE_BYTES], retain=True)
        with running(sliding_package, "--mqtt", one.url("in/#")) as program:
            program.log.line_with("in/#: connected")
            before_mb = peak_mb(program.process.pid)
            publish(one.port, "in/live", [b"x" * HUGE_BYTES, b"".join(lines)])
            program.output.count(len(expected) - 2)
            assert peak_mb(program.process.pid) < before_mb + MOST_GROWTH_MB
            program.end()
            assert program.code() == 0
            assert_same_predictions(program.output.all(), expected)


def test_huge_message_of_an_old_broker_is_dropped(
    sliding_package: Path, lines: list[bytes], expected: list[Prediction]
) -> None:
    pytest.importorskip("paho.mqtt", reason="paho-mqtt is not installed: pip install 'edgehar[mqtt]'")
    payloads = [b"".join(lines[:50]), b"x" * 2 * HUGE_BYTES, b"".join(lines[50:])]
    with open_server() as server:
        threading.Thread(target=old_broker, args=(server, payloads), daemon=True).start()
        url = f"mqtt://127.0.0.1:{server.getsockname()[1]}/in"
        with running(sliding_package, "--mqtt", url) as program:
            program.log.line_with("in: connected")
            before_mb = peak_mb(program.process.pid)
            program.log.line_with(f"longer than {MAX_LINE_BYTES} bytes")
            program.output.count(len(expected) - 2)
            assert peak_mb(program.process.pid) < before_mb + MOST_GROWTH_MB
            program.end()
            assert program.code() == 0
            assert_same_predictions(program.output.all(), expected)
