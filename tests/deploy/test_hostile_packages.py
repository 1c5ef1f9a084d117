"""Tests that hostile packages are rejected with a named error, quickly and without side effects."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import edgehar
from edgehar.deploy.packaging import quantize, verify
from edgehar.deploy.runtime.onnx_format.checker import read_graph
from edgehar.deploy.runtime.onnx_format.operators import FOLDABLE, OPERATORS
from edgehar.errors import PackageError
from edgehar.files.strict_json import strict_json
from edgehar.package.folder import EdgePackage, amend_package
from tests.deploy import hostile, hostile_graphs
from tests.deploy.hostile import rejection
from tests.deploy.tiny_package import as_npz
from tools.stress import fuzz


@pytest.mark.parametrize("name", hostile.FILES)
def test_hostile_files_are_rejected(victim: Path, name: str) -> None:
    change, reason = hostile.FILES[name]
    change(victim)
    assert reason in rejection(victim)


@pytest.mark.parametrize("name", hostile.MANIFESTS)
def test_hostile_manifests_are_rejected(victim: Path, name: str) -> None:
    change, reason = hostile.MANIFESTS[name]
    change(victim)
    assert re.search(reason, rejection(victim))


@pytest.mark.parametrize("name", hostile_graphs.GRAPHS)
def test_hostile_graphs_are_rejected(victim: Path, name: str) -> None:
    hostile_graphs.make_graph(victim, name)
    assert hostile_graphs.GRAPHS[name][1] in rejection(victim)
    assert any(check.result == verify.FAILED for check in verify.verify(victim))


@pytest.mark.parametrize("name", hostile.ARRAYS)
def test_hostile_arrays_are_rejected(victim: Path, name: str) -> None:
    data, reason = hostile.ARRAYS[name]
    hostile.put(victim, "calibration.npz", data)
    opened = EdgePackage.open(victim)
    with pytest.raises(PackageError, match="not readable arrays") as problem:
        opened.arrays("calibration.npz")
    assert reason in str(problem.value)


def test_truncated_graphs_are_rejected(victim: Path) -> None:
    data = (victim / hostile.HEAD).read_bytes()
    for length in range(0, len(data), 17):
        with pytest.raises(PackageError):
            read_graph(data[:length], "cut")


def test_graph_with_foldable_constants_is_accepted(victim: Path) -> None:
    nodes = [
        hostile_graphs.node("Transpose", "weight", "transposed", perm=[1, 0]),
        hostile_graphs.node("ReduceMean", "tokens axis", "pooled", keepdims=0),
        hostile_graphs.node("Gemm", "pooled transposed", "logits"),
    ]
    weights = np.arange(80, dtype=np.float32).reshape(5, 16) / 80
    data = hostile_graphs.model(nodes, {"weight": weights, "axis": np.asarray([1])}).SerializeToString()
    hostile.put(victim, hostile.HEAD, data)
    tokens = np.ones((2, 6, 16), np.float32)
    np.testing.assert_allclose(edgehar.load(victim).classify(tokens), (tokens.mean(1) @ weights.T), rtol=1e-5)


def test_file_changed_after_the_check_is_not_used(victim: Path) -> None:
    opened = EdgePackage.open(victim)
    (victim / hostile.HEAD).write_bytes((victim / hostile.ENCODER).read_bytes())
    with pytest.raises(PackageError, match=r"head\.fp32\.onnx"):
        edgehar.Recognizer(opened)


def test_graph_that_fails_at_run_time_is_reported(victim: Path) -> None:
    nodes = [  # as many rows as steps, plus as many as windows
        hostile_graphs.node("Reshape", "tokens shape", "rows"),
        hostile_graphs.node("ReduceMean", "tokens axis", "pooled", keepdims=0),
        hostile_graphs.node("Add", "rows pooled", "sum"),
        hostile_graphs.node("MatMul", "sum weight", "logits"),
    ]
    constants = {"shape": np.asarray([-1, 16]), "axis": np.asarray([1]), "weight": np.ones((16, 5), np.float32)}
    data = hostile_graphs.model(nodes, constants).SerializeToString()
    hostile.put(victim, hostile.HEAD, data)
    recognizer = edgehar.load(victim)
    with pytest.raises(PackageError, match="cannot compute"):
        recognizer.classify(np.ones((2, 6, 16), np.float32))


@pytest.mark.parametrize("metrics", [{"int8": 5}, {"int8": [1]}, {"int8": {"recipe": []}}])
def test_malformed_metrics_do_not_stop_verify(int8_package: Path, tmp_path: Path, metrics: dict[str, Any]) -> None:
    path = Path(shutil.copytree(int8_package, tmp_path / "malformed"))
    amend_package(path, {}, metrics=metrics)
    assert not any(check.result == verify.FAILED for check in verify.verify(path))


@pytest.mark.parametrize("card", [b"\xff\xfe", None], ids=["no text", "pipe"])
def test_hostile_card_fails_verify_only(victim: Path, card: bytes | None) -> None:
    (victim / "MODEL_CARD.md").unlink()
    if card is None:
        os.mkfifo(victim / "MODEL_CARD.md")
    else:
        (victim / "MODEL_CARD.md").write_bytes(card)
    assert [check.name for check in verify.verify(victim) if check.result == verify.FAILED] == ["MODEL_CARD.md"]
    assert edgehar.load(victim).manifest.name == "tiny"


def test_strict_json_reads_valid_json() -> None:
    good = {"a": [1, -2.5, "é\n", None, True, {"b": []}], "largest": 2**63 - 1}
    assert strict_json(json.dumps(good).encode()) == good
    assert strict_json(b'"\\ud83d\\ude00"') == "\U0001f600"


def test_sixty_random_corruptions_are_rejected_or_harmless(tmp_path: Path) -> None:
    found = list(fuzz.cases(fuzz.GOLDEN, tmp_path, 60, 3))
    assert [case for case in found if not case.good] == []
    assert sum(case.result == "refused" for case in found) > 40
    assert {case.resealed for case in found} == {False, True}


def test_fuzzer_detects_failures(tmp_path: Path) -> None:
    opener = fuzz.Opener()
    try:
        assert opener.open(fuzz.GOLDEN, "fp32", None)[0] == "accepted"
        assert opener.open(tmp_path, "fp32", None)[:2] == ("refused", "PackageError")
        result = opener.open(None, "fp32", None)  # type: ignore[arg-type]
        assert result[:2] == ("unnamed", "TypeError")
    finally:
        opener.close()
    assert not fuzz.Case("head", "flips", False, False, "fp32", "accepted").good
    assert not fuzz.Case("head", "flips", True, False, "fp32", "crashed").good


def test_two_dozen_structural_mutations_are_rejected_or_harmless(int8_package: Path, tmp_path: Path) -> None:
    found = list(fuzz.cases(int8_package, tmp_path, 24, 5, structure=True))
    assert [case for case in found if not case.good] == []
    assert sum(case.result == "refused" for case in found) > 12


def test_accepted_operators_exist_in_onnx() -> None:
    defined = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    assert defined >= set(OPERATORS) >= set(FOLDABLE)


def scalars(path: Path, file: str) -> bytes:
    """The arrays of a file, each without dimensions."""
    return as_npz({name: np.float32(0) for name in EdgePackage.open(path).arrays(file)})


def test_arrays_without_dimensions_are_named(victim: Path) -> None:
    hostile.put(victim, "calibration.npz", scalars(victim, "calibration.npz"))
    with pytest.raises(PackageError, match=r"calibration\.npz: .*expected .*tokens \(windows, 6, 16\)"):
        quantize.quantize(victim)
    hostile.put(victim, "parity.npz", scalars(victim, "parity.npz"))
    problem = next(check.found for check in verify.verify(victim) if check.name == "package")
    assert "parity.npz: " in problem
    assert "export the model again" in problem
