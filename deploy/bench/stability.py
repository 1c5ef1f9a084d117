"""Warnings about an unstable machine: load, clock drops, heat."""

from typing import Any

BUSY_SHARE = 0.5
"""Share of the cores; a higher load average at the start means that other processes run."""
CORE_SHARE = 0.9
"""Smallest share of a core for a loop that was not interrupted by other processes."""
CLOCK_DROP = 0.05
"""Largest relative drop of the fastest core's clock."""
MAX_RISE_C = 10.0
"""Largest temperature rise of a zone."""


def fastest_mhz(state: dict[str, Any]) -> float | None:
    """The highest clock in a `device.device_state`, that of the busy core; None if unknown."""
    return max((core["now"] for core in state["clocks_mhz"].values()), default=None)


def hottest_c(state: dict[str, Any]) -> float | None:
    """The highest temperature of any zone in a `device.device_state`; None if unknown."""
    return max(state["temperatures_c"].values(), default=None)


def stability_warnings(before: dict[str, Any], after: dict[str, Any], cores: int) -> list[str]:
    """Warnings about measurements taken between two states from `device.device_state`."""
    warnings: list[str] = []
    load = before["load_average"]
    if load is not None and load > BUSY_SHARE * cores:
        warnings.append(f"load average {load:.1f} on {cores} core(s) at the start: other processes were running")
    first_mhz, last_mhz = fastest_mhz(before), fastest_mhz(after)
    if first_mhz is not None and last_mhz is not None and last_mhz < (1 - CLOCK_DROP) * first_mhz:
        warnings.append(f"the clock dropped from {first_mhz:.0f} to {last_mhz:.0f} MHz: the CPU was throttled")
    for zone, warm_c in after["temperatures_c"].items():
        rise_c = warm_c - before["temperatures_c"].get(zone, warm_c)
        if rise_c >= MAX_RISE_C:
            warnings.append(f"{zone} warmed up by {rise_c:.0f} degrees to {warm_c:.0f}: measure longer (--sustain-s)")
    return warnings


def core_share_warning(name: str, share: float) -> str | None:
    """A warning if a loop on one thread shared its core with other processes, else None."""
    if share >= CORE_SHARE:
        return None
    return f"{name}: this process had {share:.0%} of a core; it is faster on an idle machine"
