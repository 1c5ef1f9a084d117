"""Checks the systemd unit of docs/board.md and deploy/Dockerfile, as far as they can be without either of them."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgehar.deploy.live.run import PARSER
from tests.deploy.running import LONG_S, lines_of, running
from tests.deploy.streams import steady
from tests.deploy.test_jetson import extras, extras_of

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "board.md").read_text()
DOCKERFILE = (REPOSITORY / "deploy" / "Dockerfile").read_text()


def unit() -> str:
    found = re.search(r"```ini\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1]


def instruction(name: str) -> list[str]:
    """The arguments of an instruction in its exec form."""
    found = re.search(rf"^{name}\b.*?(\[.*?\])$", DOCKERFILE.replace("\\\n", ""), re.MULTILINE)
    assert found
    return json.loads(found[1])


def test_unit_is_valid(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("the program systemd-analyze is not installed")
    path = tmp_path / "edgehar.service"
    path.write_text(unit().replace("/usr/local/bin/edgehar", sys.executable))
    done = subprocess.run([program, "verify", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_commands_of_the_unit_and_the_container_are_accepted() -> None:
    start = re.search(r"^ExecStart=(.*)$", unit(), re.MULTILINE)
    assert start
    for command in (shlex.split(start[1])[1:], instruction("CMD")):
        assert command[0] == "run"
        assert PARSER.parse(command[1:]).stream.metrics == 9464


def test_container_file_names_what_exists() -> None:
    for line in DOCKERFILE.splitlines():
        if line.startswith("COPY "):
            assert all((REPOSITORY / source).exists() for source in line.split()[1:-1]), line
    assert extras_of(DOCKERFILE) <= extras()
    assert "metrics" in extras_of(DOCKERFILE)


def test_health_check_of_the_container(sliding_package: Path) -> None:
    pytest.importorskip("prometheus_client", reason="needs pip install 'edgehar[metrics]'")
    python, *arguments = instruction("HEALTHCHECK")
    assert python == "python"

    def exit_code(port: str) -> int:
        command = [sys.executable, *(one.replace("9464", port) for one in arguments)]
        return subprocess.run(command, stderr=subprocess.DEVNULL, timeout=LONG_S, check=False).returncode

    with running(sliding_package, "--stdin", "--metrics", "0") as program:
        program.send(*lines_of(steady(2.0, 1)))
        port = program.log.line_with("metrics at ").split(":")[-1].partition("/")[0]
        assert exit_code(port) == 0
        program.stdin.close()
        assert program.code() == 0
    assert exit_code(port) != 0
