"""Facts about the machine that a measurement is worth nothing without: board, processor, power mode, heat, versions."""

import os
import platform
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime as ort  # pyright: ignore[reportMissingTypeStubs]

from edgehar import __version__
from edgehar.deploy.runtime.providers import known_providers, litert_version

ROOT = Path("/")
"""Where /proc and /sys are; another folder describes another machine."""


def text_of(path: Path) -> str | None:
    """A small file of the system as text, or None where there is none."""
    try:
        return path.read_bytes().decode("utf-8", "replace").strip("\0 \n\t") or None
    except OSError:
        return None


def cpu_model(root: Path = ROOT) -> str:
    """Name of the processor: x86 gives one, ARM gives the implementer's and the part's number."""
    entries: dict[str, str] = {}
    for line in (text_of(root / "proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        entries.setdefault(key.strip(), value.strip())
    if "model name" in entries:
        return entries["model name"]
    if "CPU part" in entries:
        return f"ARM implementer {entries.get('CPU implementer', '?')} part {entries['CPU part']}"
    return platform.machine()


def temperatures_c(root: Path = ROOT) -> dict[str, float]:
    """Degrees Celsius of each thermal zone that can be read."""
    found: dict[str, float] = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        value = text_of(zone / "temp")
        if value is not None and value.lstrip("-").isdigit():
            found[text_of(zone / "type") or zone.name] = int(value) / 1000
    return found


def power_mode(root: Path = ROOT) -> str | None:
    """Power mode of a Jetson, from nvpmodel or the file it keeps; None on other machines."""
    import shutil  # here, as only a benchmark needs these two and every start of the runtime would pay for them
    import subprocess

    command = shutil.which("nvpmodel") if root == ROOT else None
    if command:
        try:
            answer = subprocess.run([command, "-q"], capture_output=True, text=True, timeout=5, check=False)
        except (OSError, subprocess.TimeoutExpired):
            answer = None
        if answer is not None and answer.returncode == 0:
            return " ".join(answer.stdout.split())
    return text_of(root / "var/lib/nvpmodel/status")


def memory_bytes(root: Path = ROOT) -> int | None:
    """Main memory."""
    for line in (text_of(root / "proc/meminfo") or "").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return None


def clocks_mhz(root: Path = ROOT) -> dict[str, dict[str, float | None]]:
    """Core -> {"now", "most"}: its clock and the highest it may have; what a machine does not tell is None or left out.

    From cpufreq; on machines without it, as virtual ones are, from /proc/cpuinfo, which knows no highest.
    """
    found: dict[str, dict[str, float | None]] = {}
    cores = root / "sys/devices/system/cpu"
    for folder in sorted(cores.glob("cpu[0-9]*/cpufreq"), key=lambda path: int(path.parent.name[3:])):
        now_khz, most_khz = (text_of(folder / name) for name in ("scaling_cur_freq", "cpuinfo_max_freq"))
        if now_khz and now_khz.isdigit():
            most = int(most_khz) / 1000 if most_khz and most_khz.isdigit() else None
            found[folder.parent.name] = {"now": int(now_khz) / 1000, "most": most}
    if not found:
        for line in (text_of(root / "proc/cpuinfo") or "").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "cpu MHz":
                found[f"cpu{len(found)}"] = {"now": float(value), "most": None}
    return found


def load_average(root: Path = ROOT) -> float | None:
    """Processes that ran or waited for a core, on average over the last minute."""
    words = (text_of(root / "proc/loadavg") or "").split()
    return float(words[0]) if words else None


def status_bytes(key: str, root: Path = ROOT) -> int | None:
    """A row of this process's memory, such as "VmRSS"; None where the system does not tell."""
    for line in (text_of(root / "proc/self/status") or "").splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    return None


def resident_bytes(root: Path = ROOT) -> int | None:
    """Memory this process holds now."""
    return status_bytes("VmRSS", root)


def peak_resident_bytes(root: Path = ROOT) -> int | None:
    """Most memory this process has held; unlike getrusage it does not count the process that started it."""
    return status_bytes("VmHWM", root)


def device_facts(root: Path = ROOT) -> dict[str, Any]:
    """What stays as it is while a measurement runs, in one dict for JSON; what this machine does not tell is None."""
    return {
        "cpu": cpu_model(root),
        "cores": os.cpu_count(),
        "board": text_of(root / "proc/device-tree/model"),
        "power_mode": power_mode(root),
        "governor": text_of(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "memory_bytes": memory_bytes(root),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": str(cast(Any, ort).__version__),
        "litert": litert_version(),
        "providers": list(known_providers()),
        "edgehar": __version__,
    }


def device_state(root: Path = ROOT) -> dict[str, Any]:
    """What may change while a measurement runs: load, heat and clocks, in one dict for JSON."""
    return {
        "load_average": load_average(root),
        "temperatures_c": temperatures_c(root),
        "clocks_mhz": clocks_mhz(root),
    }
