"""A file of a folder from outside is read only if it is a plain file in that folder and no larger than allowed."""

import errno
import os
import re
import stat
from pathlib import Path

from edgehar.errors import PackageError

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}", re.ASCII)
_NOT_A_FILE = (errno.ELOOP, errno.ENXIO, errno.ENODEV)
"""What opening a link, a socket or a device without a driver gives."""


def is_plain(name: str) -> bool:
    """True for a name of ASCII letters, digits and "_.+-" that cannot lead out of a folder or hide in it."""
    return _PLAIN_NAME.fullmatch(name) is not None


def read_plain(folder: Path, name: str, most_bytes: int) -> bytes:
    """The bytes of a file that lies in the folder itself.

    Never follows a link and never waits, so that a pipe or a device in place of the file is refused at once.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such file.
        PackageError: the name leads elsewhere, it is no regular file, it is larger than `most_bytes`, or it changed
            while it was read.
    """
    path = folder / name
    if not is_plain(name):
        raise PackageError(f"{folder}: file {name!r} leads outside the package; expected a plain file in the folder")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as problem:
        if problem.errno in _NOT_A_FILE:
            raise PackageError(
                f"{path}: a link or a device, which may lead outside the package; expected a plain file in the folder"
            ) from None
        raise
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        raise PackageError(f"{path}: a pipe, a folder or a device; expected a plain file; copy the package again")
    with os.fdopen(descriptor, "rb") as file:
        if facts.st_size > most_bytes:
            raise PackageError(f"{path}: {facts.st_size} bytes; expected {most_bytes} at most; copy the package again")
        data = file.read(facts.st_size + 1)
    if len(data) != facts.st_size:
        raise PackageError(f"{path}: it changed while it was read; copy the package again when nobody writes to it")
    return data
