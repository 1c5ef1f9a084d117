"""INT8 graphs are added whole, keep to TensorRT's rules and are judged by their answers; verify finds what is wrong."""

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
from edgehar.deploy.packaging.onnx_quantize import products_of_activations
from edgehar.entry import guarded
from edgehar.errors import ConfigError, PackageError
from edgehar.package.folder import EdgePackage, amend_package
from edgehar.verbs import call
from tests.deploy.tiny_package import as_npz, write_tiny_package


@pytest.fixture
def package(tmp_path: Path, int8_package: Path) -> Path:
    return Path(shutil.copytree(int8_package, tmp_path / "package"))


def failed(path: Path) -> dict[str, str]:
    return {check.name: check.found for check in verify.verify(path) if check.result == verify.FAILED}


def test_static_graphs_are_smaller_and_agree(int8_package: Path) -> None:
    manifest = EdgePackage.open(int8_package).manifest
    result = manifest.metrics["int8"]
    assert set(manifest.graphs) == {"fp32", *quantize.PRECISIONS}
    assert {name: manifest.metrics[name]["recipe"] for name in quantize.PRECISIONS} == quantize.RECIPES
    assert result["bytes"]["int8"] < 0.6 * result["bytes"]["fp32"]
    assert result["agreement_with_fp32"]["same_answer"] >= 0.95
    assert result["agreement_with_fp32"]["windows"] == 40
    assert manifest.default_precision == "int8"


def test_attention_products_and_biases_stay_in_floating_point(int8_package: Path) -> None:
    graph: Any = onnx.load(int8_package / "head.int8.onnx").graph
    inputs = {node.name: list(node.input) for node in graph.node}
    assert inputs["scores"] == ["q", "kt"]
    assert inputs["context"][0] == "attention"
    assert inputs["answer_layer"][2] == "bias"
    assert all("Dequantize" in name for name in inputs["to_query"])
    assert {tensor.data_type for tensor in graph.initializer}.isdisjoint({onnx.TensorProto.INT32})


def test_int8_answers_do_not_depend_on_the_processor(int8_package: Path) -> None:
    # Without graph optimisation onnxruntime computes the quantised values in fp32, which no INT8 kernel can overflow.
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = ort.InferenceSession(int8_package / "encoder.int8.onnx", options, providers=["CPUExecutionProvider"])
    recognizer = edgehar.load(int8_package, "int8")
    arrays = recognizer.package.arrays("parity.npz")
    inputs = {value.name: arrays[value.name] for value in plain.get_inputs()}
    expected = np.asarray(plain.run(None, inputs)[0])
    np.testing.assert_allclose(recognizer.encode(arrays, arrays["valid"]), expected, atol=1e-5)


@pytest.mark.parametrize(("precision", "most_bytes"), [("int8-dynamic", 0.6), ("fp16", 0.75)])
def test_other_precisions_are_smaller_and_agree(int8_package: Path, precision: str, most_bytes: float) -> None:
    result = EdgePackage.open(int8_package).manifest.metrics[precision]
    assert result["bytes"][precision] < most_bytes * result["bytes"]["fp32"]
    assert result["agreement_with_fp32"]["same_answer"] >= 0.95


def test_half_precision_is_close_to_fp32(int8_package: Path) -> None:
    arrays = EdgePackage.open(int8_package).arrays("parity.npz")
    half, whole = (edgehar.load(int8_package, name).classify(arrays["tokens"]) for name in ("fp16", "fp32"))
    assert 0 < np.abs(half - whole).max() < 0.01 * np.abs(whole).max()
    kinds = [tensor.data_type for tensor in onnx.load(int8_package / "encoder.fp16.onnx").graph.initializer]
    assert onnx.TensorProto.FLOAT16 in kinds


def test_only_the_precisions_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "package"
    write_tiny_package(path)
    assert quantize.main([str(path), "--precisions", "int8-dynamic", "--default", "fp32"]) == 0
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert document["default_precision"] == "fp32"
    assert document["precisions"]["int8-dynamic"]["recipe"] == "dynamic"
    checks = {check.name: check for check in verify.verify(path)}
    assert checks["int8 for TensorRT"].result == verify.SKIPPED
    assert {"int8-dynamic = fp32", "int8-dynamic head interface"} <= set(checks)


def test_graphs_that_torch_exports_are_digested(tmp_path: Path) -> None:
    # torch.onnx.export(dynamo=True) lists initialisers among the values and gives nodes no names.
    path = tmp_path / "package"
    write_tiny_package(path)
    model: Any = onnx.load(path / "head.fp32.onnx")
    model.graph.value_info.append(onnx.helper.make_tensor_value_info("query", onnx.TensorProto.FLOAT, [16, 16]))
    for node in model.graph.node:
        node.name = ""
    amend_package(path, {"head.fp32.onnx": model.SerializeToString()})
    quantize.quantize(path)
    assert not failed(path)


