"""Tests of the checks for TensorRT's requirements."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgehar.deploy.packaging import verify
from edgehar.deploy.runtime.onnx_format.checker import read_graph
from edgehar.deploy.runtime.tensorrt_rules import tensorrt_problems
from edgehar.package.folder import amend_package
from tests.deploy.running import ROOT

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


def without_consumer(graph: Any) -> None:
    quantised = next(node for node in graph.node if node.op_type == "QuantizeLinear")
    graph.node.append(helper.make_node("QuantizeLinear", list(quantised.input), ["unused"], name="unused_pair"))


@pytest.mark.parametrize(
    ("change", "node", "reason"),
    [
        (constant("query_quantized", np.full((16, 16), -128, np.int8)), "query_DequantizeLinear", "weight of -128"),
        (constant("tokens_zero_point", np.int8(3)), "tokens_QuantizeLinear", "zero point is not 0"),
        (without_weight_pair, "to_query", "query is not quantised"),
        (without_consumer, "unused_pair", "followed by nothing; expected DequantizeLinear"),
    ],
)
def test_violations_name_the_node(int8_package: Path, change: Callable[[Any], None], node: str, reason: str) -> None:
    model: Any = onnx.load(int8_package / "head.int8.onnx")
    change(model.graph)
    found = problems(model.SerializeToString())
    assert any(problem.startswith(f"{node}: ") and reason in problem for problem in found), found


def test_operators_without_tensorrt_support_are_found(int8_package: Path) -> None:
    found = problems((int8_package / "head.int8-dynamic.onnx").read_bytes())
    assert any("TensorRT has no DynamicQuantizeLinear" in problem for problem in found)
    assert any("TensorRT has no MatMulInteger" in problem for problem in found)


def test_verify_names_graph_and_node(int8_package: Path, tmp_path: Path) -> None:
    checks = {check.name: check for check in verify.verify(int8_package)}
    assert checks["int8 for TensorRT"].found == "operators and shapes, int8 only, zero points 0"
    assert checks["int8-dynamic for TensorRT"].result == verify.SKIPPED
    assert checks["runs on"].found.startswith("CPUExecutionProvider")
    path = Path(shutil.copytree(int8_package, tmp_path / "package"))
    model: Any = onnx.load(path / "head.int8.onnx")
    constant("tokens_zero_point", np.int8(3))(model.graph)
    amend_package(path, {"head.int8.onnx": model.SerializeToString()})
    checks = {check.name: check for check in verify.verify(path)}
    assert checks["int8 for TensorRT"].result == verify.FAILED
    assert checks["int8 for TensorRT"].found.startswith("head.int8.onnx: tokens_QuantizeLinear: zero point is not 0")
