"""TensorRT, CUDA, CPU as far as they are there; who computed is found out, never taken from what was asked for.

The wheels of onnxruntime on PyPI have a provider that can start and computes nothing (Azure): what a GPU that silently
fell back looks like. A GPU is not needed for any of this, and none was used.
"""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

import edgehar
from edgehar.deploy.runtime import providers
from edgehar.deploy.runtime.onnx_format.graph_view import read_graph
from edgehar.deploy.runtime.providers import CPU, CUDA, PREFERRED, TENSORRT, choose_providers, who_ran
from edgehar.deploy.runtime.session import Graph
from edgehar.deploy.runtime.tensorrt import cache_folder, machine_facts, most_rows, profile_options, tensorrt_options
from edgehar.errors import ConfigError

AZURE = "AzureExecutionProvider"
INSTALLED = ort.get_available_providers()
ROOT = Path(__file__).resolve().parents[2]
has_azure = pytest.mark.skipif(AZURE not in INSTALLED, reason="this onnxruntime has no provider that computes nothing")
no_gpu_build = pytest.mark.skipif(CUDA in INSTALLED, reason="this onnxruntime was built with CUDA")


def test_the_default_is_what_there_is_of_tensorrt_cuda_cpu() -> None:
    assert (TENSORRT, CUDA, CPU) == PREFERRED
    expected = tuple(name for name in PREFERRED if name in INSTALLED)
    assert choose_providers() == choose_providers(()) == expected
    assert expected[-1] == CPU


@no_gpu_build
def test_a_provider_that_is_not_there_is_named_with_what_is() -> None:
    said = rf"asked for {TENSORRT}, {CUDA}, but this onnxruntime {ort.__version__} has .*{CPU}; install a build"
    with pytest.warns(RuntimeWarning, match=said):
        assert choose_providers([TENSORRT, CUDA, CPU, CPU]) == (CPU,)
    with pytest.raises(ConfigError, match=f"provider {CUDA}: this onnxruntime .* choose of these"):
        choose_providers([CUDA])


@has_azure
def test_a_provider_that_computes_nothing_is_not_said_to_run(clip_package: Path) -> None:
    with pytest.warns(RuntimeWarning, match=f"{AZURE} could not start or took no operator, {CPU} computes instead"):
        recognizer = edgehar.load(clip_package, providers=[AZURE, CPU])
    assert recognizer.providers == (CPU,)
    expected = edgehar.load(clip_package).predict({"inertial": np.ones((100, 6))})
    assert recognizer.predict({"inertial": np.ones((100, 6))}).label == expected.label
    with pytest.raises(ConfigError, match=f"asked for {AZURE} alone, but {CPU} computes everything"):
        edgehar.load(clip_package, providers=[AZURE])


def test_the_cpu_first_needs_no_other(clip_package: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert edgehar.load(clip_package, providers=[name for name in (CPU, AZURE) if name in INSTALLED]).providers == (
            CPU,
        )


@has_azure
def test_a_user_is_told_once_and_answers_stay_alone_on_standard_output(clip_package: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "inertial.npy", np.ones((100, 6), np.float32))
    command = [sys.executable, "-m", "edgehar.cli", "run", str(clip_package), "--providers", f"{AZURE},{CPU}"]
    command += ["--input", f"inertial={tmp_path / 'inertial.npy'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert [set(json.loads(line)) for line in done.stdout.splitlines()] == [
        {"start_s", "end_s", "label", "score", "probabilities"}
    ]
    assert done.stderr.count("could not start or took no operator") == 1


@has_azure
def test_one_that_was_profiled_leaves_no_file_behind(clip_package: Path, tmp_path: Path) -> None:
    program = f"import deploy, sys; print(edgehar.load(sys.argv[1], providers=['{AZURE}', '{CPU}']).providers)"
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "ignore", "-c", program, str(clip_package)]
    folder = tmp_path / "here"
    folder.mkdir()
    subprocess.run(command, check=True, cwd=folder, env=environment, capture_output=True)
    left = {path.name for path in tmp_path.iterdir()}
    assert left <= {"here", ".ses"}  # the second is onnxruntime's own, of any session
    assert list(folder.iterdir()) == []


def test_who_computed_everything_is_no_news() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert who_ran("g", (TENSORRT, CUDA, CPU), {TENSORRT: ["fused"]}) == (TENSORRT,)
        assert who_ran("g", (TENSORRT, CUDA, CPU), {CUDA: ["Add"], TENSORRT: ["fused"]}) == (TENSORRT, CUDA)
        assert who_ran("g", (CPU,), {CPU: []}) == (CPU,)


