"""Flat records of what a result file counts, and statistics over the records of one figure."""

import re
import statistics
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from edgehar.experiments.suite.options import SEEDS
from edgehar.experiments.suite.plan import SHARING
from edgehar.metrics.classification import wilson

Run = dict[str, Any]
Record = dict[str, Any]
"""Fields of one measured value; `kind` says of what, `run` is the file's content."""
Column = str | Callable[[list[Record]], str]
"""A format string for the first record of a row, or a function of all of them."""

NETWORKS = {
    "teacher": "teacher", "student": "student, INT8", "student-fp32": "student, fp32", "nano": "nano student, INT8",
    "nearest": "nearest neighbour", "minirocket": "MiniRocket", "multirocket-hydra": "MultiRocket-Hydra",
    "lstm": "LSTM", "tcn": "TCN", "deepconvlstm": "DeepConvLSTM", "tinierhar": "TinierHAR",
}  # fmt: skip
PIPELINE = {
    "teacher": ("teacher", "finetune", "finetune"),
    "student": ("student, fp32", "export", "export"),
    "student-int8": ("student, INT8", "export", "quantize"),
    "pruned": ("pruned student, fp32", "export-pruned", "export-pruned"),
    "pruned-int8": ("pruned student, INT8", "export-pruned", "quantize-pruned"),
}
"""Network of `edgehar pipeline` -> its name, the stage with its parameters and the one with its bytes."""
UNPRUNED = {"student": "student-fp32", "teacher": "teacher"}
ARMS = {"student-fp32": "distilled", "student-alone": "labels alone"}
TRAININGS = ("pretrain", "finetune", "distill", "nano")


def records_of(run: Run) -> Iterator[Record]:
    """Every record of a result file."""
    if run["format"] in ("edgehar-run", "edgehar-results"):
        data, everything = run["dataset"], "+".join(run["dataset"]["modalities"])
        base = {"suite": run.get("suite", "pipeline"), "seed": run["seed"], "inputs": everything, "progress": ""}
        base |= {"everything": everything, "test_set": data["split"].partition(":")[2] or data["split"]}
        found = [*_networks(run), *_labels(run), *_pruned(run), *_pipeline(run), _cost(run)]
        if "unknown" in run:
            score = run["networks"]["student"]["scores"][everything]
            found.append({"kind": "unknown", "number": len(run["unknown"]["activities"]), **score, **run["unknown"]})
    else:
        base, found = {"suite": run["format"]}, _measurement(run)
    for record in found:
        yield {"run": run, **base, **record}


def _networks(run: Run) -> Iterator[Record]:
    """Scores of networks and baselines, and accuracies under sensor faults."""
    for key, network in [*run.get("networks", {}).items(), *run.get("baselines", {}).items()]:
        match = re.match(r"pruned-student-(\d+)-", key)
        name = f"student, INT8, {100 - int(match[1])} % removed" if match else NETWORKS.get(key, key)
        faults = network.get("faults", {"scenarios": (), "categories": {}, "overall": None})
        categories = {**faults["categories"], "overall": faults["overall"]} if faults["scenarios"] else {}
        facts = {"network": name, "overall": faults["overall"], "number": len(faults["scenarios"]), **network}
        for inputs, score in network["scores"].items():
            calibration = "calibrated" if score.get("temperature", 1) != 1 else "not calibrated"
            yield facts | score | {"kind": "network", "inputs": inputs, "calibration": calibration}
        for scenario in faults["scenarios"]:
            yield facts | scenario | {"kind": "scenario"}
        for category, accuracy in categories.items():
            yield facts | {"kind": "category", "category": category, "accuracy": accuracy}


def _labels(run: Run) -> Iterator[Record]:
    """Networks trained on shares of the labels in two ways, and the student with and without its teacher on all."""
    for entry in run.get("labels", ()):
        arms = ("distilled", "labels alone") if entry.get("network") == "student" else ("pretrained", "from scratch")
        arm = arms[0 if entry.get("distilled", entry["pretrained"]) else 1]
        yield {"network": "teacher"} | entry | {"kind": "labels", "arm": arm, "share_percent": 100 * entry["share"]}
    for key, arm in ARMS.items() if run.get("suite") == "distillation" else ():
        (score,) = run["networks"][key]["scores"].values()
        about = {"kind": "labels", "network": "student", "arm": arm, "share": 1.0, "share_percent": 100.0}
        yield score | about | {"train_windows": run["dataset"]["train_windows"]}


def _pruned(run: Run) -> Iterator[Record]:
    """Pruned networks, each with the unpruned one and the one that recovered with recordings."""
    seen = dict[Any, Record]()
    for entry in run.get("pruned", ()):
        same = [one for one in run["pruned"] if all(one[key] == entry[key] for key in ("network", "kept", "criterion"))]
        (unpruned,) = run["networks"][UNPRUNED[entry["network"]]]["scores"].values()
        yield entry | {
            "kind": "pruned", "source": " + ".join(entry["source"]), "unpruned": unpruned,
            "lost": unpruned["accuracy"] - entry["accuracy"], "removed_percent": round(100 * (1 - entry["kept"]), 6),
            "kept_percent": 100 * entry["kept"],
            "recordings": next((one for one in same if one["source"] == ["recordings"]), None),
            "first": seen.setdefault((entry["network"], entry["kept"]), entry) is entry,
        }  # fmt: skip


