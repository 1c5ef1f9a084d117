"""Sinks: every sink gets every line; one that disconnects loses at most its own oldest lines."""

import contextlib
import socket
import threading
from pathlib import Path

import pytest

import edgehar
from edgehar.deploy.live import outbox, run
from edgehar.deploy.live.outbox import MAX_BUFFERED_LINES
from edgehar.deploy.live.sinks import open_sinks
from edgehar.errors import ConfigError
from tests.deploy.running import (
    LONG_S,
    LineReader,
    Log,
    assert_same_predictions,
    free_port,
    lines_of,
    open_server,
    run_stream,
    running,
    until,
)
from tests.deploy.streams import steady


def test_every_sink_gets_every_line(sliding_package: Path, tmp_path: Path) -> None:
    recording = steady(2.0)
    expected = edgehar.load(sliding_package).predict_windows(recording.signals, recording.times_s)
    file = tmp_path / "predictions.jsonl"
    file.write_bytes(b"before\n")
    with open_server() as server:
        targets = f"stdout,{file},tcp://127.0.0.1:{server.getsockname()[1]}"
        with running(sliding_package, "--stdin", "--to", targets) as program:
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as received:
                reader = LineReader(received)
                program.send(*lines_of(recording))
                # Each line is written as soon as it is available, not at the end of the run.
                reader.count(len(expected) - 2)
                until(lambda: file.read_bytes().count(b"\n") >= len(expected) - 1, "the lines in the file")
                program.stdin.close()
                assert program.code() == 0
                assert_same_predictions(program.output.all(), expected)
                assert reader.all() == program.output.all()
    assert file.read_bytes().splitlines(keepends=True) == [b"before\n", *program.output.all()]


def received_lines(server: socket.socket, count: int) -> list[bytes]:
    connection, _ = server.accept()
    with connection, connection.makefile("rb") as received:
        return [received.readline() for _ in range(count)]


def test_receiver_that_reconnects_gets_the_newest_lines() -> None:
    port = free_port()
    with (
        contextlib.redirect_stderr(Log()) as log,
        open_sinks([f"tcp://127.0.0.1:{port}"], block_when_full=False) as write,
    ):
        log.wait("Connection refused")
        for number in range(MAX_BUFFERED_LINES + 500):
            write(f"line {number}")
        with open_server(port) as server:
            found = received_lines(server, MAX_BUFFERED_LINES)
            assert found == [f"line {number}\n".encode() for number in range(500, MAX_BUFFERED_LINES + 500)]
        log.wait("500 lines were dropped")
        # The receiver closed the connection. The sink detects this before it sends the next line.
        write("more")
        log.wait("closed the connection")
        with open_server(port) as server:
            assert received_lines(server, 1) == [b"more\n"]
    assert "500 of 1501 lines were not delivered" in log.getvalue()


def test_missing_receiver_does_not_stop_the_run(sliding_package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "CLOSE_S", 0.1)  # nothing will take the remaining lines
    code, output, log = run_stream(
        sliding_package, lines_of(steady(1.0)), "--to", f"stdout,tcp://127.0.0.1:{free_port()}"
    )
    assert code == 0
    assert output
    assert f"{len(output)} of {len(output)} lines were not delivered" in "\n".join(log)


def test_recording_waits_for_a_slow_receiver() -> None:
    count = 5 * MAX_BUFFERED_LINES
    line = "x" * 5000  # 25 MB in all, more than the kernel buffers
    found: list[bytes] = []
    with open_server() as server, contextlib.redirect_stderr(Log()) as log:
        reader = threading.Thread(target=lambda: found.extend(received_lines(server, count)), daemon=True)
        with open_sinks([f"tcp://127.0.0.1:{server.getsockname()[1]}"], block_when_full=True) as write:
            for number in range(count):
                write(f"{number} {line}")
                if number == MAX_BUFFERED_LINES - 1:
                    reader.start()
        reader.join(LONG_S)
    assert found == [f"{number} {line}\n".encode() for number in range(count)]
    assert "not delivered" not in log.getvalue()


def test_full_disk_drops_and_logs_lines(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full, the device that is always full")
    other = tmp_path / "other.jsonl"
    with (
        contextlib.redirect_stderr(Log()) as log,
        open_sinks([str(full), str(other)], block_when_full=False) as write,
    ):
        for number in range(3):
            write(f"line {number}")
    assert other.read_text() == "line 0\nline 1\nline 2\n"
    assert log.getvalue().count("\n") == 2
    assert "No space left on device" in log.getvalue()
    assert "3 lines were not written" in log.getvalue()


def test_invalid_sinks_are_rejected(sliding_package: Path, tmp_path: Path) -> None:
    rejected = {
        "ftp://host/x": "--to ftp://host/x",
        "tcp://host": "HOST:PORT",
        "mqtt://host/a/#": "without",
        str(tmp_path): "Is a directory",
        str(tmp_path / "none" / "x.jsonl"): "No such file",
    }
    for target, message in rejected.items():
        with pytest.raises(ConfigError, match=message):
            run.main([str(sliding_package), "--stdin", "--to", target])