def test_a_weight_behind_a_transpose_is_no_product_of_activations() -> None:
    weight = numpy_helper.from_array(np.ones((2, 2), np.float32), "weight")
    nodes = [
        onnx.helper.make_node("Transpose", ["weight"], ["turned"], name="turn"),
        onnx.helper.make_node("MatMul", ["x", "turned"], ["y"], name="linear"),
        onnx.helper.make_node("MatMul", ["x", "y"], ["z"], name="product"),
    ]
    graph = onnx.helper.make_graph(nodes, "g", [], [], [weight])
    assert products_of_activations(onnx.helper.make_model(graph)) == ["product"]


def test_disagreement_is_recorded_and_keeps_fp32(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arrays = EdgePackage.open(package).arrays("calibration.npz")
    tiny = {name: array * (1 if name == "valid" else 1e-3) for name, array in arrays.items()}
    amend_package(package, {"calibration.npz": as_npz(tiny)})  # ranges far too small: INT8 saturates
    assert quantize.main([str(package)]) == 0
    assert "below 95%" in capsys.readouterr().out
    manifest = EdgePackage.open(package).manifest
    assert manifest.metrics["int8"]["agreement_with_fp32"]["same_answer"] < 0.95
    assert manifest.default_precision == "fp32"
    assert not failed(package)  # nobody gets int8 without asking for it
    amend_package(package, {}, default_precision="int8")
    assert set(failed(package)) == {"int8 = fp32"}


def test_unusable_options_and_packages_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "package"
    write_tiny_package(path)
    for wrong in ("magic", "int8,int8", ""):
        with pytest.raises(ConfigError, match="expected some of int8, int8-dynamic, fp16"):
            quantize.main([str(path), "--precisions", wrong])
    with pytest.raises(ConfigError, match="expected one of"):
        quantize.quantize(path, default="int4")
    amend_package(path, {"calibration.npz": as_npz({"tokens": np.zeros((1, 6, 16), np.float32)})})
    with pytest.raises(PackageError, match="no array inertial, skeleton, valid"):
        quantize.quantize(path)


def test_a_good_package_passes_every_check(int8_package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda _: call("verify", [str(int8_package)])) == 0
    assert "FAILED" not in capsys.readouterr().out
    assert verify.main([str(int8_package), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["passed"]
    assert {"fp32 token = torch", "int8 = fp32", "int8 for TensorRT"} <= {check["name"] for check in document["checks"]}


def test_a_failed_check_gives_exit_code_2(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (package / "MODEL_CARD.md").write_text("The best model ever.\n")
    assert verify.main([str(package)]) == 2
    answer = capsys.readouterr()
    assert "MODEL_CARD.md" in answer.out
    assert "FAILED" in answer.out
    assert answer.err.count("\n") == 1


def test_wrong_answers_are_found(package: Path) -> None:
    arrays = EdgePackage.open(package).arrays("parity.npz")
    amend_package(package, {"parity.npz": as_npz(arrays | {"logits": arrays["logits"] + np.float32(2e-4)})})
    assert set(failed(package)) == {"fp32 logits = torch"}
    amend_package(package, {"parity.npz": as_npz({"token": arrays["token"]})})
    assert "no inertial, logits, skeleton, tokens, valid" in failed(package)["package"]


def _changed_encoder(package: Path, change: Any) -> None:
    model: Any = onnx.load(package / "encoder.fp32.onnx")
    change(model)
    amend_package(package, {"encoder.fp32.onnx": model.SerializeToString()})


def _raise_opset(model: Any) -> None:
    model.opset_import[0].version = 20


def _raise_ir(model: Any) -> None:
    model.ir_version = 11


def test_formats_that_boards_cannot_read_are_found(package: Path) -> None:
    _changed_encoder(package, _raise_opset)
    assert set(failed(package)) == {"fp32 encoder opset"}
    _changed_encoder(package, _raise_ir)
    assert set(failed(package)) == {"fp32 encoder opset", "fp32 encoder IR version"}


def test_another_interface_is_found(package: Path) -> None:
    amend_package(package, {"head.fp32.onnx": package / "encoder.fp32.onnx"})
    assert "the manifest expects" in failed(package)["package"] or "expected" in failed(package)["fp32 head interface"]


def test_a_changed_model_card_is_named(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = package / "MODEL_CARD.md"
    card.write_text(card.read_text() + "and more\n")
    assert verify.main([str(package)]) == 2
    assert "checks failed: MODEL_CARD.md: is not what the manifest gives" in capsys.readouterr().err
