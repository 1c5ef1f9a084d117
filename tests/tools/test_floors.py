"""Ratios are of the fastest precision; a floor is reached only by both wall and CPU time."""

from typing import Any

import pytest

from tools.speed.floors import EAGER, PLAIN, PLAIN_OFF, PREPARE, floors, table


def times(wall: float, cpu: float | None = None) -> dict[str, float]:
    return {"median_ms": wall, "p95_ms": wall, "p99_ms": wall, "cpu_median_ms": wall if cpu is None else cpu}


PATHS = {EAGER: times(1.6), PLAIN: times(0.6), PLAIN_OFF: times(0.7), PREPARE: times(0.4)}
PATHS |= {
    f"edgehar {precision}, {what}": times(share * wall)
    for precision, share in (("fp32", 1.0), ("int8", 0.5))
    for what, wall in (("window", 0.4), ("hop", 0.1), ("window from samples", 0.8), ("hop from samples", 0.2))
}
KNOWN_MS = {"window limit": 0.1, "hop limit": 0.01, "hop": 140.0}


def row(paths: dict[str, dict[str, float]], what: str) -> dict[str, Any]:
    return next(row for row in floors(paths, ["fp32", "int8"], KNOWN_MS) if row["what"].startswith(what))


@pytest.mark.parametrize(
    ("what", "ratio", "reached"),
    [
        ("torch eager / window (features", 8.0, True),
        ("torch eager / hop (features", 32.0, True),
        ("torch eager / hop (samples", 20.0, True),
        ("plain onnxruntime / window (features", 3.0, True),
        ("arithmetic limit / window", 0.5, True),
        ("arithmetic limit / hop", 0.2, False),
        ("window / hop (features", 4.0, True),
        ("window / hop (samples", 4.0, True),
        ("real time / hop", 1400.0, True),
    ],
)
def test_ratio_is_of_the_fastest_precision(what: str, ratio: float, reached: bool) -> None:
    found = row(PATHS, what)
    assert found["wall"] == found["cpu"] == pytest.approx(ratio)
    assert found["reached"] is reached


def test_floor_needs_cpu_time_too() -> None:
    found = row(PATHS | {EAGER: times(26.6, 1.2)}, "torch eager / window")
    assert found["wall"] > 100
    assert found["cpu"] == pytest.approx(6.0)
    assert not found["reached"]


def test_table_shows_every_implementation_floor_and_warning() -> None:
    rows = floors(PATHS, ["fp32", "int8"], KNOWN_MS)
    result = {"paths": PATHS, "floors": rows, "nodes": {"fp32": 81}, "torch_compile": None, "remarks": ["busy"]}
    shown = table(result)
    assert all(name in shown for name in [*PATHS, *(row["what"] for row in rows), "fp32 81", "warning: busy"])
