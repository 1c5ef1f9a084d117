"""Validates an ONNX graph before onnxruntime loads it: fields, sizes, operators, element types and shapes.

onnxruntime trusts a graph: it reads weights from any path that the graph names, runs every operator it has, folds
constants while loading, and a contradiction between attributes and shapes can end the process. A graph is therefore
accepted only with the fields of onnx/onnx.proto that a network without control flow needs, each as often as the format
allows, and with nodes that agree with the table of `operators`.
"""

import struct
from dataclasses import dataclass, field

from edgehar.deploy.runtime.onnx_format.graph_view import Attribute, GraphView, Node, Shape
from edgehar.deploy.runtime.onnx_format.operators import (
    OPERATORS,
    OPSET,
    REAL,
    TEXT,
    WHOLE,
    WHOLES,
    check_attributes,
    outputs_of,
)
from edgehar.deploy.runtime.onnx_format.protobuf import (
    AllowedFields,
    NotAllowedError,
    ProtobufMessage,
    allow_fields,
    blob,
    blobs,
    decode_message,
    integer,
    integers,
    text,
    texts,
    to_int64,
)
from edgehar.deploy.runtime.onnx_format.shapes import Value, require
from edgehar.deploy.runtime.onnx_format.tensors import (
    DTYPES,
    FLOAT,
    MAX_ELEMENTS,
    Array,
    check_size,
    read_tensor,
)
from edgehar.errors import PackageError

MIN_IR, MAX_IR = 8, 10
MAX_NODES = 4096
MAX_VALUES = 16384
"""Inputs, outputs, constants and described values of one graph."""
MAX_NAME = 1024
"""Characters of a name."""

# Fields that are not listed are rejected: a model's functions and training information, sparse weights, graphs as
# attributes, segmented weights, strings as weights, external data.
MODEL = allow_fields(integer=(1, 5), text=(2, 3, 4, 6), blob=(7,), blobs=(8, 14))
OPSETS = allow_fields(text=(1,), integer=(2,))
METADATA = allow_fields(text=(1, 2))
GRAPH = allow_fields(text=(2, 10), blobs=(1, 5, 11, 12, 13))
NODE = allow_fields(text=(3, 4, 6, 7), texts=(1, 2), blobs=(5,))
ATTRIBUTE = allow_fields(text=(1, 4, 13), float=(2,), integer=(3, 20), integers=(8,))
VALUE = allow_fields(text=(1, 3), blob=(2,))
TYPE = allow_fields(text=(6,), blob=(1,))
TENSOR_TYPE = allow_fields(integer=(1,), blob=(2,))
SHAPE = allow_fields(blobs=(1,))
DIMENSION = allow_fields(integer=(1,), text=(2, 3))
REJECTED_FIELDS = (
    (MODEL, 20, "training information"),
    (MODEL, 25, "functions of its own"),
    (GRAPH, 15, "sparse weights"),
    (ATTRIBUTE, 5, "a constant as attribute"),
    (ATTRIBUTE, 6, "a graph within the graph"),
    (ATTRIBUTE, 11, "graphs within the graph"),
)
"""Rejected fields by name, for messages."""
ATTRIBUTE_FIELDS = {REAL: 2, WHOLE: 3, TEXT: 4, WHOLES: 8}
"""Type of an attribute -> the field of its value."""


def _decode(data: bytes, allowed: AllowedFields) -> ProtobufMessage:
    """A decoded message; raises ValueError with the name of a rejected field."""
    try:
        return decode_message(data, allowed)
    except NotAllowedError as problem:
        names = [name for fields, number, name in REJECTED_FIELDS if fields is allowed and number == problem.number]
        raise ValueError(*(names or problem.args)) from None


def _shown(name: str) -> str:
    return repr(name[:60])


