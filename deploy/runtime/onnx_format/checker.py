"""A graph is looked through before onnxruntime gets it: known operators, all data inside, sizes that fit a board.

onnxruntime trusts a graph: it reads weights from any path a graph names, runs whatever operator it knows, and computes
at once, while loading, what depends on constants alone. So a graph may hold only the fields of onnx/onnx.proto that a
network without control flow needs, each as often as the format says, and only operators that an export of ours, or a
newer one, makes of a network.
"""

import math
from dataclasses import dataclass, field

from edgehar.deploy.runtime.onnx_format.protobuf import (
    FLOAT,
    Message,
    NotAllowedError,
    Rules,
    count_varints,
    message,
    number_of,
    numbers,
    rules,
    signed,
    text,
    texts,
)
from edgehar.errors import PackageError

Shape = tuple[int | None, ...]
"""Sizes of a value; None is a dimension of any size."""

LOWEST_IR, HIGHEST_IR = 7, 13
LOWEST_OPSET, HIGHEST_OPSET = 13, 25
MOST_NODES = 4096
MOST_VALUES = 16384
"""Inputs, outputs, constants and descriptions of values, of one graph."""
MOST_ELEMENTS = 1 << 24
"""Numbers in the constants of a graph, together with what onnxruntime computes from constants when it loads one."""
MOST_DIMENSIONS = 8
LARGEST_ATTRIBUTE = 1 << 16
"""Axes, paddings, strides and the like."""
OWN_DOMAINS = (b"", b"ai.onnx")

OPERATORS = frozenset(
    b"Add Sub Mul Div Neg Abs Sqrt Reciprocal Pow Exp Log Erf Tanh Sigmoid Relu LeakyRelu Elu Gelu HardSigmoid "
    b"HardSwish Softplus Clip Min Max Where Equal Greater Less Not And Or Cast Identity Constant "
    b"MatMul Gemm Conv Softmax LogSoftmax LayerNormalization RMSNormalization GroupNormalization "
    b"InstanceNormalization BatchNormalization ReduceMean ReduceSum ReduceMax ReduceMin AveragePool MaxPool "
    b"GlobalAveragePool GlobalMaxPool Reshape Flatten Squeeze Unsqueeze Transpose Concat Split Slice Gather "
    b"QuantizeLinear DequantizeLinear DynamicQuantizeLinear MatMulInteger ConvInteger QLinearMatMul QLinearConv".split()
)
"""What a network without control flow is made of. None calls another graph, draws random numbers, or makes a tensor of
a size that a number in the graph states (as Expand, Tile, Range, ConstantOfShape, Pad and Resize do)."""
FOLDABLE = frozenset(
    b"Cast Identity Neg Sqrt Reciprocal Reshape Squeeze Unsqueeze Flatten Transpose Slice QuantizeLinear "
    b"DequantizeLinear".split()
)
"""May have constants alone as inputs: what onnxruntime then computes is no larger than the first of them."""

# What is not listed is refused: functions and training information of a model, sparse weights, graphs as attributes,
# weights in parts, texts as weights, weights in other files.
MODEL = rules(number=(1, 5), text=(2, 3, 4, 6, 7), texts=(8, 14))
OPSET = rules(text=(1,), number=(2,))
GRAPH = rules(text=(2, 10), texts=(1, 5, 11, 12, 13, 16))
NODE = rules(text=(3, 4, 6, 7, 8), texts=(1, 2, 5, 9))
ATTRIBUTE = rules(text=(1, 4, 5, 13), float=(2,), floats=(7,), number=(3, 20), numbers=(8,))
TENSOR = rules(text=(8, 9, 12), number=(2, 14), numbers=(1, 5, 7), floats=(4,), texts=(16,))
VALUE = rules(text=(1, 2, 3), texts=(4,))
TYPE = rules(text=(1, 6))
TENSOR_TYPE = rules(number=(1,), text=(2,))
SHAPE = rules(texts=(1,))
DIMENSION = rules(number=(1,), text=(2, 3))
REFUSED = (
    (MODEL, 20, "training information"),
    (MODEL, 25, "functions of its own"),
    (GRAPH, 15, "sparse weights"),
    (ATTRIBUTE, 6, "a graph within the graph"),
    (ATTRIBUTE, 11, "graphs within the graph"),
    (TENSOR, 6, "texts as weights"),
    (TENSOR, 13, "weights in another file (external data)"),
)
"""Names of refused fields, for the message."""

