"""Two runs are equal bit for bit, or every differing file is named."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from edgehar.errors import DataError
from tests.deploy.tiny_package import write_tiny_package
from tools.compare_runs import compare, main


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    """Two equal runs of different dates."""
    before, after = tmp_path / "before", tmp_path / "after"
    weights = np.arange(6, dtype=np.float32)
    for root, date in ((before, "1"), (after, "2")):
        (root / "student").mkdir(parents=True)
        save_file({"head.position_embedding": weights}, root / "student/weights.safetensors")
        evaluation = {"student": {"correct": 3, "total": 4, "confusion": [[1, 0], [1, 2]]}}
        (root / "results.json").write_text(json.dumps({"evaluation": evaluation, "date": date}))
    write_tiny_package(before / "package")
    shutil.copytree(before / "package", after / "package")
    return before, after


def differing(before: Path, after: Path) -> list[str]:
    lines, equal = compare(before, after)
    found = [line.removeprefix("DIFF  ") for line in lines if line.startswith("DIFF")]
    assert equal is (not found)
    return found


def test_equal_runs_have_no_difference(runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(path) for path in runs]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("ok") for line in lines)
    files = {line.split()[1].rstrip(":") for line in lines}
    assert files >= {"student/weights.safetensors", "package/parity.npz", "package/head.fp32.onnx", "results.json"}


def test_one_bit_of_a_tensor_is_a_difference(runs: tuple[Path, Path]) -> None:
    weights = np.arange(6, dtype=np.float32)
    weights[0] = -0.0
    save_file({"head.position_embedding": weights}, runs[1] / "student/weights.safetensors")
    assert differing(*runs) == ["student/weights.safetensors: 1 of 1 tensors differ: head.position_embedding"]
    assert main([str(path) for path in runs]) == 1


def test_changed_array_also_changes_the_outputs_of_graphs(runs: tuple[Path, Path]) -> None:
    path = runs[1] / "package/parity.npz"
    with np.load(path) as stored:
        found = {name: stored[name] for name in stored.files}
    np.savez(path, **(found | {"tokens": found["tokens"] * 2}))  # type: ignore[arg-type]
    names = [line.split(":")[0] for line in differing(*runs)]
    assert names == ["package/parity.npz", "package/head.fp32.onnx"]


def test_changed_count_and_missing_file_are_differences(runs: tuple[Path, Path]) -> None:
    results = runs[1] / "results.json"
    results.write_text(results.read_text().replace('"correct": 3', '"correct": 2'))
    (runs[0] / "package/encoder.fp32.onnx").unlink()
    found = differing(*runs)
    assert found[0] == f"package/encoder.fp32.onnx: missing in {runs[0]}"
    assert found[1].startswith("results.json: 1 of 6 scores differ: student.correct")


def test_folders_without_runs_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"results\.json"):
        compare(tmp_path, tmp_path)
