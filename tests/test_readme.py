"""The commands in README run, and its figures are those of the result files."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgehar.verbs import VERBS

REPOSITORY = Path(__file__).resolve().parent.parent
README = (REPOSITORY / "README.md").read_text()
COMMANDS = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
NEEDS_QUICKSTART = [line for line in COMMANDS if "runs/quickstart" in line]


def run(words: list[str], folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "edgehar.cli", *words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_quickstart_trains_an_accurate_student(newcomer: Path):
    results = json.loads((newcomer / "runs/quickstart/results.json").read_text())
    assert len(results["dataset"]["labels"]) == 14
    assert results["evaluation"]["student-int8"]["accuracy"] > 0.6
    assert (newcomer / "runs/quickstart/report.html").stat().st_size > 10_000


@pytest.mark.parametrize("command", NEEDS_QUICKSTART)
def test_command_on_the_quickstart_package_succeeds(command: str, newcomer: Path):
    program, *words = command.split()
    assert program == "edgehar"
    assert run(words, newcomer).strip()


def test_python_example_predicts_an_activity(newcomer: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(newcomer)
    random = np.random.default_rng(0)
    names: dict[str, Any] = {"joints": random.normal(size=(60, 20, 3)), "motion": random.normal(size=(100, 6))}
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(example, names)
    assert names["prediction"].label in names["recognizer"].manifest.labels


def test_every_command_is_a_make_target_a_verb_or_pip():
    targets = re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert len(NEEDS_QUICKSTART) >= 4
    for command in COMMANDS:
        program, word, *_ = command.split()
        assert (program == "make" and word in targets) or (program == "edgehar" and word in VERBS) or program == "pip"


def test_tables_match_the_result_files():
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "tools/results.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
