"""Tests of `edgehar bench --compare`."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgehar.deploy.bench import benchmark
from edgehar.deploy.bench.benchmark import BenchConfig
from edgehar.deploy.bench.compare import ROWS
from edgehar.errors import ConfigError, DataError

NO_ENERGY = {"reason": "no power sensor"}


def times(median_ms: float) -> dict[str, Any]:
    parts = {"preprocess_ms": 0.5, "encoder_ms": 0.2, "head_ms": 0.1, "limit_share": 0.31}
    return {"median_ms": median_ms, "p95_ms": 2 * median_ms, "p99_ms": 3 * median_ms, "runs": 500, **parts}


def measured(board: str, mode: str, hop_ms: dict[str, float], **energy: Any) -> dict[str, Any]:
    entries = {
        precision: {
            "window": times(4 * median_ms),
            "hop": times(median_ms),
            "hops_per_s": 1000 / median_ms,
            "times_real_time": 140 / median_ms,
            "energy": energy or NO_ENERGY,
            "graph_bytes": 211_749,
            "providers": ["CPUExecutionProvider"],
            "cold_start_s": 0.2,
            "resident_bytes": 60 * 2**20,
            "peak_resident_bytes": None,
        }
        for precision, median_ms in hop_ms.items()
    }
    return {
        "format": "edgehar-bench",
        "format_version": 1,
        "name": "utd-mhad-student",
        "threads": 1,
        "limit_ms": {"window": 0.02, "hop": 0.005},
        "precisions": entries,
        "remarks": ["the clock fell"] if mode == "15W" else [],
        "after": {"temperatures_c": {"cpu": 61.5, "gpu": 58.0}},
        "device": {"board": board, "cpu": "ARM", "power_mode": mode, "onnxruntime": "1.23.2"},
    }


def put(path: Path, content: Any) -> str:
    path.write_text(json.dumps(content))
    return str(path)


def test_boards_and_precisions_are_compared_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nano = put(tmp_path / "nano.json", measured("Orin Nano", "7W", {"fp32": 0.9, "int8": 0.7}))
    energy = {"joules": 0.004, "joules_above_idle": 0.0015}
    orin = put(tmp_path / "agx.json", measured("AGX Orin", "15W", {"int8": 0.3}, **energy))
    assert benchmark.main(["--compare", nano, orin, "--json", str(tmp_path / "both.json")]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    cells = {name: next(line for line in lines if line.startswith(name)).split() for name in ROWS}
    assert lines[0].split() == ["file", "nano.json", "nano.json", "agx.json"]
    assert lines[1].split() == ["precision", "fp32", "int8", "int8"]
    assert cells["power mode"][-3:] == ["7W", "7W", "15W"]
    assert cells["hop median, ms"][-3:] == ["0.900", "0.700", "0.300"]
    assert cells["hop energy, mJ"][-3:] == ["-", "-", "4.000"]
    assert cells["hottest after, C"][-1] == "61.5"
    assert lines[-1].endswith("agx.json: the clock fell")
    document = json.loads(last)
    assert document == json.loads((tmp_path / "both.json").read_text())
    assert [column["figures"]["hop median, ms"] for column in document["columns"]] == [0.9, 0.7, 0.3]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"format": "edgehar-results", "format_version": 1}, "format and version"),
        ([1, 2], "format and version"),
        ({"format": "edgehar-bench", "format_version": 2}, "format and version"),
        ({"format": "edgehar-bench", "format_version": 1}, "incomplete result"),
        (measured("a", "b", {"fp32": 1.0}) | {"precisions": {"fp32": {}}}, "incomplete result"),
        (measured("a", "b", {"fp32": 1.0}) | {"precisions": 5}, "incomplete result"),
        (measured("a", "b", {}), "no precision measured"),
    ],
)
def test_other_or_incomplete_files_are_rejected(tmp_path: Path, content: Any, reason: str) -> None:
    path = put(tmp_path / "odd.json", content)
    with pytest.raises(DataError, match=reason) as raised:
        benchmark.main(["--compare", path])
    assert path in str(raised.value)


def test_invalid_json_and_missing_files_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "odd.json").write_text("{")
    with pytest.raises(DataError, match=r"odd\.json:1: "):
        benchmark.main(["--compare", str(tmp_path / "odd.json")])
    with pytest.raises(DataError, match=r"missing\.json"):
        benchmark.main(["--compare", str(tmp_path / "missing.json")])


def test_either_a_package_or_compare_is_required(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no package"):
        benchmark.main([])
    with pytest.raises(ConfigError, match="a package and --compare"):
        BenchConfig(str(tmp_path), compare=("a.json",))
    with pytest.raises(ConfigError, match="--compare with --tune"):
        BenchConfig(tune=True, compare=("a.json",))
