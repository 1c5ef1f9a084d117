"""The commands of docs/tutorial.md, word by word: from a phone logger's export to a live answer."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.edgehar.experiments.in_process import edgehar

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = (REPOSITORY / "docs" / "tutorial.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
MOST_COMMANDS = 6


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each command prints, in a folder with nothing but the examples of the documentation."""
    folder = tmp_path_factory.mktemp("tutorial")
    (folder / "docs").symlink_to(REPOSITORY / "docs")
    outputs: list[str] = []
    for command in COMMANDS:
        program, *words = shlex.split(command)
        if program == "python":
            done = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, check=False)
        else:
            assert program == "edgehar"
            done = edgehar(*words, folder=folder)
        assert done.returncode == 0, f"{command}\n{done.stderr[-3000:]}"
        outputs.append(done.stdout)
    return outputs


def test_a_newcomer_needs_six_commands_and_no_code() -> None:
    assert len(COMMANDS) <= MOST_COMMANDS
    assert "```python" not in PAGE


def test_the_import_says_what_it_found(printed: list[str]) -> None:
    shown = [
        line.strip() for line in PAGE.splitlines() if (line.startswith("    ") and "Hz" in line) or "mine: 36" in line
    ]
    assert len(shown) == 3
    for line in shown:
        assert line in printed[1]
    assert " 36 recordings " in printed[2]


def test_the_students_people_are_recognised(printed: list[str]) -> None:
    student = re.search(r"student-int8\s+(\d+)/(\d+)", printed[3])
    assert student is not None
    assert int(student[1]) > 0.9 * int(student[2])


def test_the_live_answer_is_right(printed: list[str]) -> None:
    predictions = [json.loads(line) for line in printed[4].splitlines()]
    assert len(predictions) > 15
    labels = [prediction["label"] for prediction in predictions]
    assert labels.count("walk") > 0.9 * len(labels)
    (activity,) = [json.loads(line) for line in printed[5].splitlines()]
    assert activity["activity"] == "walk"
