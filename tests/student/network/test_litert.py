"""What a student exports, LiteRT computes like onnxruntime; what it cannot compute is said, never approximated."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from bodies import INERTIAL, smaller
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import edgehar
from edgehar import StreamRecognizer
from edgehar.deploy.bench import benchmark
from edgehar.deploy.packaging.parity import agreement, parity_arrays
from edgehar.deploy.packaging.quantize import quantize
from edgehar.deploy.runtime.litert.session import MOST_BATCH_SIZES, LiteRTSession
from edgehar.deploy.runtime.onnx_format.graph_view import read_graph
from edgehar.deploy.runtime.providers import CPU, LITERT, choose_providers, available_providers, litert_version
from edgehar.errors import ConfigError
from edgehar.student.export import write
from edgehar.student.network.fused import FusedEncoder, FusedHead
from edgehar.student.network.model import StudentNetwork
from edgehar.student.network.onnx_export import export_onnx
from tests.student.test_export import trained
from tests.student.network.test_fused import inputs_of, student

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed: pip install 'edgehar[litert]'")
ROWS = (1, 2, 16, 3, 40, 1)
"""More sizes than are kept ready, and one again."""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packages") / "student"
    write(trained("student"), path, "model", windows=4, seed=0)
    quantize(path)
    return path


def graphs_of(network: StudentNetwork) -> list[bytes]:
    inputs = inputs_of(network)
    tokens = network.head.position_embedding.detach()[None].repeat(3, 1, 1)
    return [
        export_onnx(FusedEncoder(network.encoder), tuple(inputs), [*network.encoder.names, "valid"], "token", "steps"),
        export_onnx(FusedHead(network.head), (tokens,), ["tokens"], "logits", "windows"),
    ]


def assert_same(network: StudentNetwork) -> None:
    generator = np.random.default_rng(0)
    for data in graphs_of(network):
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
        assert len(set(ROWS)) > MOST_BATCH_SIZES


@pytest.mark.parametrize("shape", ["deep", "one head"])
def test_every_shape_of_a_student_gives_the_same_answers(shape: str) -> None:
    assert_same(student(shape))


def test_so_do_a_pruned_student_and_one_of_a_single_sensor() -> None:
    assert_same(smaller(student("base"), 0.5)[0].eval())
    assert_same(student("base", (INERTIAL,)))


def test_so_does_one_without_biases() -> None:
    network = student("base")
    for entry in network.encoder.missing.values():  # as they begin: what stands in for a sensor is nothing
        entry.data.zero_()
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            layer.bias.data.zero_()
    gemms = [node for data in graphs_of(network) for node in read_graph(data, "graph").nodes if node.op_type == "Gemm"]
    assert any(len(node.inputs) == 2 for node in gemms)
    assert_same(network)


def test_a_recogniser_says_who_computes_and_answers_alike(package: Path) -> None:
    here, there = (edgehar.load(package, "fp32", providers=[name]) for name in (LITERT, CPU))
    assert (here.providers, there.providers) == ((LITERT,), (CPU,))
    recording = {"inertial": np.random.default_rng(0).standard_normal((90, 6))}
    np.testing.assert_allclose(here.predict(recording).probabilities, there.predict(recording).probabilities, atol=1e-5)


def test_weights_of_int8_with_ranges_of_each_row_are_closer_to_fp32_than_onnxruntime_with_those_of_all(
    package: Path,
) -> None:
    fp32, here, there = (
        edgehar.load(package, precision, providers=[name])
        for precision, name in (("fp32", CPU), ("int8-dynamic", LITERT), ("int8-dynamic", CPU))
    )
    assert here.providers == (LITERT,)
    parity = parity_arrays(here.package)
    of_row, of_all = (agreement(one, fp32, parity)["largest_logit_difference"] for one in (here, there))
    assert 0 < of_row < of_all


@pytest.mark.parametrize("damage", ["unsigned weights", "zero point", "ranges read elsewhere", "scales computed"])
def test_a_quantised_layer_of_another_form_is_refused_by_name(damage: str, package: Path) -> None:
    model = onnx.load(package / "head.int8-dynamic.onnx")
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    product = next(node for node in model.graph.node if node.op_type == "MatMulInteger")
    ranges = next(node for node in model.graph.node if product.input[0] in node.output)
    if damage in ("unsigned weights", "zero point"):
        name = product.input[1 if damage == "unsigned weights" else 3]
        numbers = numpy_helper.to_array(constants[name])
        changed = (numbers.astype(np.int16) + 128).astype(np.uint8) if name == product.input[1] else numbers + 1
        constants[name].CopyFrom(numpy_helper.from_array(changed.astype(changed.dtype), name))
    elif damage == "ranges read elsewhere":
        model.graph.node.append(helper.make_node("Cast", [ranges.output[0]], ["elsewhere"], to=TensorProto.FLOAT))
    else:
        both = next(node for node in model.graph.node if ranges.output[1] in node.input)
        weight_scale = next(name for name in both.input if name in constants)
        model.graph.input.append(helper.make_tensor_value_info(weight_scale, TensorProto.FLOAT, [1]))
        model.graph.initializer.remove(constants[weight_scale])
    view = read_graph(model.SerializeToString(), "graph")
    with pytest.raises(ConfigError, match=r"LiteRT: (DynamicQuantizeLinear|MatMulInteger|Cast) .*--precision fp32 or"):
        LiteRTSession(view, 1)


@pytest.mark.parametrize("precision", ["fp32", "int8-dynamic"])
def test_a_stream_and_a_whole_recording_agree(package: Path, precision: str) -> None:
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


def test_several_threads_may_ask_at_once(package: Path) -> None:
    recognizer = edgehar.load(package, "fp32", providers=[LITERT])
    tokens = np.random.default_rng(0).standard_normal(
        (64, 1, recognizer.manifest.window.steps, recognizer.manifest.token_dim)
    )
    expected = [recognizer.classify(one) for one in tokens.astype(np.float32)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(recognizer.classify, tokens.astype(np.float32)))
    np.testing.assert_array_equal(found, expected)


def test_other_precisions_are_refused_or_left_to_onnxruntime(package: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"LiteRT: DequantizeLinear .*expected an fp32 graph.*--precision fp32 or int8-dynamic"
    ):
        edgehar.load(package, "int8", providers=[LITERT])
    with pytest.warns(RuntimeWarning, match="LiteRT: DequantizeLinear"):
        assert edgehar.load(package, "int8", providers=[LITERT, CPU]).providers == (CPU,)


def test_an_unknown_operator_is_named() -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Softplus", ["x"], ["y"])], "graph", values[:1], values[1:])
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()
    with pytest.raises(ConfigError, match=r"LiteRT: Softplus \(.*not among the operators"):
        LiteRTSession(read_graph(data, "graph"), 1)


def test_tuning_tries_it_and_load_then_uses_what_was_chosen(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LITERT in available_providers()
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    litert_version.cache_clear()
    try:
        assert LITERT not in available_providers()
        with pytest.raises(ConfigError, match=r"LiteRT is not installed \(pip install 'edgehar\[litert\]'\)"):
            choose_providers([LITERT])
        with pytest.warns(RuntimeWarning, match="asked for LiteRT"):
            assert choose_providers([LITERT, CPU]) == (CPU,)
    finally:
        litert_version.cache_clear()
