"""Runs `edgehar run` in this process or another one, and an MQTT broker; tests wait for output, never for a time."""

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pytest

from edgehar import cli
from edgehar.deploy.live.inbox import Inbox, MessageSource
from edgehar.deploy.live.json_lines import StreamMessage
from edgehar.deploy.live.serving.live_fleet import Answer, LiveFleet, stream_answers
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.stream.fleet import Fleet
from edgehar.signals.clip import Prediction
from tests.deploy.streams import Recording, sample_by_sample

ROOT = Path(__file__).resolve().parents[2]
LONG_S = 30.0
"""Time limit of every wait, at least ten times longer than needed."""


def lines_of(recording: Recording) -> list[bytes]:
    """The samples of a recording as lines of a stream; every second line has a list of times."""
    return [
        json.dumps(
            {"modality": name, "time_s": list(times) if index % 2 else times[0], "samples": samples.tolist()}
        ).encode()
        + b"\n"
        for index, (name, samples, times) in enumerate(sample_by_sample(recording))
    ]


def probabilities(lines: Iterable[bytes | str]) -> list[list[float]]:
    """The probabilities in lines of predictions."""
    return [list(json.loads(line)["probabilities"].values()) for line in lines]


def assert_same_predictions(lines: list[bytes], expected: list[Prediction]) -> None:
    """The same windows, with probabilities within 1e-5."""
    assert [json.loads(line)["start_s"] for line in lines] == pytest.approx([one.start_s for one in expected], abs=1e-6)
    np.testing.assert_allclose(probabilities(lines), [one.probabilities for one in expected], atol=1e-5)


def until(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of the condition; fails after LONG_S."""
    end_s = time.monotonic() + LONG_S
    while not (found := condition()):
        assert time.monotonic() < end_s, f"waited in vain for {what}"
        time.sleep(0.005)
    return found


class Result(NamedTuple):
    """Exit code, and the lines of standard output and standard error."""

    code: int
    output: list[str]
    log: list[str]


def run_stream(package: Path, lines: Iterable[bytes], *options: str) -> Result:
    """`edgehar run --stdin` in this process, with these lines on standard input."""
    output, log = io.StringIO(), io.StringIO()
    read, write = os.pipe()

    def feed() -> None:
        with os.fdopen(write, "wb") as pipe, contextlib.suppress(BrokenPipeError):
            pipe.write(b"".join(lines))

    feeder = threading.Thread(target=feed, daemon=True)
    with os.fdopen(read) as stdin, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", stdin)
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(log):
            feeder.start()
            code = cli.main(["run", str(package), "--stdin", *options])
    feeder.join(LONG_S)
    return Result(code, output.getvalue().splitlines(), log.getvalue().splitlines())


class Log(io.StringIO):
    """Standard error of this process, to be waited for."""

    def port(self) -> int:
        return int(self.wait("listening on").rpartition(":")[2])

    def wait(self, text: str, times: int = 1) -> str:
        def found() -> list[str]:
            return [line for line in self.getvalue().splitlines() if text in line]

        return until(lambda: found()[times - 1 :], f"{text!r} in {self.getvalue()!r}")[0]


def predictions_from(
    recognizer: Recognizer, source: MessageSource, feed: Callable[[Inbox, Log], None]
) -> tuple[list[Prediction], Log]:
    """Predictions of a source that another thread feeds; the stream waits for both sensors without limit."""
    errors: list[BaseException] = []
    people = LiveFleet(Fleet(recognizer, lateness_s=float("inf"), idle_s=float("inf")), None, timeout_s=60.0)
    with contextlib.redirect_stderr(Log()) as log, Inbox(source) as inbox:

        def run() -> None:
            try:
                feed(inbox, log)
            except BaseException as error:
                errors.append(error)
                inbox.stop()

        feeder = threading.Thread(target=run, daemon=True)
        feeder.start()
        found = predictions_of(stream_answers(people, inbox.messages(), skip_bad=True))
        feeder.join(LONG_S)
    for error in errors:
        raise error
    return found, log


def received(inbox: Inbox) -> Iterator[StreamMessage]:
    """The messages of an inbox, as they arrive."""
    return (message for message in inbox.messages() if message is not None)


def predictions_of(answers: Iterable[Answer]) -> list[Prediction]:
    """The predictions among the answers to a stream."""
    return [one.found for one in answers if isinstance(one.found, Prediction)]


class LineReader:
    """The lines of a pipe or of a socket's file as they arrive."""

    def __init__(self, file: IO[bytes]) -> None:
        self.lines: list[bytes] = []
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._read, args=(file,), daemon=True)
        self._thread.start()

    def _read(self, file: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):  # the file is closed meanwhile
            for line in file:
                with self._changed:
                    self.lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def line_with(self, text: str) -> str:
        """Wait for a line with this text."""

        def found() -> list[str]:
            return [line.decode() for line in self.lines if text in line.decode()]

        with self._changed:
            self._changed.wait_for(lambda: found() or self._ended, LONG_S)
            assert found(), f"{text!r} is not in {self.lines}"
            return found()[0]

    def count(self, lines: int) -> list[bytes]:
        """Wait for this many lines."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.lines) >= lines or self._ended, LONG_S)
            assert len(self.lines) >= lines, self.lines
            return list(self.lines)

    def all(self) -> list[bytes]:
        """Wait for the end of the file."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._ended, LONG_S), "no end"
        return self.lines


class Running:
    """A process of `edgehar run`; `output` and `log` are its standard output and standard error."""

    def __init__(self, package: Path, *options: str, environment: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edgehar", "run", str(package), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env=os.environ | (environment or {}),
        )
        assert self.process.stdin
        assert self.process.stdout
        assert self.process.stderr
        self.stdin = self.process.stdin
        self.output, self.log = LineReader(self.process.stdout), LineReader(self.process.stderr)

    def send(self, *lines: bytes) -> None:
        self.stdin.write(b"".join(lines))
        self.stdin.flush()

    def end(self, kind: signal.Signals = signal.SIGINT) -> None:
        self.process.send_signal(kind)

    def code(self) -> int:
        return self.process.wait(LONG_S)

    def port(self) -> int:
        return int(self.log.line_with("listening on").rpartition(":")[2])

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for reader in (self.output, self.log):
            reader.all()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe
            pipe.close()
        with contextlib.suppress(OSError):
            self.stdin.close()


@contextlib.contextmanager
def running(package: Path, *options: str, environment: dict[str, str] | None = None) -> Generator[Running, None, None]:
    program = Running(package, *options, environment=environment)
    with contextlib.closing(program):
        yield program


@contextlib.contextmanager
def client(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), LONG_S) as connection:
        yield connection


def open_server(port: int = 0) -> socket.socket:
    server = socket.create_server(("127.0.0.1", port))
    server.settimeout(LONG_S)
    return server


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
