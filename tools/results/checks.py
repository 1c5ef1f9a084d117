"""Checks of result files: fields, counts that add up, and agreement between the runs of a suite."""

import math
import re
import statistics
from typing import Any

from edgehar.errors import DataError
from edgehar.experiments.suite.options import SEEDS
from edgehar.files.atomic import digest_of

NUMBER = (int, float)
FIELDS: dict[str, Any] = {
    "suite": str, "command": str, "seed": int, "stages": list, "peak_resident_mb": (*NUMBER, type(None)),
    "config": {"recipe": {"preset": str, "update_share": NUMBER}},
    "dataset": {"name": str, "split": str, "modalities": list, "labels": list, "train_subjects": list,
                "test_subjects": list, "caveats": list},
}  # fmt: skip
"""Type of every field that the file of a suite must have."""


def check_fields(value: Any, fields: dict[str, Any] = FIELDS, prefix: str = "") -> None:
    """Raise ValueError if a field is missing or of the wrong type."""
    for name, kind in fields.items():
        found = value.get(name, ...) if isinstance(value, dict) else ...
        if isinstance(kind, dict):
            check_fields(found, kind, f"{prefix}{name}.")
        elif not isinstance(found, kind):
            raise ValueError(f"{prefix}{name} is missing or has the wrong type")


def check_run(stem: str, run: dict[str, Any]) -> None:
    """Raise ValueError if the file of a suite, with this name, lacks a field or contradicts itself."""
    check_fields(run)
    if run["suite"] not in SEEDS:
        raise ValueError(f"suite {run['suite']!r}: expected one of {', '.join(SEEDS)}")
    named = re.search(r"seed(\d+)$", stem)
    if named is not None and int(named[1]) != run["seed"]:
        raise ValueError(f"seed {run['seed']} differs from the seed in the file's name")
    train, test = (set(run["dataset"][f"{part}_subjects"]) for part in ("train", "test"))
    if train & test and "train_recordings" not in run["dataset"]:  # a split by trial has the same people on both
        raise ValueError(f"{', '.join(sorted(train & test))} in both train_subjects and test_subjects")
    check_scores({name: value for name, value in run.items() if name not in ("config", "stages")}, test)


def check_scores(value: Any, tested: set[str] | None = None) -> None:
    """Raise ValueError for a score, at any depth, that does not follow from its counts or counts untested subjects."""
    if isinstance(value, dict):
        accuracy = value["correct"] / value["total"] if {"correct", "total", "accuracy"} <= set(value) else None
        if accuracy is not None and abs(value["accuracy"] - accuracy) > 1e-9:
            raise ValueError(f"accuracy {value['accuracy']} is not {value['correct']}/{value['total']}")
        for key in ("per_subject", "per_class"):
            if key in value and sum(part["correct"] for part in value[key].values()) != value["correct"]:
                raise ValueError(f"{key} does not add up to {value['correct']}")
        untested = set() if tested is None else set(value.get("per_subject", ())) - tested
        if untested:
            raise ValueError(f"per_subject counts {', '.join(sorted(untested))}, not among test_subjects")
        for key in ("macro_f1", "ece", "auroc"):
            if not 0 <= value.get(key, 0) <= 1:
                raise ValueError(f"{key} {value[key]}: expected 0 to 1")
        if {"scenarios", "categories", "overall"} <= set(value):
            _check_faults(value)
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        check_scores(part, tested)


def _check_faults(faults: dict[str, Any]) -> None:
    """Raise ValueError unless categories are means of their scenarios and overall is the mean of the faulty ones."""
    parts = {name: [one["accuracy"] for one in faults["scenarios"] if one["category"] == name]
             for name in faults["categories"]}  # fmt: skip
    parts["overall"] = [mean for category, mean in faults["categories"].items() if category != "clean"]
    for name, found in parts.items():
        mean = {**faults["categories"], "overall": faults["overall"]}[name]
        if not found or not math.isclose(mean, statistics.fmean(found), abs_tol=1e-9):
            raise ValueError(f"{name} {mean} is not the mean of its parts")


def check_suite(found: list[tuple[str, dict[str, Any]]]) -> None:
    """Raise DataError unless the runs of a suite are distinct, trained with equal options and tested on equal data."""
    identities: dict[str, str] = {}
    expected: dict[str, tuple[str, str]] = {}
    for name, run in found:
        data = run["dataset"]
        identity = f"seed {run['seed']}, {data['split']}, {'+'.join(data['modalities'])}"
        if identities.setdefault(identity, name) != name:
            raise DataError(
                f"{identities[identity]}, {name}: both are {identity}; expected one file per run; delete one"
            )
        tested = digest_of([data["train_subjects"], data["test_subjects"], data.get("test_windows")])
        facts = {"config": digest_of(run["config"])}
        facts |= {f"subjects or windows of {data['split']}": tested} if run["suite"] != "unknown" else {}
        for what, digest in facts.items():  # every draw of the suite unknown has windows of its own
            first, before = expected.setdefault(what, (name, digest))
            if digest != before:
                raise DataError(f"{first}, {name}: {what} differ; expected equal ones; measure again")
