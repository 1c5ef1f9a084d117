"""Compares graphs read without `onnx` with what `onnx` reads."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgehar.deploy.runtime.onnx_format.checker import read_graph
from edgehar.deploy.runtime.session import GraphSession
from edgehar.errors import PackageError

PRECISIONS = ("fp32", "int8", "int8-dynamic", "fp16")


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("part", ["encoder", "head"])
def test_graph_equals_what_onnx_reads(int8_package: Path, precision: str, part: str) -> None:
    path = int8_package / f"{part}.{precision}.onnx"
    model: Any = onnx.load(path)
    found = read_graph(path.read_bytes(), path.name)
    assert (found.ir_version, found.opset) == (model.ir_version, model.opset_import[0].version)
    nodes = [(node.op_type, node.name, tuple(node.input), tuple(node.output)) for node in model.graph.node]
    assert [(node.op_type, node.name, node.inputs, node.outputs) for node in found.nodes] == nodes
    assert set(found.constants) >= {tensor.name for tensor in model.graph.initializer}
    for tensor in model.graph.initializer:
        expected = numpy_helper.to_array(tensor)
        assert found.constants[tensor.name].dtype == expected.dtype
        np.testing.assert_array_equal(found.constants[tensor.name], expected)
    graph = GraphSession(path)
    assert found.inputs == graph.interface.inputs
    assert found.outputs == (graph.interface.output,)


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("kind", ["float32", "float16", "int8", "int64"])
def test_constants_are_read_from_every_data_field(kind: str, raw: bool) -> None:
    array = np.asarray([[0, 1, 3]]).astype(kind)
    element = helper.np_dtype_to_tensor_dtype(array.dtype)
    constant = helper.make_tensor("c", element, array.shape, array.tobytes() if raw else array.flatten(), raw=raw)
    nodes = [helper.make_node("Tanh", ["x"], ["y"])]
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2])
    graph = helper.make_graph(nodes, "g", [value], [output], [constant])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    found = read_graph(model.SerializeToString(), "g")
    np.testing.assert_array_equal(found.constants["c"], array)
    assert found.constants["c"].dtype == array.dtype
    assert found.inputs == {"x": (None, 2)}


@pytest.mark.parametrize("data", [b"", b"\xff" * 40, b"hello world", b"\x08"])
def test_other_files_are_rejected(data: bytes) -> None:
    with pytest.raises(PackageError, match=r"^g\.onnx: "):
        read_graph(data, "g.onnx")


def test_truncated_graphs_are_rejected(int8_package: Path) -> None:
    data = (int8_package / "head.fp32.onnx").read_bytes()
    for length in range(0, len(data), 37):
        with pytest.raises(PackageError):
            read_graph(data[:length], "head")
