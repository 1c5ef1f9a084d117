"""What every page of the documentation says of the results, section by section."""

import re
from typing import Any

from tools.compression_tables import (
    COMPRESSION_HEADS,
    PACKAGED_HEADS,
    ablation_table,
    compression_table,
    packaged_table,
)  # fmt: skip
from tools.figures import robustness_data
from tools.result_figures import Run
from tools.result_summary import summary_table
from tools.result_tables import (
    baselines_table,
    cost_table,
    files_line,
    labels_table,
    networks_table,
    notes,
    robustness_table,
    scenarios_table,
    subjects_table,
    table,
    taught_table,
    unknown_table,
)  # fmt: skip

COMPRESSED = ("compression", "compression-teacher")
SUITES = (
    "accuracy", "sensors", "loso", "folds", "labels", "baselines", "unknown", "distillation", *COMPRESSED, "ablation",
)  # fmt: skip

EQUAL = (
    "Pseudo-labels (equal): the teachers label the other training windows, knowing who is recorded and that everyone "
    "does every activity equally often, which labels alone do not know."
)

Groups = dict[str, dict[str, list[tuple[str, Run]]]]
"""Data set (and preset, unless base) -> suite -> name and content of its files."""


def runs_of(found: list[tuple[str, Run]]) -> list[Run]:
    """The runs without their files' names."""
    return [run for _, run in found]


def split_of(run: Run) -> str:
    """Who trained and who was tested, by its name."""
    return run["dataset"]["split"]


def image_of(group: str, kind: str) -> str:
    """File name of a group's figure."""
    return f"{kind}-{re.sub(r'[^a-z0-9]+', '-', group.lower()).strip('-')}.svg"


def group_section(group: str, suites: dict[str, list[tuple[str, Run]]], published: dict[str, Any]) -> list[str]:
    """Everything README says of the suites of one data set."""
    found = {suite: runs_of(items) for suite, items in suites.items() if items}
    first = next(iter(found.values()))[0]
    known: dict[str, Any] = published.get(first["dataset"]["name"], {})
    lines = [f"### {group}", "", *summary_table(found, known)]
    lines += ["", "± is the sample standard deviation over seeds; the interval is Wilson's, of the mean count."]
    lines += [known["note"]] if known else []
    lines += [line for caveat in first["dataset"]["caveats"] for line in ("", caveat)]
    titles = {
        "accuracy": f"Accuracy, {split_of(found['accuracy'][0])}" if "accuracy" in found else "",
        "loso": "Each subject left out once",
        "folds": "Subjects in folds",
        "labels": "Few labels",
        "baselines": "Other methods",
        "unknown": "Activities left out of training",
        "compression": "Pruned without data",
        "distillation": "The student with and without its teacher",
    }
    for suite, runs in found.items():
        if suite in ("compression-teacher", "ablation"):  # on their own page only
            continue
        match suite:
            case "accuracy":
                body = networks_table(runs)
                if robustness_data(runs):
                    image = image_of(group, "robustness")
                    body += ["", *robustness_table(runs, known)]
                    body += ["", f"![Every scenario](docs/images/{image}) [Scenarios](docs/robustness.md)"]
            case "sensors":
                sensors = dict.fromkeys("+".join(run["dataset"]["modalities"]) for run in runs)
                for sensor in sensors:
                    some = [run for run in runs if run["dataset"]["modalities"] == sensor.split("+")]
                    lines += ["", f"#### Trained for {sensor} alone", "", *networks_table(some), *notes(some)]
                lines += ["", files_line([name for name, _ in suites[suite]])]
                continue
            case "loso" | "folds":
                body = subjects_table(runs)
            case "labels":
                image = image_of(group, "labels")
                body = [*labels_table(runs), "", f"![Accuracy by share of the labels](docs/images/{image})"]
            case "baselines":
                body = baselines_table(runs, found.get("accuracy", []))
            case "distillation":
                few = [run for run in found.get("labels", []) if any("distilled" in entry for entry in run["labels"])]
                equal = any(entry.get("pseudo_labels") == "equal" for run in few for entry in run["labels"])
                body = [*taught_table(runs, few), *(["", EQUAL] if equal else []), *(notes(few) if few else [])]
            case "compression":
                body = [*table(COMPRESSION_HEADS, compression_table(runs)), "", "[How](docs/compression.md)"]
            case _:
                body = unknown_table(runs)
        lines += ["", f"#### {titles[suite]}", "", *body, *notes(runs)]
        lines += ["", files_line([name for name, _ in suites[suite]])]
    return [*lines, "", "#### What it costs", "", *cost_table(found)]


def robustness_section(groups: Groups, published: dict[str, Any]) -> list[str]:
    """Categories, scenarios and the figure of every data set."""
    lines: list[str] = []
    for group, suites in groups.items():
        runs = runs_of(suites["accuracy"])
        if robustness_data(runs) is None:
            continue
        known = published.get(runs[0]["dataset"]["name"], {})
        lines += ["", f"### {group}, {split_of(runs[0])}", "", *robustness_table(runs, known)]
        lines += ["", f"![Every scenario](images/{image_of(group, 'robustness')})"]
        lines += ["", *scenarios_table(runs), *notes(runs)]
    return lines[1:]


def compression_section(groups: Groups) -> list[str]:
    """What pruning costs, with which windows and by which criterion, of every data set."""
    lines: list[str] = []
    for group, suites in groups.items():
        for suite in COMPRESSED:
            if runs := runs_of(suites[suite]):
                lines += ["", f"### {group}, {split_of(runs[0])}: {runs[0]['pruned'][0]['network']}"]
                lines += ["", *table(COMPRESSION_HEADS, compression_table(runs)), *notes(runs)]
        if runs := runs_of(suites["compression"]):
            lines += ["", f"![Accuracy by multiply-adds](images/{image_of(group, 'compression')})"]
            lines += ["", *table(PACKAGED_HEADS, packaged_table(runs, runs_of(suites["accuracy"])))]
        if runs := runs_of(suites["ablation"]):
            heading = f"### {group}: points lost (and time) with half of the student's multiply-adds removed"
            lines += ["", heading, "", *table(*ablation_table(runs)), *notes(runs)]
    return lines[1:]


def baselines_section(groups: Groups) -> list[str]:
    """The table of other methods of every data set."""
    lines: list[str] = []
    for group, suites in groups.items():
        if runs := runs_of(suites["baselines"]):
            body = baselines_table(runs, runs_of(suites["accuracy"]))
            lines += ["", f"### {group}, {split_of(runs[0])}", "", *body, *notes(runs)]
    return lines[1:]
