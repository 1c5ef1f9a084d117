"""Speed-up is compared with the reduction of multiply-adds, for the same runtime."""

import json
from pathlib import Path

import pytest

from edgehar.deploy.packaging.quantize import quantize
from edgehar.errors import ConfigError
from edgehar.package.folder import EdgePackage
from tests.deploy.tiny_package import write_tiny_package
from tools.results.files import load
from tools.results.render import page
from tools.speed import pruned
from tools.speed.pruned import compared


def times(wall: float, cpu: float) -> dict[str, float]:
    return {"median_ms": wall, "p95_ms": wall, "p99_ms": wall, "cpu_median_ms": cpu, "runs": 100}


def test_smaller_of_wall_and_cpu_speed_up_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages: dict[str, EdgePackage] = {}
    for name in ("whole", "half"):
        write_tiny_package(tmp_path / name)
        packages[name] = EdgePackage.open(tmp_path / name)
    cost = {id(packages["whole"].manifest): 1000, id(packages["half"].manifest): 500}
    monkeypatch.setattr(pruned, "macs_of", lambda manifest: {"window": cost[id(manifest)]})
    found = {
        ("whole", "fp32"): times(0.8, 0.8),
        ("whole", "int8"): times(0.4, 0.4),
        ("half", "fp32"): times(0.4, 0.5),
        ("half", "int8"): times(0.4, 0.3),
    }
    rows = {(row["package"], row["way"]): row for row in compared(packages, found)}
    assert rows["whole", "fp32"]["speed_up"] == rows["whole", "int8"]["share"] == 1
    assert rows["half", "fp32"]["speed_up"] == pytest.approx(1.6)
    assert rows["half", "fp32"]["share"] == pytest.approx(0.8)
    assert rows["half", "int8"]["speed_up"] == pytest.approx(1.0)
    assert rows["half", "int8"]["macs_ratio"] == 2


def test_result_file_of_every_runtime_is_rendered(tmp_path: Path) -> None:
    for name in ("whole", "pruned"):
        write_tiny_package(tmp_path / name)
        quantize(tmp_path / name, ("int8",))
    out = tmp_path / "board" / "pruned-speed-tiny.json"
    words = [str(tmp_path / "whole"), "--pruned", str(tmp_path / "pruned"), "--runs", "100", "--no-litert", "--json"]
    assert pruned.main([*words, str(out)]) == 0
    result = json.loads(out.read_text())
    assert {(row["package"], row["way"]) for row in result["rows"]} >= {
        (name, precision) for name in ("whole", "pruned") for precision in ("fp32", "int8")
    }
    assert str(tmp_path) not in out.read_text()
    assert all(row["runs"] == 100 and row["macs_ratio"] == 1 for row in result["rows"])
    (tmp_path / "results").mkdir()
    out.parent.rename(tmp_path / "results" / "board")
    text, _ = page(load(tmp_path))
    assert text.count("| pruned | ") == len(result["rows"]) / 2


def test_missing_or_equal_packages_are_errors(tmp_path: Path) -> None:
    write_tiny_package(tmp_path / "whole")
    with pytest.raises(ConfigError, match="--pruned"):
        pruned.main([str(tmp_path / "whole")])
    with pytest.raises(ConfigError, match="different names"):
        pruned.main([str(tmp_path / "whole"), "--pruned", str(tmp_path / "whole")])
