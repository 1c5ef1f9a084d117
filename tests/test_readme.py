"""The commands in README run, and its figures are those of the result files."""

import re
import subprocess
import sys
from pathlib import Path

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
