"""Runs `edgehar data import` on files given as text."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from edgehar import cli
from edgehar.data import recordings
from edgehar.signals.clip import Clip, Dataset


class Outcome(NamedTuple):
    """What an import wrote and printed."""

    dataset: Dataset
    printed: str
    folder: Path

    def clip(self, name: str) -> Clip:
        """The recording of a name."""
        return next(clip for clip in self.dataset.clips if clip.name == name)


Importer = Callable[..., Outcome]


@pytest.fixture
def imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Importer:
    """Writes files below a source folder, imports it, checks the result and loads it."""

    def run(files: dict[str, str | bytes], *options: str, source: str = "src") -> Outcome:
        for name, content in files.items():
            path = tmp_path / "src" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        out = tmp_path / "out"
        code = cli.main(["data", "import", str(tmp_path / source), "--out", str(out), *options])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        assert cli.main(["data", "check", str(out)]) == 0, capsys.readouterr().out
        capsys.readouterr()
        return Outcome(recordings.load(out), printed.out, out)

    return run


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Like `imported`, for an import that fails: the message."""

    def run(files: dict[str, str | bytes], *options: str) -> str:
        for name, content in files.items():
            path = tmp_path / "src" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        code = cli.main(["data", "import", str(tmp_path / "src"), "--out", str(tmp_path / "out"), *options])
        captured = capsys.readouterr()
        assert code == 2, captured.out
        assert not (tmp_path / "out").exists()
        return captured.err

    return run
