"""A signal ends a stream soon, whatever its source or its sinks wait for."""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgehar.deploy.live.inbox import MAX_QUEUED_MESSAGES, Inbox
from edgehar.deploy.live.json_lines import MAX_LINE_BYTES, StreamMessage
from edgehar.deploy.live.network import log
from edgehar.deploy.live.sinks import open_sinks
from edgehar.deploy.live.stopping import StopEvent, stop_on_signals
from tests.deploy.running import LONG_S, ROOT, Log, lines_of, received, until
from tests.deploy.streams import steady

PIPE_BYTES = 4096


def unread(pipe: int) -> int:
    """Bytes in a pipe."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def blocked_pipe() -> tuple[int, int]:
    """A full pipe."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    os.write(write, b"x" * PIPE_BYTES)
    return read, write


def heed_hangups() -> None:
    """End by SIGHUP, even if the tests run under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def feed(pipe: int) -> None:
    """Write eight seconds of both sensors, as far as somebody reads them."""
    with contextlib.suppress(BrokenPipeError), os.fdopen(pipe, "wb", buffering=0) as file:
        file.write(b"".join(lines_of(steady(8.0))))


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_a_stream_whose_output_nobody_reads(
    sliding_package: Path, tmp_path: Path, kind: signal.Signals
) -> None:
    file, (read, write) = tmp_path / "predictions.jsonl", os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    command = [sys.executable, "-m", "edgehar", "run", str(sliding_package), "--stdin", "--to", f"{file},stdout"]
    source, sink = os.pipe()
    with subprocess.Popen(
        command, stdin=source, stdout=write, stderr=subprocess.PIPE, cwd=ROOT, preexec_fn=heed_hangups
    ) as process:
        os.close(source)
        threading.Thread(target=feed, args=(sink,), daemon=True).start()
        assert process.stderr
        try:
            until(lambda: unread(read), "the first line")  # of about fifty; no second one fits into this pipe
            process.send_signal(kind)
            assert process.wait(LONG_S) == 0
            assert "standard output: " in process.stderr.read().decode()
        finally:
            process.kill()
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        assert all(json.loads(line) for line in pipe)
    assert all(json.loads(line) for line in file.read_bytes().splitlines(keepends=True) if line.endswith(b"\n"))
    assert file.read_bytes().endswith(b"\n")


def test_standard_output_gives_up_only_after_a_signal() -> None:
    read, write = blocked_pipe()
    stop, written = StopEvent(), threading.Event()
    with (
        os.fdopen(read, "rb"),
        os.fdopen(write, "w") as stdout,
        contextlib.redirect_stderr(Log()) as found,
        contextlib.redirect_stdout(stdout),
    ):
        with open_sinks(["stdout"], False, stop) as write_line:

            def write_lines() -> None:
                for number in range(3):
                    write_line(f"line {number}")
                written.set()

            threading.Thread(target=write_lines, daemon=True).start()
            stop.set()
            assert written.wait(LONG_S)
            assert stop.is_over()
        assert found.wait("standard output: 3 lines were not written")


def test_log_does_not_wait_for_its_reader() -> None:
    read, write = blocked_pipe()
    with os.fdopen(read, "rb"), os.fdopen(write, "w") as stderr, contextlib.redirect_stderr(stderr):
        log("dropped")
        assert unread(read) == PIPE_BYTES


def test_ignored_hangup_stays_ignored() -> None:
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals(lambda: None):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, previous)


def test_lines_after_a_signal_are_processed_for_a_bounded_time() -> None:
    def endless(stop: threading.Event) -> Iterator[StreamMessage]:
        while True:
            yield StreamMessage("line", b"")

    stop = StopEvent()
    with contextlib.redirect_stderr(Log()) as found, Inbox(endless, stop=stop) as inbox:
        messages = received(inbox)
        next(messages)
        stop.set()
        assert sum(1 for _ in messages) > 0
        assert stop.is_over()
    assert found.wait("the lines that were received last are not processed")


def test_queue_is_bounded_in_bytes() -> None:
    sent = 0

    def flood(stop: threading.Event) -> Iterator[StreamMessage]:
        nonlocal sent
        while not stop.is_set():
            sent += 1
            yield StreamMessage("line", bytes(MAX_LINE_BYTES))

    with Inbox(flood) as inbox:
        until(lambda: sent == 5, "a full queue")
        messages = received(inbox)
        for _ in range(3 * MAX_QUEUED_MESSAGES):
            next(messages)
            assert sent <= 3 * MAX_QUEUED_MESSAGES + 6
        inbox.stop()
        assert sum(1 for _ in messages) <= 5
