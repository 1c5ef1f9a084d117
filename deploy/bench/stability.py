"""Was the machine the same from the first to the last run? What tells that it was not, as remarks for people."""

from typing import Any

BUSY_SHARE = 0.5
"""Of all cores: with a higher load average at the start others are at work, too."""
CORE_SHARE = 0.9
"""A loop that had less of one core than this was kept waiting."""
CLOCK_DROP = 0.05
"""Share by which the fastest core's clock may end lower than it began."""
HEAT_C = 10.0
"""Degrees by which a zone may warm up."""


def fastest_mhz(state: dict[str, Any]) -> float | None:
    """The highest clock of any core, of `device.device_state`: that of the core at work; None if unknown."""
    return max((core["now"] for core in state["clocks_mhz"].values()), default=None)


def hottest_c(state: dict[str, Any]) -> float | None:
    """The highest temperature of any zone, of `edgehar.deploy.runtime.device.device_state`; None if unknown."""
    return max(state["temperatures_c"].values(), default=None)


def remarks(before: dict[str, Any], after: dict[str, Any], cores: int) -> list[str]:
    """What speaks against the figures taken between two states of `device.device_state`, in plain sentences."""
    found: list[str] = []
    load = before["load_average"]
    if load is not None and load > BUSY_SHARE * cores:
        found.append(f"load average {load:.1f} on {cores} core(s) at the start: figures of a busy machine mislead")
    first_mhz, last_mhz = fastest_mhz(before), fastest_mhz(after)
    if first_mhz is not None and last_mhz is not None and last_mhz < (1 - CLOCK_DROP) * first_mhz:
        found.append(f"the clock fell from {first_mhz:.0f} to {last_mhz:.0f} MHz: the machine slowed itself down")
    for zone, warm_c in after["temperatures_c"].items():
        rise_c = warm_c - before["temperatures_c"].get(zone, warm_c)
        if rise_c >= HEAT_C:
            found.append(f"{zone} warmed up by {rise_c:.0f} degrees to {warm_c:.0f}: measure for longer (--sustain-s)")
    return found


def core_share_remark(name: str, share: float) -> str | None:
    """That a loop on one thread was kept waiting, or None if it was not."""
    if share >= CORE_SHARE:
        return None
    return f"{name}: this process had {share:.0%} of a core; on a machine that does nothing else it is faster"
