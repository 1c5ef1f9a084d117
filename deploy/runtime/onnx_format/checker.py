"""Validates an ONNX graph before onnxruntime loads it: operators, fields and sizes.

onnxruntime trusts a graph: it reads weights from any path that the graph names, runs every operator it has, and folds
constants while loading. A graph is therefore accepted only with the fields of onnx/onnx.proto that a network without
control flow needs, each as often as the format allows, and with the operators that exporters use for such a network.
"""

import math
from dataclasses import dataclass, field

from edgehar.deploy.runtime.onnx_format.protobuf import (
    FLOAT,
    AllowedFields,
    NotAllowedError,
    ProtobufMessage,
    allow_fields,
    blob,
    blobs,
    count_varints,
    decode_message,
    integer,
    integers,
    to_int64,
)
from edgehar.errors import PackageError

Shape = tuple[int | None, ...]
"""Dimensions of a value; None is a dimension of any size."""

MIN_IR, MAX_IR = 7, 13
MIN_OPSET, MAX_OPSET = 13, 25
MAX_NODES = 4096
MAX_VALUES = 16384
"""Inputs, outputs, constants and described values of one graph."""
MAX_ELEMENTS = 1 << 24
"""Elements of a graph's constants, including those that onnxruntime folds while loading."""
MAX_DIMENSIONS = 8
MAX_ATTRIBUTE = 1 << 16
"""Limit of axes, paddings, strides and other integer attributes."""
OWN_DOMAINS = (b"", b"ai.onnx")

OPERATORS = frozenset(
    b"Add Sub Mul Div Neg Abs Sqrt Reciprocal Pow Exp Log Erf Tanh Sigmoid Relu LeakyRelu Elu Gelu HardSigmoid "
    b"HardSwish Softplus Clip Min Max Where Equal Greater Less Not And Or Cast Identity Constant "
    b"MatMul Gemm Conv Softmax LogSoftmax LayerNormalization RMSNormalization GroupNormalization "
    b"InstanceNormalization BatchNormalization ReduceMean ReduceSum ReduceMax ReduceMin AveragePool MaxPool "
    b"GlobalAveragePool GlobalMaxPool Reshape Flatten Squeeze Unsqueeze Transpose Concat Split Slice Gather "
    b"QuantizeLinear DequantizeLinear DynamicQuantizeLinear MatMulInteger ConvInteger QLinearMatMul QLinearConv".split()
)
"""Operators of a network without control flow. None calls another graph, draws random numbers, or creates a tensor
whose size is a number in the graph (as Expand, Tile, Range, ConstantOfShape, Pad and Resize do)."""
FOLDABLE = frozenset(
    b"Cast Identity Neg Sqrt Reciprocal Reshape Squeeze Unsqueeze Flatten Transpose Slice QuantizeLinear "
    b"DequantizeLinear".split()
)
"""Operators whose inputs may all be constants: the folded result is no larger than the first input."""

# Fields that are not listed are rejected: a model's functions and training information, sparse weights, graphs as
# attributes, segmented weights, strings as weights, external data.
MODEL = allow_fields(integer=(1, 5), blob=(2, 3, 4, 6, 7), blobs=(8, 14))
OPSET = allow_fields(blob=(1,), integer=(2,))
GRAPH = allow_fields(blob=(2, 10), blobs=(1, 5, 11, 12, 13, 16))
NODE = allow_fields(blob=(3, 4, 6, 7, 8), blobs=(1, 2, 5, 9))
ATTRIBUTE = allow_fields(blob=(1, 4, 5, 13), float=(2,), floats=(7,), integer=(3, 20), integers=(8,))
TENSOR = allow_fields(blob=(8, 9, 12), integer=(2, 14), integers=(1, 5, 7), floats=(4,), blobs=(16,))
VALUE = allow_fields(blob=(1, 2, 3), blobs=(4,))
TYPE = allow_fields(blob=(1, 6))
TENSOR_TYPE = allow_fields(integer=(1,), blob=(2,))
SHAPE = allow_fields(blobs=(1,))
DIMENSION = allow_fields(integer=(1,), blob=(2, 3))
REJECTED_FIELDS = (
    (MODEL, 20, "training information"),
    (MODEL, 25, "functions of its own"),
    (GRAPH, 15, "sparse weights"),
    (ATTRIBUTE, 6, "a graph within the graph"),
    (ATTRIBUTE, 11, "graphs within the graph"),
    (TENSOR, 6, "strings as weights"),
    (TENSOR, 13, "weights in another file (external data)"),
)
"""Rejected fields by name, for messages."""

