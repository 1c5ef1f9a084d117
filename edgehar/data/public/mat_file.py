"""MATLAB 5 files, read by scipy."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError

HEADER_BYTES = 128
MAX_ELEMENT_BYTES = 1 << 30
"""Largest array that is decompressed: a small file can otherwise fill the memory."""

_VERSION = slice(124, 128)
_MATLAB_5, _BIG_ENDIAN_5, _MATLAB_73 = b"\x00\x01IM", b"\x01\x00MI", b"\x00\x02IM"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_COMPRESSED = 15
_FLAGS_BYTES = 16
_COMPLEX = 0x08
_ARRAY_CLASSES = range(6, 16)
"""Classes of numeric arrays, from double to uint64."""
_NUMBER_TYPES = (1, 2, 3, 4, 5, 6, 7, 9, 12, 13)
"""How an array's numbers may be stored, from int8 to uint64."""
_DTYPES = {"double": "f8", "single": "f4", "logical": "u1"} | {
    f"{sign}int{8 * size}": f"{sign or 'i'}{size}" for sign in ("", "u") for size in (1, 2, 4, 8)
}
"""Class of a MATLAB array -> type of its numbers; they may be stored in fewer bytes."""


def _decompress(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    inflated = inflater.decompress(data, MAX_ELEMENT_BYTES)
    if not inflater.eof:
        raise ValueError(f"truncated compressed data, or an array above {MAX_ELEMENT_BYTES} bytes")
    return inflated


def _next_tag(element: bytes, position: int) -> int:
    """Position of the tag after the one at `position`."""
    tag, size_bytes = struct.unpack_from("<II", element, position)
    small = tag >> 16  # the tag of a small element holds its data
    return position + 8 + (0 if small else size_bytes + -size_bytes % 8)


def _check_number_types(data: bytes) -> None:
    """Raise ValueError for an array stored as an undefined type, or compressed data with a wrong checksum.

    scipy 1.17 uses the type as an index without checking it, which ends the process. Layout: "MAT-File Format", The
    MathWorks, chapter on level 5.
    """
    start = HEADER_BYTES
    while start < len(data):
        kind, size_bytes = struct.unpack_from("<II", data, start)
        element = data[start + 8 : start + 8 + size_bytes]
        start += 8 + size_bytes
        if kind == _COMPRESSED:
            element = _decompress(element)[8:]
        if not element or element[8] not in _ARRAY_CLASSES:
            continue
        position = _next_tag(element, _next_tag(element, _FLAGS_BYTES))  # after the dimensions and the name
        for _ in range(2 if element[9] & _COMPLEX else 1):
            (number_type,) = struct.unpack_from("<H", element, position)
            if number_type not in _NUMBER_TYPES:
                raise ValueError(f"numbers of undefined type {number_type}")
            position = _next_tag(element, position)


class _OtherContentError(Exception):
    """A file that is intact but not one to read here; the message states what was found."""


def _check_format(data: bytes) -> None:
    """Raise _OtherContentError, or ValueError if truncated, unless this is a little-endian MATLAB 5 file."""
    version = data[_VERSION]
    if data.startswith(_HDF5) or version == _MATLAB_73:
        raise _OtherContentError("a MATLAB 7.3 file (HDF5)")
    if version == _BIG_ENDIAN_5:
        raise _OtherContentError("a big-endian MATLAB 5 file")
    if len(data) < HEADER_BYTES:
        raise ValueError(f"{len(data)} bytes")
    if version != _MATLAB_5:
        raise _OtherContentError("no MATLAB file")


def _load(data: bytes, variable: str) -> NDArray[Any]:
    """The array; raises _OtherContentError, and ValueError and whatever scipy raises for a damaged file."""
    import scipy.io  # pyright: ignore[reportMissingTypeStubs]

    scipy_io: Any = scipy.io
    _check_format(data)
    _check_number_types(data)
    classes = {str(name): str(kind) for name, _, kind in scipy_io.whosmat(io.BytesIO(data))}
    if variable not in classes:
        raise _OtherContentError(f"the variables {', '.join(classes) or 'none'}")
    array: NDArray[Any] = np.asarray(scipy_io.loadmat(io.BytesIO(data), variable_names=[variable])[variable])
    if classes[variable] not in _DTYPES or array.dtype.kind not in "biuf":
        kind = "complex" if array.dtype.kind == "c" else classes[variable]
        raise _OtherContentError(f"{variable} as a {kind} array")
    with np.errstate(all="ignore"):  # a damaged number may overflow
        return array.astype(_DTYPES[classes[variable]], order="C")


def read_mat(path: Path, variable: str) -> NDArray[Any]:
    """Read one numeric array of a MATLAB 5 file.

    Args:
        path: the .mat file.
        variable: name of the array in it.

    Returns:
        The array in MATLAB's shape and class, C-contiguous; a logical array comes as uint8.

    Raises:
        DataError: scipy is not installed, no such file, not a little-endian MATLAB 5 file, damaged or truncated, or
            without a real numeric array of that name.
    """
    expected = f"expected a little-endian MATLAB 5 file with a real numeric array {variable!r}"
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise DataError(f"{path}: found {problem.strerror or problem}; {expected}; check the path") from None
    try:
        return _load(data, variable)
    except ModuleNotFoundError as problem:
        if (problem.name or "").partition(".")[0] != "scipy":
            raise
        raise DataError(
            f"{path}: reading a MATLAB file needs scipy, which is not installed; convert the recordings on the "
            "workstation with edgehar data convert, or pip install 'edgehar[train]'"
        ) from None
    except _OtherContentError as problem:
        raise DataError(f"{path}: found {problem}; {expected}; save it in MATLAB with -v7") from None
    except (
        *(ValueError, TypeError, LookupError, OverflowError, MemoryError, NotImplementedError, EOFError, OSError),
        *(UnboundLocalError, struct.error, zlib.error),
    ) as problem:
        reason = str(problem) or type(problem).__name__
        raise DataError(
            f"{path}: found a damaged or truncated file ({reason}); {expected}; fetch the file again"
        ) from None
