"""The part of the protocol buffer wire format that ONNX files need, without the `onnx` package.

A message is a sequence of fields; a field is a tag (field number and wire type), then a varint, 4 or 8 bytes, or a
length and that many bytes (https://protobuf.dev/programming-guides/encoding/). Field numbers: onnx/onnx.proto.
"""

from collections.abc import Iterator

from edgehar.signals.clip import Floats

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

MODEL_IR, MODEL_GRAPH, MODEL_OPSET = 1, 7, 8
OPSET_VERSION = 2
GRAPH_NODE, GRAPH_NAME, GRAPH_CONSTANT, GRAPH_INPUT, GRAPH_OUTPUT = 1, 2, 5, 11, 12
NODE_INPUT, NODE_OUTPUT, NODE_OP_TYPE = 1, 2, 4
TENSOR_SHAPE, TENSOR_TYPE, TENSOR_NAME, TENSOR_RAW = 1, 2, 8, 9
FLOAT = 1
_CONTINUED = bytes(range(0x80, 0x100))
"""Bytes of a varint that are not its last one."""


class NotAllowedError(ValueError):
    """A message holds a field that its reader does not allow."""

    def __init__(self, number: int) -> None:
        """Store the field number."""
        super().__init__(f"field {number}, which no network needs")
        self.number = number


def decode_varint(data: bytes, offset: int) -> tuple[int, int]:
    """One varint and the offset after it; ValueError or IndexError if it is truncated or has more than 64 bits."""
    value = shift = 0
    while shift < 70:
        byte = data[offset]
        value |= (byte & 0x7F) << shift
        offset, shift = offset + 1, shift + 7
        if not byte & 0x80 and value < 1 << 64:
            return value, offset
    raise ValueError("a number of more than 64 bits")


def decode_varints(data: bytes) -> list[int]:
    """Packed varints; ValueError or IndexError if the last one is truncated."""
    values: list[int] = []
    offset = 0
    while offset < len(data):
        value, offset = decode_varint(data, offset)
        values.append(value)
    return values


def count_varints(data: bytes) -> int:
    """Number of packed varints, without decoding them; ValueError if the last one is truncated."""
    if data and data[-1] >= 0x80:
        raise ValueError("the last number is truncated")
    return len(data.translate(None, delete=_CONTINUED))


def to_int64(value: int) -> int:
    """A varint as the signed number it encodes (two's complement)."""
    return value - (1 << 64) if value >= 1 << 63 else value