ITEM_BYTES = {1: 4, 2: 1, 3: 1, 6: 4, 7: 8, 9: 1, 10: 2}
"""Element type -> bytes per element: float, uint8, int8, int32, int64, bool, float16."""
IN_INT32 = (2, 3, 6, 9, 10)
"""Element types that may be stored in int32_data."""


def _decode(data: bytes, allowed: AllowedFields) -> ProtobufMessage:
    """A decoded message; raises ValueError with the name of a rejected field."""
    try:
        return decode_message(data, allowed)
    except NotAllowedError as problem:
        names = [name for fields, number, name in REJECTED_FIELDS if fields is allowed and number == problem.number]
        raise ValueError(*(names or problem.args)) from None


def _shown(name: bytes) -> str:
    return repr(name[:60].decode(errors="replace"))


def _elements(sizes: list[int], what: str, name: bytes) -> int:
    """Number of elements of a shape."""
    if len(sizes) > MAX_DIMENSIONS:
        raise ValueError(f"{what} {_shown(name)} with {len(sizes)} dimensions, more than {MAX_DIMENSIONS}")
    count = math.prod(sizes)
    if any(not 0 <= size <= MAX_ELEMENTS for size in sizes) or count > MAX_ELEMENTS:
        raise ValueError(f"{what} {_shown(name)} of size {sizes}; expected 0 to {MAX_ELEMENTS} elements")
    return count


def _stored_elements(tensor: ProtobufMessage, element_type: int) -> int:
    """Number of elements in the one data field that the element type allows; -1 if another data field is used."""
    data_field = 9 if 9 in tensor else 4 if element_type == FLOAT else 5 if element_type in IN_INT32 else 7
    if {4, 5, 7, 9} & set(tensor) - {data_field}:
        return -1
    count, width = 0, 4 if data_field == 4 else ITEM_BYTES[element_type]
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


def _check_tensor(data: bytes) -> tuple[bytes, int]:
    """Name and number of elements of a constant, which must hold exactly these elements."""
    tensor = _decode(data, TENSOR)
    name, element_type = blob(tensor, 8), integer(tensor, 2)
    if integer(tensor, 14):
        raise ValueError(f"constant {_shown(name)}: weights in another file (external data)")
    if element_type not in ITEM_BYTES:
        raise ValueError(f"constant {_shown(name)} of element type {element_type}")
    count = _elements(integers(tensor, 1), "constant", name)
    if _stored_elements(tensor, element_type) != count:
        raise ValueError(f"constant {_shown(name)} does not hold the {count} elements of its shape")
    return name, count


def _check_value(data: bytes, checked: set[bytes]) -> bytes:
    """Name of an input, an output or a described value; `checked` collects the encoded types that were checked."""
    value = _decode(data, VALUE)
    name = blob(value, 1)
    for encoded_type in blobs(value, 2):
        if encoded_type in checked:
            continue
        for tensor in blobs(_decode(encoded_type, TYPE), 1):
            for shape in blobs(_decode(tensor, TENSOR_TYPE), 2):
                sizes = [_decode(dimension, DIMENSION) for dimension in blobs(_decode(shape, SHAPE), 1)]
                _elements([to_int64(integer(size, 1, 1)) for size in sizes], "value", name)
        checked.add(encoded_type)
    return name


@dataclass
class _Values:
    """The values defined so far, in the order of the nodes, and the sizes of the constants among them."""

    defined: set[bytes] = field(default_factory=lambda: set[bytes]())
    constants: dict[bytes, int] = field(default_factory=lambda: dict[bytes, int]())
    elements: int = 0

    def add(self, name: bytes, elements: int | None = None) -> None:
        """Define a value; one with a number of elements is a constant."""
        if not name or name in self.defined:
            raise ValueError(f"the value {_shown(name)} without a name or defined twice")
        self.defined.add(name)
        if elements is not None:
            self.constants[name] = elements
            self.elements += elements
            if self.elements > MAX_ELEMENTS:
                raise ValueError(f"more than {MAX_ELEMENTS} elements in constants")


