"""Files that are whole or absent: temporary name first, rename last, one writer per folder."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgehar.errors import BusyError, ConfigError, DataError


@contextmanager
def atomic_file(path: Path) -> Generator[Path, None, None]:
    """Yield a temporary path beside `path`; it takes that name only if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Generator[Path, None, None]:
    """Yield an empty temporary folder beside `path`; it replaces `path` only if the block succeeds.

    Where `path` is a link, the folder that it points to is replaced and the link stays.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    try:
        yield temporary
        if path.exists():
            path.replace(old)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def locked(path: Path, option: str = "--out") -> Generator[None, None, None]:
    """Hold the output `path` for one process, by a lock beside it that goes with the process, even with kill -9.

    What a writer that was killed left beside it is cleared up. Of a link, what it points to is held. Raises BusyError
    if another process holds it, with the option by which to choose another output.
    """
    there = path.resolve()
    there.parent.mkdir(parents=True, exist_ok=True)
    with there.with_name(f".{there.name}.lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(
                f"{path}: another run is writing here; wait for it to end or choose another {option}"
            ) from None
        _clear_up(there)
        yield


def progress_files(path: Path) -> list[Path]:
    """What trainings left beside the output `path` to be resumed from, one for each round."""
    saved = re.compile(rf"\.{re.escape(path.name)}\.progress(\.\d{{1,2}})?")
    return [entry for entry in path.parent.iterdir() if saved.fullmatch(entry.name)]


def _clear_up(path: Path) -> None:
    """Take away what writers that are gone left beside `path`; what one was about to replace goes back."""
    name = re.escape(path.name)
    left = re.compile(rf"\.(?:{name}|\.{name}\.progress(?:\.\d{{1,2}})?)\.(\d{{1,9}})\.(tmp|old)")
    for entry in path.parent.iterdir():
        found = left.fullmatch(entry.name)
        if found is None or _is_running(int(found[1])):
            continue
        if found[2] == "old" and not path.exists():
            entry.replace(path)
        elif entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    """Whether there is a process with this number, whoever's it is."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def check_writable(path: Path, option: str) -> None:
    """Raise ConfigError, before any work is done, unless a file can be written there; missing folders will be made."""
    if path.exists() and not path.is_file():
        raise ConfigError(f"{option} {path}: a folder or a device; expected a file; name one in it or choose another")
    folder = next(parent for parent in path.absolute().parents if os.path.lexists(parent))
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as problem:
        raise ConfigError(
            f"{option} {path}: nothing can be written in {folder} ({problem.strerror}); expected a place for a file; "
            "choose another"
        ) from None


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digest_of(value: Any) -> str:
    """Hex digest of a JSON-like value, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write JSON whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON; raises DataError naming the file and the line if it is missing or malformed."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected a JSON file there") from None
    except RecursionError:
        raise DataError(f"{path}: brackets within brackets without end; expected a result or settings") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as problem:
        line = getattr(problem, "lineno", 1)
        raise DataError(f"{path}:{line}: not valid JSON ({problem}); correct or rewrite the file") from None
