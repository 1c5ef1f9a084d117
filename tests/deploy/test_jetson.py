"""Checks docs/jetson.md and deploy/Dockerfile.jetson against the code, without a Jetson."""

import json
import re
import shlex
from pathlib import Path

import pytest

from edgehar import cli, verbs
from edgehar.data import registry
from edgehar.deploy.bench.benchmark import PARSER
from edgehar.deploy.runtime.session import expected_interface
from edgehar.package.folder import EdgePackage
from tests.deploy.tiny_package import write_tiny_package

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "jetson.md").read_text()
DOCKERFILE = (REPOSITORY / "deploy" / "Dockerfile.jetson").read_text()
COMMANDS = [
    line.strip()
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
EDGEHAR = [line for line in COMMANDS if line.startswith("edgehar ")]
TRTEXEC = [line for line in COMMANDS if "trtexec" in line]


def extras() -> set[str]:
    project = (REPOSITORY / "pyproject.toml").read_text()
    table = project.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    return set(re.findall(r"^(\w+) = \[", table, re.MULTILINE))


def extras_of(line: str) -> set[str]:
    return {name for group in re.findall(r"(?:edgehar|\.)\[([\w,]+)\]", line) for name in group.split(",")}


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a package for the sensors that `edgehar quickstart` simulates, named as in the page."""
    folder = tmp_path_factory.mktemp("board")
    info = registry.load("simulated").info
    window = info.window
    write_tiny_package(
        folder / "package",
        specs=info.modalities,
        labels=info.labels,
        steps=window.steps,
        step_s=window.step_s,
        width=32,
    )
    return folder


@pytest.mark.parametrize("command", EDGEHAR)
def test_every_edgehar_command_runs(
    command: str, board: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(board)
    verb, *words = shlex.split(command)[1:]
    if verb == "bench":  # takes a minute: only the options are checked
        assert PARSER.parse(words).package in ("package", None)
        return
    assert cli.main([verb, *words]) == 0
    assert capsys.readouterr().out.strip()


def test_page_covers_verify_run_and_bench() -> None:
    verbs = {line.split()[1] for line in EDGEHAR}
    assert verbs == {"verify", "run", "bench"}
    assert len(TRTEXEC) == 3
    assert any(line.startswith("sudo nvpmodel") for line in COMMANDS)
    assert "**Nothing on this page was run on a real Jetson.**" in PAGE


def test_other_commands_are_system_programs() -> None:
    programs = {"cat", "sudo", "python3", ".", "pip", "scp", "grep", "/usr/src/tensorrt/bin/trtexec", "edgehar"}
    for line in COMMANDS:
        assert line.split()[0] in programs, line
        assert extras_of(line) <= extras(), line


def test_trtexec_shapes_match_the_graphs(board: Path) -> None:
    manifest = EdgePackage.open(board / "package").manifest
    for line in TRTEXEC:
        options = dict(word.removeprefix("--").partition("=")[::2] for word in line.split()[1:])
        part, precision, _ = Path(options["onnx"]).name.split(".")
        shapes = {
            name: size.split("x") for name, _, size in (entry.partition(":") for entry in options["shapes"].split(","))
        }
        expected = {
            name: ["1" if size is None else str(size) for size in shape]
            for name, shape in expected_interface(manifest, part).inputs.items()
        }
        assert shapes == expected
        assert ("int8" in options) == (precision == "int8")


def test_messages_in_the_table_occur_in_the_code() -> None:
    rows = re.findall(r"^\| `([^`]+)` \|", PAGE.partition("## Troubleshooting")[2], re.MULTILINE)
    assert len(rows) >= 6
    source = " ".join(path.read_text() for path in sorted((REPOSITORY / "deploy").rglob("*.py")))
    for message in rows:
        assert message in source, message


def test_service_starts_an_existing_verb() -> None:
    (start,) = re.findall(r"^ExecStart=(.*)$", PAGE, re.MULTILINE)
    program, verb, *_ = start.split()
    assert Path(program).name == "edgehar"
    assert verb in verbs.VERBS


def test_image_installs_existing_extras_and_starts_an_existing_verb() -> None:
    installed = [line for line in DOCKERFILE.splitlines() if "pip install" in line and not line.startswith("#")]
    assert len(installed) == 2
    named = set().union(*map(extras_of, installed))
    assert named
    assert named <= extras()
    assert "runtime" not in named  # it would replace NVIDIA's build of onnxruntime by the CPU's
    words = {
        name: json.loads(found) for name, found in re.findall(r"^(ENTRYPOINT|CMD) (\[.*\])$", DOCKERFILE, re.MULTILINE)
    }
    assert words["ENTRYPOINT"] == ["edgehar"]
    assert words["CMD"][0] in verbs.VERBS
    for sources in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE):
        for source in sources.split():
            assert (REPOSITORY / source).exists(), source
    assert "NOT BUILT AND NOT RUN" in DOCKERFILE
