"""Graphs bound to arrays compute what they compute otherwise; onnxruntime reports nothing."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgehar.deploy.recognizer import Recognizer
from edgehar.package.folder import EdgePackage


def test_bound_graphs_equal_the_graphs(int8_package: Path) -> None:
    generator = np.random.default_rng(0)
    for precision in ("fp32", "int8"):
        recognizer = Recognizer(EdgePackage.open(int8_package), precision)
        manifest = recognizer.manifest
        steps = {spec.name: np.zeros((3, spec.patch * spec.groups * spec.features)) for spec in manifest.modalities}
        steps["valid"] = np.zeros((3, len(manifest.modalities)))
        windows = {"tokens": np.zeros((2, manifest.window.steps, manifest.token_dim))}
        steps, windows = ({name: array.astype(np.float32) for name, array in one.items()} for one in (steps, windows))
        encode, classify = recognizer.bind("encoder", steps), recognizer.bind("head", windows)
        for _ in range(3):
            for array in (*steps.values(), *windows.values()):
                array[:] = generator.standard_normal(array.shape)
            np.testing.assert_array_equal(encode(), recognizer.encode(steps, steps["valid"]))
            np.testing.assert_array_equal(classify(), recognizer.classify(windows["tokens"]))


THREADS = """
import os, sys, edgehar
recognizer = edgehar.load(sys.argv[1], precision="fp32", providers=["CPUExecutionProvider"])
print(os.environ["ORT_DISABLE_TELEMETRY"], len(os.listdir("/proc/self/task")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
@pytest.mark.parametrize("given", [None, "0"])
def test_onnxruntime_sends_no_telemetry_unless_asked_to(given: str | None, int8_package: Path) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    environment |= {} if given is None else {"ORT_DISABLE_TELEMETRY": given}
    command = [sys.executable, "-c", THREADS, str(int8_package)]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()
    assert found[0] == (given or "1")
    if given is None:
        assert found[1] == "1", "a thread that sends events"
