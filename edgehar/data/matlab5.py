"""A MATLAB 5 file is a row of tagged elements; this reads one named numeric array out of it.

Own code instead of scipy: the board's environment holds numpy and onnxruntime only, and must evaluate on
UTD-MHAD. What is read: little-endian files of version 5 (MATLAB's default, `-v6` and `-v7`), real arrays of any
integer or floating class, compressed or not. Layout: "MAT-File Format", The MathWorks, level 5 chapter.
"""

import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError

HEADER_BYTES = 128
MAX_ELEMENT_BYTES = 1 << 30
"""Largest array that is unpacked; guards against a small file that inflates without end."""

_MATRIX, _COMPRESSED = 14, 15
_STORED = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8"}
"""Type of the bytes in an element."""
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
"""Class of a MATLAB array; a double may be stored in fewer bytes."""
_OTHER_CLASSES = {1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse"}


class _Damaged(Exception):
    """What is wrong with the bytes; `read_mat` adds the file and what to do."""


def _element(data: memoryview, start: int) -> tuple[int, memoryview, int]:
    """The element at `start`: its type, its bytes, and where the next one begins."""
    if start + 8 > len(data):
        raise _Damaged(f"{len(data)} bytes, an element needs 8 more at byte {start}")
    kind, size = struct.unpack_from("<II", data, start)
    if kind >> 16:  # small format: size and type share one word, the data is the other
        kind, size = kind & 0xFFFF, kind >> 16
        if size > 4:
            raise _Damaged(f"a small element of {size} bytes at byte {start}")
        return kind, data[start + 4 : start + 4 + size], start + 8
    end = start + 8 + size
    if end > len(data):
        raise _Damaged(f"{len(data)} bytes, the element at byte {start} ends at byte {end}")
    # Everything is padded to 8 bytes, except that the next element follows a compressed one at once.
    following = end if kind == _COMPRESSED else end + -size % 8
    return kind, data[start + 8 : end], following


def _inflate(data: memoryview) -> memoryview:
    inflater = zlib.decompressobj()
    try:
        inflated = inflater.decompress(data, MAX_ELEMENT_BYTES)
        if not inflater.eof and inflater.decompress(inflater.unconsumed_tail, 1):
            raise _Damaged(f"an array of more than {MAX_ELEMENT_BYTES} bytes")
    except zlib.error as problem:
        raise _Damaged(f"compressed data that cannot be unpacked ({problem})") from None
    if not inflater.eof:
        raise _Damaged("compressed data that breaks off")
    return memoryview(inflated)


def _name_and_array(matrix: memoryview, wanted: str) -> tuple[str, NDArray[Any] | None]:
    """Name of a matrix element, and its array if the name is the wanted one."""
    _, flags, position = _element(matrix, 0)
    kind, sizes, position = _element(matrix, position)
    _, name_bytes, position = _element(matrix, position)
    if len(flags) != 8 or kind != 5 or len(sizes) % 4:
        raise _Damaged("an array without flags or dimensions")
    name = bytes(name_bytes).decode("latin-1")
    if name != wanted:
        return name, None
    flag, mat_class = flags[1], flags[0]
    if mat_class not in _CLASSES or flag & 0x08:
        found = "complex" if mat_class in _CLASSES else _OTHER_CLASSES.get(mat_class, f"class {mat_class}")
        raise _Damaged(f"{wanted} as a {found} array")
    shape = struct.unpack(f"<{len(sizes) // 4}i", sizes)
    kind, values, _ = _element(matrix, position)
    if kind not in _STORED:
        raise _Damaged(f"{wanted} stored as unknown type {kind}")
    stored = np.dtype(_STORED[kind])
    if min(shape, default=-1) < 0 or math.prod(shape) * stored.itemsize != len(values):
        raise _Damaged(f"{wanted} of shape {shape} with {len(values)} bytes of {stored.name}")
    try:
        array = np.frombuffer(values, stored).reshape(shape, order="F")
    except ValueError:
        raise _Damaged(f"{wanted} of {len(shape)} dimensions, more than numpy can hold") from None
    return name, array.astype(_CLASSES[mat_class], order="C")


def _find(data: memoryview, wanted: str) -> NDArray[Any]:
    names: list[str] = []
    position = HEADER_BYTES
    while position < len(data):
        kind, body, position = _element(data, position)
        if kind == _COMPRESSED:
            kind, body, _ = _element(_inflate(body), 0)
        if kind != _MATRIX:
            raise _Damaged(f"an element of type {kind} where an array belongs")
        if not body:
            continue
        name, array = _name_and_array(body, wanted)
        if array is not None:
            return array
        names.append(name)
    raise _Damaged(f"the variables {', '.join(names) or 'none'}, no {wanted!r}")


def read_mat(path: Path, variable: str) -> NDArray[Any]:
    """Read one numeric array of a MATLAB 5 file.

    Args:
        path: the .mat file.
        variable: name of the array in it.

    Returns:
        The array in MATLAB's shape and class, C-contiguous and writable; a logical array comes as uint8.

    Raises:
        DataError: no such file, not a MATLAB 5 file, damaged or cut off, or without such an array.
    """
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror}); expected a MATLAB file there") from None
    try:
        if len(data) < HEADER_BYTES:
            raise _Damaged(f"{len(data)} bytes, less than the header of {HEADER_BYTES}")
        if data[:8] == b"\x89HDF\r\n\x1a\n" or data[124:128] == b"\x00\x02IM":
            raise _Damaged("a MATLAB 7.3 (HDF5) file")
        if data[124:128] != b"\x00\x01IM":
            raise _Damaged(f"the bytes {data[124:128]!r} where the version belongs")
        return _find(memoryview(data), variable)
    except _Damaged as problem:
        raise DataError(
            f"{path}: found {problem}; expected a little-endian MATLAB 5 file with a real numeric array "
            f"{variable!r}; fetch the file again or save it with -v7"
        ) from None
