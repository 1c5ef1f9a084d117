"""Tests of the warnings about an unstable machine."""

from typing import Any

from edgehar.deploy.bench.stability import core_share_warning, stability_warnings


def state(load: float, degrees: float, mhz: float) -> dict[str, Any]:
    clocks = {"cpu0": {"now": 300.0, "most": 1500.0}, "cpu1": {"now": mhz, "most": 1500.0}}
    return {"load_average": load, "temperatures_c": {"cpu": degrees}, "clocks_mhz": clocks}


def test_unknown_facts_give_no_warning() -> None:
    unknown = {"load_average": None, "temperatures_c": {}, "clocks_mhz": {}}
    assert stability_warnings(unknown, unknown, 4) == []


def test_load_throttling_and_heat_give_warnings() -> None:
    assert stability_warnings(state(0.5, 45.0, 1500.0), state(1.2, 49.0, 1500.0), 4) == []
    busy, slower, warmer = stability_warnings(state(3.1, 45.0, 1500.0), state(3.1, 72.0, 1100.0), 4)
    assert "load average 3.1 on 4 core(s)" in busy
    assert "1500 to 1100 MHz" in slower
    assert "cpu warmed up by 27 degrees to 72" in warmer


def test_a_low_share_of_a_core_gives_a_warning() -> None:
    assert core_share_warning("int8", 0.98) is None
    assert "int8: this process had 23%" in (core_share_warning("int8", 0.23) or "")
