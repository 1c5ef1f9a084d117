"""Reads plain files of an untrusted folder, without following links, up to a size limit."""

import errno
import os
import re
import stat
from pathlib import Path

from edgehar.errors import PackageError

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}", re.ASCII)
_NOT_A_FILE = (errno.ELOOP, errno.ENXIO, errno.ENODEV)
"""Errors of opening a link, a socket or a device without a driver."""


def is_plain(name: str) -> bool:
    """Whether a name has only ASCII letters, digits and "_.+-", and is not hidden."""
    return _PLAIN_NAME.fullmatch(name) is not None


def read_plain(folder: Path, name: str, max_bytes: int) -> bytes:
    """The bytes of a file in the folder.

    Does not follow links and does not block on pipes or devices.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such file.
        PackageError: the name leads outside, the file is not regular, larger than `max_bytes`, or changed during the
            read.
    """
    path = folder / name
    if not is_plain(name):
        raise PackageError(f"{folder}: file {name!r} leads outside the package; expected a plain file in the folder")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as problem:
        if problem.errno in _NOT_A_FILE:
            raise PackageError(f"{path}: a link or a device; expected a plain file; copy the package again") from None
        raise
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise PackageError(f"{path}: a pipe, a folder or a device; expected a plain file; copy the package again")
    with os.fdopen(descriptor, "rb") as file:
        if status.st_size > max_bytes:
            raise PackageError(f"{path}: {status.st_size} bytes; expected {max_bytes} at most; copy the package again")
        data = file.read(status.st_size + 1)
    if len(data) != status.st_size:
        raise PackageError(f"{path}: changed while it was read; expected no other writer; copy the package again")
    return data
