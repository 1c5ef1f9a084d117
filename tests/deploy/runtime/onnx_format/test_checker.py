"""Tests that graphs with attributes, inputs, types, shapes or numbers that no export has are rejected."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgehar.deploy.runtime.onnx_format.checker import read_graph
from edgehar.errors import PackageError
from tests.deploy.hostile_graphs import model, node

Change = Callable[[Any], object]


def problem_of(data: bytes) -> str:
    with pytest.raises(PackageError) as problem:
        read_graph(data, "g.onnx")
    message = str(problem.value)
    assert message.startswith("g.onnx: the graph was rejected: ")
    assert message.endswith("copy or export it again")
    assert message.isprintable()
    return message


WEIGHT = np.ones((16, 5), np.float32)
KERNEL = np.ones((4, 6, 3), np.float32)
CASES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "split into unequal parts": (node("Split", "tokens", "a b c d", axis=1, num_outputs=4), {}, "num_outputs 4"),
    "split of the batch": (node("Split", "tokens", "a", axis=0, num_outputs=1), {}, "the batch"),
    "split without a number of parts": (node("Split", "tokens", "a b", axis=1), {}, "no attribute num_outputs"),
    "axis beyond the shape": (node("Softmax", "tokens", "a", axis=5), {}, "axis 5"),
    "another axis than the last": (node("Softmax", "tokens", "a", axis=1), {}, "expected the last"),
    "order of axes": (node("Transpose", "tokens", "a", perm=[0, 2, 2]), {}, "order (0, 2, 2)"),
    "no order of axes": (node("Transpose", "tokens", "a"), {}, "no attribute perm"),
    "attribute of another operator": (node("Tanh", "tokens", "a", axis=1), {}, "'axis'"),
    "attribute of another type": (node("Softmax", "tokens", "a", axis=-1.0), {}, "'axis' of -1.0"),
    "conversion to integers": (node("Cast", "tokens", "a", to=TensorProto.INT64), {}, "'to' of 7"),
    "conversion to integers of another size": (node("Cast", "tokens", "a", to=TensorProto.INT8), {}, "'to' of 3"),
    "epsilon": (node("LayerNormalization", "tokens w w", "a", epsilon=float("nan")), {"w": WEIGHT[:, 0]}, "'epsilon'"),
    "weights of another length": (node("LayerNormalization", "tokens w w", "a"), {"w": WEIGHT[:9, 0]}, "weights"),
    "one input too few": (node("MatMul", "tokens", "a"), {}, "1 values; expected 2"),
    "one input too many": (node("Tanh", "tokens tokens", "a"), {}, "2 values; expected 1"),
    "one output too many": (node("Tanh", "tokens", "a b"), {}, "2 values; expected 1"),
    "no output": (node("Tanh", "tokens", ""), {}, "0 values; expected 1"),
    "factors that do not fit": (node("MatMul", "tokens w", "a"), {"w": WEIGHT.T}, "which do not fit"),
    "sums that do not fit": (node("Add", "tokens w", "a"), {"w": WEIGHT[:5, 0]}, "which do not fit"),
    "sum of integers": (node("Add", "tokens w", "a"), {"w": np.asarray([1])}, "expected real"),
    "mean over the batch": (node("ReduceMean", "tokens w", "a"), {"w": np.asarray([0])}, "the batch"),
    "mean over an axis twice": (node("ReduceMean", "tokens w", "a"), {"w": np.asarray([1, -2])}, "twice"),
    "mean over axes from data": (node("ReduceMean", "tokens tokens", "a"), {}, "expected int64"),
    "reshape that loses numbers": (node("Reshape", "tokens w", "a"), {"w": np.asarray([-1, 5])}, "which do not fit"),
    "reshape to nothing": (node("Reshape", "tokens w", "a"), {"w": np.asarray([-1, 0])}, "sizes above 0"),
    "reshape to two unknown sizes": (node("Reshape", "tokens w", "a"), {"w": np.asarray([-1, -1])}, "sizes above 0"),
    "reshape by a matrix": (node("Reshape", "tokens w", "a"), {"w": np.asarray([[-1, 16]])}, "expected a vector"),
    "index beyond the axis": (node("Gather", "tokens w", "a", axis=1), {"w": np.asarray([6])}, "an index beyond 6"),
    "bias of another length": (
        node("Conv", "tokens w b", "a", pads=[1, 1]),
        {"w": KERNEL, "b": np.ones(3, np.float32)},
        "a bias for 4",
    ),
    "convolution that changes the length": (node("Conv", "tokens w", "a"), {"w": KERNEL}, "pads (0, 0)"),
    "convolution in groups": (node("Conv", "tokens w", "a", pads=[1, 1], group=2), {"w": KERNEL}, "'group' of 2"),
    "padding by name": (node("Conv", "tokens w", "a", auto_pad="SAME_UPPER"), {"w": KERNEL}, "'auto_pad'"),
    "kernel of another size": (
        node("Conv", "tokens w", "a", pads=[1, 1], kernel_shape=[5]),
        {"w": KERNEL},
        "kernel_shape (5,)",
    ),
    "numbers that are not finite": (node("MatMul", "tokens w", "a"), {"w": WEIGHT * np.inf}, "not finite"),
    "numbers of 64 bits": (node("MatMul", "tokens w", "a"), {"w": WEIGHT.astype(np.float64)}, "element type 11"),
    "constant without numbers": (node("MatMul", "tokens w", "a"), {"w": WEIGHT[:0]}, "of size [0, 5]"),
    "sizes that grow": (node("Add", "tokens w", "a"), {"w": np.ones((1 << 18, 1, 1, 1), np.float32)}, "an output"),
}


@pytest.mark.parametrize("name", CASES)
def test_nodes_that_contradict_the_table_are_rejected(name: str) -> None:
    wrong, constants, reason = CASES[name]
    last = node("MatMul", "tokens last", "logits")
    data = model([wrong, last], constants | {"last": WEIGHT}).SerializeToString()
    assert reason in problem_of(data)


def first(graph: Any, op_type: str) -> Any:
    return next(entry for entry in graph.node if entry.op_type == op_type)


def scale(value: Any) -> Change:
    """Replace the scale of the first QuantizeLinear."""

    def change(graph: Any) -> None:
        name = first(graph, "QuantizeLinear").input[1]
        tensor = next(entry for entry in graph.initializer if entry.name == name)
        tensor.CopyFrom(numpy_helper.from_array(np.asarray(value, np.float32), name))

    return change


def zero_point(array: Any) -> Change:
    """Replace the zero point of the first QuantizeLinear."""

    def change(graph: Any) -> None:
        name = first(graph, "QuantizeLinear").input[2]
        next(entry for entry in graph.initializer if entry.name == name).CopyFrom(numpy_helper.from_array(array, name))

    return change


def attribute_twice(graph: Any) -> None:
    softmax = first(graph, "Softmax")
    softmax.attribute.append(helper.make_attribute("axis", 1))


def attribute_with_two_values(graph: Any) -> None:
    first(graph, "Softmax").attribute[0].f = 1


def quantised_product(graph: Any) -> None:
    """Read an INT8 value in place of its float."""
    first(graph, "MatMul").input[0] = first(graph, "QuantizeLinear").output[0]


def described_otherwise(graph: Any) -> None:
    name = first(graph, "Softmax").output[0]
    graph.value_info.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", 6, 7]))


def integer_input(graph: Any) -> None:
    graph.input[0].type.tensor_type.elem_type = TensorProto.INT64


def fixed_batch(graph: Any) -> None:
    graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4


def named(name: str) -> Change:
    return lambda graph: setattr(first(graph, "Softmax"), "name", name)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        *((scale(value), "a scale beyond") for value in (0, -1, 1e-45, 3e38)),
        *((scale(value), "not finite") for value in (np.nan, np.inf, -np.inf)),
        (scale([0.1, 0.1]), "scales (2,)"),
        (zero_point(np.uint8(0)), "element type 2"),
        (zero_point(np.zeros(3, np.int8)), "zero points (3,)"),
        (attribute_twice, "'axis' twice"),
        (attribute_with_two_values, "another's value"),
        (quantised_product, "element type 3"),
        (described_otherwise, "but computed as"),
        (integer_input, "expected floats, batch first"),
        (fixed_batch, "expected floats, batch first"),
        (named("a\u202eb"), "the name"),
        (named("a\nb"), "the name"),
        (lambda graph: graph.output.extend(list(graph.output)), "2 outputs"),
        (lambda graph: graph.ClearField("input"), "no input"),
        (lambda graph: first(graph, "MatMul").input.append(""), "''"),
    ],
)
def test_changed_graphs_are_rejected(int8_package: Path, change: Change, reason: str) -> None:
    changed: Any = onnx.load(int8_package / "head.int8.onnx")
    change(changed.graph)
    assert reason in problem_of(changed.SerializeToString())


@pytest.mark.parametrize("field", ["producer_name", "doc_string"])
def test_text_that_is_not_utf8_is_rejected(field: str) -> None:
    nodes = [node("ReduceMean", "tokens axes", "pooled", keepdims=0), node("MatMul", "pooled last", "logits")]
    changed = model(nodes, {"axes": np.asarray([1]), "last": WEIGHT})
    setattr(changed, field, "marked")
    read_graph(changed.SerializeToString(), "g.onnx")
    assert "not UTF-8" in problem_of(changed.SerializeToString().replace(b"marked", b"mark\xff\xfe"))
