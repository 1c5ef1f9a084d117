"""Tests of the choice of execution providers and of the report which of them computes.

onnxruntime's wheels on PyPI have a provider that starts and computes nothing (Azure): it stands for a GPU that silently
falls back. No test needs a GPU.
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
from edgehar.deploy.runtime.providers import (
    CPU,
    CUDA,
    DEFAULT_PROVIDERS,
    TENSORRT,
    choose_providers,
    computing_providers,
)
from edgehar.errors import ConfigError
from tests.deploy.running import ROOT

AZURE = "AzureExecutionProvider"
INSTALLED = ort.get_available_providers()
has_azure = pytest.mark.skipif(AZURE not in INSTALLED, reason="this onnxruntime has no Azure provider")
no_gpu_build = pytest.mark.skipif(CUDA in INSTALLED, reason="this onnxruntime was built with CUDA")


def test_default_is_the_available_ones_of_tensorrt_cuda_cpu() -> None:
    assert (TENSORRT, CUDA, CPU) == DEFAULT_PROVIDERS
    expected = tuple(name for name in DEFAULT_PROVIDERS if name in INSTALLED)
    assert choose_providers() == choose_providers(()) == expected
    assert expected[-1] == CPU


@no_gpu_build
def test_missing_providers_are_reported() -> None:
    reported = rf"provider {TENSORRT}, {CUDA}: .*{ort.__version__} has .*{CPU}"
    with pytest.warns(RuntimeWarning, match=reported):
        assert choose_providers([TENSORRT, CUDA, CPU, CPU]) == (CPU,)
    with pytest.raises(ConfigError, match=f"^provider {CUDA}: "):
        choose_providers([CUDA])


@has_azure
def test_a_provider_that_computes_nothing_is_reported(clip_package: Path) -> None:
    with pytest.warns(RuntimeWarning, match=f"{AZURE} could not start or took no operator, {CPU} computes instead"):
        recognizer = edgehar.load(clip_package, providers=[AZURE, CPU])
    assert recognizer.providers == (CPU,)
    expected = edgehar.load(clip_package).predict({"inertial": np.ones((100, 6))})
    assert recognizer.predict({"inertial": np.ones((100, 6))}).label == expected.label
    with pytest.raises(ConfigError, match=f"^{AZURE} .* alone, .*{CPU} computes instead"):
        edgehar.load(clip_package, providers=[AZURE])


def test_cpu_first_gives_no_warning(clip_package: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert edgehar.load(clip_package, providers=[name for name in (CPU, AZURE) if name in INSTALLED]).providers == (
            CPU,
        )


@has_azure
def test_command_warns_once_on_stderr_and_prints_predictions_only(clip_package: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "inertial.npy", np.ones((100, 6), np.float32))
    command = [sys.executable, "-m", "edgehar.cli", "run", str(clip_package), "--providers", f"{AZURE},{CPU}"]
    command += ["--input", f"inertial={tmp_path / 'inertial.npy'}"]
    completed = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert completed.returncode == 0, completed.stderr
    assert [set(json.loads(line)) for line in completed.stdout.splitlines()] == [
        {"start_s", "end_s", "label", "score", "probabilities"}
    ]
    assert completed.stderr.count("could not start or took no operator") == 1


@has_azure
def test_profiling_leaves_no_file_behind(clip_package: Path, tmp_path: Path) -> None:
    program = f"import edgehar, sys; print(edgehar.load(sys.argv[1], providers=['{AZURE}', '{CPU}']).providers)"
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "ignore", "-c", program, str(clip_package)]
    folder = tmp_path / "here"
    folder.mkdir()
    subprocess.run(command, check=True, cwd=folder, env=environment, capture_output=True)
    left = {path.name for path in tmp_path.iterdir()}
    assert left <= {"here", ".ses"}  # the second is onnxruntime's own, of any session
    assert list(folder.iterdir()) == []


def test_one_provider_for_all_operators_gives_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert computing_providers("g", (TENSORRT, CUDA, CPU), {TENSORRT: ["fused"]}) == (TENSORRT,)
        assert computing_providers("g", (TENSORRT, CUDA, CPU), {CUDA: ["Add"], TENSORRT: ["fused"]}) == (TENSORRT, CUDA)
        assert computing_providers("g", (CPU,), {CPU: []}) == (CPU,)


def test_operators_left_to_the_cpu_are_reported() -> None:
    work = {CUDA: ["MatMul", "Add"], CPU: ["Gather", "Cast", "Gather"]}
    with pytest.warns(RuntimeWarning, match=rf"head\.onnx: {CUDA} .* 3 operators .*: Cast, Gather"):
        assert computing_providers("head.onnx", (CUDA, CPU), work) == (CUDA, CPU)


def test_a_fallback_to_a_later_provider_is_reported() -> None:
    with pytest.warns(RuntimeWarning, match=f"{TENSORRT} could not start or took no operator, {CUDA} computes instead"):
        assert computing_providers("g", DEFAULT_PROVIDERS, {CUDA: ["Add"]}) == (CUDA,)


def test_option_providers_is_empty_by_default() -> None:
    from edgehar.deploy.bench.benchmark import BenchConfig
    from edgehar.deploy.live.run import RunConfig

    for config in (BenchConfig, RunConfig):
        fields = {field.name: field for field in config.__dataclass_fields__.values()}
        assert fields["providers"].default == ()
        assert fields["providers"].metadata["help"] == providers.PROVIDERS_HELP
