"""A benchmark says what ran, on what, how often, and how far that is from the machine's limit."""

import json
from pathlib import Path

import pytest

from deploy import benchmark
from deploy.device import cpu_model, device_facts, memory_bytes, peak_resident_bytes, power_mode, temperatures_c
from deploy.quantize import quantize
from edgehar.errors import ConfigError
from tests.deploy.tiny_package import write_tiny_package


def test_every_precision_is_measured_often_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = tmp_path / "package"
    write_tiny_package(package)
    quantize(package, ("int8",))
    assert benchmark.main([str(package), "--json", str(tmp_path / "bench.json")]) == 0
    printed = capsys.readouterr().out
    document = json.loads(printed.splitlines()[-1])
    assert document == json.loads((tmp_path / "bench.json").read_text())
    assert set(document["precisions"]) == {"fp32", "int8"}
    for entry in document["precisions"].values():
        for kind in ("window", "hop"):
            assert entry[kind]["runs"] >= 500
            assert 0 < entry[kind]["median_ms"] <= entry[kind]["p95_ms"] <= entry[kind]["p99_ms"]
            assert document["limit_ms"][kind] < entry[kind]["median_ms"]
        assert entry["cold_start_s"] > entry["window"]["median_ms"] / 1000
        assert entry["peak_resident_bytes"] > 10 * 2**20
        assert entry["providers"] == ["CPUExecutionProvider"]
        assert entry["graph_bytes"] > 0
    assert document["macs"]["hop"] < document["macs"]["window"]
    assert document["fp32_peak_macs_per_s"] > 1e8
    assert document["device"]["cpu"] in printed


def test_too_few_runs_are_refused(int8_package: Path) -> None:
    with pytest.raises(ConfigError, match="500 or more"):
        benchmark.main([str(int8_package), "--runs", "10"])


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_board_is_described_by_its_own_files(tmp_path: Path) -> None:
    write(tmp_path / "proc/device-tree/model", "NVIDIA Jetson Orin Nano Developer Kit\0")
    write(tmp_path / "proc/cpuinfo", "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd42\n")
    write(tmp_path / "proc/meminfo", "MemTotal:        7990000 kB\nMemFree: 1 kB\n")
    write(tmp_path / "proc/self/status", "Name:\tx\nVmHWM:\t   61000 kB\n")
    write(tmp_path / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "schedutil\n")
    write(tmp_path / "sys/class/thermal/thermal_zone0/type", "cpu-thermal\n")
    write(tmp_path / "sys/class/thermal/thermal_zone0/temp", "48500\n")
    write(tmp_path / "sys/class/thermal/thermal_zone1/type", "broken\n")
    write(tmp_path / "sys/class/thermal/thermal_zone1/temp", "\n")
    write(tmp_path / "var/lib/nvpmodel/status", "pmode:0000 fmode:fanNull\n")
    facts = device_facts(tmp_path)
    assert facts["board"] == "NVIDIA Jetson Orin Nano Developer Kit"
    assert facts["governor"] == "schedutil"
    assert cpu_model(tmp_path) == "ARM implementer 0x41 part 0xd42"
    assert memory_bytes(tmp_path) == 7_990_000 * 1024
    assert peak_resident_bytes(tmp_path) == 61_000 * 1024
    assert temperatures_c(tmp_path) == {"cpu-thermal": 48.5}
    assert power_mode(tmp_path) == "pmode:0000 fmode:fanNull"


def test_what_a_machine_does_not_tell_is_left_open(tmp_path: Path) -> None:
    facts = device_facts(tmp_path)
    assert facts["board"] is None
    assert facts["temperatures_c"] == {}
    assert facts["memory_bytes"] is None
    assert json.loads(json.dumps(facts)) == facts
