"""Published results keep their keys: the command in a result file gives the key in that file."""

import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from edgehar.data.registry import DataOptions
from edgehar.experiments.suite.command import PARSER
from edgehar.experiments.suite.key import contents_of, key_of
from edgehar.experiments.suite.plan import plan_runs
from edgehar.files.atomic import read_json
from edgehar.signals.clip import Dataset

RESULTS = Path(__file__).parents[3] / "docs" / "results"
# The suite accuracy reads out-of-fold predictions that are not published; the students of the suite distillation
# were trained before two of its options existed, and the teachers of the suite labels were pretrained before weights
# served any sensors.
NAMES = {
    "folds": "sp-sw-har-folds-0of5-seed0",
    "loso": "utd-mhad-loso-s1-seed0",
    "sensors": "utd-mhad-sensors-inertial-seed0",
    "baselines": "utd-mhad-baselines-skeleton+inertial-seed0",
    "unknown": "utd-mhad-unknown-skeleton+inertial-seed0",
    "compression": "utd-mhad-compression-skeleton+inertial-seed0",
    "compression-teacher": "utd-mhad-compression-teacher-skeleton+inertial-seed0",
    "ablation": "utd-mhad-ablation-skeleton+inertial-seed0",
}


@cache
def loaded(name: str, root: Path) -> tuple[Dataset, str]:
    dataset = DataOptions(name, str(root / name)).load()
    return dataset, contents_of(dataset)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_command_of_a_published_result_gives_its_key(name: str, data_root: Path) -> None:
    entry: dict[str, Any] = read_json(RESULTS / f"{name}.json")
    data = entry["dataset"]["name"]
    program, verb, *words = shlex.split(entry["command"])
    assert (program, verb) == ("edgehar", "evaluate")
    options = PARSER.parse([*words, "--root", str(data_root / data)])
    dataset, contents = loaded(data, data_root)
    (run,) = (run for run in plan_runs(options, dataset) if run.name == name)
    assert key_of(run, options, contents) == entry["key"]
