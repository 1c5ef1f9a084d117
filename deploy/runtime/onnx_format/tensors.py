"""Reads the constants of an ONNX graph as arrays; accepts finite numbers that fill their shape exactly."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.deploy.runtime.onnx_format.protobuf import (
    ProtobufMessage,
    allow_fields,
    blob,
    blobs,
    count_varints,
    decode_message,
    integer,
    integers,
    text,
)

Array = NDArray[Any]

MAX_ELEMENTS = 1 << 24
"""Elements of a value, and of all constants of a graph together."""
MAX_DIMENSIONS = 8
FLOAT, INT8, INT64, FLOAT16 = 1, 3, 7, 10
"""Element types of constants, as numbered in onnx/onnx.proto."""
DTYPES = {FLOAT: "<f4", INT8: "<i1", INT64: "<i8", FLOAT16: "<f2"}
"""Element type of a constant -> numpy's."""
DATA_FIELDS = {FLOAT: 4, INT8: 5, INT64: 7, FLOAT16: 5}
"""Element type -> the field that holds the elements unless they are raw bytes (field 9)."""

TENSOR = allow_fields(
    text=(8, 12), blob=(9,), integer=(2, 14), integers=(1, 5, 7), floats=(4,), texts=(6,), blobs=(13, 16)
)


def check_size(sizes: list[int], what: str) -> int:
    """Number of elements of a shape; raises ValueError if a board does not support it."""
    if len(sizes) > MAX_DIMENSIONS:
        raise ValueError(f"{what} with {len(sizes)} dimensions, more than {MAX_DIMENSIONS}")
    count = math.prod(sizes)
    if any(not 0 < size <= MAX_ELEMENTS for size in sizes) or count > MAX_ELEMENTS:
        raise ValueError(f"{what} of size {sizes}; expected 1 to {MAX_ELEMENTS} elements")
    return count


def _stored_elements(tensor: ProtobufMessage, element: int) -> int:
    """Number of elements in the one data field of this element type, without decoding them; -1 for other fields."""
    data_field = 9 if 9 in tensor else DATA_FIELDS[element]
    if {4, 5, 7, 9} & set(tensor) - {data_field}:
        return -1
    width = 4 if data_field == 4 else np.dtype(DTYPES[element]).itemsize
    count = 0
    for value in tensor.get(data_field, ()):
        if isinstance(value, int):
            count += 1
        elif data_field in (5, 7):
            count += count_varints(value)
        elif len(value) % width:
            return -1
        else:
            count += len(value) // width
    return count


def _elements(tensor: ProtobufMessage, element: int) -> Array:
    """The elements, from whichever data field they are stored in."""
    dtype = np.dtype(DTYPES[element])
    if 9 in tensor:
        return np.frombuffer(blob(tensor, 9), dtype)
    if 4 in tensor:
        return np.frombuffer(b"".join(blobs(tensor, 4)), dtype)
    numbers = np.asarray(integers(tensor, DATA_FIELDS[element]), np.int64)
    narrow = np.dtype(np.uint16) if element == FLOAT16 else dtype  # float16 is stored as its bits
    limits = np.iinfo(narrow)
    if numbers.size and not limits.min <= numbers.min() <= numbers.max() <= limits.max:
        raise ValueError(f"a number beyond {narrow}")
    return numbers.astype(narrow).view(dtype)


def read_tensor(data: bytes) -> tuple[str, Array]:
    """Name and array of a constant.

    Raises ValueError or IndexError unless the constant is stored in the graph itself, is float32, float16, int8 or
    int64, holds exactly the elements of its shape, and has finite numbers only.
    """
    tensor = decode_message(data, TENSOR)
    name, element, sizes = text(tensor, 8), integer(tensor, 2), integers(tensor, 1)
    what = f"constant {name[:60]!r}"
    if integer(tensor, 14) or 13 in tensor:
        raise ValueError(f"{what}: weights in another file (external data)")
    if 6 in tensor:
        raise ValueError(f"{what}: strings as weights")
    if element not in DTYPES:
        raise ValueError(f"{what} of element type {element}")
    count = check_size(sizes, what)
    if _stored_elements(tensor, element) != count:
        raise ValueError(f"{what} does not hold the {count} elements of its shape")
    array = _elements(tensor, element).reshape(sizes)
    if element in (FLOAT, FLOAT16) and not np.isfinite(array).all():
        raise ValueError(f"{what} with numbers that are not finite")
    return name, array