def _pipeline(run: Run) -> Iterator[Record]:
    stages = {stage["name"]: stage for stage in run["stages"]}
    for key, score in run.get("evaluation", {}).items():
        name, exported, stored = PIPELINE[key]
        yield stages[exported] | score | {"kind": "network", "network": name, "bytes": stages[stored]["bytes"]}


def _cost(run: Run) -> Record:
    """Minutes of each training and of the rest, but not of trainings counted in the suite they were done for."""
    minutes = dict.fromkeys((*TRAININGS, "rest"), 0.0)
    for stage in run["stages"]:
        name = "finetune" if stage["name"].startswith("finetune") else stage["name"]
        if run.get("suite") not in SHARING or stage["name"] not in TRAININGS:
            minutes[name if name in TRAININGS else "rest"] += stage["seconds"] / 60
    return {"kind": "cost", "peak": run["peak_resident_mb"], "minutes per run": sum(minutes.values()), **minutes}


def _measurement(run: Run) -> list[Record]:
    """A summary of a file in docs/results/board, and its rows."""
    parts = {**run.get("delay", {}), **run.get("segments", {}).get("stream", {})}
    offline, streamed = (run.get("percent", {}).get(key, {}) for key in ("offline", "stream"))
    return [
        {**run, **parts, "kind": "summary"},
        *({**row, "kind": "row"} for key in ("floors", "rows") for row in run.get(key, ())),
        *(
            {**row, "name": name, "kind": "entry"}
            for key in ("paths", "precisions")
            for name, row in run.get(key, {}).items()
        ),
        *({"name": name, "offline": offline[name], "stream": streamed[name], "kind": "entry"} for name in offline),
    ]


def rows_of(found: Iterable[Record], fields: Iterable[str]) -> dict[tuple[Any, ...], list[Record]]:
    """Values of some fields -> the records that have them, in order of appearance."""
    rows: dict[tuple[Any, ...], list[Record]] = {}
    for record in found:
        rows.setdefault(tuple(record[name] for name in fields), []).append(record)
    return rows


def spread(values: Iterable[float]) -> str:
    """Mean and, of two or more values, sample standard deviation; empty without values."""
    found = list(values)
    average = f"{round(statistics.fmean(found), 2) + 0.0:.2f}" if found else ""  # never -0.00
    return average if len(found) < 2 else f"{average} ± {statistics.stdev(found):.2f}"


def percent(field: str) -> Callable[[list[Record]], str]:
    """A column with a field in percent, mean and standard deviation over the records that have it."""
    return lambda row: spread(100 * record[field] for record in row if record[field] is not None)


def mean(field: str, pattern: str, factor: float = 1) -> Callable[[list[Record]], str]:
    """A column with the mean of a field; empty if it is 0."""
    return lambda row: pattern.format(value) if (value := factor * statistics.fmean(one[field] for one in row)) else ""


def total(row: list[Record]) -> int:
    """Windows of every score; raises ValueError if they differ."""
    totals = {record["total"] for record in row}
    if len(totals) != 1:
        raise ValueError(f"seeds of one figure with {sorted(totals)} windows; expected the same number")
    return totals.pop()


def correct(row: list[Record]) -> str:
    """Correct predictions of each seed."""
    return f"{', '.join(str(record['correct']) for record in row)} of {total(row):,}"


def interval(row: list[Record]) -> str:
    """Wilson's 95 % interval of the mean count, in percent."""
    low, high = wilson(statistics.fmean(record["correct"] for record in row), total(row))
    return f"{100 * low:.1f} to {100 * high:.1f}"


def pooled(row: list[Record]) -> list[Record]:
    """One record per seed over its test sets; incomplete seeds only if no seed is complete."""
    data, seeds = row[0]["run"]["dataset"], list(rows_of(row, ["seed"]).values())
    fold = re.search(r"of(\d+)$", data["split"])
    wanted = int(fold[1]) if fold else len(data["train_subjects"]) + len(data["test_subjects"])
    complete = [part for part in seeds if len(part) == wanted]
    progress = "" if complete else f" ({len(seeds[0])} of {wanted} so far)"
    pools: list[Record] = []
    for part in complete or seeds[:1]:
        counts = {key: sum(one[key] for one in part) for key in ("correct", "total")}
        pools.append(part[0] | counts | {"accuracy": counts["correct"] / counts["total"], "progress": progress})
    return pools


def missing_seeds(row: list[Record]) -> str:
    """A remark such as " (3 of 5 seeds)" while runs are missing."""
    found, wanted = len({record["run"]["seed"] for record in row}), SEEDS.get(row[0]["suite"], 1)
    return f" ({found} of {wanted} seeds)" if found < wanted else ""
