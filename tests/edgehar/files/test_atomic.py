"""Remains of killed writers are removed or restored by the next writer of the same output."""

import subprocess
import sys
from pathlib import Path

import pytest

from edgehar.files.atomic import atomic_file, atomic_folder, locked

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
    """Process id of a writer killed during the write."""
    writer = subprocess.Popen([sys.executable, "-c", KILLED, str(out)])
    assert writer.wait() == -9
    return writer.pid


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def test_remains_of_a_killed_writer_are_removed(tmp_path: Path) -> None:
    out, other = tmp_path / "student", tmp_path / ".student.more.1.tmp"
    with atomic_folder(out) as folder:
        (folder / "weights").write_text("whole")
    other.mkdir()
    killed_writer(out)
    assert len([name for name in names(tmp_path) if name.endswith(".tmp")]) == 3
    with locked(out):
        assert names(tmp_path) == {"student", ".student.lock", other.name}
    assert (out / "weights").read_text() == "whole"


def test_an_output_about_to_be_replaced_is_restored(tmp_path: Path) -> None:
    out = tmp_path / "student"
    killed = killed_writer(out)
    old = tmp_path / f".student.{killed}.old"
    old.mkdir()
    (old / "weights").write_text("whole")
    with locked(out):
        assert (out / "weights").read_text() == "whole"
    assert names(tmp_path) == {"student", ".student.lock"}


@pytest.mark.parametrize("suffix", ["tmp", "old"])
def test_files_of_a_running_writer_are_kept(tmp_path: Path, suffix: str) -> None:
    running = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        busy = tmp_path / f".student.{running.pid}.{suffix}"
        busy.mkdir()
        with locked(tmp_path / "student"):
            assert busy.is_dir()
    finally:
        running.communicate()


def test_the_target_of_a_link_is_replaced(tmp_path: Path) -> None:
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    target.write_text("old")
    link.symlink_to(target)
    with atomic_file(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"
