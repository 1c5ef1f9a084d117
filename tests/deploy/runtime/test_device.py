"""Tests of the facts read from /proc and /sys."""

import json
from pathlib import Path

from edgehar.deploy.runtime.device import (
    clocks_mhz,
    cpu_model,
    device_facts,
    device_state,
    load_average,
    memory_bytes,
    peak_resident_bytes,
    power_mode,
    resident_bytes,
    temperatures_c,
)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write_jetson(root: Path) -> None:
    write(root / "proc/device-tree/model", "NVIDIA Jetson Orin Nano Developer Kit\0")
    write(root / "proc/cpuinfo", "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd42\n")
    write(root / "proc/meminfo", "MemTotal:        7990000 kB\nMemFree: 1 kB\n")
    write(root / "proc/self/status", "Name:\tx\nVmHWM:\t   61000 kB\nVmRSS:\t   58000 kB\n")
    write(root / "proc/loadavg", "0.42 0.30 0.20 1/300 4321\n")
    for core, now_khz in ((0, 1_510_400), (1, 729_600), (10, 1_510_400)):
        folder = root / f"sys/devices/system/cpu/cpu{core}/cpufreq"
        write(folder / "scaling_governor", "schedutil\n")
        write(folder / "scaling_cur_freq", f"{now_khz}\n")
        write(folder / "cpuinfo_max_freq", "1510400\n")
    write(root / "sys/class/thermal/thermal_zone0/type", "cpu-thermal\n")
    write(root / "sys/class/thermal/thermal_zone0/temp", "48500\n")
    write(root / "sys/class/thermal/thermal_zone1/type", "broken\n")
    write(root / "sys/class/thermal/thermal_zone1/temp", "\n")
    write(root / "var/lib/nvpmodel/status", "pmode:0000 fmode:fanNull\n")


def test_facts_of_a_jetson_are_read(tmp_path: Path) -> None:
    write_jetson(tmp_path)
    facts = device_facts(tmp_path)
    assert facts["board"] == "NVIDIA Jetson Orin Nano Developer Kit"
    assert facts["governor"] == "schedutil"
    assert cpu_model(tmp_path) == "ARM implementer 0x41 part 0xd42"
    assert memory_bytes(tmp_path) == 7_990_000 * 1024
    assert peak_resident_bytes(tmp_path) == 61_000 * 1024
    assert resident_bytes(tmp_path) == 58_000 * 1024
    assert temperatures_c(tmp_path) == {"cpu-thermal": 48.5}
    assert power_mode(tmp_path) == "pmode:0000 fmode:fanNull"
    assert load_average(tmp_path) == 0.42
    assert clocks_mhz(tmp_path) == {
        "cpu0": {"now": 1510.4, "most": 1510.4},
        "cpu1": {"now": 729.6, "most": 1510.4},
        "cpu10": {"now": 1510.4, "most": 1510.4},
    }


def test_clocks_without_cpufreq_are_read_from_cpuinfo(tmp_path: Path) -> None:
    write(
        tmp_path / "proc/cpuinfo",
        "model name\t: Xeon\ncpu MHz\t\t: 2499.998\n\nmodel name\t: Xeon\ncpu MHz\t\t: 1200.5\n",
    )
    assert clocks_mhz(tmp_path) == {"cpu0": {"now": 2499.998, "most": None}, "cpu1": {"now": 1200.5, "most": None}}
    assert cpu_model(tmp_path) == "Xeon"


def test_unavailable_facts_are_none(tmp_path: Path) -> None:
    facts, state = device_facts(tmp_path), device_state(tmp_path)
    assert facts["board"] is None
    assert facts["memory_bytes"] is None
    assert state == {"load_average": None, "temperatures_c": {}, "clocks_mhz": {}}
    assert json.loads(json.dumps([facts, state])) == [facts, state]
