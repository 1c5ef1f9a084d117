"""Measures energy per prediction with the machine's power sensors: INA3221 on a Jetson, RAPL on x86.

A sensor measures the whole board or processor, not one process; idle power is measured first, and both the total and
the energy above idle are reported. https://docs.kernel.org/hwmon/ina3221.html (mV and mA),
https://docs.kernel.org/power/powercap/powercap.html (microjoules, wrapping at max_energy_range_uj).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from edgehar.deploy.runtime.device import ROOT, read_system_file

SAMPLE_S = 0.05
"""Interval between two readings of a power sensor."""
INPUT_RAILS = ("VDD_IN", "POM_5V_IN")
"""Names of the rail that supplies all others on a Jetson; without such a rail, all rails are added up."""
INA3221_CHANNELS = (1, 2, 3)


class Meter(Protocol):
    """An energy meter.

    Attributes:
        source: the sensor and its rails or zones.
        joules: energy per rail or zone since the meter was created.
    """

    source: str
    joules: dict[str, float]

    def update(self) -> float:
        """Read the sensor and add the energy since the last update.

        Returns the time of the reading in seconds; raises OSError or ValueError if the sensor cannot be read.
        """
        ...


@dataclass(frozen=True)
class Rail:
    """The files of one supply rail: millivolts and milliamperes, or milliwatts."""

    files: tuple[Path, ...]

    def watts(self) -> float:
        """Current power; raises OSError or ValueError if it cannot be read."""
        values = [int(path.read_text()) for path in self.files]
        return values[0] / 1e3 if len(values) == 1 else values[0] * values[1] / 1e6


class PowerMeter:
    """Integrates the power of rails over time."""

    def __init__(self, source: str, rails: dict[str, Rail], clock: Callable[[], float] = time.perf_counter) -> None:
        """Take the first reading; `clock` returns seconds."""
        self.source = source
        self._rails, self._clock = rails, clock
        self.joules = dict.fromkeys(rails, 0.0)
        self._watts, self._time_s = self._read(), clock()

    def _read(self) -> dict[str, float]:
        return {name: rail.watts() for name, rail in self._rails.items()}

    def update(self) -> float:
        """Add the energy since the last reading, by the trapezoidal rule; see `Meter`."""
        watts, now_s = self._read(), self._clock()
        for name, power in watts.items():
            self.joules[name] += (power + self._watts[name]) / 2 * (now_s - self._time_s)
        self._watts, self._time_s = watts, now_s
        return now_s


class CounterMeter:
    """Reads energy counters, which wrap at the end of their range."""

    def __init__(self, source: str, zones: dict[str, Path]) -> None:
        """Take the first reading; a zone is a folder with energy_uj and max_energy_range_uj."""
        self.source, self._zones = source, zones
        self._range_uj = {name: int((zone / "max_energy_range_uj").read_text()) for name, zone in zones.items()}
        self.joules = dict.fromkeys(zones, 0.0)
        self._counters_uj = self._read()

    def _read(self) -> dict[str, int]:
        return {name: int((zone / "energy_uj").read_text()) for name, zone in self._zones.items()}

    def update(self) -> float:
        """Add the increase of the counters; see `Meter`."""
        now_uj, now_s = self._read(), time.perf_counter()
        for name, value in now_uj.items():
            used_uj = value - self._counters_uj[name]
            self.joules[name] += (used_uj if used_uj >= 0 else used_uj + self._range_uj[name]) / 1e6
        self._counters_uj = now_uj
        return now_s


def _jetson_rails(root: Path) -> dict[str, Rail]:
    """Rails by name, from the drivers of JetPack 5 and later and of JetPack 4."""
    rails: dict[str, Rail] = {}
    drivers = root / "sys/bus/i2c/drivers"
    for folder in sorted(drivers.glob("ina3221/*/hwmon/hwmon*")):
        for channel in INA3221_CHANNELS:
            files = folder / f"in{channel}_input", folder / f"curr{channel}_input"
            if all(read_system_file(path) is not None for path in files):  # a disabled channel cannot be read
                rails[read_system_file(folder / f"in{channel}_label") or f"{folder.name} {channel}"] = Rail(files)
    for path in sorted(drivers.glob("ina3221x/*/iio*device*/in_power*_input")):
        channel = path.name.removeprefix("in_power").removesuffix("_input")
        if channel.isdigit():
            rails[read_system_file(path.parent / f"rail_name_{channel}") or f"{path.parent.name} {channel}"] = Rail(
                (path,)
            )
    inputs = {name: rail for name, rail in rails.items() if name in INPUT_RAILS}
    return inputs or rails


def _rapl_zones(root: Path) -> dict[str, Path]:
    """Zones of the processor packages and of separately counted memory; other zones are part of a package."""
    zones: dict[str, Path] = {}
    for zone in sorted((root / "sys/class/powercap").glob("intel-rapl:*")):
        name = read_system_file(zone / "name") or ""
        if name.startswith("package") or name == "dram":
            zones[f"{name} {zone.name}" if name == "dram" else name] = zone
    return zones


def find_meter(root: Path = ROOT) -> Meter | str:
    """The machine's meter, or the reason why there is none."""
    rails, zones = _jetson_rails(root), _rapl_zones(root)
    try:
        if rails:
            return PowerMeter("INA3221: " + ", ".join(rails), rails)
        if zones:
            return CounterMeter("RAPL: " + ", ".join(zones), zones)
    except PermissionError as problem:
        return f"{problem.filename} is readable by root only; run edgehar bench as root"
    except (OSError, ValueError) as problem:
        return f"the power sensor cannot be read ({problem})"
    return "no power sensor found: neither INA3221 (Jetson) nor RAPL (x86)"


