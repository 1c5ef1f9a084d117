"""Reads an untrusted .npz file; checks all sizes before unpacking or allocating."""

import io
import math
import re
import struct
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_ARRAYS = 64
MAX_UNPACKED_BYTES = 256 << 20
_ENTRY = b"PK\x01\x02"
"""Signature of an entry in the directory of a zip file."""
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1
_HEADER = re.compile(
    rb"\{'descr': '([<|][fiub][0-9]{1,2})', 'fortran_order': (False|True), "
    rb"'shape': \(((?:[0-9]{1,10}(?:, |,)?){0,8})\), \} *\n"
)
"""A .npy header as numpy writes it: a plain numeric type, the memory order, up to eight dimensions."""


def _array(data: bytes, name: str) -> NDArray[Any]:
    """A .npy file as an array; format: https://numpy.org/neps/nep-0001-npy-format.html."""
    if len(data) < 10 or data[:8] != b"\x93NUMPY\x01\x00":
        raise ValueError(f"{name} is not a .npy file of version 1")
    start = 10 + int.from_bytes(data[8:10], "little")
    header = _HEADER.fullmatch(data[10:start])
    if header is None:
        raise ValueError(f"{name} has a type or shape that is not of plain numbers")
    kind = np.dtype(header[1].decode())
    shape = tuple(int(size) for size in header[3].decode().split(",") if size.strip())
    expected = math.prod(shape) * kind.itemsize
    if len(data) - start != expected:
        raise ValueError(f"{name} states {expected} bytes of numbers, but has {len(data) - start}")
    values: NDArray[Any] = np.frombuffer(data, kind, math.prod(shape), start)
    return values.reshape(shape, order="F" if header[2] == b"True" else "C").copy()


def read_npz(data: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of a .npz file by name.

    Raises ValueError unless it is a complete zip file of at most 64 .npy files, with plain names and numeric types, of
    at most 256 MiB in total.
    """
    if data.count(_ENTRY) > MAX_ARRAYS:
        raise ValueError(f"more than {MAX_ARRAYS} arrays")
    arrays: dict[str, NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES:
                raise ValueError(f"unpacks to more than {MAX_UNPACKED_BYTES} bytes")
            for entry in entries:
                name = entry.filename.removesuffix(".npy")
                leads_out = re.search(r"^\.|[/\\:]", name) is not None
                if name == entry.filename or leads_out or not name or name in arrays:
                    raise ValueError(f"array {entry.filename[:60]!r}: not a plain name, or a duplicate")
                if entry.compress_type not in _COMPRESSIONS or entry.flag_bits & _ENCRYPTED:
                    raise ValueError(f"{name} has an unsupported compression or is encrypted")
                with archive.open(entry) as packed:
                    content = packed.read(entry.file_size + 1)
                arrays[name] = _array(content, name)
    except (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, RuntimeError, TypeError) as problem:
        raise ValueError(str(problem) or type(problem).__name__) from None
    return arrays