def _described(data: bytes) -> tuple[str, int, Shape]:
    """Name, element type and shape of an input, an output or a described value; None for a dimension of any size."""
    value = _decode(data, VALUE)
    name = text(value, 1)
    tensor = _decode(blob(_decode(blob(value, 2), TYPE), 1), TENSOR_TYPE)
    sizes = [_decode(dimension, DIMENSION) for dimension in blobs(_decode(blob(tensor, 2), SHAPE), 1)]
    shape = tuple(to_int64(integer(size, 1)) if 1 in size else None for size in sizes)
    check_size([1 if size is None else size for size in shape], f"value {_shown(name)}")
    return name, integer(tensor, 1), shape


@dataclass
class _Graph:
    """The values defined so far, in the order of the nodes, and what `GraphView` has of them."""

    values: dict[str, Value] = field(default_factory=lambda: dict[str, Value]())
    elements: int = 0

    def add(self, name: str, value: Value) -> None:
        """Define a value; raises ValueError for an unusable name, or too many elements in constants."""
        unusable = name in self.values or not 0 < len(name) <= MAX_NAME or not name.isprintable()
        require(not unusable, f"the value {_shown(name)} without a usable name or defined twice")
        self.values[name] = value
        if value.is_constant:
            sizes = [size for size in value.shape if size is not None]
            self.elements += check_size(sizes, f"constant {_shown(name)}")
            require(self.elements <= MAX_ELEMENTS, f"more than {MAX_ELEMENTS} elements in constants")

    def add_constant(self, data: bytes) -> None:
        """Define a constant."""
        name, array = read_tensor(data)
        element = next(element for element, dtype in DTYPES.items() if array.dtype == dtype)
        self.add(name, Value(element, array.shape, True, array))

    def add_input(self, data: bytes) -> None:
        """Define an input: float32, the batch first and all other sizes known."""
        name, element, shape = _described(data)
        usable = element == FLOAT and len(shape) > 1 and shape[0] is None and None not in shape[1:]
        require(usable, f"the input {_shown(name)} of type {element} and shape {shape}; expected floats, batch first")
        self.add(name, Value(element, shape))

    def check_described(self, data: bytes) -> str:
        """Name of an output or a described value; raises ValueError if it is not what a node computes."""
        name, element, shape = _described(data)
        value = self.values.get(name)
        require(value is not None, f"the output {_shown(name)}, which no node computes")
        assert value is not None
        fits = element == value.element and len(shape) == len(value.shape)
        fits = fits and all(
            size in (None, known) or known is None for size, known in zip(shape, value.shape, strict=True)
        )
        require(fits, f"the value {_shown(name)} described as {shape}, but computed as {value.shape}")
        return name

    def add_node(self, data: bytes) -> Node:
        """Check a node and define its outputs."""
        message = _decode(data, NODE)
        op_type, domain, name = text(message, 4), text(message, 7), text(message, 3)
        require(not domain, f"operator {_shown(op_type)} of domain {_shown(domain)}, which is not ONNX's own")
        known = op_type in OPERATORS
        require(known, f"operator {_shown(op_type)}, which is not among those a network needs")
        inputs, outputs = texts(message, 1), texts(message, 2)
        for input_name in inputs:
            defined = input_name in self.values
            require(
                defined,
                f"operator {_shown(op_type)} with the input {_shown(input_name)}, which no earlier node gives",
            )
        try:
            require(len(name) <= MAX_NAME and (not name or name.isprintable()), f"the name {_shown(name)}")
            kinds, attributes = _attributes(message)
            check_attributes(OPERATORS[op_type], attributes, kinds)
            found = outputs_of(op_type, [self.values[name] for name in inputs], attributes, len(outputs))
        except ValueError as problem:
            where = _shown(name) if name and name.isprintable() else _shown(", ".join(outputs))
            raise ValueError(f"operator {_shown(op_type)} ({where}) with {problem}") from None
        for output, value in zip(outputs, found, strict=True):
            self.add(output, value)
        return Node(op_type, name, tuple(inputs), tuple(outputs), attributes)


