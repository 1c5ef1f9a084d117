"""The few bytes of the ONNX format that a board must read or write without the `onnx` package.

ONNX files are protocol buffers (https://protobuf.dev/programming-guides/encoding/): each field is a tag, number and
kind, then a varint or a length and bytes. The field numbers below are those of onnx/onnx.proto.
"""

from collections.abc import Iterator

from edgehar.signals.clip import Floats

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

MODEL_IR, MODEL_GRAPH, MODEL_OPSET = 1, 7, 8
OPSET_VERSION = 2
GRAPH_NODE, GRAPH_NAME, GRAPH_CONSTANT, GRAPH_INPUT, GRAPH_OUTPUT = 1, 2, 5, 11, 12
NODE_INPUT, NODE_OUTPUT, NODE_KIND = 1, 2, 4
TENSOR_SHAPE, TENSOR_TYPE, TENSOR_NAME, TENSOR_RAW = 1, 2, 8, 9
FLOAT = 1
_CONTINUED = bytes(range(0x80, 0x100))
"""Bytes of a varint after which it goes on."""


class NotAllowedError(ValueError):
    """A message holds a field that its reader does not allow."""

    def __init__(self, number: int) -> None:
        """Keep the number of the field."""
        super().__init__(f"field {number}, which no network needs")
        self.number = number


def varint(data: bytes, place: int) -> tuple[int, int]:
    """One number and the place behind it; ValueError or IndexError if it is cut off or has more than 64 bits."""
    value = shift = 0
    while shift < 70:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if not byte & 0x80 and value < 1 << 64:
            return value, place
    raise ValueError("a number of more than 64 bits")


def varints(data: bytes) -> list[int]:
    """Numbers packed one after the other; ValueError or IndexError if the last one is cut off."""
    values: list[int] = []
    place = 0
    while place < len(data):
        value, place = varint(data, place)
        values.append(value)
    return values


def count_varints(data: bytes) -> int:
    """How many numbers `varints` would give, without reading them."""
    if data and data[-1] >= 0x80:
        raise ValueError("the last number is cut off")
    return len(data.translate(None, delete=_CONTINUED))


def signed(value: int) -> int:
    """A varint as the int64 it stands for."""
    return value - (1 << 64) if value >= 1 << 63 else value


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of each field of one message; ValueError or IndexError if it is cut off or no message."""
    place = 0
    while place < len(data):
        tag, place = varint(data, place)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, place = varint(data, place)
            yield number, value
            continue
        size, place = varint(data, place) if kind == BYTES else ({FIXED64: 8, FIXED32: 4}.get(kind, -1), place)
        if size < 0 or place + size > len(data):
            raise ValueError(f"field {number} goes beyond the end of the file")
        yield number, data[place : place + size]
        place += size


Rules = dict[int, tuple[int, bool]]
"""Tag -> number of the field, and whether it may be there more than once."""
Message = dict[int, list[int | bytes]]
"""Number -> values."""


def rules(**numbers: tuple[int, ...]) -> Rules:
    """The fields a message may have, by what they hold: number, text, float once, or numbers, texts, floats often.

    Numbers that may be there often may also be packed into one field, as any reader of the format accepts.
    """
    kinds = {"number": (VARINT,), "text": (BYTES,), "float": (FIXED32,)}
    kinds |= {"numbers": (VARINT, BYTES), "texts": (BYTES,), "floats": (FIXED32, BYTES)}
    allowed = [(field, kind, what) for what, listed in numbers.items() for field in listed for kind in kinds[what]]
    return {field << 3 | kind: (field, what.endswith("s")) for field, kind, what in allowed}


def message(data: bytes, allowed: Rules) -> Message:
    """One message by the numbers of its fields.

    Raises ValueError or IndexError if it is cut off, or holds a field that is not allowed, or one more often than
    allowed: other readers take the last one, or join them, and would see another message.
    """
    found: Message = {}
    place, size = 0, len(data)
    while place < size:  # this loop is most of the time that checking a graph takes
        tag = data[place]
        place += 1
        if tag >= 0x80:
            tag, place = varint(data, place - 1)
        rule = allowed.get(tag)
        if rule is None:
            raise NotAllowedError(tag >> 3)
        number, often = rule
        value: int | bytes
        kind = tag & 7
        if kind == FIXED32:
            length = 4
        else:
            length = data[place]
            place += 1
            if length >= 0x80:
                length, place = varint(data, place - 1)
        if kind == VARINT:
            value = length
        else:
            value = data[place : place + length]
            place += length
            if place > size:
                raise ValueError(f"field {number} goes beyond the end of the file")
        if number not in found:
            found[number] = [value]
        elif often:
            found[number].append(value)
        else:
            raise ValueError(f"field {number} twice")
    return found


def texts(found: Message, number: int) -> list[bytes]:
    """Every value of a field that holds text or a message."""
    return [value for value in found.get(number, ()) if isinstance(value, bytes)]


def text(found: Message, number: int) -> bytes:
    """The value of a field that holds text or a message; empty if it is not there."""
    values = found.get(number)
    return values[0] if values and isinstance(values[0], bytes) else b""


def number_of(found: Message, number: int, default: int = 0) -> int:
    """The value of a field that holds a number."""
    values = found.get(number)
    return values[0] if values and isinstance(values[0], int) else default


def numbers(found: Message, number: int) -> list[int]:
    """Whole numbers, written one by one or packed."""
    values: list[int] = []
    for value in found.get(number, ()):
        values += varints(value) if isinstance(value, bytes) else [value]
    return [signed(value) for value in values]


def _encode_varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def field(number: int, value: int | str | bytes) -> bytes:
    """One encoded field; the inverse of `fields`."""
    if isinstance(value, int):
        return _encode_varint(number << 3 | VARINT) + _encode_varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _encode_varint(number << 3 | BYTES) + _encode_varint(len(data)) + data


def _value(name: str, *shape: int) -> bytes:
    """ValueInfoProto of a float tensor: name, type.tensor_type.{elem_type, shape.dim.dim_value}."""
    dimensions = b"".join(field(1, field(1, size)) for size in shape)
    return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, dimensions)))


def matmul_model(weight: Floats, rows: int) -> bytes:
    """An ONNX file with one node, product = left (rows, n) @ weight (n, m), for measuring a machine's peak."""
    inner, columns = weight.shape
    node = field(NODE_INPUT, "left") + field(NODE_INPUT, "weight") + field(NODE_OUTPUT, "product")
    tensor = field(TENSOR_SHAPE, inner) + field(TENSOR_SHAPE, columns) + field(TENSOR_TYPE, FLOAT)
    tensor += field(TENSOR_NAME, "weight") + field(TENSOR_RAW, weight.astype("<f4").tobytes())
    graph = field(GRAPH_NODE, node + field(NODE_KIND, "MatMul")) + field(GRAPH_NAME, "peak")
    graph += field(GRAPH_CONSTANT, tensor)
    graph += field(GRAPH_INPUT, _value("left", rows, inner)) + field(GRAPH_OUTPUT, _value("product", rows, columns))
    return field(MODEL_IR, 8) + field(MODEL_GRAPH, graph) + field(MODEL_OPSET, field(OPSET_VERSION, 13))
