"""Tests that edgehar works beside a user's own deploy/, deploy.py or student/, and never imports or runs them."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import edgehar
from tests.deploy.running import ROOT
from tests.deploy.tiny_package import INERTIAL, write_tiny_package

MODULE = [sys.executable, "-m", "edgehar"]
CONSOLE_SCRIPT = [sys.executable, "-c", "import sys; from edgehar.cli import main; sys.exit(main())"]
"""The code of the installed `edgehar` script."""


def write_module(path: Path, log: Path) -> None:
    """Write a user's module that appends its name to a log when it is executed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"open({str(log)!r}, 'a').write(__name__ + ' ')\nTARGET = 'production'\n")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The log of the user's modules; it does not exist while none is executed."""
    return tmp_path / "executed.txt"


@pytest.fixture
def with_packages(tmp_path: Path, log: Path) -> Path:
    """A user's project with the packages deploy, student and teacher."""
    for name in ("deploy", "student", "teacher"):
        write_module(tmp_path / "project" / name / "__init__.py", log)
    return tmp_path / "project"


@pytest.fixture
def with_modules(tmp_path: Path, log: Path) -> Path:
    """A user's project with deploy.py and student.py."""
    for name in ("deploy", "student"):
        write_module(tmp_path / "other" / f"{name}.py", log)
    return tmp_path / "other"


def run(folder: Path, command: list[str], *arguments: str, stdin: str = "") -> str:
    """Standard output of a command in a folder that is first on the path, as with `PYTHONPATH=.`."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([".", str(ROOT)]), "OMP_NUM_THREADS": "1"}
    completed = subprocess.run(
        [*command, *arguments], input=stdin, capture_output=True, text=True, check=False, cwd=folder, env=environment
    )
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


def test_script_imports_edgehar_and_its_own_deploy(with_packages: Path, log: Path) -> None:
    (with_packages / "app.py").write_text("import edgehar, deploy\nprint(edgehar.load.__module__, deploy.TARGET)\n")
    assert run(with_packages, [sys.executable, "app.py"]) == "edgehar.deploy.recognizer production\n"
    assert log.read_text() == "deploy "  # imported by the script


@pytest.mark.parametrize("command", [CONSOLE_SCRIPT, MODULE], ids=["script", "module"])
@pytest.mark.parametrize("project", ["with_packages", "with_modules"])
def test_verify_runs_in_a_project(
    project: str, command: list[str], request: pytest.FixtureRequest, log: Path, clip_package: Path
) -> None:
    folder: Path = request.getfixturevalue(project)
    assert json.loads(run(folder, command, "verify", str(clip_package), "--json"))["passed"]
    assert not log.exists()


def test_stream_runs_in_a_project(with_modules: Path, log: Path, sliding_package: Path) -> None:
    samples = [{"modality": "inertial", "time_s": step / 50, "samples": [[0.0] * 6]} for step in range(100)]
    lines = "".join(json.dumps(sample) + "\n" for sample in samples)
    options = ("run", str(sliding_package), "--stdin", "--modalities", "inertial")
    prediction = json.loads(run(with_modules, MODULE, *options, stdin=lines).splitlines()[0])
    assert prediction["label"] in edgehar.load(sliding_package).manifest.labels
    assert not log.exists()


def test_child_processes_of_bench_run_in_a_project(with_packages: Path, log: Path, tmp_path: Path) -> None:
    write_tiny_package(tmp_path / "package", specs=(INERTIAL,), steps=2)
    options = ("bench", str(tmp_path / "package"), "--sustain-s", "0.02", "--cold-starts", "1")
    document = json.loads(run(with_packages, MODULE, *options).splitlines()[-1])
    assert document["precisions"]["fp32"]["cold_start_s"] > 0
    assert not log.exists()


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs the train extra")
def test_distill_runs_in_a_project(with_packages: Path, log: Path) -> None:
    assert run(with_packages, CONSOLE_SCRIPT, "distill", "--help").startswith("usage: edgehar distill")
    assert not log.exists()
