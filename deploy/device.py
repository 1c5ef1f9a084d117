"""Facts about the machine that a measurement is worth nothing without: board, processor, power mode, heat, versions."""

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime as ort  # pyright: ignore[reportMissingTypeStubs]

from edgehar import __version__

ROOT = Path("/")


def _text(path: Path) -> str | None:
    """A small file of the system as text, or None where there is none."""
    try:
        return path.read_bytes().decode("utf-8", "replace").strip("\0 \n\t") or None
    except OSError:
        return None


def cpu_model(root: Path = ROOT) -> str:
    """Name of the processor: x86 gives one, ARM gives the implementer's and the part's number."""
    entries: dict[str, str] = {}
    for line in (_text(root / "proc/cpuinfo") or "").splitlines():
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
        value = _text(zone / "temp")
        if value is not None and value.lstrip("-").isdigit():
            found[_text(zone / "type") or zone.name] = int(value) / 1000
    return found


def power_mode(root: Path = ROOT) -> str | None:
    """Power mode of a Jetson, from nvpmodel or the file it keeps; None on other machines."""
    command = shutil.which("nvpmodel") if root == ROOT else None
    if command:
        try:
            answer = subprocess.run([command, "-q"], capture_output=True, text=True, timeout=5, check=False)
        except (OSError, subprocess.TimeoutExpired):
            answer = None
        if answer is not None and answer.returncode == 0:
            return " ".join(answer.stdout.split())
    return _text(root / "var/lib/nvpmodel/status")


def memory_bytes(root: Path = ROOT) -> int | None:
    """Main memory."""
    for line in (_text(root / "proc/meminfo") or "").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return None


def peak_resident_bytes(root: Path = ROOT) -> int | None:
    """Most memory this process has held; unlike getrusage it does not count the process that started it."""
    for line in (_text(root / "proc/self/status") or "").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def device_facts(root: Path = ROOT) -> dict[str, Any]:
    """Everything above in one dict for JSON; what this machine does not tell is None."""
    return {
        "cpu": cpu_model(root),
        "cores": os.cpu_count(),
        "board": _text(root / "proc/device-tree/model"),
        "power_mode": power_mode(root),
        "governor": _text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "temperatures_c": temperatures_c(root),
        "memory_bytes": memory_bytes(root),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": str(cast(Any, ort).__version__),
        "providers": list(cast(Any, ort).get_available_providers()),
        "edgehar": __version__,
    }
