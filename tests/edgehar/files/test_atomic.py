"""What a writer that was killed leaves beside its output is cleared up by the next one; nothing whole is lost."""

import subprocess
import sys
from pathlib import Path

import pytest

from edgehar.files.atomic import atomic_folder, locked

KILLED = """
import os, signal, sys
from pathlib import Path
from edgehar.files.atomic import atomic_file, atomic_folder, locked
out = Path(sys.argv[1])
with locked(out), atomic_file(out.with_name(f".{out.name}.progress")) as file, atomic_folder(out) as folder:
    file.write_text("half")
    (folder / "weights").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_writer(out: Path) -> int:
    """The number of a process that was killed while it wrote."""
    writer = subprocess.Popen([sys.executable, "-c", KILLED, str(out)])
    assert writer.wait() == -9
    return writer.pid


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def test_what_a_killed_writer_left_goes_and_what_is_whole_stays(tmp_path: Path) -> None:
    out, other = tmp_path / "student", tmp_path / ".student.more.1.tmp"
    with atomic_folder(out) as folder:
        (folder / "weights").write_text("whole")
    other.mkdir()
    killed_writer(out)
    assert len([name for name in names(tmp_path) if name.endswith(".tmp")]) == 3
    with locked(out):
        assert names(tmp_path) == {"student", ".student.lock", other.name}
    assert (out / "weights").read_text() == "whole"


def test_what_a_killed_writer_was_about_to_replace_goes_back(tmp_path: Path) -> None:
    out = tmp_path / "student"
    gone = killed_writer(out)
    old = tmp_path / f".student.{gone}.old"
    old.mkdir()
    (old / "weights").write_text("whole")
    with locked(out):
        assert (out / "weights").read_text() == "whole"
    assert names(tmp_path) == {"student", ".student.lock"}


@pytest.mark.parametrize("suffix", ["tmp", "old"])
def test_a_writer_that_still_runs_is_left_alone(tmp_path: Path, suffix: str) -> None:
    running = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        busy = tmp_path / f".student.{running.pid}.{suffix}"
        busy.mkdir()
        with locked(tmp_path / "student"):
            assert busy.is_dir()
    finally:
        running.communicate()
