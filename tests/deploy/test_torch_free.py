"""Tests that the board side imports and runs with numpy and onnxruntime alone."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import importlib, importlib.abc, json, pkgutil, sys

FORBIDDEN = {"torch", "torch_pruning", "edgehar.teacher", "edgehar.student", *sys.argv[3:]}
FORBIDDEN |= {"scipy", "safetensors", "onnxscript", "matplotlib", "tqdm"}

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in FORBIDDEN:
            raise ImportError(f"{name} is not on the board")
        return None

sys.meta_path.insert(0, Refuse())
import numpy as np
import edgehar
imported = []
def skipped(name):
    if name not in FORBIDDEN:
        raise
for module in pkgutil.walk_packages(edgehar.__path__, "edgehar.", onerror=skipped):
    if not module.name.startswith(("edgehar.teacher", "edgehar.student")):
        if module.name == "edgehar.deploy.packaging.onnx_quantize" and "onnx" in FORBIDDEN:
            continue
        importlib.import_module(module.name)
        imported.append(module.name)
recognizer = edgehar.load(sys.argv[1])
prediction = recognizer.predict({"inertial": np.zeros((100, 6)), "skeleton": np.ones((60, 20, 3))})
stream = edgehar.StreamRecognizer(recognizer, modalities=["inertial"])
streamed = stream.push("inertial", np.zeros((200, 6)), np.arange(200) / 50)
from edgehar.deploy.packaging.verify import verify
checks = {check.name: check.result for check in verify(__import__("pathlib").Path(sys.argv[2]))}
print(json.dumps({"imported": imported, "label": prediction.label, "streamed": len(streamed), "checks": checks}))
"""


def on_the_board(clip_package: Path, int8_package: Path, *forbidden: str) -> dict[str, object]:
    command = [sys.executable, "-c", PROGRAM, str(clip_package), str(int8_package), *forbidden]
    completed = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert completed.returncode == 0, completed.stderr
    return json.loads(completed.stdout)


def test_all_modules_import_and_predict_without_torch(clip_package: Path, int8_package: Path) -> None:
    found = on_the_board(clip_package, int8_package)
    expected = {"edgehar.package.folder", "edgehar.deploy.packaging.quantize", "edgehar.deploy.stream.recognizer"}
    assert expected <= set(found["imported"])  # type: ignore[arg-type]
    assert found["streamed"]
    not_passed = {name: result for name, result in found["checks"].items() if result != "ok"}  # type: ignore[attr-defined]
    assert not_passed == {"int8-dynamic for TensorRT": "skipped"}


def test_verify_runs_without_onnx(clip_package: Path, int8_package: Path) -> None:
    found = on_the_board(clip_package, int8_package, "onnx")
    assert found["checks"] == on_the_board(clip_package, int8_package)["checks"]


WITHOUT_ONNX = (
    "import sys; sys.modules['onnx'] = None\nfrom edgehar.cli import main; sys.exit(main(['quantize', sys.argv[1]]))"
)


def test_help_of_quantize_needs_no_onnx() -> None:
    command = [sys.executable, "-c", WITHOUT_ONNX, "--help"]
    completed = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (completed.returncode, completed.stderr) == (0, "")
    assert "--precisions" in completed.stdout


def test_quantize_without_onnx_names_the_extra(clip_package: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_ONNX, str(clip_package)]
    completed = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert completed.returncode == 2
    assert "pip install 'edgehar[quantize]'" in completed.stderr
    assert completed.stderr.count("\n") == 1
