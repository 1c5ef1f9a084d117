"""Tests of `edgehar verify`."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgehar.deploy.packaging import verify
from edgehar.entry import guarded
from edgehar.package.folder import EdgePackage, amend_package
from edgehar.verbs import call
from tests.deploy.tiny_package import as_npz


@pytest.fixture
def package(tmp_path: Path, int8_package: Path) -> Path:
    return Path(shutil.copytree(int8_package, tmp_path / "package"))


def failed(path: Path) -> dict[str, str]:
    return {check.name: check.found for check in verify.verify(path) if check.result == verify.FAILED}


def test_valid_package_passes_all_checks(int8_package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda _: call("verify", [str(int8_package)])) == 0
    assert "FAILED" not in capsys.readouterr().out
    assert verify.main([str(int8_package), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["passed"]
    assert {"fp32 token = torch", "int8 = fp32", "int8 for TensorRT"} <= {check["name"] for check in document["checks"]}


def test_failed_check_gives_exit_code_2(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (package / "MODEL_CARD.md").write_text("The best model ever.\n")
    assert verify.main([str(package)]) == 2
    output = capsys.readouterr()
    assert "MODEL_CARD.md" in output.out
    assert "FAILED" in output.out
    assert output.err.count("\n") == 1


def test_wrong_outputs_are_found(package: Path) -> None:
    arrays = EdgePackage.open(package).arrays("parity.npz")
    amend_package(package, {"parity.npz": as_npz(arrays | {"logits": arrays["logits"] + np.float32(2e-4)})})
    assert set(failed(package)) == {"fp32 logits = torch"}
    amend_package(package, {"parity.npz": as_npz({"token": arrays["token"]})})
    assert "inertial, logits, skeleton, tokens, valid" in failed(package)["package"]


def _changed_encoder(package: Path, change: Any) -> None:
    model: Any = onnx.load(package / "encoder.fp32.onnx")
    change(model)
    amend_package(package, {"encoder.fp32.onnx": model.SerializeToString()})


def _raise_opset(model: Any) -> None:
    model.opset_import[0].version = 20


def _raise_ir(model: Any) -> None:
    model.ir_version = 11


@pytest.mark.parametrize(("change", "problem"), [(_raise_opset, "opset [20]"), (_raise_ir, "IR version 11")])
def test_unsupported_opset_and_ir_version_are_found(package: Path, change: Any, problem: str) -> None:
    _changed_encoder(package, change)
    assert problem in failed(package)["package"]


def test_wrong_interface_is_found(package: Path) -> None:
    amend_package(package, {"head.fp32.onnx": package / "encoder.fp32.onnx"})
    assert "the manifest expects" in failed(package)["package"] or "expected" in failed(package)["fp32 head interface"]


def test_changed_model_card_is_found(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = package / "MODEL_CARD.md"
    card.write_text(card.read_text() + "and more\n")
    assert verify.main([str(package)]) == 2
    assert "checks failed: MODEL_CARD.md: " in capsys.readouterr().err


def test_model_card_of_another_version_is_not_compared(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    provenance = EdgePackage.open(package).manifest.provenance
    amend_package(package, {}, provenance=provenance | {"versions": {"edgehar": "0.0.1"}})
    (package / "MODEL_CARD.md").write_text("Words of that version.\n")
    assert verify.main([str(package)]) == 0
    assert "written by edgehar 0.0.1" in capsys.readouterr().out
    (package / "MODEL_CARD.md").unlink()
    assert verify.main([str(package)]) == 2
