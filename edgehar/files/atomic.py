"""Atomic writing of files and folders, locks, digests and JSON files."""

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
def naming(path: Path, temporary: Path | None = None) -> Generator[None, None, None]:
    """Name `path` in an OSError that names no file, such as one of a full disk, or one within `temporary`."""
    try:
        yield
    except OSError as problem:
        named = None if problem.filename is None else Path(os.fsdecode(problem.filename))
        if named is None or (temporary is not None and temporary in (named, *named.parents)):
            problem.filename = str(path)
        raise


@contextmanager
def atomic_file(path: Path) -> Generator[Path, None, None]:
    """Yield a temporary path that replaces `path` if the block succeeds.

    If `path` is a link, its target is replaced.
    """
    path = path.resolve() if path.is_symlink() else path
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with naming(path, temporary):
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Generator[Path, None, None]:
    """Yield an empty temporary folder that replaces `path` if the block succeeds.

    If `path` is a link, its target is replaced.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    try:
        with naming(path, temporary):
            temporary.mkdir()
            yield temporary
            if path.exists():
                path.replace(old)
            temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def locked(path: Path, option: str = "--out") -> Generator[None, None, None]:
    """Lock the output `path` (the target of a link) for this process, and remove remains of killed writers.

    The lock is released when the process ends, even by SIGKILL. Raises BusyError if another process holds it; `option`
    is the option that chooses another output.
    """
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f".{target.name}.lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(
                f"{path}: another run is writing to it; wait for its end or choose another {option}"
            ) from None
        _remove_remains(target)
        yield


def progress_files(path: Path) -> list[Path]:
    """Files from which interrupted trainings of the output `path` resume, one per round."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.progress(\.\d{{1,2}})?")
    return [entry for entry in path.parent.iterdir() if pattern.fullmatch(entry.name)]


def _remove_remains(path: Path) -> None:
    """Remove temporary files of killed writers of `path`, and restore an output that one was about to replace."""
    name = re.escape(path.name)
    pattern = re.compile(rf"\.(?:{name}|\.{name}\.progress(?:\.\d{{1,2}})?)\.(\d{{1,9}})\.(tmp|old)")
    for entry in path.parent.iterdir():
        match = pattern.fullmatch(entry.name)
        if match is None or _is_running(int(match[1])):
            continue
        if match[2] == "old" and not path.exists():
            entry.replace(path)
        elif entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    """Whether a process with this number exists, of any user."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def check_writable(path: Path, option: str) -> None:
    """Raise ConfigError unless a file can be written at this path; missing folders are allowed."""
    if path.exists() and not path.is_file():
        raise ConfigError(f"{option} {path}: a folder or a device; expected a file; choose another path")
    folder = next(parent for parent in path.absolute().parents if os.path.lexists(parent))
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as problem:
        raise ConfigError(
            f"{option} {path}: cannot write to {folder} ({problem.strerror}); expected a writable folder; "
            "choose another"
        ) from None


def sha256(path: Path) -> str:
    """SHA-256 of a file, as hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digest_of(value: Any) -> str:
    """SHA-256 of a JSON-like value, as hex; independent of the order of keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8 atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file; raises DataError with file and line if it is missing or malformed."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected a JSON file") from None
    except RecursionError:
        raise DataError(f"{path}: nested too deeply; expected a result or settings") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as problem:
        line = getattr(problem, "lineno", 1)
        raise DataError(f"{path}:{line}: not valid JSON ({problem}); correct or rewrite the file") from None
