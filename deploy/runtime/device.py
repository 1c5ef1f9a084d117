"""Facts about the machine: board, CPU, power mode, memory, clocks, temperatures, versions."""

import os
import platform
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime as ort  # pyright: ignore[reportMissingTypeStubs]

from edgehar import __version__
from edgehar.deploy.runtime.providers import available_providers, litert_version

ROOT = Path("/")
"""The folder with /proc and /sys; tests pass another one."""


def read_system_file(path: Path) -> str | None:
    """Text of a file in /proc or /sys; None if it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8", "replace").strip("\0 \n\t") or None
    except OSError:
        return None


def cpu_model(root: Path = ROOT) -> str:
    """Name of the CPU; on ARM the numbers of the implementer and the part."""
    entries: dict[str, str] = {}
    for line in (read_system_file(root / "proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        entries.setdefault(key.strip(), value.strip())
    if "model name" in entries:
        return entries["model name"]
    if "CPU part" in entries:
        return f"ARM implementer {entries.get('CPU implementer', '?')} part {entries['CPU part']}"
    return platform.machine()


def temperatures_c(root: Path = ROOT) -> dict[str, float]:
    """Temperature of each readable thermal zone, in degrees Celsius."""
    found: dict[str, float] = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        value = read_system_file(zone / "temp")
        if value is not None and value.lstrip("-").isdigit():
            found[read_system_file(zone / "type") or zone.name] = int(value) / 1000
    return found


def power_mode(root: Path = ROOT) -> str | None:
    """Power mode of a Jetson, from nvpmodel or its status file; None on other machines."""
    import shutil  # imported on use: both would slow down every start of the runtime
    import subprocess

    command = shutil.which("nvpmodel") if root == ROOT else None
    if command:
        try:
            completed = subprocess.run([command, "-q"], capture_output=True, text=True, timeout=5, check=False)
        except (OSError, subprocess.TimeoutExpired):
            completed = None
        if completed is not None and completed.returncode == 0:
            return " ".join(completed.stdout.split())
    return read_system_file(root / "var/lib/nvpmodel/status")


def memory_bytes(root: Path = ROOT) -> int | None:
    """Size of the main memory."""
    for line in (read_system_file(root / "proc/meminfo") or "").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return None


def clocks_mhz(root: Path = ROOT) -> dict[str, dict[str, float | None]]:
    """Core -> {"now", "most"}: its clock and its highest clock, in MHz.

    Read from cpufreq; without it, as in virtual machines, from /proc/cpuinfo, which has no highest clock (None).
    """
    found: dict[str, dict[str, float | None]] = {}
    cores = root / "sys/devices/system/cpu"
    for folder in sorted(cores.glob("cpu[0-9]*/cpufreq"), key=lambda path: int(path.parent.name[3:])):
        now_khz, most_khz = (read_system_file(folder / name) for name in ("scaling_cur_freq", "cpuinfo_max_freq"))
        if now_khz and now_khz.isdigit():
            most = int(most_khz) / 1000 if most_khz and most_khz.isdigit() else None
            found[folder.parent.name] = {"now": int(now_khz) / 1000, "most": most}
    if not found:
        for line in (read_system_file(root / "proc/cpuinfo") or "").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "cpu MHz":
                found[f"cpu{len(found)}"] = {"now": float(value), "most": None}
    return found


def load_average(root: Path = ROOT) -> float | None:
    """Load average over the last minute."""
    words = (read_system_file(root / "proc/loadavg") or "").split()
    return float(words[0]) if words else None


def status_bytes(key: str, root: Path = ROOT, process: int | None = None) -> int | None:
    """A value of a process's status, such as "VmRSS", in bytes; of this process by default.

    None if the system has none. See proc_pid_status(5).
    """
    name = "self" if process is None else str(process)
    for line in (read_system_file(root / "proc" / name / "status") or "").splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    return None


def resident_bytes(root: Path = ROOT) -> int | None:
    """Resident memory of this process."""
    return status_bytes("VmRSS", root)


def peak_resident_bytes(root: Path = ROOT) -> int | None:
    """Peak resident memory of this process; unlike getrusage it excludes the parent process."""
    return status_bytes("VmHWM", root)


def device_facts(root: Path = ROOT) -> dict[str, Any]:
    """Facts that do not change during a measurement, for JSON; unavailable ones are None."""
    return {
        "cpu": cpu_model(root),
        "cores": os.cpu_count(),
        "board": read_system_file(root / "proc/device-tree/model"),
        "power_mode": power_mode(root),
        "governor": read_system_file(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "memory_bytes": memory_bytes(root),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": str(cast(Any, ort).__version__),
        "litert": litert_version(),
        "providers": list(available_providers()),
        "edgehar": __version__,
    }


def device_state(root: Path = ROOT) -> dict[str, Any]:
    """Facts that may change during a measurement, for JSON: load, temperatures, clocks."""
    return {
        "load_average": load_average(root),
        "temperatures_c": temperatures_c(root),
        "clocks_mhz": clocks_mhz(root),
    }
