"""Tests of the energy meters on simulated sensor files."""

import itertools
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edgehar.deploy.bench.energy import CounterMeter, Meter, PowerMeter, Rail, energy_of, find_meter, idle_watts
from tests.deploy.runtime.test_device import write

DRIVERS = "sys/bus/i2c/drivers"
SHORT_S = 0.001
"""Duration of a measurement; the simulated sensors change when they are read, not with time."""


def write_orin(root: Path, rails: dict[str, tuple[int, int]]) -> Path:
    """Write the files of a Jetson Orin's sensor: millivolts and milliamperes per rail; channel 4 has volts only."""
    folder = root / DRIVERS / "ina3221/1-0040/hwmon/hwmon3"
    for channel, (name, (millivolts, milliamperes)) in enumerate(rails.items(), 1):
        write(folder / f"in{channel}_label", f"{name}\n")
        write(folder / f"in{channel}_input", f"{millivolts}\n")
        write(folder / f"curr{channel}_input", f"{milliamperes}\n")
    write(folder / "in4_input", "7\n")
    return folder


def write_intel(root: Path) -> Path:
    """Write the files of RAPL: a package, its cores, memory, and the platform, which includes the others."""
    folder = root / "sys/class/powercap"
    names = {
        "intel-rapl:0": "package-0",
        "intel-rapl:0:0": "core",
        "intel-rapl:0:1": "dram",
        "intel-rapl:1": "psys",
    }
    for zone, name in names.items():
        write(folder / zone / "name", f"{name}\n")
        write(folder / zone / "energy_uj", "1000\n")
        write(folder / zone / "max_energy_range_uj", "262143328850\n")
    return folder


def found(root: Path) -> Meter:
    meter = find_meter(root)
    assert not isinstance(meter, str), meter
    return meter


def test_only_the_input_rail_is_counted(tmp_path: Path) -> None:
    write_orin(tmp_path, {"VDD_IN": (5000, 1200), "VDD_CPU_GPU_CV": (5000, 300), "VDD_SOC": (5000, 200)})
    meter = found(tmp_path)
    assert meter.source == "INA3221: VDD_IN"
    assert idle_watts(meter, SHORT_S) == pytest.approx(6.0)


def test_rails_without_an_input_rail_are_added(tmp_path: Path) -> None:
    write_orin(tmp_path, {"VDD_GPU_SOC": (19_000, 100), "VDD_CPU_CV": (19_000, 50), "VIN_SYS_5V0": (5000, 1000)})
    assert idle_watts(found(tmp_path), SHORT_S) == pytest.approx(1.9 + 0.95 + 5.0)


def test_milliwatts_of_jetpack_4_are_read(tmp_path: Path) -> None:
    folder = tmp_path / DRIVERS / "ina3221x/6-0040/iio:device0"
    for channel, (name, milliwatts) in enumerate((("POM_5V_IN", 2350), ("POM_5V_GPU", 40), ("POM_5V_CPU", 500))):
        write(folder / f"rail_name_{channel}", f"{name}\n")
        write(folder / f"in_power{channel}_input", f"{milliwatts}\n")
    meter = found(tmp_path)
    assert meter.source == "INA3221: POM_5V_IN"
    assert idle_watts(meter, SHORT_S) == pytest.approx(2.35)


def test_energy_above_idle_is_reported_per_call(tmp_path: Path) -> None:
    folder = write_orin(tmp_path, {"VDD_IN": (5000, 1000)})
    meter = found(tmp_path)
    idle_w = idle_watts(meter, SHORT_S)

    def work() -> None:
        write(folder / "curr1_input", "1600\n")

    work()
    energy = energy_of(meter, idle_w, work, SHORT_S)
    assert energy["idle_w"] == pytest.approx(5.0)
    assert energy["busy_w"] == pytest.approx(8.0, rel=0.05)
    assert energy["joules"] * energy["calls"] == pytest.approx(energy["busy_w"] * energy["seconds"])
    above_w = energy["joules_above_idle"] * energy["calls"] / energy["seconds"]
    assert above_w == pytest.approx(energy["busy_w"] - 5.0)


def test_power_is_integrated_by_the_trapezoidal_rule(tmp_path: Path) -> None:
    write(tmp_path / "power", "2000\n")
    seconds = itertools.count(0.0, 0.5)
    meter = PowerMeter("fake", {"all": Rail((tmp_path / "power",))}, lambda: next(seconds))
    write(tmp_path / "power", "4000\n")
    meter.update()
    meter.update()
    assert meter.joules == {"all": pytest.approx((2 + 4) / 2 * 0.5 + 4 * 0.5)}


def counting(folder: Path, microjoules: int) -> Callable[[], None]:
    """An action that increases a counter."""

    def count() -> None:
        path = folder / "energy_uj"
        highest = int((folder / "max_energy_range_uj").read_text())
        write(path, f"{(int(path.read_text()) + microjoules) % highest}\n")

    return count


def test_package_and_memory_are_counted_once(tmp_path: Path) -> None:
    folder = write_intel(tmp_path)
    meter = found(tmp_path)
    assert meter.source == "RAPL: package-0, dram intel-rapl:0:1"
    package, platform = counting(folder / "intel-rapl:0", 3000), counting(folder / "intel-rapl:1", 9000)
    energy = energy_of(meter, 0.0, lambda: (package(), platform()), SHORT_S)
    assert energy["joules"] == pytest.approx(0.003)


def test_wrapped_counters_are_unwrapped(tmp_path: Path) -> None:
    zone = write_intel(tmp_path) / "intel-rapl:0"
    write(zone / "energy_uj", "262143328000\n")
    meter = CounterMeter("fake", {"package-0": zone})
    counting(zone, 5000)()
    meter.update()
    assert meter.joules == {"package-0": pytest.approx(0.005)}


def test_missing_sensor_gives_a_reason(tmp_path: Path) -> None:
    meter = find_meter(tmp_path)
    assert idle_watts(meter, SHORT_S) is None
    energy = energy_of(meter, None, lambda: None, SHORT_S)
    assert set(energy) == {"reason"}
    assert "no power sensor" in energy["reason"]


def test_counter_readable_by_root_only_gives_a_reason() -> None:
    with tempfile.TemporaryDirectory() as name:  # readable by other users, unlike pytest's
        root = Path(name)
        counter = write_intel(root) / "intel-rapl:0/energy_uj"
        root.chmod(0o755)
        counter.chmod(0)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            reason = find_meter(root)
        finally:
            os.seteuid(user)
    assert isinstance(reason, str)
    assert "energy_uj is readable by root only" in reason


def test_vanishing_sensor_gives_a_reason(tmp_path: Path) -> None:
    folder = write_orin(tmp_path, {"VDD_IN": (5000, 1000)})
    meter = found(tmp_path)
    energy = energy_of(meter, 5.0, lambda: (folder / "curr1_input").unlink(missing_ok=True), SHORT_S)
    assert set(energy) == {"reason"}
    assert "could no longer be read" in energy["reason"]
    assert idle_watts(meter, SHORT_S) is None


def test_disabled_channels_are_skipped(tmp_path: Path) -> None:
    folder = write_orin(tmp_path, {"VDD_CPU": (5000, 400), "VDD_SOC": (5000, 100)})
    (folder / "curr2_input").unlink()
    assert found(tmp_path).source == "INA3221: VDD_CPU"
