"""SVG figures of the results, reproducible from their data, whose digest each file carries."""

import math
import re
import statistics
from pathlib import Path
from typing import Any

from edgehar.files.atomic import atomic_file, digest_of
from tools.results.records import Record, rows_of

COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b")
MARKERS = "oDsv^<>Pp*Xhd"
DIGEST = re.compile(r"data sha256 ([0-9a-f]{64})")
FIGURES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "robustness": (("network",), "name", "accuracy, %"),
    "labels": (("arm",), "share_percent", "labels used, %"),
    "compression": (("network", "source"), "kept_percent", "multiply-adds remaining, %"),
}
"""Kind -> fields that name a series, field of the points, and label of the x axis."""
ROWS = {"robustness": 0.32, "strangers": 0.6}
"""Kind whose points are rows -> height of a row in inches."""


def figure_data(kind: str, found: list[Record]) -> dict[str, Any]:
    """Mean and standard deviation of the accuracy in percent, for every point of every series."""
    fields, point, label = FIGURES[kind]
    series: dict[str, list[list[Any]]] = {}
    for key, records in rows_of(found, fields).items():
        series[", ".join(key)] = [[x, *_statistics(ones)] for (x,), ones in rows_of(records, [point]).items()]
        if kind == "compression":  # the mean alone: every seed's unpruned network is in several records
            series[", ".join(key)].insert(0, [100.0, _statistics([one["unpruned"] for one in records])[0], 0.0])
    return {"kind": kind, "x": label, "series": series}


def _statistics(found: list[Record]) -> list[float]:
    percents = [100 * one["accuracy"] for one in found]
    deviation = statistics.stdev(percents) if len(percents) > 1 else 0.0
    return [round(statistics.fmean(percents), 4), round(deviation, 4)]


def _draw_bars(axes: Any, series: dict[str, list[list[Any]]]) -> None:
    height = 0.8 / len(series)
    for index, (name, points) in enumerate(series.items()):
        positions = [row + (index - (len(series) - 1) / 2) * height for row in range(len(points))]
        axes.barh(positions, [mean for _, mean, _ in points], height, color=COLOURS[index], label=name)
        axes.set_yticks(range(len(points)), [scenario for scenario, _, _ in points])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.margins(y=0.01)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)


def _names(series: dict[str, list[list[Any]]]) -> list[str]:
    """The points of all series, sorted; a series may lack some."""
    return sorted({point[0] for points in series.values() for point in points})


def _draw_dots(axes: Any, series: dict[str, list[list[Any]]]) -> None:
    """A row per data set, a marker per model that was measured: colours for the first three, grey for the others."""
    names = _names(series)
    for index, (name, points) in enumerate(series.items()):
        if not points:
            continue
        values, rows, ours = [point[1] for point in points], [names.index(point[0]) for point in points], index < 3
        axes.plot(
            values, rows, MARKERS[index % len(MARKERS)], linestyle="none", label=name,
            color=COLOURS[index] if ours else "0.45", fillstyle="full" if ours else "none", zorder=3 if ours else 2,
        )  # fmt: skip
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(axis="y", color="0.9")
    axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=4, frameon=False)


def _draw_lines(axes: Any, series: dict[str, list[list[Any]]], logarithmic: bool) -> None:
    for index, (name, points) in enumerate(series.items()):
        x, mean, deviation = zip(*points, strict=True)
        style = "--" if name.startswith("teacher") else "-"
        axes.errorbar(x, mean, deviation, color=COLOURS[index], linestyle=style, marker="o", capsize=3, label=name)
    if logarithmic:
        ticks = sorted({x for points in series.values() for x, _, _ in points})
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
    else:
        axes.invert_xaxis()
    axes.set_ylabel("accuracy, %")
    axes.legend(loc="lower right" if logarithmic else "lower left")


def draw(data: dict[str, Any], path: Path) -> None:
    """Write a figure, with the digest of its data in its description."""
    import matplotlib
    from matplotlib.figure import Figure

    rows = len(_names(data["series"])) if data["kind"] in ROWS else 0
    with matplotlib.rc_context({"svg.hashsalt": "edgehar", "svg.fonttype": "none", "font.size": 10}):
        figure = Figure((7, math.ceil(ROWS.get(data["kind"], 0) * rows) or 4), layout="constrained")
        axes = figure.subplots()
        match data["kind"]:
            case "robustness":
                _draw_bars(axes, data["series"])
            case "strangers":
                _draw_dots(axes, data["series"])
            case kind:
                _draw_lines(axes, data["series"], kind == "labels")
        axes.set_xlabel(data["x"])
        about = {"Date": None, "Description": f"data sha256 {digest_of(data)}"}
        with atomic_file(path) as temporary:
            figure.savefig(temporary, format="svg", metadata=about)


def is_current(path: Path, data: dict[str, Any]) -> bool:
    """Whether a file was drawn from this data."""
    found = DIGEST.search(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found is not None and found[1] == digest_of(data)
