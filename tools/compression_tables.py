"""What pruning cost and gave: points lost by source and by criterion, from the suites compression and ablation."""

import statistics
from typing import Any

from tools.result_figures import Run, count, spread

Entry = dict[str, Any]
UNPRUNED = {"student": "student-fp32", "teacher": "teacher"}
REAL = "recordings"


def _entries(runs: list[Run], **wanted: Any) -> list[tuple[Run, Entry]]:
    """Every pruning of these runs that has these facts, with its run."""
    return [
        (run, entry)
        for run in runs
        for entry in run["pruned"]
        if all(entry[key] == value for key, value in wanted.items())
    ]


def _unpruned(run: Run, network: str) -> dict[str, Any]:
    (score,) = run["networks"][UNPRUNED[network]]["scores"].values()
    return score


def points_lost(found: list[tuple[Run, Entry]]) -> list[float]:
    """Percentage points lost against the same seed's unpruned network."""
    return [100 * (_unpruned(run, entry["network"])["accuracy"] - entry["accuracy"]) for run, entry in found]


def _regained(found: list[tuple[Run, Entry]], real: list[tuple[Run, Entry]]) -> str:
    """Share of what recovery with recordings regains that this one regains, in percent."""
    gains = [
        statistics.fmean(entry["accuracy"] - entry["removed"]["accuracy"] for _, entry in some)
        for some in (found, real)
    ]
    return f"{100 * gains[0] / gains[1]:.0f}" if gains[1] > 0 else ""


def compression_table(runs: list[Run]) -> list[list[str]]:
    """A row per network, share and source."""
    rows: list[list[str]] = []
    kinds = dict.fromkeys((entry["network"], entry["kept"]) for run in runs for entry in run["pruned"])
    for network, kept in sorted(kinds, key=lambda kind: (kind[0], -kind[1])):
        real = _entries(runs, network=network, kept=kept, source=[REAL])
        for source in dict.fromkeys(tuple(entry["source"]) for _, entry in _entries(runs, network=network, kept=kept)):
            found = _entries(runs, network=network, kept=kept, source=list(source))
            entries = [entry for _, entry in found]
            rows.append(
                [
                    network,
                    f"{100 * (1 - kept):g} %",
                    " + ".join(source),
                    count(_unpruned(run, network) for run, _ in found).right,
                    count(entry["removed"] for entry in entries).percent,
                    count(entries).right,
                    spread(points_lost(found)),
                    _regained(found, real) if real and source != (REAL,) else "",
                    f"{entries[0]['macs'] / 1e6:.2f} M",
                    f"{statistics.fmean(entry['seconds'] for entry in entries):.0f} s",
                ]
            )
    return rows


COMPRESSION_HEADS = [
    "network", "removed", "windows", "unpruned", "removed, not recovered, %", "recovered", "points lost",
    "of what recordings regain, %", "multiply-adds", "time",
]  # fmt: skip


def packaged_table(runs: list[Run], whole: list[Run]) -> list[list[str]]:
    """INT8 packages beside the unpruned one of the suite accuracy."""
    rows: list[list[str]] = []
    for name, some in (("student", whole), *((key, runs) for key in runs[0]["networks"] if key.startswith("pruned"))):
        if not some or any(name not in run["networks"] for run in some):
            continue
        first = some[0]["networks"][name]
        fed = next(iter(first["scores"]))
        counts = count(run["networks"][name]["scores"][fed] for run in some)
        faults = [100 * run["networks"][name]["faults"]["overall"] for run in some if "faults" in run["networks"][name]]
        title = "unpruned" if name == "student" else f"{100 - float(name.split('-')[2]):g} % removed"
        rows.append(
            [
                title, counts.right, counts.percent, spread(faults) if faults else "", f"{first['parameters']:,}",
                f"{first['macs'] / 1e6:.2f} M", f"{first['bytes'] / 1000:,.0f} kB",
            ]
        )  # fmt: skip
    return rows


PACKAGED_HEADS = ["package, INT8", "right", "%", "robustness, %", "parameters", "multiply-adds", "bytes"]


def ablation_table(runs: list[Run]) -> tuple[list[str], list[list[str]]]:
    """Heads, and a row per criterion: points lost and seconds for every source."""
    sources = list(dict.fromkeys(tuple(entry["source"]) for run in runs for entry in run["pruned"]))
    criteria = list(dict.fromkeys(entry["criterion"] for run in runs for entry in run["pruned"]))
    rows: list[list[str]] = []
    for criterion in criteria:
        cells: list[str] = []
        for source in sources:
            found = _entries(runs, criterion=criterion, source=list(source))
            seconds = statistics.fmean(entry["seconds"] for _, entry in found) if found else 0
            cells.append(f"{spread(points_lost(found))} ({seconds:.0f} s)" if found else "")
        rows.append([criterion, *cells])
    return ["criterion", *(" + ".join(source) for source in sources)], rows


def compression_data(runs: list[Run]) -> dict[str, Any] | None:
    """Mean accuracy by share of the multiply-adds that stayed, per network and source; None if there are no runs."""
    if not runs:
        return None
    series: dict[str, list[list[float]]] = {}
    for network in dict.fromkeys(entry["network"] for run in runs for entry in run["pruned"]):
        found = _entries(runs, network=network)
        whole = 100 * statistics.fmean(_unpruned(run, network)["accuracy"] for run, _ in found)
        for source in dict.fromkeys(tuple(entry["source"]) for _, entry in found):
            points = [[100.0, round(whole, 4), 0.0]]
            for kept in sorted({entry["kept"] for _, entry in found}, reverse=True):
                some = [
                    100 * entry["accuracy"]
                    for _, entry in _entries(runs, network=network, kept=kept, source=list(source))
                ]
                if some:
                    deviation = statistics.stdev(some) if len(some) > 1 else 0.0
                    points.append([100 * kept, round(statistics.fmean(some), 4), round(deviation, 4)])
            series[f"{network}, {' + '.join(source)}"] = points
    return {"kind": "compression", "series": series}