def _attributes(node: ProtobufMessage) -> tuple[dict[str, int], dict[str, Attribute]]:
    """Types and values of a node's attributes; raises ValueError unless each has exactly one value, of its type."""
    kinds, values = dict[str, int](), dict[str, Attribute]()
    for data in blobs(node, 5):
        message = _decode(data, ATTRIBUTE)
        name, kind = text(message, 1), integer(message, 20)
        value_field = ATTRIBUTE_FIELDS.get(kind)
        require(name not in values, f"the attribute {_shown(name)} twice")
        given = {2, 3, 4, 8} & set(message)
        require(
            value_field is not None and given <= {value_field},
            f"{_shown(name)} of type {kind}, or with another's value",
        )
        kinds[name] = kind
        match kind:
            case 1:
                values[name] = struct.unpack("<f", blob(message, 2) or bytes(4))[0]
            case 2:
                values[name] = to_int64(integer(message, 3))
            case 3:
                values[name] = text(message, 4)
            case _:
                values[name] = tuple(integers(message, 8))
    return kinds, values


def _check_format(model: ProtobufMessage) -> None:
    """Check the IR version, the opset and the metadata."""
    ir_version = integer(model, 1)
    require(MIN_IR <= ir_version <= MAX_IR, f"IR version {ir_version}, not {MIN_IR} to {MAX_IR}")
    opsets = [_decode(entry, OPSETS) for entry in blobs(model, 8)]
    for domain in (text(entry, 1) for entry in opsets):
        require(not domain, f"operators of domain {_shown(domain)}, which is not ONNX's own")
    versions = [integer(entry, 2) for entry in opsets]
    require(versions == [OPSET], f"opset {versions}, not {OPSET}")
    for entry in blobs(model, 14):
        _decode(entry, METADATA)


def _read_model(data: bytes) -> GraphView:
    model = _decode(data, MODEL)
    _check_format(model)
    message = _decode(blob(model, 7), GRAPH)
    encoded = blobs(message, 1)
    require(0 < len(encoded) <= MAX_NODES, f"{len(encoded)} nodes, not 1 to {MAX_NODES}")
    count = sum(len(message.get(number, ())) for number in (5, 11, 12, 13))
    described = "constants, inputs, outputs and described values"
    require(count <= MAX_VALUES, f"{count} {described}, more than {MAX_VALUES}")
    graph = _Graph()
    for tensor in blobs(message, 5):
        graph.add_constant(tensor)
    constants: dict[str, Array] = {name: value.array for name, value in graph.values.items() if value.array is not None}
    for entry in blobs(message, 11):
        graph.add_input(entry)
    inputs = {name: value.shape for name, value in graph.values.items() if name not in constants}
    require(bool(inputs), "no input")
    nodes = tuple(graph.add_node(entry) for entry in encoded)
    outputs = [graph.check_described(entry) for entry in blobs(message, 12)]
    computed = len(outputs) == 1 and outputs[0] not in (*inputs, *constants)
    require(
        computed and graph.values[outputs[0]].element == FLOAT,
        f"{len(outputs)} outputs {outputs[:9]}, not one of floats",
    )
    for entry in blobs(message, 13):
        graph.check_described(entry)
    shape = graph.values[outputs[0]].shape
    return GraphView(integer(model, 1), OPSET, nodes, constants, inputs, tuple(outputs), shape)


def read_graph(data: bytes, where: str) -> GraphView:
    """Read a graph; raises PackageError unless the bytes are an ONNX graph that may be loaded.

    Args:
        data: the file's content.
        where: the file's name in the message.
    """
    try:
        return _read_model(data)
    except (ValueError, IndexError) as problem:
        raise PackageError(
            f"{where}: the graph was rejected: {problem}; expected the operators, sizes and format of "
            "docs/security.md; copy or export it again"
        ) from None