def test_operators_that_are_left_to_the_cpu_are_named() -> None:
    work = {CUDA: ["MatMul", "Add"], CPU: ["Gather", "Cast", "Gather"]}
    with pytest.warns(RuntimeWarning, match=rf"head\.onnx: {CUDA} leaves 3 operators to the CPU: Cast, Gather"):
        assert who_ran("head.onnx", (CUDA, CPU), work) == (CUDA, CPU)


def test_a_provider_further_down_the_list_is_said_to_have_stepped_in() -> None:
    with pytest.warns(RuntimeWarning, match=f"{TENSORRT} could not start or took no operator, {CUDA} computes instead"):
        assert who_ran("g", PREFERRED, {CUDA: ["Add"]}) == (CUDA,)


def test_an_engine_is_built_for_one_step_and_takes_many(int8_package: Path) -> None:
    head = read_graph((int8_package / "head.int8.onnx").read_bytes(), "head")
    assert profile_options(head.inputs) == {
        "trt_profile_min_shapes": "tokens:1x6x16",
        "trt_profile_opt_shapes": "tokens:1x6x16",
        "trt_profile_max_shapes": "tokens:682x6x16",
    }
    encoder = read_graph((int8_package / "encoder.fp32.onnx").read_bytes(), "encoder")
    shapes = profile_options(encoder.inputs)
    assert shapes["trt_profile_max_shapes"] == "skeleton:4096x240,inertial:4096x48,valid:4096x2"
    assert profile_options({"x": (None, None)}) == {}


def test_a_batch_larger_than_an_engine_takes_is_computed_in_parts(clip_package: Path) -> None:
    graph = Graph(clip_package / "head.fp32.onnx")
    rows = 2 * most_rows(graph.interface.inputs) + 3
    tokens = np.random.default_rng(0).standard_normal((rows, 6, 16)).astype(np.float32)
    logits = graph.run({"tokens": tokens})
    assert logits.shape == (rows, 5)
    np.testing.assert_allclose(logits[-3:], graph.run({"tokens": tokens[-3:]}), atol=1e-5)


@pytest.mark.parametrize(
    ("precision", "expected"),
    [("fp32", set()), ("int8", {"trt_int8_enable"}), ("fp16", {"trt_fp16_enable"})],
)
def test_tensorrt_is_allowed_the_precision_that_the_graph_has(
    int8_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str, expected: set[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    data = (int8_package / f"encoder.{precision}.onnx").read_bytes()
    options = tensorrt_options(read_graph(data, "g"), data)
    assert {name for name in options if name in ("trt_int8_enable", "trt_fp16_enable")} == expected
    assert options["trt_engine_cache_enable"] == options["trt_timing_cache_enable"] == "1"
    folder = Path(options["trt_engine_cache_path"])
    assert folder.is_relative_to(tmp_path)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(isinstance(value, str) for value in options.values())


def jetson(root: Path, version: str) -> Path:
    for name, content in {
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
        "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3\n",
        f"usr/lib/aarch64-linux-gnu/libnvinfer.so.{version}": "",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def test_every_graph_and_machine_has_engines_of_its_own(tmp_path: Path) -> None:
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    one, other = jetson(tmp_path / "one", "10.3.0"), jetson(tmp_path / "other", "10.7.0")
    assert "libnvinfer.so.10.3.0" in machine_facts(one)
    folder = cache_folder(b"graph", environment, one)
    assert folder == cache_folder(b"graph", environment, one)
    others = {cache_folder(b"graph with other weights", environment, one), cache_folder(b"graph", environment, other)}
    assert len({folder} | others) == 3
    assert None not in others


def test_a_cache_that_others_could_write_into_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "edgehar").mkdir()
    (tmp_path / "edgehar").chmod(0o777)
    with pytest.warns(RuntimeWarning, match="no cache for TensorRT's engines .*another user may write to it"):
        assert cache_folder(b"graph", {"XDG_CACHE_HOME": str(tmp_path)}) is None


def test_without_a_place_for_a_cache_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.warns(RuntimeWarning, match="set XDG_CACHE_HOME to a folder"):
        assert cache_folder(b"graph", {"XDG_CACHE_HOME": str(tmp_path / "file")}) is None
    with pytest.warns(RuntimeWarning, match="set XDG_CACHE_HOME to a folder"):
        assert cache_folder(b"graph", {"XDG_CACHE_HOME": "/proc/nothing"}) is None


def test_the_command_line_asks_for_what_there_is_unless_told_otherwise() -> None:
    from edgehar.deploy.bench.benchmark import BenchConfig
    from edgehar.deploy.live.run import RunConfig

    for config in (BenchConfig, RunConfig):
        fields = {field.name: field for field in config.__dataclass_fields__.values()}
        assert fields["providers"].default == ()
        assert fields["providers"].metadata["help"] == providers.PROVIDERS_HELP
