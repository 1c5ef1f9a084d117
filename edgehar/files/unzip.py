"""Unpacks files of an untrusted zip archive, with limits on paths and sizes."""

import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO

from edgehar.errors import DataError

MAX_UNPACKED_BYTES = 8 << 30
MAX_RATIO = 200
"""Largest ratio of unpacked to packed bytes of a file; sensor data as text reaches about 10."""
_CHUNK_BYTES = 1 << 18


def _copy(packed: IO[bytes], path: Path, size_bytes: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        # zipfile stops at the stated size and verifies the checksum.
        with temporary.open("wb") as file:
            shutil.copyfileobj(packed, file, _CHUNK_BYTES)
            if file.tell() != size_bytes:
                raise zipfile.BadZipFile(f"{path.name!r} has {file.tell()} bytes instead of {size_bytes}")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _unpack(packed: zipfile.ZipFile, output_path: Callable[[str], str | None], out: Path) -> int:
    count, total_bytes = 0, 0
    for member in packed.infolist():
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", member.filename):
            raise zipfile.BadZipFile(f"the path {member.filename!r} leads out of the folder")
        output = None if member.is_dir() else output_path(str(path))
        if output is None:
            continue
        total_bytes += member.file_size
        if member.file_size > MAX_RATIO * member.compress_size + _CHUNK_BYTES or total_bytes > MAX_UNPACKED_BYTES:
            raise zipfile.BadZipFile(f"{member.filename!r} unpacks to {member.file_size} bytes, more than allowed")
        with packed.open(member) as content:
            _copy(content, out / output, member.file_size)
        count += 1
    return count


def unpack(archive: Path, output_path: Callable[[str], str | None], out: Path) -> int:
    """Unpack files of an archive; returns their number.

    Args:
        archive: a zip file.
        output_path: path of a file in the archive -> its path below `out`, or None to skip it.
        out: folder to unpack into.

    Raises:
        DataError: not a zip file, damaged, encrypted, a path that leaves the folder, more bytes than allowed,
            or no file of the data set.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            count = _unpack(packed, output_path, out)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as problem:
        raise DataError(f"{archive}: {problem}; expected the publisher's zip file; remove it and fetch again") from None
    if not count:
        raise DataError(f"{archive}: no file of the data set; expected the publisher's zip file; fetch it again")
    return count
