"""The summary: every figure of a data set in one table, the best published one beside it."""

from dataclasses import dataclass
from typing import Any

from tools.result_figures import Counts, Run, by_seed, count, fed_all, pooled, seeds_note, spread

SMALL = 100_000
"""Parameters up to which a published network is compared with the students at their own size."""


@dataclass(frozen=True)
class Row:
    """A line of the summary.

    Attributes:
        figure: what it is.
        runs: where it comes from.
        counts: right answers; or, instead,
        value: a figure that is no count.
        parameters: of the network.
        published: which published figures are comparable.
        small: whether to name the best published one of that size too.
    """

    figure: str
    runs: list[Run]
    counts: Counts | None = None
    value: str = ""
    parameters: int | None = None
    published: str = ""
    small: bool = False


def _of(runs: list[Run], network: str, fed: str) -> Counts | None:
    """A network's counts over the seeds; None if it was not measured."""
    if not runs or any(fed not in run["networks"].get(network, {}).get("scores", {}) for run in runs):
        return None
    return count(run["networks"][network]["scores"][fed] for run in runs)


def _accuracy_rows(runs: list[Run], sensors: dict[str, list[Run]]) -> list[Row]:
    everything, rows = fed_all(runs[0]), list[Row]()
    names = {
        "teacher": "teacher", "student": "student, INT8", "student-fp32": "student, fp32",
        "nano": "nano student, INT8",
    }  # fmt: skip
    for network, title in names.items():
        if counts := _of(runs, network, everything):
            size = runs[0]["networks"][network]["parameters"]
            rows.append(Row(title, runs, counts, "", size, everything, network != "teacher"))
    single = runs[0]["dataset"]["modalities"]
    for sensor in single if len(single) > 1 else ():
        for network, title in (("student", "the same student"), ("nano", "the same nano student")):
            if counts := _of(runs, network, sensor):
                size = runs[0]["networks"][network]["parameters"]
                rows.append(Row(f"{sensor} only, {title}", runs, counts, "", size, sensor))
        own = sensors.get(sensor, [])
        for network, title in (("student", "a student for it alone"), ("teacher", "a teacher for it alone")):
            if counts := _of(own, network, sensor):
                size = own[0]["networks"][network]["parameters"]
                rows.append(Row(f"{sensor} only, {title}", own, counts, "", size, sensor))
    return rows


def _quality_rows(runs: list[Run]) -> list[Row]:
    rows: list[Row] = []
    for network, title in (("student", "student, INT8"), ("nano", "nano student, INT8")):
        if all("faults" in run["networks"].get(network, {}) for run in runs):
            size = runs[0]["networks"][network]["parameters"]
            overall = spread([100 * run["networks"][network]["faults"]["overall"] for run in runs])
            number = len(runs[0]["networks"][network]["faults"]["scenarios"])
            rows.append(
                Row(f"robustness over {number} scenarios, {title}", runs, None, overall, size, "robustness")
            )  # fmt: skip
    everything = fed_all(runs[0])
    for network, title in (("student", "student, INT8"), ("nano", "nano student, INT8")):
        if _of(runs, network, everything):
            scores = [run["networks"][network]["scores"][everything] for run in runs]
            kind = "calibrated" if all(score["temperature"] != 1 for score in scores) else "not calibrated"
            value = spread([100 * score["ece"] for score in scores])
            rows.append(Row(f"calibration error, {title}, {kind} (lower is better)", runs, None, value))
    return rows


def _pruned_row(runs: list[Run], kept: float) -> Row:
    """The student without a share of its multiply-adds, recovered without recordings."""
    found = [
        next(entry for entry in run["pruned"] if (entry["network"], entry["kept"]) == ("student", kept)) for run in runs
    ]
    title = f"student, fp32, {100 * (1 - kept):g} % of the multiply-adds removed without data"
    return Row(title, runs, count(found), "", found[0]["parameters"])


def _few_label_rows(runs: list[Run]) -> list[Row]:
    """Students that the teachers of few labels taught; a draw of the labels stands for a seed."""
    entries = [entry for run in runs for entry in run["labels"] if entry.get("distilled")]
    return [
        Row(
            f"student, fp32, {100 * share:g} % of the labels and its teachers",
            runs,
            count([entry for entry in entries if entry["share"] == share]),
        )
        for share in sorted({entry["share"] for entry in entries})
    ]