def decode_fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of each field of a message, unchecked; ValueError or IndexError if it is truncated."""
    offset = 0
    while offset < len(data):
        tag, offset = decode_varint(data, offset)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == VARINT:
            value, offset = decode_varint(data, offset)
            yield number, value
            continue
        if wire_type == BYTES:
            size, offset = decode_varint(data, offset)
        else:
            size = {FIXED64: 8, FIXED32: 4}.get(wire_type, -1)
        if size < 0 or offset + size > len(data):
            raise ValueError(f"field {number} extends beyond the end of the file")
        yield number, data[offset : offset + size]
        offset += size


AllowedFields = dict[int, tuple[int, bool, bool]]
"""Tag -> field number, whether the field may be repeated, and whether it is text."""
ProtobufMessage = dict[int, list[int | bytes]]
"""Field number -> values."""


def allow_fields(**numbers: tuple[int, ...]) -> AllowedFields:
    """The fields a message may have.

    Args:
        **numbers: type of the field -> field numbers. The types are integer, text, blob (bytes or a message) and float;
            integers, texts, blobs and floats are the same for repeated fields. Repeated numbers may be packed.
    """
    wire_types = {"integer": (VARINT,), "text": (BYTES,), "blob": (BYTES,), "float": (FIXED32,)}
    wire_types |= {"integers": (VARINT, BYTES), "texts": (BYTES,), "blobs": (BYTES,), "floats": (FIXED32, BYTES)}
    return {
        number << 3 | wire_type: (number, kind.endswith("s"), kind.startswith("text"))
        for kind, listed in numbers.items()
        for number in listed
        for wire_type in wire_types[kind]
    }


def _check_text(value: bytes) -> None:
    try:
        value.decode()
    except UnicodeDecodeError:
        raise ValueError(f"the name or text {value[:40]!r}, which is not UTF-8") from None


def decode_message(data: bytes, allowed: AllowedFields) -> ProtobufMessage:
    """The fields of a message by number.

    Raises ValueError or IndexError if it is truncated, if a field is not allowed, if text is not UTF-8, or if a field
    that may not be repeated occurs twice: other readers use the last value, or merge them, and so would read another
    message.
    """
    message: ProtobufMessage = {}
    offset, size = 0, len(data)
    while offset < size:  # this loop takes most of the time of checking a graph
        tag = data[offset]
        offset += 1
        if tag >= 0x80:
            tag, offset = decode_varint(data, offset - 1)
        field = allowed.get(tag)
        if field is None:
            raise NotAllowedError(tag >> 3)
        number, repeated, is_text = field
        value: int | bytes
        wire_type = tag & 7
        if wire_type == FIXED32:
            length = 4
        else:
            length = data[offset]
            offset += 1
            if length >= 0x80:
                length, offset = decode_varint(data, offset - 1)
        if wire_type == VARINT:
            value = length
        else:
            value = data[offset : offset + length]
            offset += length
            if offset > size:
                raise ValueError(f"field {number} extends beyond the end of the file")
            if is_text:
                _check_text(value)
        if number not in message:
            message[number] = [value]
        elif repeated:
            message[number].append(value)
        else:
            raise ValueError(f"field {number} twice")
    return message


def blobs(message: ProtobufMessage, number: int) -> list[bytes]:
    """Every value of a field of text, bytes or messages."""
    return [value for value in message.get(number, ()) if isinstance(value, bytes)]


def blob(message: ProtobufMessage, number: int) -> bytes:
    """The value of a field of text, bytes or a message; empty if it is missing."""
    values = message.get(number)
    return values[0] if values and isinstance(values[0], bytes) else b""


def text(message: ProtobufMessage, number: int) -> str:
    """The value of a field of text; empty if it is missing."""
    return blob(message, number).decode()


def texts(message: ProtobufMessage, number: int) -> list[str]:
    """Every value of a field of text."""
    return [value.decode() for value in blobs(message, number)]


def integer(message: ProtobufMessage, number: int, default: int = 0) -> int:
    """The value of an integer field."""
    values = message.get(number)
    return values[0] if values and isinstance(values[0], int) else default


def integers(message: ProtobufMessage, number: int) -> list[int]:
    """Every value of a repeated integer field, packed or not."""
    values: list[int] = []
    for value in message.get(number, ()):
        values += decode_varints(value) if isinstance(value, bytes) else [value]
    return [to_int64(value) for value in values]


def _encode_varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def encode_field(number: int, value: int | str | bytes) -> bytes:
    """One encoded field; the inverse of `decode_fields`."""
    if isinstance(value, int):
        return _encode_varint(number << 3 | VARINT) + _encode_varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _encode_varint(number << 3 | BYTES) + _encode_varint(len(data)) + data


def encode_float_matrix_info(name: str, columns: int) -> bytes:
    """ValueInfoProto of a float tensor (any, columns): name, type.tensor_type.{elem_type, shape.dim}."""
    dimensions = encode_field(1, encode_field(2, "rows")) + encode_field(1, encode_field(1, columns))
    tensor_type = encode_field(1, FLOAT) + encode_field(2, dimensions)
    return encode_field(1, name) + encode_field(2, encode_field(1, tensor_type))


def matmul_model(weight: Floats) -> bytes:
    """An ONNX file with one node, product = left (any, n) @ weight (n, m), to measure a machine's peak."""
    inner, columns = weight.shape
    node = encode_field(NODE_INPUT, "left") + encode_field(NODE_INPUT, "weight")
    node += encode_field(NODE_OUTPUT, "product") + encode_field(NODE_OP_TYPE, "MatMul")
    tensor = encode_field(TENSOR_SHAPE, inner) + encode_field(TENSOR_SHAPE, columns) + encode_field(TENSOR_TYPE, FLOAT)
    tensor += encode_field(TENSOR_NAME, "weight") + encode_field(TENSOR_RAW, weight.astype("<f4").tobytes())
    graph = encode_field(GRAPH_NODE, node) + encode_field(GRAPH_NAME, "peak") + encode_field(GRAPH_CONSTANT, tensor)
    graph += encode_field(GRAPH_INPUT, encode_float_matrix_info("left", inner))
    graph += encode_field(GRAPH_OUTPUT, encode_float_matrix_info("product", columns))
    opset = encode_field(MODEL_OPSET, encode_field(OPSET_VERSION, 18))
    return encode_field(MODEL_IR, 8) + encode_field(MODEL_GRAPH, graph) + opset
