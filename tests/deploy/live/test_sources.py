"""Sources: the same samples give the same predictions through each; no client can disturb the others."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgehar.deploy.live import run, sources, tcp_server
from edgehar.deploy.live.inbox import Inbox
from edgehar.deploy.live.json_lines import MAX_LINE_BYTES, StreamMessage, complete_lines
from edgehar.deploy.live.network import Address, parse_address
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import ConfigError, DataError
from edgehar.signals.clip import Clip, Prediction
from tests.deploy.running import (
    LONG_S,
    ROOT,
    Log,
    assert_same_predictions,
    client,
    free_port,
    open_server,
    predictions_from,
    received,
    running,
    until,
)
from tests.deploy.streams import assert_same, steady
from tests.deploy.tiny_package import INERTIAL, SKELETON

LOCALHOST = Address("127.0.0.1", 0)


def test_standard_input_ended_by_a_signal(
    sliding_package: Path, lines: list[bytes], expected: list[Prediction]
) -> None:
    with running(sliding_package, "--stdin") as program:
        program.send(*lines)
        program.output.count(1)
        until(lambda: len(program.output.lines) >= len(expected) - 2, "all predictions before the end")
        program.end(signal.SIGINT)
        assert program.code() == 0
        assert_same_predictions(program.output.all(), expected)
        assert [line.partition(b", ")[2] for line in program.log.all()] == [b"all used\n"] * 2


def test_listening_socket_with_invalid_and_incomplete_lines(
    sliding_package: Path, lines: list[bytes], expected: list[Prediction]
) -> None:
    with running(sliding_package, "--listen", "127.0.0.1:0") as program:
        port = program.port()
        with client(port) as sensors:
            sensors.sendall(b"".join(lines[:50]) + b"oops\n")
            sensors.sendall(b'{"modality": "\\u001b[2J", "time_s": 0, "samples": 0}\n')
            program.log.line_with("line 51: not JSON")
            program.log.line_with("line 52: modality")
            with client(port) as half:
                half.sendall(b"\n" + lines[3][:20])
            program.log.line_with("within line 2")
            with client(port) as flood:
                try:
                    for _ in range(160):
                        flood.sendall(b"[" * 65536)
                except OSError:
                    pass  # the connection was closed, as expected
                else:
                    pytest.fail("ten megabytes of one line were accepted")
            program.log.line_with(f"line longer than {MAX_LINE_BYTES} bytes")
            data = b"".join(lines[50:])
            for first in range(0, len(data), 777):
                sensors.sendall(data[first : first + 777])
            program.output.count(len(expected) - 2)
            program.end(signal.SIGTERM)
            assert program.code() == 0
        assert_same_predictions(program.output.all(), expected)
        assert all(b"\x1b" not in line for line in program.log.all())


def test_two_clients(recognizer: Recognizer, lines: list[bytes], expected: list[Prediction]) -> None:
    def feed(inbox: Inbox, log: Log) -> None:
        port = log.port()
        with client(port) as skeleton, client(port) as inertial:
            for line in lines:
                (skeleton if b'"skeleton"' in line else inertial).sendall(line)

    assert_same(predictions_from(recognizer, partial(tcp_server.listen, LOCALHOST, True), feed)[0], expected)


def test_invalid_line_ends_the_run_with_no_skip_bad(sliding_package: Path) -> None:
    def feed() -> None:
        with client(log.port()) as sensors:
            sensors.sendall(b"oops\n")
            sensors.recv(1)

    feeder = threading.Thread(target=feed, daemon=True)
    with contextlib.redirect_stderr(Log()) as log:
        feeder.start()
        with pytest.raises(DataError, match="line 1: not JSON"):
            run.main([str(sliding_package), "--listen", "127.0.0.1:0", "--no-skip-bad"])
        feeder.join(LONG_S)


def test_port_in_use(sliding_package: Path) -> None:
    with open_server() as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ConfigError, match=f"--listen {address}"):
            run.main([str(sliding_package), "--listen", address])


def test_client_waits_for_a_slow_recogniser() -> None:
    """Samples that the recogniser has not read stay in the buffers of sender and kernel: memory does not grow."""
    line = json.dumps({"filler": "x" * 60_000}).encode() + b"\n"
    source = partial(tcp_server.listen, LOCALHOST, True)
    with contextlib.redirect_stderr(Log()) as log, Inbox(source, capacity=4) as inbox:
        with client(log.port()) as sensors:
            sensors.settimeout(0.2)
            sent_bytes = 0
            with contextlib.suppress(TimeoutError):
                while sent_bytes < 30e6:
                    sent_bytes += sensors.send(line[sent_bytes % len(line) :])
        assert sent_bytes < 30e6
        assert [message.line for message in received(inbox)] == [line[:-1]] * (sent_bytes // len(line))


def test_server_that_disconnects_and_returns(
    recognizer: Recognizer, lines: list[bytes], expected: list[Prediction]
) -> None:
    port = free_port()

    def feed(inbox: Inbox, log: Log) -> None:
        log.wait("Connection refused")
        for some in (b"".join(lines[:60]) + lines[60][:30], b"".join(lines[60:])):
            with open_server(port) as server:
                connection, _ = server.accept()
                with connection:
                    connection.sendall(some)
        log.wait("within line 61")
        log.wait("the connection ended", times=2)
        inbox.stop()

    source = partial(sources.connect, Address("127.0.0.1", port), False)
    assert_same(predictions_from(recognizer, source, feed)[0], expected)


def test_connect_once(recognizer: Recognizer, lines: list[bytes], expected: list[Prediction]) -> None:
    with open_server() as server:

        def feed(inbox: Inbox, log: Log) -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"".join(lines))

        source = partial(sources.connect, Address(*server.getsockname()), True)
        found, log = predictions_from(recognizer, source, feed)
    assert_same(found, expected)
    assert log.getvalue().count("\n") == 1


def test_sensor_program_of_the_documentation(sliding_package: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "board-inputs.md").read_text()
    (tmp_path / "sensor.py").write_text(page.partition("```python\n")[2].partition("```")[0])
    options = ("--listen", "127.0.0.1:0", "--once", "--modalities", "inertial")
    with running(sliding_package, *options) as program:
        command = [sys.executable, "sensor.py", "inertial", "127.0.0.1", str(program.port())]
        with subprocess.Popen(command, cwd=tmp_path) as sensor:
            program.output.count(2)
            sensor.kill()
        assert program.code() == 0
        assert all(b"skipped" not in line for line in program.log.all())


def clip_of(seconds: float) -> Clip:
    recording = steady(seconds)
    return Clip(
        "walk",
        "s1",
        "t1",
        {name: np.asarray(values, np.float32) for name, values in recording.signals.items()},
        {name: np.ones(len(values), bool) for name, values in recording.signals.items()},
        times_s=recording.times_s,
    )


def test_replay_is_in_order_and_in_time() -> None:
    clip = clip_of(0.5)
    clip.valid["inertial"][3] = False
    messages = list(sources.play_clip(clip, (SKELETON, INERTIAL), 5.0, threading.Event()))
    entries = [json.loads(message.line) for message in messages]
    times_s = [entry["time_s"] for entry in entries]
    assert times_s == sorted(times_s)
    assert len(entries) == sum(map(len, clip.signals.values()))
    inertial = [entry["samples"][0] for entry in entries if entry["modality"] == "inertial"]
    assert np.isnan(inertial[3]).all()
    assert np.array_equal(np.float32(inertial[4]), clip.signals["inertial"][4])
    assert all(
        message.arrived_s - messages[0].arrived_s >= time_s / 5.0 - 1e-3
        for message, time_s in zip(messages, times_s, strict=True)
    )


def test_stopped_replay_ends() -> None:
    stop = threading.Event()
    messages = sources.play_clip(clip_of(1.0), (INERTIAL,), 1e-6, stop)
    assert next(messages).origin == "walk sample 1"
    threading.Thread(target=stop.set).start()
    assert list(messages) == []


def test_lines_do_not_depend_on_chunks() -> None:
    data = b"one\n\ntwo\r\nthree\n" + b"x" * (3 * MAX_LINE_BYTES) + b"\nlast\nhalf"
    for size in (1000, 65536, len(data)):
        rest = bytearray()
        found = [
            line for first in range(0, len(data), size) for line in complete_lines(rest, data[first : first + size])
        ]
        assert found == [b"one", b"", b"two\r", b"three", b"x" * (MAX_LINE_BYTES + 1), b"last"]
        assert rest == b"half"


def test_exception_of_a_source_is_raised_to_the_reader() -> None:
    def broken(stop: threading.Event) -> Any:
        yield StreamMessage("line 1", b"")
        raise ConfigError("broken")

    with Inbox(broken) as inbox:
        messages = received(inbox)
        assert next(messages).origin == "line 1"
        with pytest.raises(ConfigError, match="broken"):
            next(messages)


def test_addresses() -> None:
    assert parse_address("localhost:7000") == Address("localhost", 7000)
    assert str(parse_address("[::1]:7000")) == "[::1]:7000"
    assert parse_address("broker", 1883) == Address("broker", 1883)
    for text in ("", "7000", ":7000", "host:", "host:x", "host:70000", "::1:7000", "a b:1", "[::1]", "host:0", "h:-1"):
        with pytest.raises(ConfigError, match="HOST:PORT"):
            parse_address(text)


def test_stopped_source_ends_without_a_connection() -> None:
    port = free_port()
    for source in (
        partial(tcp_server.listen, Address("127.0.0.1", port), False),
        partial(sources.connect, Address("127.0.0.1", port), False),
    ):
        with Inbox(source) as inbox:
            inbox.stop()
            assert list(received(inbox)) == []
