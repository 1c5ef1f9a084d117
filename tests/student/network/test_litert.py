"""LiteRT and onnxruntime agree on a student's graphs; LiteRT refuses operators it does not support."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from bodies import INERTIAL, exportable_checkpoint, random_steps, random_student, smaller
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import edgehar
from edgehar import StreamRecognizer
from edgehar.deploy.bench import benchmark
from edgehar.deploy.packaging.parity import agreement, parity_arrays
from edgehar.deploy.packaging.quantize import quantize
from edgehar.deploy.runtime.litert.session import MAX_BATCH_SIZES, LiteRTSession
from edgehar.deploy.runtime.onnx_format.checker import read_graph
from edgehar.deploy.runtime.providers import CPU, LITERT, available_providers, choose_providers, litert_version
from edgehar.errors import ConfigError
from edgehar.student.export import export_package
from edgehar.student.network.model import StudentNetwork
from edgehar.student.network.onnx_export import export_graphs

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed: pip install 'edgehar[litert]'")
ROWS = (1, 2, 16, 3, 40, 1)
"""More batch sizes than a session caches, and one of them twice."""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packages") / "student"
    export_package(exportable_checkpoint("student"), path, "model", windows=4, seed=0)
    quantize(path)
    return path


def graphs_of(network: StudentNetwork) -> list[bytes]:
    inputs = random_steps(network)
    tokens = network.head.position_embedding.detach()[None].repeat(3, 1, 1)
    return list(export_graphs(network, tuple(inputs), tokens))


def assert_equal_outputs(graphs: list[bytes]) -> None:
    generator = np.random.default_rng(0)
    for data in graphs:
        view = read_graph(data, "graph")
        session, expected = LiteRTSession(view, 1), ort.InferenceSession(data, providers=[CPU])
        for rows in ROWS:
            inputs = {
                name: generator.standard_normal([size or rows for size in shape]).astype(np.float32)
                for name, shape in view.inputs.items()
            }
            if "valid" in inputs:
                inputs["valid"] = generator.integers(2, size=inputs["valid"].shape).astype(np.float32)
            wanted, (found,) = np.asarray(expected.run(None, inputs)[0]), session.run([], inputs)
            np.testing.assert_allclose(found, wanted, atol=2e-5 * max(1.0, np.abs(wanted).max()), rtol=0)
            assert found.dtype == np.float32
        assert len(set(ROWS)) > MAX_BATCH_SIZES


@pytest.mark.parametrize("shape", ["deep", "one head"])
def test_litert_agrees_with_onnxruntime(shape: str) -> None:
    assert_equal_outputs(graphs_of(random_student(shape)))


def test_litert_agrees_for_a_pruned_student_and_for_one_sensor() -> None:
    assert_equal_outputs(graphs_of(smaller(random_student("base"), 0.5)[0].eval()))
    assert_equal_outputs(graphs_of(random_student("base", (INERTIAL,))))


def test_litert_agrees_without_biases() -> None:
    network = random_student("base")
    for entry in network.encoder.missing.values():  # as initialised
        entry.data.zero_()
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            layer.bias.data.zero_()
    graphs = graphs_of(network)
    gemms = [node for data in graphs for node in read_graph(data, "graph").nodes if node.op_type == "Gemm"]
    assert any(len(node.inputs) == 2 for node in gemms)
    assert_equal_outputs(graphs)


def test_recognizer_reports_its_provider_and_agrees_with_onnxruntime(package: Path) -> None:
    litert, cpu = (edgehar.load(package, "fp32", providers=[name]) for name in (LITERT, CPU))
    assert (litert.providers, cpu.providers) == ((LITERT,), (CPU,))
    recording = {"inertial": np.random.default_rng(0).standard_normal((90, 6))}
    np.testing.assert_allclose(litert.predict(recording).probabilities, cpu.predict(recording).probabilities, atol=1e-5)


def test_per_row_int8_is_closer_to_fp32_than_per_tensor_int8_of_onnxruntime(package: Path) -> None:
    fp32, litert, cpu = (
        edgehar.load(package, precision, providers=[name])
        for precision, name in (("fp32", CPU), ("int8-dynamic", LITERT), ("int8-dynamic", CPU))
    )
    assert litert.providers == (LITERT,)
    parity = parity_arrays(litert.package)
    per_row, per_tensor = (agreement(one, fp32, parity)["largest_logit_difference"] for one in (litert, cpu))
    assert 0 < per_row < per_tensor


def test_quantised_layer_of_another_form_is_refused(package: Path) -> None:
    model = onnx.load(package / "head.int8-dynamic.onnx")
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    product = next(node for node in model.graph.node if node.op_type == "MatMulInteger")
    name = product.input[3]
    numbers = numpy_helper.to_array(constants[name]) + 1
    constants[name].CopyFrom(numpy_helper.from_array(numbers.astype(np.int8), name))
    with pytest.raises(ConfigError, match=r"LiteRT: (DynamicQuantizeLinear|MatMulInteger|Cast) .*--precision"):
        LiteRTSession(read_graph(model.SerializeToString(), "graph"), 1)


@pytest.mark.parametrize("precision", ["fp32", "int8-dynamic"])
def test_stream_does_not_depend_on_the_size_of_its_pieces(package: Path, precision: str) -> None:
    recognizer = edgehar.load(package, precision, providers=[LITERT])
    window, generator = recognizer.manifest.window, np.random.default_rng(0)
    ends: list[list[np.ndarray]] = []
    for pieces in (1, 7):
        stream = StreamRecognizer(recognizer, start_s=0.0)
        found = []
        generator = np.random.default_rng(0)
        for spec in recognizer.manifest.modalities:
            times_s = np.arange(3 * window.steps * spec.patch) * (window.step_s / spec.patch)
            samples = generator.standard_normal((len(times_s), spec.channels))
            for part in np.array_split(np.arange(len(times_s)), pieces):
                found += stream.push(spec.name, samples[part], times_s[part])
        ends.append([one.probabilities for one in [*found, *stream.flush()]])
    assert len(ends[0]) == len(ends[1]) > window.steps
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-5)


def test_recognizer_may_be_used_by_several_threads(package: Path) -> None:
    recognizer = edgehar.load(package, "fp32", providers=[LITERT])
    tokens = np.random.default_rng(0).standard_normal(
        (64, 1, recognizer.manifest.window.steps, recognizer.manifest.token_dim)
    )
    expected = [recognizer.classify(one) for one in tokens.astype(np.float32)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(recognizer.classify, tokens.astype(np.float32)))
    np.testing.assert_array_equal(found, expected)


def test_unsupported_precision_is_refused_or_falls_back_to_onnxruntime(package: Path) -> None:
    with pytest.raises(ConfigError, match=r"LiteRT: DequantizeLinear .*--precision"):
        edgehar.load(package, "int8", providers=[LITERT])
    with pytest.warns(RuntimeWarning, match="LiteRT: DequantizeLinear"):
        assert edgehar.load(package, "int8", providers=[LITERT, CPU]).providers == (CPU,)


def test_unsupported_operator_is_refused() -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Tanh", ["x"], ["y"])], "graph", values[:1], values[1:])
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()
    with pytest.raises(ConfigError, match=r"LiteRT: Tanh"):
        LiteRTSession(read_graph(data, "graph"), 1)


def test_tuning_includes_litert_and_load_uses_its_choice(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main([str(package), "--tune", "--runs", "100"]) == 0
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    tried = {(row["precision"], *row["providers"]) for row in document["candidates"]}
    assert {("fp32", LITERT), ("int8-dynamic", LITERT), ("fp32", CPU), ("int8", CPU)} <= tried
    assert ("int8", LITERT) not in tried
    chosen, recognizer = document["chosen"], edgehar.load(package)
    assert (recognizer.precision, list(recognizer.providers)) == (chosen["precision"], chosen["providers"])
    document["chosen"] |= {"precision": "fp32", "providers": [LITERT]}
    package.with_name(f"{package.name}.tuned.json").write_text(json.dumps(document))
    assert edgehar.load(package).providers == (LITERT,)


def test_missing_package_is_an_error_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LITERT in available_providers()
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    litert_version.cache_clear()
    try:
        assert LITERT not in available_providers()
        with pytest.raises(ConfigError, match=r"edgehar\[litert\]"):
            choose_providers([LITERT])
        with pytest.warns(RuntimeWarning, match="LiteRT"):
            assert choose_providers([LITERT, CPU]) == (CPU,)
    finally:
        litert_version.cache_clear()
