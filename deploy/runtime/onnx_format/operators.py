"""The operators of graphs that edgehar exports: inputs, outputs, attributes, element types and shapes.

The table is the whole of what `edgehar export` and `edgehar quantize` write, and of what the packages in tests/golden
hold. No operator computes with integers, except the matrix product of quantised layers, whose sums are only converted
to float; none makes a shape from data.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from edgehar.deploy.runtime.onnx_format import shapes
from edgehar.deploy.runtime.onnx_format.graph_view import Attribute, Shape
from edgehar.deploy.runtime.onnx_format.shapes import Attributes, Inputs, Value, require
from edgehar.deploy.runtime.onnx_format.tensors import FLOAT, FLOAT16, INT8, INT64, check_size

UINT8, INT32, BOOL = 2, 6, 9
OPSET = 18
"""The opset of the table: the only one that the exporter writes."""
MAX_ATTRIBUTE = 1 << 16
"""Limit of the sizes in an attribute."""

ELEMENTS = {
    "real": (FLOAT, FLOAT16),
    "number": (FLOAT, FLOAT16, INT32, BOOL),
    "float": (FLOAT,),
    "int8": (INT8,),
    "uint8": (UINT8,),
    "int32": (INT32,),
    "int64": (INT64,),
    "bool": (BOOL,),
}
"""Name in the table -> element types. All "real" values of a node have the same one."""

REAL, WHOLE, TEXT, WHOLES = 1, 2, 3, 7
"""Types of an attribute, as numbered in onnx/onnx.proto."""


@dataclass(frozen=True)
class Rule:
    """Type of an attribute and limits of its numbers, or its only text."""

    kind: int
    least: float = 0
    most: float = 0
    text: str = ""
    required: bool = False

    def allows(self, value: Attribute) -> bool:
        """Whether the attribute may have this value."""
        if isinstance(value, str):
            return value == self.text
        numbers = value if isinstance(value, tuple) else (value,)
        return len(numbers) <= MAX_ATTRIBUTE and all(self.least <= number <= self.most for number in numbers)


@dataclass(frozen=True)
class Operator:
    """An operator: inputs and outputs by name of element type, shapes of its outputs, rules of its attributes.

    An input ending in "!" must be a constant, in "?" may be left out, in "*" may be repeated.
    """

    inputs: str
    outputs: str
    shapes: Callable[[Inputs, Attributes, int], list[Shape]]
    attributes: dict[str, Rule] = field(default_factory=lambda: dict[str, Rule]())


AXIS = Rule(WHOLE, -8, 7)
FLAG = Rule(WHOLE, 0, 1)
ONE = Rule(REAL, 1, 1)
ZERO = Rule(WHOLE, 0, 0)
SIZES = Rule(WHOLES, 0, MAX_ATTRIBUTE)

UNARY = Operator("real", "real", shapes.same)
BINARY = Operator("real real", "real", shapes.broadcast)
REDUCTION = Operator("real int64!", "real", shapes.reduction, {"keepdims": FLAG, "noop_with_empty_axes": ZERO})
OPERATORS: dict[str, Operator] = {
    **dict.fromkeys(("Abs", "Erf", "Sqrt", "Tanh"), UNARY),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), BINARY),
    "Greater": Operator("real real", "bool", shapes.broadcast),
    "Cast": Operator("number", "real", shapes.same, {"to": Rule(WHOLE, FLOAT, FLOAT16, required=True)}),
    "Softmax": Operator("real", "real", shapes.softmax, {"axis": AXIS}),
    "LayerNormalization": Operator(
        "real real! real!",
        "real",
        shapes.layer_norm,
        {"axis": AXIS, "epsilon": Rule(REAL, 1e-12, 1), "stash_type": Rule(WHOLE, 1, 1)},
    ),
    "MatMul": Operator("real real", "real", shapes.matmul),
    "Gemm": Operator(
        "real real! real!?",
        "real",
        shapes.gemm,
        {"alpha": ONE, "beta": ONE, "transA": ZERO, "transB": FLAG},
    ),
    "Conv": Operator(
        "real real! real!?",
        "real",
        shapes.convolution,
        {
            "auto_pad": Rule(TEXT, text="NOTSET"),
            "dilations": SIZES,
            "group": Rule(WHOLE, 1, 1),
            "kernel_shape": SIZES,
            "pads": SIZES,
            "strides": SIZES,
        },
    ),
    "ReduceMean": REDUCTION,
    "ReduceMax": REDUCTION,
    "Reshape": Operator("real int64!", "real", shapes.reshape, {"allowzero": FLAG}),
    "Transpose": Operator("real", "real", shapes.transpose, {"perm": Rule(WHOLES, 0, 7, required=True)}),
    "Concat": Operator("real*", "real", shapes.concat, {"axis": Rule(WHOLE, -8, 7, required=True)}),
    "Split": Operator(
        "real",
        "real*",
        shapes.split,
        {"axis": AXIS, "num_outputs": Rule(WHOLE, 1, MAX_ATTRIBUTE, required=True)},
    ),
    "Gather": Operator("real int64!", "real", shapes.gather, {"axis": AXIS}),
    "QuantizeLinear": Operator("float float! int8!", "int8", shapes.quantisation),
    "DequantizeLinear": Operator("int8 float! int8!", "float", shapes.quantisation, {"axis": Rule(WHOLE, -2, 1)}),
    "DynamicQuantizeLinear": Operator("float", "uint8 float uint8", shapes.dynamic_quantisation),
    "MatMulInteger": Operator("uint8 int8! uint8 int8!", "int32", shapes.matmul),
}
FOLDABLE = ("DequantizeLinear", "Transpose")
"""Operators that may have constants alone as inputs; the result, which onnxruntime may fold, has as many elements."""


def _kinds(listed: str, count: int) -> list[str]:
    """One entry of the table per value; raises ValueError for another number of values."""
    kinds = listed.split()
    if listed.endswith("*"):
        kinds = [listed.rstrip("*")] * max(count, 1)
    fewest = sum(not kind.endswith("?") for kind in kinds)
    expected = str(fewest) if fewest == len(kinds) else f"{fewest} to {len(kinds)}"
    require(fewest <= count <= len(kinds), f"{count} values; expected {expected}")
    return [kind.rstrip("?") for kind in kinds[:count]]


def check_attributes(operator: Operator, attributes: Attributes, kinds: dict[str, int]) -> None:
    """Raise ValueError unless the table has each attribute with this type and value, and none is missing."""
    for name, value in attributes.items():
        rule = operator.attributes.get(name)
        require(rule is not None, f"the attribute {name[:60]!r}; expected {', '.join(operator.attributes) or 'none'}")
        assert rule is not None
        allowed = kinds[name] == rule.kind and rule.allows(value)
        require(allowed, f"{name!r} of {str(value)[:60]}, which no exported graph has")
    missing = [name for name, rule in operator.attributes.items() if rule.required and name not in attributes]
    require(not missing, f"no attribute {', '.join(missing)}")


def outputs_of(op_type: str, inputs: Inputs, attributes: Attributes, count: int) -> list[Value]:
    """The outputs of a node whose attributes were checked.

    Raises ValueError unless the numbers of inputs and outputs, their element types and their shapes agree with the
    table.
    """
    operator = OPERATORS[op_type]
    kinds = _kinds(operator.inputs, len(inputs))
    names = _kinds(operator.outputs, count)
    reals = {value.element for value, kind in zip(inputs, kinds, strict=True) if kind.startswith("real")}
    for value, kind in zip(inputs, kinds, strict=True):
        fits = value.element in ELEMENTS[kind.rstrip("!")]
        require(fits and len(reals) <= 1, f"an input of element type {value.element}; expected {kind.rstrip('!')}")
        require(value.is_constant or not kind.endswith("!"), "an input that is not constant")
    constant = all(value.is_constant for value in inputs)
    require(not constant or op_type in FOLDABLE, "constants alone as inputs, which an exporter folds")
    real = attributes.get("to") if op_type == "Cast" else next(iter(reals), FLOAT)
    assert isinstance(real, int)
    require(real in (FLOAT, FLOAT16), f"'to' of {real}, which no exported graph has")
    found = operator.shapes(inputs, attributes, count)
    for shape in found:
        check_size([1 if size is None else size for size in shape], "an output")
    elements = [real if name == "real" else ELEMENTS[name][0] for name in names]
    return [Value(element, shape, constant) for element, shape in zip(elements, found, strict=True)]
