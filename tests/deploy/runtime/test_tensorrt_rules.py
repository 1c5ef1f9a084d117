"""Tests of the checks for TensorRT's requirements."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgehar.deploy.packaging import verify
from edgehar.deploy.runtime.onnx_format.checker import read_graph
from edgehar.deploy.runtime.tensorrt_rules import tensorrt_problems
from edgehar.package.folder import amend_package
from tests.deploy.running import ROOT
from tests.deploy.tiny_package import write_tiny_package

GOLDEN = ROOT / "tests" / "golden" / "package_v1"


def problems(data: bytes) -> list[str]:
    return tensorrt_problems(read_graph(data, "graph"))


@pytest.mark.parametrize("precision", ["fp32", "int8", "fp16"])
@pytest.mark.parametrize("part", ["encoder", "head"])
def test_quantised_graphs_meet_the_requirements(int8_package: Path, part: str, precision: str) -> None:
    assert problems((int8_package / f"{part}.{precision}.onnx").read_bytes()) == []


def test_exported_graphs_meet_the_requirements() -> None:
    for path in GOLDEN.glob("*.onnx"):
        assert problems(path.read_bytes()) == []


def constant(name: str, array: Any) -> Callable[[Any], None]:
    def change(graph: Any) -> None:
        index = next(i for i, tensor in enumerate(graph.initializer) if tensor.name == name)
        graph.initializer[index].CopyFrom(numpy_helper.from_array(np.asarray(array), name))

    return change


def node_of(graph: Any, name: str) -> Any:
    return next(node for node in graph.node if node.name == name)


def without_weight_pair(graph: Any) -> None:
    node_of(graph, "to_query").input[1] = "query"
    graph.initializer.append(numpy_helper.from_array(np.ones((16, 16), np.float32), "query"))


def onto_the_output(graph: Any) -> None:
    del graph.node[-1]
    quantised = next(node for node in graph.node if node.op_type == "QuantizeLinear")
    graph.output[0].name = quantised.output[0]
    graph.output[0].type.tensor_type.elem_type = TensorProto.INT8


def read_before_the_pair(graph: Any) -> None:
    quantised = next(node for node in graph.node if node.op_type == "QuantizeLinear")
    node_of(graph, "scores").input[0] = quantised.output[0]


def int32_bias(graph: Any) -> None:
    tensors = {"b": np.ones(5, np.int32), "b_scale": np.float32(0.1), "b_zero": np.int32(0)}
    graph.initializer.extend(numpy_helper.from_array(np.asarray(array), name) for name, array in tensors.items())
    graph.node.insert(0, helper.make_node("DequantizeLinear", list(tensors), ["b_float"], name="bias_pair"))
    node_of(graph, "classify").input[2] = "b_float"


def unscaled(graph: Any) -> None:
    quantised = next(node for node in graph.node if node.op_type == "QuantizeLinear")
    del quantised.input[2]


@pytest.mark.parametrize(
    ("change", "node", "reason"),
    [
        (constant("query_quantized", np.full((16, 16), -128, np.int8)), "query_DequantizeLinear", "weight of -128"),
        (constant("tokens_zero_point", np.int8(3)), "tokens_QuantizeLinear", "zero point is not 0"),
        (constant("tokens_zero_point", np.uint8(0)), "tokens_QuantizeLinear", "type uint8; expected int8"),
        (constant("tokens_scale", np.float32(0)), "tokens_QuantizeLinear", "scale that is not above 0"),
        (constant("tokens_scale", np.ones(16, np.float32)), "tokens_QuantizeLinear", "16 scales"),
        (without_weight_pair, "to_query", "query is not quantised"),
        (read_before_the_pair, "tokens_QuantizeLinear", "followed by scores; expected DequantizeLinear"),
        (int32_bias, "bias_pair", "type int32; expected int8"),
        (unscaled, "tokens_QuantizeLinear", "scale and zero point are not constants"),
    ],
)
def test_violations_name_the_node(int8_package: Path, change: Callable[[Any], None], node: str, reason: str) -> None:
    model: Any = onnx.load(int8_package / "head.int8.onnx")
    change(model.graph)
    found = problems(model.SerializeToString())
    assert any(problem.startswith(f"{node}: ") and reason in problem for problem in found), found


def test_quantised_graph_output_is_found(int8_package: Path) -> None:
    model: Any = onnx.load(int8_package / "head.int8.onnx")
    onto_the_output(model.graph)
    assert any("followed by the output" in problem for problem in problems(model.SerializeToString()))


def test_operators_without_tensorrt_support_are_found(int8_package: Path) -> None:
    found = problems((int8_package / "head.int8-dynamic.onnx").read_bytes())
    assert any("TensorRT has no DynamicQuantizeLinear" in problem for problem in found)
    assert any("TensorRT has no MatMulInteger" in problem for problem in found)


def shaped_by_data() -> bytes:
    """A graph with a slice whose start depends on the input."""
    nodes = [
        helper.make_node("ReduceMax", ["tokens"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Unsqueeze", ["whole", "zero"], ["start"]),
        helper.make_node("Slice", ["tokens", "start", "end", "two"], ["some"]),
        helper.make_node("ReduceMean", ["some", "axes"], ["logits"], keepdims=0),
    ]
    whole = {"zero": [0], "end": [16], "two": [2], "axes": [2]}
    graph = helper.make_graph(
        nodes,
        "shaped",
        [helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["B", 5, 16])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", 5])],
        [numpy_helper.from_array(np.asarray(values, np.int64), name) for name, values in whole.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def test_data_dependent_shapes_are_found() -> None:
    (problem,) = problems(shaped_by_data())
    assert problem.startswith("Slice -> some: ")
    assert "the data in start" in problem


def test_verify_names_graph_and_node(int8_package: Path, tmp_path: Path) -> None:
    path = tmp_path / "package"
    write_tiny_package(path, steps=5)
    amend_package(path, {"head.fp32.onnx": shaped_by_data()})
    checks = {check.name: check for check in verify.verify(path)}
    assert checks["fp32 for TensorRT"].result == verify.FAILED
    assert checks["fp32 for TensorRT"].found.startswith("head.fp32.onnx: Slice -> some: ")
    checks = {check.name: check for check in verify.verify(int8_package)}
    assert checks["int8 for TensorRT"].found == "operators and shapes, int8 only, zero points 0"
    assert checks["int8-dynamic for TensorRT"].result == verify.SKIPPED
    assert checks["runs on"].found.startswith("CPUExecutionProvider")