def idle_watts(meter: Meter | str, for_s: float) -> float | None:
    """Mean power while this process is idle; None if it cannot be measured."""
    if isinstance(meter, str):
        return None
    try:
        joules, seconds, _ = _measure(meter, lambda: time.sleep(SAMPLE_S), for_s)
    except (OSError, ValueError):
        return None
    return joules / seconds


def _measure(meter: Meter, action: Callable[[], Any], for_s: float) -> tuple[float, float, int]:
    """Joules, seconds and number of calls while an action is repeated for at least this long."""
    start_s = updated_s = meter.update()
    before_j = sum(meter.joules.values())
    count = 0
    while count == 0 or updated_s - start_s < for_s:
        action()
        count += 1
        now_s = time.perf_counter()
        if now_s - updated_s >= min(SAMPLE_S, for_s):
            updated_s = meter.update()
    return sum(meter.joules.values()) - before_j, updated_s - start_s, count


def energy_of(meter: Meter | str, idle_w: float | None, action: Callable[[], Any], for_s: float) -> dict[str, Any]:
    """Energy per call of an action that is repeated without pause.

    Args:
        meter: from `find_meter`.
        idle_w: from `idle_watts`.
        action: the action to measure.
        for_s: shortest duration of the measurement.

    Returns:
        source, idle_w, busy_w, joules (per call), joules_above_idle (negative if noise exceeds the difference), calls
        and seconds; or only reason, if nothing could be measured.
    """
    if isinstance(meter, str) or idle_w is None:
        return {"reason": meter if isinstance(meter, str) else "the power sensor could not be read while idle"}
    try:
        joules, seconds, calls = _measure(meter, action, for_s)
    except (OSError, ValueError) as problem:
        return {"reason": f"the power sensor could no longer be read ({problem})"}
    return {
        "source": meter.source,
        "idle_w": idle_w,
        "busy_w": joules / seconds,
        "joules": joules / calls,
        "joules_above_idle": (joules - idle_w * seconds) / calls,
        "calls": calls,
        "seconds": seconds,
    }
