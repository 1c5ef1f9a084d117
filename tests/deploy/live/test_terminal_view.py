"""The live view: one line that fits the terminal."""

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
from tests.deploy.streams import scaled, steady

DETAILS = "0.83      12.4 s     25.0 hops/s      1.2 ms"


def test_line_layout() -> None:
    assert view_line("walk", 0.5, DETAILS, 70, "#.") == f"walk  {'#' * 9}{'.' * 9}  {DETAILS}"
    assert view_line("walk", 0.5, DETAILS, 55, "#.") == f"walk  {DETAILS}     "
    assert view_line("stand up from a chair", 1.0, DETAILS, 55, "#.") == f"stand up   {DETAILS}"
    assert view_line("walk", 0.5, DETAILS, 10, "#.") == f"  {DETAILS}"[:10]


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=40), st.floats(0, 1), st.integers(0, 200)
)
def test_line_has_the_width_of_the_terminal(label: str, score: float, columns: int) -> None:
    assert display_width(view_line(label, score, DETAILS, columns, "█░")) == columns


@pytest.mark.parametrize(
    ("encoding", "full", "label"), [("utf-8", "█", "走る"), ("ascii", "#", "??"), ("latin-1", "#", "??")]
)
def test_characters_are_limited_to_the_encoding(encoding: str, full: str, label: str) -> None:
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
    """A process of `edgehar run --stdin` with output and log on a terminal of this width."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    command = [sys.executable, "-m", "edgehar", "run", str(package), "--stdin", "--live", *options]
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
def test_terminal_shows_one_line(sliding_package: Path, tmp_path: Path, encoding: str, block: str) -> None:
    file = tmp_path / "predictions.jsonl"
    lines = lines_of(steady(2.0))
    with on_a_terminal(sliding_package, 90, "--to", str(file), "--skip-bad", encoding=encoding) as process:
        assert process.stdin
        assert process.stdout
        reader = LineReader(process.stdout)
        process.stdin.write(b"".join([*lines[:120], b"oops\n", *lines[120:]]))
        process.stdin.close()
        assert process.wait(LONG_S) == 0
        shown = b"".join(reader.all()).decode()
    redrawn = [part for part in re.split("[\r\n]+", shown) if part]
    log = [part for part in redrawn if part.startswith("edgehar: ")]
    assert len(log) == 3
    assert "line 121: not JSON" in log[0]
    assert "inertial: 101 samples, all used" in log[2]
    assert {len(part) for part in redrawn if part not in log} == {89}
    newest = [part for part in redrawn if part not in log][-1]
    assert re.match(rf"\w+ +{block}+\S*  0\.\d\d +\d\.\d s +[\d.]+ hops/s +[\d.]+ ms", newest), newest
    assert '"probabilities"' not in shown
    lines_in_file = file.read_text().splitlines()
    assert lines_in_file
    assert f'"label": "{newest.split()[0]}"' in lines_in_file[-1]


def test_line_shows_unused_samples_without_predictions(sliding_package: Path) -> None:
    shown = b""

    def is_shown() -> bool:
        nonlocal shown
        assert process.stdout
        shown += process.stdout.read(4096)
        return re.search(rb"\rno prediction yet  162 samples, 15\d not used", shown) is not None

    with on_a_terminal(sliding_package, 90) as process:
        assert process.stdin
        process.stdin.write(b"".join(lines_of(scaled(steady(2.0), 1000.0))))
        process.stdin.flush()
        until(is_shown, "the counts")
        process.stdin.close()


def test_live_without_a_terminal_writes_lines(sliding_package: Path) -> None:
    with running(sliding_package, "--stdin", "--live") as program:
        program.send(*lines_of(steady(1.0)))
        program.stdin.close()
        assert program.code() == 0
        assert len(program.output.all()) > 0
        assert b"--live: " in program.log.all()[0]