def summary_rows(suites: dict[str, list[Run]]) -> list[Row]:
    """Every figure there is a file for."""
    rows: list[Row] = []
    accuracy = suites.get("accuracy", [])
    sensors: dict[str, list[Run]] = {}
    for run in suites.get("sensors", []):
        sensors.setdefault(fed_all(run), []).append(run)
    if accuracy:
        rows += _accuracy_rows(accuracy, sensors)
    else:
        for sensor, runs in sensors.items():
            if counts := _of(runs, "student", sensor):
                size = runs[0]["networks"]["student"]["parameters"]
                rows.append(Row(f"{sensor} only, a student for it alone", runs, counts, "", size, sensor))
    for suite, what in (("loso", "each subject left out once"), ("folds", "subjects in folds")):
        runs = suites.get(suite, [])
        for network, title in (("teacher", "teacher"), ("student", "student, INT8"), ("nano", "nano student, INT8")):
            if runs and all(network in run["networks"] for run in runs):
                complete = [part for part in by_seed(runs).values() if len(part) == _sets_wanted(part[0])]
                some = complete or list(by_seed(runs).values())[:1]
                counts = count(pooled(part, network, fed_all(part[0])) for part in some)
                note = "" if complete else f" ({len(some[0])} of {_sets_wanted(some[0][0])} so far)"
                size = runs[0]["networks"][network]["parameters"]
                rows.append(Row(f"{title}, {what}{note}", [run for part in some for run in part], counts, "", size))
    if accuracy:
        rows += _quality_rows(accuracy)
    for run in suites.get("compression", [])[:1]:
        rows += [
            _pruned_row(suites["compression"], kept) for kept in dict.fromkeys(entry["kept"] for entry in run["pruned"])
        ]
    rows += _few_label_rows(suites.get("labels", []))
    if unknown := suites.get("unknown", []):
        number = len(unknown[0]["unknown"]["activities"])
        value = spread([100 * run["unknown"]["auroc"] for run in unknown])
        rows.append(Row(f"AUROC of {number} activities left out, student, INT8", unknown, None, value))
    return rows


def _sets_wanted(run: Run) -> int:
    """How many test sets make a whole: subjects, or folds."""
    data = run["dataset"]
    if run["suite"] == "folds":
        return int(data["split"].rpartition("of")[2])
    return len(data["train_subjects"]) + len(data["test_subjects"])


def _named(entry: dict[str, Any], value: float) -> str:
    source = f" ({entry['source']})" if entry["source"] else ""
    size = ""
    if entry.get("parameters") is not None:
        size = f", {'about ' if entry['about'] else ''}{entry['parameters']:,} parameters"
    note = f", {entry['note']}" if entry.get("note") else ""
    return f"{value:.2f} {entry['method']}{source}{size}{note}"


def best_published(row: Row, published: dict[str, Any]) -> str:
    """The best comparable published figure, and the best at the student's size where that is another."""
    entries: list[dict[str, Any]] = published.get(row.published, [])
    if not entries or row.runs[0]["dataset"]["split"] != published.get("split"):
        return ""
    key = "overall" if row.published == "robustness" else "accuracy"
    best = max(entries, key=lambda entry: entry[key])
    text = _named(best, best[key])
    within = [entry for entry in entries if entry.get("parameters") and entry["parameters"] <= SMALL]
    if row.small and within:
        small = max(within, key=lambda entry: entry[key])
        text += f"; up to {SMALL:,}: {_named(small, small[key])}" if small is not best else ""
    return text


def summary_table(suites: dict[str, list[Run]], published: dict[str, Any]) -> list[str]:
    """Markdown lines of the summary."""
    lines = [
        "| figure | ours, % | right | 95 % interval | parameters | best published, % |",
        "|---|---|---|---|---|---|",
    ]
    for row in summary_rows(suites):
        missing = seeds_note(row.runs) if " of " in seeds_note(row.runs) else ""
        ours = (row.counts.percent if row.counts else row.value) + (f" ({missing})" if missing else "")
        right, interval = (row.counts.right, row.counts.interval) if row.counts else ("", "")
        size = f"{row.parameters:,}" if row.parameters is not None else ""
        cells = (row.figure, ours, right, interval, size, best_published(row, published))
        lines.append("| " + " | ".join(cells) + " |")
    return lines
