"""Time saved is set against multiply-adds saved, of the same way to run a package."""

import json
from pathlib import Path

import pytest

from edgehar.deploy.packaging.quantize import quantize
from edgehar.errors import ConfigError
from edgehar.package.folder import EdgePackage
from tests.deploy.tiny_package import write_tiny_package
from tools import pruned_speed
from tools.board_tables import board_section, load_board
from tools.pruned_speed import compared


def times(wall: float, cpu: float) -> dict[str, float]:
    return {"median_ms": wall, "p95_ms": wall, "p99_ms": wall, "cpu_median_ms": cpu, "runs": 100}


def test_the_slower_clock_counts_and_ways_are_not_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages: dict[str, EdgePackage] = {}
    for name in ("whole", "half"):
        write_tiny_package(tmp_path / name)
        packages[name] = EdgePackage.open(tmp_path / name)
    cost = {id(packages["whole"].manifest): 1000, id(packages["half"].manifest): 500}
    monkeypatch.setattr(pruned_speed, "macs_of", lambda manifest: {"window": cost[id(manifest)]})
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


def test_the_command_times_every_way_and_its_file_is_a_table(tmp_path: Path) -> None:
    for name in ("whole", "pruned"):
        write_tiny_package(tmp_path / name)
        quantize(tmp_path / name, ("int8",))
    out = tmp_path / "board" / "pruned-speed-tiny.json"
    words = [str(tmp_path / "whole"), "--pruned", str(tmp_path / "pruned"), "--runs", "100", "--no-litert", "--json"]
    assert pruned_speed.main([*words, str(out)]) == 0
    result = json.loads(out.read_text())
    assert {(row["package"], row["way"]) for row in result["rows"]} >= {
        (name, precision) for name in ("whole", "pruned") for precision in ("fp32", "int8")
    }
    assert str(tmp_path) not in out.read_text()
    assert all(row["runs"] == 100 and row["macs_ratio"] == 1 for row in result["rows"])
    lines = board_section(load_board(out.parent))
    assert sum(line.startswith("| pruned | ") for line in lines) == len(result["rows"]) / 2


def test_nothing_to_compare_with_is_a_clear_error(tmp_path: Path) -> None:
    write_tiny_package(tmp_path / "whole")
    with pytest.raises(ConfigError, match="expected one or more"):
        pruned_speed.main([str(tmp_path / "whole")])
    with pytest.raises(ConfigError, match="different names"):
        pruned_speed.main([str(tmp_path / "whole"), "--pruned", str(tmp_path / "whole")])
