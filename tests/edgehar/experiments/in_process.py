"""Runs the `edgehar` command within the test process, which has torch loaded already."""

import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgehar.cli import main


@dataclass(frozen=True)
class Finished:
    """Exit code and output of a command."""

    returncode: int
    stdout: str
    stderr: str


@contextlib.contextmanager
def _folder(path: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)


def edgehar(*arguments: str, folder: Path | None = None) -> Finished:
    """Run the command in a folder, the current one if none is given."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with _folder(folder or Path.cwd()), contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        code = main(list(arguments))
    return Finished(code, stdout.getvalue(), stderr.getvalue())