def _check_attributes(node: ProtobufMessage, op_type: bytes) -> int:
    """Check the attributes of a node; returns the number of elements of a Constant."""
    elements = 1
    for data in blobs(node, 5):
        attribute = _decode(data, ATTRIBUTE)
        if 5 in attribute:
            if op_type != b"Constant":
                raise ValueError(f"operator {_shown(op_type)} with a constant as attribute")
            elements = _check_tensor(blob(attribute, 5))[1]
        whole = integers(attribute, 3) + integers(attribute, 8)
        fits = op_type == b"Constant" or all(abs(number) <= MAX_ATTRIBUTE for number in whole)
        if len(whole) > MAX_ATTRIBUTE or not fits:
            name = _shown(blob(attribute, 1))
            raise ValueError(f"operator {_shown(op_type)} with {name} of a size beyond {MAX_ATTRIBUTE}")
        if op_type == b"Constant":
            elements = max(elements, len(whole), sum(len(value) // 4 for value in blobs(attribute, 7)))
    return elements


def _check_node(data: bytes, values: _Values) -> None:
    """Check a node and define its outputs."""
    node = _decode(data, NODE)
    op_type, domain = blob(node, 4), blob(node, 7)
    if domain not in OWN_DOMAINS:
        raise ValueError(f"operator {_shown(op_type)} of domain {_shown(domain)}, which is not ONNX's own")
    if op_type not in OPERATORS:
        raise ValueError(f"operator {_shown(op_type)}, which is not among those a network needs")
    elements = _check_attributes(node, op_type)
    inputs, outputs = [name for name in blobs(node, 1) if name], [name for name in blobs(node, 2) if name]
    for name in inputs:
        if name not in values.defined:
            raise ValueError(f"operator {_shown(op_type)} with the input {_shown(name)}, which no earlier node gives")
    if op_type == b"Constant":
        if inputs or len(outputs) != 1:
            raise ValueError("operator 'Constant' with inputs, or with other than one output")
    elif all(name in values.constants for name in inputs):
        if op_type not in FOLDABLE or not inputs or len(outputs) != 1:
            raise ValueError(f"operator {_shown(op_type)} of constants alone, which an exporter folds")
        elements = values.constants[inputs[0]]
    else:
        for name in outputs:
            values.add(name)
        return
    values.add(outputs[0], elements)


def _check_format(model: ProtobufMessage) -> None:
    """Check the IR version and the opset."""
    ir_version = integer(model, 1)
    if not MIN_IR <= ir_version <= MAX_IR:
        raise ValueError(f"IR version {ir_version}, not {MIN_IR} to {MAX_IR}")
    opsets = [_decode(entry, OPSET) for entry in blobs(model, 8)]
    for domain in (blob(entry, 1) for entry in opsets):
        if domain not in OWN_DOMAINS:
            raise ValueError(f"operators of domain {_shown(domain)}, which is not ONNX's own")
    versions = [integer(entry, 2) for entry in opsets]
    if len(versions) != 1 or not MIN_OPSET <= versions[0] <= MAX_OPSET:
        raise ValueError(f"opset {versions}, not one of {MIN_OPSET} to {MAX_OPSET}")


def _check_model(data: bytes) -> None:
    model = _decode(data, MODEL)
    _check_format(model)
    graph = _decode(blob(model, 7), GRAPH)
    nodes = blobs(graph, 1)
    if not 0 < len(nodes) <= MAX_NODES:
        raise ValueError(f"{len(nodes)} nodes, not 1 to {MAX_NODES}")
    count = sum(len(graph.get(number, ())) for number in (5, 11, 12, 13))
    if count > MAX_VALUES:
        raise ValueError(f"{count} constants, inputs, outputs and described values, more than {MAX_VALUES}")
    values, checked = _Values(), set[bytes]()
    for tensor in blobs(graph, 5):
        values.add(*_check_tensor(tensor))
    for entry in blobs(graph, 11):
        values.add(_check_value(entry, checked))
    for node in nodes:
        _check_node(node, values)
    for entry in blobs(graph, 12):
        name = _check_value(entry, checked)
        if name not in values.defined:
            raise ValueError(f"the output {_shown(name)}, which no node computes")
    for entry in blobs(graph, 13):
        _check_value(entry, checked)


def check_graph(data: bytes, where: str) -> None:
    """Raise PackageError unless the bytes are an ONNX graph that may be loaded.

    Args:
        data: the file's content.
        where: the file's name in the message.
    """
    try:
        _check_model(data)
    except (ValueError, IndexError) as problem:
        raise PackageError(
            f"{where}: the graph was rejected: {problem}; expected the operators, sizes and format of "
            "docs/security.md; copy or export it again"
        ) from None
