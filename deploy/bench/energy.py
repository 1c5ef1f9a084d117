"""Energy per prediction from the machine's own sensors: INA3221 on a Jetson, RAPL on x86; where there is none, why.

A sensor sees the whole board or processor, not one process, so that idle power is measured first and both are given:
the total, and what is above idle. https://docs.kernel.org/hwmon/ina3221.html (mV and mA),
https://docs.kernel.org/power/powercap/powercap.html (microjoules that start anew at max_energy_range_uj).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from edgehar.deploy.runtime.device import ROOT, text_of

SAMPLE_S = 0.05
"""Between two looks at a sensor that gives power."""
INPUT_RAILS = ("VDD_IN", "POM_5V_IN")
"""Rails that feed all others, by the names that Jetson boards give them; on boards without one all rails are added."""
INA3221_CHANNELS = (1, 2, 3)


class Meter(Protocol):
    """Something that adds up energy.

    Attributes:
        source: what it reads, for people.
        joules: energy per rail or zone since the meter was made.
    """

    source: str
    joules: dict[str, float]

    def look(self) -> float:
        """Read the sensor, and add what was used since the last look; raises OSError or ValueError if it is gone.

        Returns the time in seconds, up to which the energy is now counted.
        """
        ...


@dataclass(frozen=True)
class Rail:
    """Files of one supply rail: millivolts and milliamperes, or milliwatts alone."""

    files: tuple[Path, ...]

    def watts(self) -> float:
        """Power now; raises OSError or ValueError if it cannot be read."""
        values = [int(path.read_text()) for path in self.files]
        return values[0] / 1e3 if len(values) == 1 else values[0] * values[1] / 1e6


class PowerMeter:
    """Power of rails, added up over time."""

    def __init__(self, source: str, rails: dict[str, Rail], clock: Callable[[], float] = time.perf_counter) -> None:
        """Take the first look; `clock` gives seconds."""
        self.source = source
        self._rails, self._clock = rails, clock
        self.joules = dict.fromkeys(rails, 0.0)
        self._watts, self._then_s = self._read(), clock()

    def _read(self) -> dict[str, float]:
        return {name: rail.watts() for name, rail in self._rails.items()}

    def look(self) -> float:
        """Add the mean of the power then and now, times the seconds between; see `Meter`."""
        watts, now_s = self._read(), self._clock()
        for name, power in watts.items():
            self.joules[name] += (power + self._watts[name]) / 2 * (now_s - self._then_s)
        self._watts, self._then_s = watts, now_s
        return now_s


class CounterMeter:
    """Energy counters that go up, and start anew at the end of their range."""

    def __init__(self, source: str, zones: dict[str, Path]) -> None:
        """Take the first look; a zone is a folder with energy_uj and max_energy_range_uj."""
        self.source, self._zones = source, zones
        self._range_uj = {name: int((zone / "max_energy_range_uj").read_text()) for name, zone in zones.items()}
        self.joules = dict.fromkeys(zones, 0.0)
        self._then_uj = self._read()

    def _read(self) -> dict[str, int]:
        return {name: int((zone / "energy_uj").read_text()) for name, zone in self._zones.items()}

    def look(self) -> float:
        """Add what the counters went up by; see `Meter`."""
        now_uj, now_s = self._read(), time.perf_counter()
        for name, value in now_uj.items():
            gone_uj = value - self._then_uj[name]
            self.joules[name] += (gone_uj if gone_uj >= 0 else gone_uj + self._range_uj[name]) / 1e6
        self._then_uj = now_uj
        return now_s


def _jetson_rails(root: Path) -> dict[str, Rail]:
    """Rails by name; the drivers of JetPack 5 and later, and of JetPack 4."""
    rails: dict[str, Rail] = {}
    drivers = root / "sys/bus/i2c/drivers"
    for folder in sorted(drivers.glob("ina3221/*/hwmon/hwmon*")):
        for channel in INA3221_CHANNELS:
            files = folder / f"in{channel}_input", folder / f"curr{channel}_input"
            if all(text_of(path) is not None for path in files):  # a channel that is switched off gives nothing
                rails[text_of(folder / f"in{channel}_label") or f"{folder.name} {channel}"] = Rail(files)
    for path in sorted(drivers.glob("ina3221x/*/iio*device*/in_power*_input")):
        channel = path.name.removeprefix("in_power").removesuffix("_input")
        if channel.isdigit():
            rails[text_of(path.parent / f"rail_name_{channel}") or f"{path.parent.name} {channel}"] = Rail((path,))
    whole = {name: rail for name, rail in rails.items() if name in INPUT_RAILS}
    return whole or rails


def _rapl_zones(root: Path) -> dict[str, Path]:
    """Processor packages, and the memory where it is counted by itself; cores and the like are within their package."""
    zones: dict[str, Path] = {}
    for zone in sorted((root / "sys/class/powercap").glob("intel-rapl:*")):
        name = text_of(zone / "name") or ""
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
        return f"{problem.filename} may be read by root only; call the bench as root"
    except (OSError, ValueError) as problem:
        return f"a power sensor is there but cannot be read ({problem})"
    return "no power sensor: neither INA3221 (Jetson) nor RAPL (x86) is there"


def idle_watts(meter: Meter | str, for_s: float) -> float | None:
    """Mean power while this process does nothing; None if that cannot be measured."""
    if isinstance(meter, str):
        return None
    try:
        joules, seconds, _ = _watch(meter, lambda: time.sleep(SAMPLE_S), for_s)
    except (OSError, ValueError):
        return None
    return joules / seconds


def _watch(meter: Meter, action: Callable[[], Any], for_s: float) -> tuple[float, float, int]:
    """Joules, seconds and calls while an action is repeated for at least this long."""
    start_s = looked_s = meter.look()
    before_j = sum(meter.joules.values())
    count = 0
    while count == 0 or looked_s - start_s < for_s:
        action()
        count += 1
        now_s = time.perf_counter()
        if now_s - looked_s >= min(SAMPLE_S, for_s):
            looked_s = meter.look()
    return sum(meter.joules.values()) - before_j, looked_s - start_s, count


def energy_of(meter: Meter | str, idle_w: float | None, action: Callable[[], Any], for_s: float) -> dict[str, Any]:
    """Energy of one call of an action that is repeated without pause.

    Args:
        meter: as `find_meter` gave it.
        idle_w: as `idle_watts` gave it.
        action: what is measured.
        for_s: how long.

    Returns:
        source, idle_w, busy_w, joules (per call), joules_above_idle (may be negative where the difference is lost in
        noise), calls and seconds; or nothing but the reason why there are no figures.
    """
    if isinstance(meter, str) or idle_w is None:
        return {"reason": meter if isinstance(meter, str) else "the power sensor could not be read at rest"}
    try:
        joules, seconds, calls = _watch(meter, action, for_s)
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