ITEM_BYTES = {1: 4, 2: 1, 3: 1, 6: 4, 7: 8, 9: 1, 10: 2}
"""Element type -> bytes: float, uint8, int8, int32, int64, bool, float16."""
IN_INT32 = (2, 3, 6, 9, 10)
"""Types that may be written in the field for int32, number by number."""


def _read(data: bytes, allowed: Rules) -> Message:
    """One message; ValueError with a name for what is refused."""
    try:
        return message(data, allowed)
    except NotAllowedError as problem:
        named = [name for rule, number, name in REFUSED if rule is allowed and number == problem.number]
        raise ValueError(*(named or problem.args)) from None


def _shown(name: bytes) -> str:
    return repr(name[:60].decode(errors="replace"))


def _elements(sizes: list[int], what: str, name: bytes) -> int:
    """How many numbers a shape has."""
    if len(sizes) > MOST_DIMENSIONS:
        raise ValueError(f"{what} {_shown(name)} with {len(sizes)} dimensions, more than {MOST_DIMENSIONS}")
    count = math.prod(sizes)
    if any(not 0 <= size <= MOST_ELEMENTS for size in sizes) or count > MOST_ELEMENTS:
        raise ValueError(f"{what} {_shown(name)} of size {sizes}, more than {MOST_ELEMENTS} numbers or less than none")
    return count


def _written(tensor: Message, kind: int) -> int:
    """How many numbers a constant holds in the one field that its type allows; -1 if they are somewhere else."""
    place = 9 if 9 in tensor else 4 if kind == FLOAT else 5 if kind in IN_INT32 else 7
    if {4, 5, 7, 9} & set(tensor) - {place}:
        return -1
    count, width = 0, 4 if place == 4 else ITEM_BYTES[kind]
    for value in tensor.get(place, ()):
        if isinstance(value, int):
            count += 1
        elif place in (5, 7):
            count += count_varints(value)
        elif len(value) % width:
            return -1
        else:
            count += len(value) // width
    return count


def _tensor(data: bytes) -> tuple[bytes, int]:
    """Name and number of elements of a constant, whose bytes must be there and no more."""
    tensor = _read(data, TENSOR)
    name, kind = text(tensor, 8), number_of(tensor, 2)
    if number_of(tensor, 14):
        raise ValueError(f"constant {_shown(name)}: weights in another file (external data)")
    if kind not in ITEM_BYTES:
        raise ValueError(f"constant {_shown(name)} of element type {kind}")
    count = _elements(numbers(tensor, 1), "constant", name)
    if _written(tensor, kind) != count:
        raise ValueError(f"constant {_shown(name)} does not hold the {count} numbers it states")
    return name, count


def _value(data: bytes, seen: set[bytes]) -> bytes:
    """Name of an input, an output or a described value: a tensor with sizes that fit; `seen` are types that do."""
    value = _read(data, VALUE)
    name = text(value, 1)
    for kind in texts(value, 2):
        if kind in seen:
            continue
        for tensor in texts(_read(kind, TYPE), 1):
            for shape in texts(_read(tensor, TENSOR_TYPE), 2):
                sizes = [_read(entry, DIMENSION) for entry in texts(_read(shape, SHAPE), 1)]
                _elements([signed(number_of(size, 1, 1)) for size in sizes], "value", name)
        seen.add(kind)
    return name


@dataclass
class _Flow:
    """What is known while the nodes are walked through: every value, which of them are constant, and how large."""

    known: set[bytes] = field(default_factory=lambda: set[bytes]())
    constants: dict[bytes, int] = field(default_factory=lambda: dict[bytes, int]())
    elements: int = 0

    def add(self, name: bytes, elements: int | None = None) -> None:
        """A new value; with a number of elements it is a constant."""
        if not name or name in self.known:
            raise ValueError(f"the value {_shown(name)} without a name or there twice")
        self.known.add(name)
        if elements is not None:
            self.constants[name] = elements
            self.elements += elements
            if self.elements > MOST_ELEMENTS:
                raise ValueError(f"more than {MOST_ELEMENTS} numbers in constants")


