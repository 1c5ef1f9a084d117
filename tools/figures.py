"""The figures of the documentation, as SVG that is the same from the same data and says which data that was."""

import math
import re
import statistics
from pathlib import Path
from typing import Any

from edgehar.files.atomic import atomic_file, digest_of
from tools.result_figures import Run, fine_tunings

COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b")
NAMES = {"student": "student, INT8", "nano": "nano student, INT8"}
DIGEST = re.compile(r"data sha256 ([0-9a-f]{64})")


def robustness_data(runs: list[Run]) -> dict[str, Any] | None:
    """Mean accuracy of every scenario over the seeds, per network; None if there are no scenarios."""
    keys = [key for key in NAMES if runs and all("faults" in run["networks"].get(key, {}) for run in runs)]
    if not keys:
        return None
    scenarios = runs[0]["networks"][keys[0]]["faults"]["scenarios"]
    series = {
        key: [
            round(
                100 * statistics.fmean(run["networks"][key]["faults"]["scenarios"][place]["accuracy"] for run in runs),
                4,
            )
            for place in range(len(scenarios))
        ]
        for key in keys
    }
    return {"kind": "robustness", "scenarios": [scenario["name"] for scenario in scenarios], "series": series}


def labels_data(runs: list[Run]) -> dict[str, Any] | None:
    """Mean and deviation of the accuracy by share of the labels; None if there are no such runs."""
    entries = fine_tunings(runs)
    if not entries:
        return None
    shares = sorted({entry["share"] for entry in entries})
    series: dict[str, list[list[float]]] = {}
    for given, name in ((True, "pretrained"), (False, "from scratch")):
        points: list[list[float]] = []
        for share in shares:
            found = [
                100 * entry["accuracy"]
                for entry in entries
                if entry["share"] == share and entry["pretrained"] is given
            ]  # fmt: skip
            if found:
                deviation = statistics.stdev(found) if len(found) > 1 else 0.0
                points.append([100 * share, round(statistics.fmean(found), 4), round(deviation, 4)])
        series[name] = points
    return {"kind": "labels", "series": series}


def _draw_robustness(axes: Any, data: dict[str, Any]) -> None:
    names, series = data["scenarios"], data["series"]
    height = 0.8 / len(series)
    for place, (key, values) in enumerate(series.items()):
        positions = [row + (place - (len(series) - 1) / 2) * height for row in range(len(names))]
        axes.barh(positions, values, height, color=COLOURS[place], label=NAMES[key])
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("right, %")
    axes.margins(y=0.01)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)


def _draw_labels(axes: Any, data: dict[str, Any]) -> None:
    shares: set[float] = set()
    for place, (name, points) in enumerate(data["series"].items()):
        x, mean, deviation = ([point[column] for point in points] for column in range(3))
        axes.errorbar(x, mean, deviation, color=COLOURS[place], marker="o", capsize=3, label=name)
        shares |= set(x)
    axes.set_xscale("log")
    axes.set_xticks(sorted(shares), [f"{share:g}" for share in sorted(shares)])
    axes.minorticks_off()
    axes.set_xlabel("labels used, %")
    axes.set_ylabel("right, %")
    axes.legend(loc="lower right")


def _draw_compression(axes: Any, data: dict[str, Any]) -> None:
    for place, (name, points) in enumerate(data["series"].items()):
        x, mean, deviation = ([point[column] for point in points] for column in range(3))
        style = "--" if name.startswith("teacher") else "-"
        axes.errorbar(x, mean, deviation, color=COLOURS[place], linestyle=style, marker="o", capsize=3, label=name)
    axes.invert_xaxis()
    axes.set_xlabel("multiply-adds that stayed, %")
    axes.set_ylabel("right, %")
    axes.legend(loc="lower left")


DRAWN = {"robustness": _draw_robustness, "labels": _draw_labels, "compression": _draw_compression}


def draw(data: dict[str, Any], path: Path) -> None:
    """Write a figure, with the digest of its data in its description."""
    import matplotlib
    from matplotlib.figure import Figure

    tall = data["kind"] == "robustness"
    height = math.ceil(0.32 * len(data["scenarios"])) if tall else 4
    with matplotlib.rc_context({"svg.hashsalt": "edgehar", "svg.fonttype": "none", "font.size": 10}):
        figure = Figure((7, height), layout="constrained")
        DRAWN[data["kind"]](figure.subplots(), data)
        about = {"Date": None, "Description": f"data sha256 {digest_of(data)}"}
        with atomic_file(path) as temporary:
            figure.savefig(temporary, format="svg", metadata=about)


def shows(path: Path, data: dict[str, Any]) -> bool:
    """Whether a figure was drawn from this data."""
    if not path.is_file():
        return False
    found = DIGEST.search(path.read_text(encoding="utf-8"))
    return found is not None and found[1] == digest_of(data)
