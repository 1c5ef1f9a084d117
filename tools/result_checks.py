"""What cannot be in a result file, or in several of one suite."""

import math
import re
import statistics
from typing import Any

from edgehar.errors import DataError
from edgehar.files.atomic import digest_of
from tools.result_figures import Run

KINDS: dict[str, type | tuple[type, ...]] = {
    "suite": str, "command": str, "seed": int, "stages": list, "config": dict, "dataset": dict,
    "peak_resident_mb": (int, float, type(None)),
}  # fmt: skip
"""What every file of a suite has, and of what kind it is."""
DATASET = {
    "name": str, "split": str, "modalities": list, "labels": list, "train_subjects": list, "test_subjects": list,
    "caveats": list,
}  # fmt: skip


def check_run(stem: str, run: Run, suites: tuple[str, ...]) -> None:
    """Raise ValueError if a file of a suite lacks something, or says something that cannot be.

    Args:
        stem: the file's name without its ending.
        run: its content.
        suites: those there are.
    """
    for kinds, values, where in ((KINDS, run, ""), (DATASET, run.get("dataset"), "dataset.")):
        for name, kind in kinds.items():
            if not isinstance(values, dict) or not isinstance(values.get(name, ...), kind):
                raise ValueError(f"no {where}{name}, or not of its kind")
    recipe = run["config"].get("recipe", {})
    if not isinstance(recipe.get("preset"), str) or not isinstance(recipe.get("update_share"), (int, float)):
        raise ValueError("no config.recipe with preset and update_share")
    if run["suite"] not in suites:
        raise ValueError(f"suite {run['suite']!r}, and there are {', '.join(suites)}")
    named = re.search(r"seed(\d+)$", stem)
    if named is not None and int(named[1]) != run["seed"]:
        raise ValueError(f"its name says another seed than the file, {run['seed']}")
    train, test = (set(run["dataset"][f"{part}_subjects"]) for part in ("train", "test"))
    if train & test:
        raise ValueError(f"{', '.join(sorted(train & test))} trained and was tested")
    check_scores({name: value for name, value in run.items() if name not in ("config", "stages")}, test)


def check_scores(value: Any, tested: set[str] | None = None) -> None:
    """Raise ValueError for a score that does not follow from what is counted, wherever it is in a file.

    `tested`, if given, are the subjects that may be counted.
    """
    if isinstance(value, list):
        for one in value:
            check_scores(one, tested)
    elif isinstance(value, dict):
        if {"correct", "total", "accuracy"} <= set(value) and abs(
            value["accuracy"] - value["correct"] / value["total"]
        ) > 1e-9:
            raise ValueError(f"accuracy {value['accuracy']} is not {value['correct']}/{value['total']}")
        for key in ("per_subject", "per_class"):
            if key in value and sum(part["correct"] for part in value[key].values()) != value["correct"]:
                raise ValueError(f"{key} does not add up to {value['correct']}")
        strangers = set() if tested is None else set(value.get("per_subject", ())) - tested
        if strangers:
            raise ValueError(f"counts {', '.join(sorted(strangers))}, who were not tested")
        for key in ("macro_f1", "ece", "auroc"):
            if not 0 <= value.get(key, 0) <= 1:
                raise ValueError(f"{key} {value[key]} is no share")
        if {"scenarios", "categories", "overall"} <= set(value):
            _check_faults(value)
        for one in value.values():
            check_scores(one, tested)


def _check_faults(faults: dict[str, Any]) -> None:
    """Raise ValueError unless categories are means of their scenarios, and overall is the mean of those of faults."""
    for category, mean in faults["categories"].items():
        found = [one["accuracy"] for one in faults["scenarios"] if one["category"] == category]
        if not found or not math.isclose(mean, statistics.fmean(found), abs_tol=1e-9):
            raise ValueError(f"{category} {mean} is not the mean of its scenarios")
    faulty = [mean for category, mean in faults["categories"].items() if category != "clean"]
    if not math.isclose(faults["overall"], statistics.fmean(faulty), abs_tol=1e-9):
        raise ValueError(f"robustness {faults['overall']} is not the mean of its categories")


def check_alike(found: list[tuple[str, Run]]) -> None:
    """Raise DataError if the runs of one suite are not one run each, trained in the same way and tested alike."""
    kinds = {digest_of(run["config"]): name for name, run in found}
    if len(kinds) > 1:
        raise DataError(
            f"{', '.join(kinds.values())}: options of the trainings differ; expected the same in all files of a suite; "
            "delete the old ones and measure again"
        )
    seen: dict[str, str] = {}
    people: dict[str, tuple[str, str]] = {}
    for name, run in found:
        data = run["dataset"]
        which = f"seed {run['seed']}, {data['split']}, {'+'.join(data['modalities'])}"
        if which in seen:
            raise DataError(f"{seen[which]}, {name}: both are {which}; expected one file of each run; delete one")
        seen[which] = name
        subjects = digest_of([data["train_subjects"], data["test_subjects"], data.get("test_windows")])
        first, before = people.setdefault(data["split"], (name, subjects))
        if subjects != before and run["suite"] != "unknown":  # whose draws have windows of their own
            raise DataError(
                f"{first}, {name}: other subjects or windows of {data['split']}; expected the same; measure again"
            )