def _attributes(node: Message, kind: bytes) -> int:
    """Look through the attributes; returns the elements of a Constant."""
    elements = 1
    for data in texts(node, 5):
        attribute = _read(data, ATTRIBUTE)
        if 5 in attribute:
            if kind != b"Constant":
                raise ValueError(f"operator {_shown(kind)} with a constant as attribute")
            elements = _tensor(text(attribute, 5))[1]
        whole = numbers(attribute, 3) + numbers(attribute, 8)
        fits = kind == b"Constant" or all(abs(number) <= LARGEST_ATTRIBUTE for number in whole)
        if len(whole) > LARGEST_ATTRIBUTE or not fits:
            name = _shown(text(attribute, 1))
            raise ValueError(f"operator {_shown(kind)} with {name} of a size beyond {LARGEST_ATTRIBUTE}")
        if kind == b"Constant":
            elements = max(elements, len(whole), sum(len(value) // 4 for value in texts(attribute, 7)))
    return elements


def _node(data: bytes, flow: _Flow) -> None:
    node = _read(data, NODE)
    kind, domain = text(node, 4), text(node, 7)
    if domain not in OWN_DOMAINS:
        raise ValueError(f"operator {_shown(kind)} of domain {_shown(domain)}, which is not ONNX's own")
    if kind not in OPERATORS:
        raise ValueError(f"operator {_shown(kind)}, which is not among those a network needs")
    elements = _attributes(node, kind)
    inputs, outputs = [name for name in texts(node, 1) if name], [name for name in texts(node, 2) if name]
    for name in inputs:
        if name not in flow.known:
            raise ValueError(f"operator {_shown(kind)} with the input {_shown(name)}, which nothing before it gives")
    if kind == b"Constant":
        if inputs or len(outputs) != 1:
            raise ValueError("operator 'Constant' with inputs, or with other than one output")
    elif all(name in flow.constants for name in inputs):
        if kind not in FOLDABLE or not inputs or len(outputs) != 1:
            raise ValueError(f"operator {_shown(kind)} of constants alone, which an export computes beforehand")
        elements = flow.constants[inputs[0]]
    else:
        for name in outputs:
            flow.add(name)
        return
    flow.add(outputs[0], elements)


def _check_format(model: Message) -> None:
    ir_version = number_of(model, 1)
    if not LOWEST_IR <= ir_version <= HIGHEST_IR:
        raise ValueError(f"IR version {ir_version}, not {LOWEST_IR} to {HIGHEST_IR}")
    opsets = [_read(entry, OPSET) for entry in texts(model, 8)]
    for domain in (text(entry, 1) for entry in opsets):
        if domain not in OWN_DOMAINS:
            raise ValueError(f"operators of domain {_shown(domain)}, which is not ONNX's own")
    versions = [number_of(entry, 2) for entry in opsets]
    if len(versions) != 1 or not LOWEST_OPSET <= versions[0] <= HIGHEST_OPSET:
        raise ValueError(f"opset {versions}, not one of {LOWEST_OPSET} to {HIGHEST_OPSET}")


def _check(data: bytes) -> None:
    model = _read(data, MODEL)
    _check_format(model)
    graph = _read(text(model, 7), GRAPH)
    nodes = texts(graph, 1)
    if not 0 < len(nodes) <= MOST_NODES:
        raise ValueError(f"{len(nodes)} nodes, not 1 to {MOST_NODES}")
    values = sum(len(graph.get(number, ())) for number in (5, 11, 12, 13))
    if values > MOST_VALUES:
        raise ValueError(f"{values} constants, inputs, outputs and described values, more than {MOST_VALUES}")
    flow, seen = _Flow(), set[bytes]()
    for tensor in texts(graph, 5):
        flow.add(*_tensor(tensor))
    for entry in texts(graph, 11):
        flow.add(_value(entry, seen))
    for entry in nodes:
        _node(entry, flow)
    for entry in texts(graph, 12):
        name = _value(entry, seen)
        if name not in flow.known:
            raise ValueError(f"the output {_shown(name)}, which nothing gives")
    for entry in texts(graph, 13):
        _value(entry, seen)


def check_graph(data: bytes, where: str) -> None:
    """Raise PackageError, naming the graph and what is wrong, unless the bytes are a graph that may be loaded."""
    try:
        _check(data)
    except (ValueError, IndexError) as problem:
        raise PackageError(
            f"{where}: no graph that may be loaded: {problem}; expected the operators, sizes and format of "
            "docs/security.md; copy or export it again"
        ) from None
