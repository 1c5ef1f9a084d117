"""What README tells a newcomer to type works as it stands."""

import json
import re
import subprocess
import sys
from pathlib import Path

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


def test_quickstart_trains_a_student_that_is_far_better_than_chance(newcomer: Path):
    results = json.loads((newcomer / "runs/quickstart/results.json").read_text())
    assert len(results["dataset"]["labels"]) == 14
    assert results["evaluation"]["student-int8"]["accuracy"] > 0.6
    assert (newcomer / "runs/quickstart/report.html").stat().st_size > 10_000


@pytest.mark.parametrize("command", NEEDS_QUICKSTART)
def test_a_command_on_the_quickstart_package_works(command: str, newcomer: Path):
    program, *words = command.split()
    assert program == "edgehar"
    assert run(words, newcomer).strip()


def test_every_command_is_a_target_a_verb_or_pip():
    targets = re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert len(NEEDS_QUICKSTART) >= 4
    for command in COMMANDS:
        program, word, *_ = command.split()
        assert (program == "make" and word in targets) or (program == "edgehar" and word in VERBS) or program == "pip"


def test_every_file_that_is_linked_exists():
    for page in [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+?)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_tables_are_those_of_the_result_files():
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "tools/results.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
