"""Tests of `edgehar bench`: repetitions, figures and options."""

import json
from pathlib import Path

import pytest

from edgehar.deploy.bench import benchmark
from edgehar.deploy.bench.benchmark import BenchConfig, Repetitions, bench
from edgehar.deploy.bench.table import benchmark_table
from edgehar.deploy.packaging.quantize import quantize
from edgehar.errors import ConfigError
from tests.deploy.tiny_package import INERTIAL, write_tiny_package

FEW = Repetitions(runs=20, warm_up=2, sustain_s=0.05, cold_starts=1)
"""Measures everything, too few times for meaningful figures."""


def test_every_precision_is_measured_with_the_given_repetitions(tmp_path: Path) -> None:
    package = tmp_path / "package"
    write_tiny_package(package)
    quantize(package, ("int8",))
    document = bench(BenchConfig(str(package)), FEW)
    assert document == json.loads(json.dumps(document))
    assert set(document["precisions"]) == {"fp32", "int8"}
    for entry in document["precisions"].values():
        for kind in ("window", "hop"):
            assert entry[kind]["runs"] == FEW.runs
            assert 0 < entry[kind]["median_ms"] <= entry[kind]["p95_ms"] <= entry[kind]["p99_ms"]
            assert document["limit_ms"][kind] < entry[kind]["median_ms"]
            assert 0 < entry[kind]["limit_share"] < 1
        assert entry["sustained"]["seconds"] >= FEW.sustain_s
        assert entry["hops_per_s"] == entry["sustained"]["hops"] / entry["sustained"]["seconds"]
        assert entry["times_real_time"] == pytest.approx(entry["hops_per_s"] * 0.08)
        assert set(entry["energy"]) == {"reason"} or entry["energy"]["joules"] > 0
        assert entry["cold_start_s"] > entry["window"]["median_ms"] / 1000
        assert entry["bare_start_s"] > 0.01
        assert 10 * 2**20 < entry["resident_bytes"] <= entry["peak_resident_bytes"]
        assert entry["providers"] == ["CPUExecutionProvider"]
        assert entry["graph_bytes"] > 0
    assert document["macs"]["hop"] < document["macs"]["window"]
    assert document["fp32_peak_macs_per_s"] > 1e8
    shown = benchmark_table(document)
    assert document["device"]["cpu"] in shown
    assert all(remark in shown for remark in document["remarks"])


def test_command_writes_table_and_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package, result = tmp_path / "package", tmp_path / "bench.json"
    write_tiny_package(package, specs=(INERTIAL,), steps=2)
    assert benchmark.main([str(package), "--sustain-s", "0.05", "--cold-starts", "1", "--json", str(result)]) == 0
    *shown, last = capsys.readouterr().out.splitlines()
    document = json.loads(last)
    assert document == json.loads(result.read_text())
    assert document["precisions"]["fp32"]["window"]["runs"] == document["precisions"]["fp32"]["hop"]["runs"] >= 500
    assert benchmark_table(document).splitlines() == shown


def test_too_few_repetitions_are_rejected(int8_package: Path) -> None:
    with pytest.raises(ConfigError, match=r"--runs 10: .*500"):
        benchmark.main([str(int8_package), "--runs", "10"])
    with pytest.raises(ConfigError, match="--cold-starts 0"):
        benchmark.main([str(int8_package), "--cold-starts", "0"])
    with pytest.raises(ConfigError, match="--sustain-s 0"):
        benchmark.main([str(int8_package), "--sustain-s", "0"])


def test_fleet_is_compared_with_a_loop(
    sliding_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = tmp_path / "fleet.json"
    assert benchmark.main([str(sliding_package), "--fleet", "9", "--sustain-s", "0.3", "--json", str(result)]) == 0
    output = capsys.readouterr().out
    document = json.loads(result.read_text())
    assert json.loads(output.splitlines()[-1]) == document
    assert document["format"] == "edgehar-bench-fleet"
    assert (document["people"], set(document["precisions"])) == (9, {"fp32"})
    entry = document["precisions"]["fp32"]
    assert entry["hop_s"] == pytest.approx(0.16)
    assert (entry["fleet"]["hops"], entry["loop"]["hops"], entry["loop"]["people"]) == (18, 18, 9)
    assert entry["agreement"] == {"predictions": 18, "identical": 1.0, "largest_difference": 0.0}
    assert entry["loop_over_fleet"] > 0
    assert entry["fleet"]["core_share"] > 0
    assert 0 < entry["fleet"]["wait_ms"]["median"] <= entry["fleet"]["wait_ms"]["p99"]
    assert "9 people" in output


def test_fleet_excludes_tuning(sliding_package: Path) -> None:
    with pytest.raises(ConfigError, match="--tune with --fleet: expected one of them"):
        benchmark.main([str(sliding_package), "--fleet", "9", "--tune"])
