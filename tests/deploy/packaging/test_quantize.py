"""Tests of `edgehar quantize`: sizes, agreement with fp32, defaults."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

import edgehar
from edgehar.deploy.packaging import quantize, verify
from edgehar.deploy.packaging.onnx_quantize import products_in_fp32
from edgehar.errors import ConfigError, PackageError
from edgehar.package.folder import EdgePackage, amend_package
from tests.deploy.tiny_package import as_npz, write_tiny_package


@pytest.fixture
def package(tmp_path: Path, int8_package: Path) -> Path:
    return Path(shutil.copytree(int8_package, tmp_path / "package"))


def failed(path: Path) -> dict[str, str]:
    return {check.name: check.found for check in verify.verify(path) if check.result == verify.FAILED}


def test_int8_graphs_are_smaller_and_agree_with_fp32(int8_package: Path) -> None:
    manifest = EdgePackage.open(int8_package).manifest
    result = manifest.metrics["int8"]
    assert set(manifest.graphs) == {"fp32", *quantize.PRECISIONS}
    assert {name: manifest.metrics[name]["recipe"] for name in quantize.PRECISIONS} == quantize.RECIPES
    assert result["bytes"]["int8"] < 0.6 * result["bytes"]["fp32"]
    assert result["agreement_with_fp32"]["same_answer"] >= 0.95
    assert result["agreement_with_fp32"]["windows"] == 40
    assert manifest.default_precision == "int8"


def test_attention_products_and_biases_are_not_quantised(int8_package: Path) -> None:
    graph: Any = onnx.load(int8_package / "head.int8.onnx").graph
    inputs = {node.name: list(node.input) for node in graph.node}
    assert inputs["scores"] == ["q", "kt"]
    assert inputs["context"][0] == "attention"
    assert inputs["classify"][2] == "bias"
    assert all("Dequantize" in name for name in inputs["to_query"])
    assert {tensor.data_type for tensor in graph.initializer}.isdisjoint({onnx.TensorProto.INT32})


def test_int8_outputs_equal_those_without_graph_optimisation(int8_package: Path) -> None:
    # Without graph optimisation onnxruntime computes the quantised values in fp32: no INT8 kernel can overflow.
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = ort.InferenceSession(int8_package / "encoder.int8.onnx", options, providers=["CPUExecutionProvider"])
    recognizer = edgehar.load(int8_package, "int8")
    arrays = recognizer.package.arrays("parity.npz")
    inputs = {value.name: arrays[value.name] for value in plain.get_inputs()}
    expected = np.asarray(plain.run(None, inputs)[0])
    np.testing.assert_allclose(recognizer.encode(arrays, arrays["valid"]), expected, atol=1e-5)


@pytest.mark.parametrize(("precision", "max_ratio"), [("int8-dynamic", 0.6), ("fp16", 0.75)])
def test_other_precisions_are_smaller_and_agree_with_fp32(int8_package: Path, precision: str, max_ratio: float) -> None:
    result = EdgePackage.open(int8_package).manifest.metrics[precision]
    assert result["bytes"][precision] < max_ratio * result["bytes"]["fp32"]
    assert result["agreement_with_fp32"]["same_answer"] >= 0.95


def test_half_precision_is_close_to_fp32(int8_package: Path) -> None:
    arrays = EdgePackage.open(int8_package).arrays("parity.npz")
    half, whole = (edgehar.load(int8_package, name).classify(arrays["tokens"]) for name in ("fp16", "fp32"))
    assert 0 < np.abs(half - whole).max() < 0.01 * np.abs(whole).max()
    kinds = [tensor.data_type for tensor in onnx.load(int8_package / "encoder.fp16.onnx").graph.initializer]
    assert onnx.TensorProto.FLOAT16 in kinds


def test_only_the_given_precisions_are_added(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "package"
    write_tiny_package(path)
    assert quantize.main([str(path), "--precisions", "int8-dynamic", "--default", "fp32"]) == 0
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert document["default_precision"] == "fp32"
    assert document["precisions"]["int8-dynamic"]["recipe"] == "dynamic"
    checks = {check.name: check for check in verify.verify(path)}
    assert checks["int8 for TensorRT"].result == verify.SKIPPED
    assert {"int8-dynamic = fp32", "int8-dynamic head interface"} <= set(checks)


def test_models_with_value_info_of_initialisers_are_quantised(tmp_path: Path) -> None:
    # torch.onnx.export(dynamo=True) lists initialisers in value_info and leaves nodes unnamed.
    path = tmp_path / "package"
    write_tiny_package(path)
    model: Any = onnx.load(path / "head.fp32.onnx")
    model.graph.value_info.append(onnx.helper.make_tensor_value_info("query", onnx.TensorProto.FLOAT, [16, 16]))
    for node in model.graph.node:
        node.name = ""
    amend_package(path, {"head.fp32.onnx": model.SerializeToString()})
    quantize.quantize(path)
    assert not failed(path)


def test_product_with_a_transposed_weight_is_quantised() -> None:
    weight = numpy_helper.from_array(np.ones((2, 2), np.float32), "weight")
    nodes = [
        onnx.helper.make_node("Transpose", ["weight"], ["turned"], name="turn"),
        onnx.helper.make_node("MatMul", ["x", "turned"], ["y"], name="linear"),
        onnx.helper.make_node("MatMul", ["x", "y"], ["z"], name="product"),
    ]
    graph = onnx.helper.make_graph(nodes, "g", [], [], [weight])
    assert products_in_fp32(onnx.helper.make_model(graph)) == ["product"]


def test_means_and_convolutions_written_as_products_stay_fp32() -> None:
    names = ("share", "encoder.stems.0.layers.0.weight", "weight")
    weights = [numpy_helper.from_array(np.ones((2, 2), np.float32), name) for name in names]
    nodes = [
        onnx.helper.make_node("Gemm", ["x", names[1]], ["frames"], name="convolution"),
        onnx.helper.make_node("Gemm", ["frames", "weight"], ["y"], name="linear"),
        onnx.helper.make_node("MatMul", ["share", "y"], ["z"], name="mean"),
    ]
    graph = onnx.helper.make_graph(nodes, "g", [], [], weights)
    assert products_in_fp32(onnx.helper.make_model(graph)) == ["convolution", "mean"]


def test_low_agreement_keeps_fp32_as_default(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arrays = EdgePackage.open(package).arrays("calibration.npz")
    tiny = {name: array * (1 if name == "valid" else 1e-3) for name, array in arrays.items()}
    amend_package(package, {"calibration.npz": as_npz(tiny)})  # ranges far too small: INT8 saturates
    assert quantize.main([str(package)]) == 0
    assert "below 95%" in capsys.readouterr().out
    manifest = EdgePackage.open(package).manifest
    assert manifest.metrics["int8"]["agreement_with_fp32"]["same_answer"] < 0.95
    assert manifest.default_precision == "fp32"
    assert not failed(package)  # int8 is used only on request
    amend_package(package, {}, default_precision="int8")
    assert set(failed(package)) == {"int8 = fp32"}


def test_invalid_options_and_packages_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "package"
    write_tiny_package(path)
    for wrong in ("magic", "int8,int8", ""):
        with pytest.raises(ConfigError, match=f"--precisions {wrong}: "):
            quantize.main([str(path), "--precisions", wrong])
    with pytest.raises(ConfigError, match="--default int4: "):
        quantize.quantize(path, default="int4")
    amend_package(path, {"calibration.npz": as_npz({"tokens": np.zeros((1, 6, 16), np.float32)})})
    with pytest.raises(PackageError, match="inertial, skeleton, valid"):
        quantize.quantize(path)
