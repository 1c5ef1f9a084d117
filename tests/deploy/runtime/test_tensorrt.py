"""Tests of the options and the engine cache of the TensorRT provider."""

from pathlib import Path

import numpy as np
import pytest

from edgehar.deploy.runtime.onnx_format.checker import read_graph
from edgehar.deploy.runtime.session import GraphSession
from edgehar.deploy.runtime.tensorrt import (
    cache_folder,
    engine_environment,
    max_batch,
    profile_options,
    tensorrt_options,
)


def test_engine_profile_ranges_from_one_step_to_the_maximum(int8_package: Path) -> None:
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


def test_batches_larger_than_the_engine_maximum_are_split(clip_package: Path) -> None:
    graph = GraphSession(clip_package / "head.fp32.onnx")
    rows = 2 * max_batch(graph.interface.inputs) + 3
    tokens = np.random.default_rng(0).standard_normal((rows, 6, 16)).astype(np.float32)
    logits = graph.run({"tokens": tokens})
    assert logits.shape == (rows, 5)
    np.testing.assert_allclose(logits[-3:], graph.run({"tokens": tokens[-3:]}), atol=1e-5)


@pytest.mark.parametrize(
    ("precision", "expected"),
    [("fp32", set()), ("int8", {"trt_int8_enable"}), ("fp16", {"trt_fp16_enable"})],
)
def test_tensorrt_options_match_the_precision_of_the_graph(
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


def test_cache_folder_depends_on_graph_and_machine(tmp_path: Path) -> None:
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    one, other = jetson(tmp_path / "one", "10.3.0"), jetson(tmp_path / "other", "10.7.0")
    assert "libnvinfer.so.10.3.0" in engine_environment(one)
    folder = cache_folder(b"graph", environment, one)
    assert folder == cache_folder(b"graph", environment, one)
    others = {cache_folder(b"graph with other weights", environment, one), cache_folder(b"graph", environment, other)}
    assert len({folder} | others) == 3
    assert None not in others


def test_cache_writable_by_others_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "edgehar").mkdir()
    (tmp_path / "edgehar").chmod(0o777)
    with pytest.warns(RuntimeWarning, match="no cache for TensorRT's engines .*another user"):
        assert cache_folder(b"graph", {"XDG_CACHE_HOME": str(tmp_path)}) is None


def test_missing_cache_folder_gives_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.warns(RuntimeWarning, match="XDG_CACHE_HOME"):
        assert cache_folder(b"graph", {"XDG_CACHE_HOME": str(tmp_path / "file")}) is None
    with pytest.warns(RuntimeWarning, match="XDG_CACHE_HOME"):
        assert cache_folder(b"graph", {"XDG_CACHE_HOME": "/proc/nothing"}) is None
