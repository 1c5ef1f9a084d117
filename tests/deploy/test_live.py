"""The live view is one line that fits the terminal it is on."""

import contextlib
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehar.deploy.live.terminal_view import LiveView, display_width, view_line
from edgehar.signals.clip import Prediction
from tests.deploy.running import LONG_S, ROOT, LineReader, lines_of, running, until
from tests.deploy.test_counts import in_milliseconds
from tests.deploy.test_stream import steady

FACTS = "0.83      12.4 s     25.0 hops/s      1.2 ms"


def test_the_line() -> None:
    assert view_line("walk", 0.5, FACTS, 70, "#.") == f"walk  {'#' * 9}{'.' * 9}  {FACTS}"
    assert view_line("walk", 0.5, FACTS, 55, "#.") == f"walk  {FACTS}     "
    assert view_line("stand up from a chair", 1.0, FACTS, 55, "#.") == f"stand up   {FACTS}"
    assert view_line("walk", 0.5, FACTS, 10, "#.") == f"  {FACTS}"[:10]


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=40), st.floats(0, 1), st.integers(0, 200)
)
def test_the_line_takes_just_the_columns_there_are(label: str, score: float, columns: int) -> None:
    assert display_width(view_line(label, score, FACTS, columns, "█░")) == columns


@pytest.mark.parametrize(
    ("encoding", "full", "label"), [("utf-8", "█", "走る"), ("ascii", "#", "??"), ("latin-1", "#", "??")]
)
def test_blocks_and_labels_are_those_that_the_terminal_has(encoding: str, full: str, label: str) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding)
    view = LiveView(terminal, ("走る", "wave\x1b[2J"))
    for name in ("wave\x1b[2J", "走る"):
        view.show(Prediction(name, 1.0, np.ones(2, np.float32), 3.0, 5.0), 0.0)
    view.close()
    terminal.seek(0)
    drawn = terminal.read()
    assert "\x1b" not in drawn
    assert drawn.endswith("\n")
    newest = drawn.splitlines()[-1] if "\r" not in drawn.rstrip() else drawn.rstrip().rpartition("\r")[2]
    assert newest.startswith(label)
    assert full * 5 in newest
    assert "1.00       2.0 s" in newest


@contextlib.contextmanager
def on_a_terminal(
    package: Path, columns: int, *options: str, encoding: str = "utf-8"
) -> Generator[subprocess.Popen[bytes], None, None]:
    """`edgehar run` with standard output and error on a terminal of this width; `stdin` of what it yields feeds it."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    command = [sys.executable, "-m", "edgehar.cli", "run", str(package), "--stdin", "--live", *options]
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=slave, stderr=slave, cwd=ROOT, env=environment)
    os.close(slave)
    try:
        with os.fdopen(master, "rb", buffering=0) as terminal:
            process.stdout = terminal
            yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("encoding", "block"), [("utf-8", "█"), ("ascii", "#")])
def test_a_terminal_shows_one_line(sliding_package: Path, tmp_path: Path, encoding: str, block: str) -> None:
    file = tmp_path / "answers.jsonl"
    lines = lines_of(steady(2.0))
    with on_a_terminal(sliding_package, 90, "--to", str(file), "--skip-bad", encoding=encoding) as process:
        assert process.stdin
        assert process.stdout
        heard = LineReader(process.stdout)
        process.stdin.write(b"".join([*lines[:120], b"oops\n", *lines[120:]]))
        process.stdin.close()
        assert process.wait(LONG_S) == 0
        shown = b"".join(heard.all()).decode()
    redrawn = [part for part in re.split("[\r\n]+", shown) if part]
    log = [part for part in redrawn if part.startswith("edgehar: ")]
    assert len(log) == 3
    assert "line 121: not JSON" in log[0]
    assert "inertial: 101 samples, all used" in log[2]
    assert {len(part) for part in redrawn if part not in log} == {89}
    newest = [part for part in redrawn if part not in log][-1]
    assert re.match(rf"\w+ +{block}+\S*  0\.\d\d +\d\.\d s +[\d.]+ hops/s +[\d.]+ ms", newest), newest
    assert '"probabilities"' not in shown
    answers = file.read_text().splitlines()
    assert answers
    assert f'"label": "{newest.split()[0]}"' in answers[-1]


def test_the_line_tells_of_samples_that_bring_no_answer(sliding_package: Path) -> None:
    shown = b""

    def told() -> bool:
        nonlocal shown
        assert process.stdout
        shown += process.stdout.read(4096)
        return re.search(rb"\rno prediction yet  162 samples, 15\d not used", shown) is not None

    with on_a_terminal(sliding_package, 90) as process:
        assert process.stdin
        process.stdin.write(b"".join(lines_of(in_milliseconds(steady(2.0)))))
        process.stdin.flush()
        until(told, "the counts")
        process.stdin.close()


def test_without_a_terminal_the_lines_come_as_usual(sliding_package: Path) -> None:
    with running(sliding_package, "--stdin", "--live") as program:
        program.send(*lines_of(steady(1.0)))
        program.stdin.close()
        assert program.code() == 0
        assert len(program.answers.all()) > 0
        assert b"--live: " in program.log.all()[0]
