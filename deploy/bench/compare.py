"""Compares results of `edgehar bench`: a row per figure, a column per file and precision."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from edgehar.deploy.bench.stability import hottest_c
from edgehar.errors import DataError
from edgehar.files.atomic import read_json

FORMAT, FORMAT_VERSION = "edgehar-bench", 1
COMPARISON = "edgehar-bench-comparison"
MAX_WIDTH = 24
"""Characters of a column; longer names are truncated."""

Document = dict[str, Any]


def _in_mib(value: float | None) -> float | None:
    return None if value is None else value / 2**20


def _in_mj(energy: dict[str, Any], key: str) -> float | None:
    return None if "reason" in energy else 1000 * energy[key]


ROWS: dict[str, Callable[[Document, dict[str, Any]], str | float | None]] = {
    "board": lambda document, _: document["device"]["board"] or document["device"]["cpu"],
    "power mode": lambda document, _: document["device"]["power_mode"],
    "network": lambda document, _: document["name"],
    "provider": lambda _, entry: entry["providers"][0].removesuffix("ExecutionProvider"),
    "threads": lambda document, _: document["threads"],
    "onnxruntime": lambda document, _: document["device"]["onnxruntime"],
    "window median, ms": lambda _, entry: entry["window"]["median_ms"],
    "window p95, ms": lambda _, entry: entry["window"]["p95_ms"],
    "window p99, ms": lambda _, entry: entry["window"]["p99_ms"],
    "hop median, ms": lambda _, entry: entry["hop"]["median_ms"],
    "hop p95, ms": lambda _, entry: entry["hop"]["p95_ms"],
    "hop p99, ms": lambda _, entry: entry["hop"]["p99_ms"],
    "hop prepare, ms": lambda _, entry: entry["hop"]["preprocess_ms"],
    "hop encoder, ms": lambda _, entry: entry["hop"]["encoder_ms"],
    "hop head, ms": lambda _, entry: entry["hop"]["head_ms"],
    "hops/s sustained": lambda _, entry: entry["hops_per_s"],
    "times real time": lambda _, entry: entry["times_real_time"],
    "window limit, ms": lambda document, _: document["limit_ms"]["window"],
    "window of limit, %": lambda _, entry: 100 * entry["window"]["limit_share"],
    "cold start, s": lambda _, entry: entry["cold_start_s"],
    "resident, MiB": lambda _, entry: _in_mib(entry["resident_bytes"]),
    "peak memory, MiB": lambda _, entry: _in_mib(entry["peak_resident_bytes"]),
    "graphs, bytes": lambda _, entry: entry["graph_bytes"],
    "hop energy, mJ": lambda _, entry: _in_mj(entry["energy"], "joules"),
    "above idle, mJ": lambda _, entry: _in_mj(entry["energy"], "joules_above_idle"),
    "hottest after, C": lambda document, _: hottest_c(document["after"]),
    "remarks": lambda document, _: len(document["remarks"]),
}
"""Figure -> function of a document and its entry for one precision; None is shown as "-"."""


def read_bench(path: Path) -> Document:
    """Read a result of `edgehar bench --json`; raises DataError for any other file."""
    document: Any = read_json(path)
    result = cast(Document, document) if isinstance(document, dict) else Document()
    found = result.get("format"), result.get("format_version")
    if found != (FORMAT, FORMAT_VERSION):
        raise DataError(
            f"{path}: format and version {found}; expected {(FORMAT, FORMAT_VERSION)}, a result of 'edgehar bench "
            "PACKAGE --json FILE'; measure again on that board"
        )
    return result


def compare(paths: list[Path]) -> dict[str, Any]:
    """The figures of each file and precision; raises DataError for a file that is incomplete or no result."""
    columns: list[dict[str, Any]] = []
    remarks: list[str] = []
    for path in paths:
        document = read_bench(path)
        try:
            for precision, entry in document["precisions"].items():
                figures = {name: figure(document, entry) for name, figure in ROWS.items()}
                columns.append({"file": str(path), "precision": precision, "figures": figures})
            remarks += [f"{path}: {remark}" for remark in document["remarks"]]
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as problem:
            reason = f"{type(problem).__name__} {problem}"
            raise DataError(
                f"{path}: incomplete result of edgehar bench ({reason}); copy it again or measure again"
            ) from None
    if not columns:
        raise DataError(f"{', '.join(map(str, paths))}: no precision measured; expected one or more; measure again")
    return {"format": COMPARISON, "format_version": 1, "columns": columns, "remarks": remarks}


def _shown(value: str | float | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return value if len(value) < MAX_WIDTH else value[: MAX_WIDTH - 3] + "..."
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.{3 if abs(value) < 10 else 1 if abs(value) < 1000 else 0}f}"


def comparison_table(comparison: dict[str, Any]) -> str:
    """The comparison as text."""
    columns = comparison["columns"]
    rows = [["file", *(Path(column["file"]).name for column in columns)]]
    rows += [["precision", *(column["precision"] for column in columns)]]
    rows += [[name, *(_shown(column["figures"][name]) for column in columns)] for name in ROWS]
    widths = [max(len(row[column]) for row in rows) for column in range(len(columns) + 1)]
    lines: list[str] = []
    for name, *cells in rows:
        shown = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), *shown]))
    return "\n".join([*lines, *(f"warning: {remark}" for remark in comparison["remarks"])])
