"""The `edgehar` command: its verbs, their pinned --help, and its messages."""

import inspect
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from edgehar import __version__
from edgehar.cli import main
from edgehar.data.command import ACTIONS
from edgehar.deploy.packaging.command import ACTIONS as PACKAGE
from edgehar.entry import EXTRAS
from edgehar.student import distill, prune
from edgehar.teacher import finetune, pretrain
from edgehar.verbs import MODES, VERBS, load, usage

REPOSITORY = Path(__file__).resolve().parent.parent
GOLDEN = Path(__file__).parent / "golden" / "help"
UPDATE = "EDGEHAR_UPDATE_GOLDEN"


def compare(name: str, shown: str) -> None:
    """Compare a text with its golden file; with EDGEHAR_UPDATE_GOLDEN=1, write the file first."""
    path = GOLDEN / f"{name}.txt"
    if os.environ.get(UPDATE):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(shown, encoding="utf-8")
    expected = path.read_text(encoding="utf-8") if path.is_file() else "(no golden file)"
    assert shown == expected, (
        f"if the change is intended: {UPDATE}=1 python -m pytest tests/test_cli.py, then read the diff"
    )


def code_of(arguments: list[str]) -> object:
    """Exit code of the command, returned or raised."""
    try:
        return main(arguments)
    except SystemExit as ended:
        return ended.code


HELP = {
    **{verb: [verb] for verb in VERBS},
    **{f"data-{action}": ["data", action] for action in ACTIONS},
    **{f"package-{action}": ["package", action] for action in PACKAGE},
    **{f"{verb}-{mode}": [verb, f"--{mode}"] for verb, modes in MODES.items() for mode in modes},
}
"""Golden file -> arguments before --help."""


@pytest.mark.parametrize("name", HELP)
def test_help_is_as_pinned(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    assert code_of([*HELP[name], "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: edgehar {' '.join(HELP[name])}")
    compare(name, shown)


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (pretrain.PARSER.parse, ["--out", "o"]),
        (finetune.PARSER.parse, ["--out", "o"]),
        (distill.PARSER.parse, ["--out", "o", "--teacher", "t"]),
        (prune.PARSER.parse, ["c", "--out", "o"]),
    ],
    ids=["pretrain", "finetune", "distill", "prune"],
)
def test_help_shows_the_values_used_without_options(
    read: Callable[[list[str]], Any], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        read(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    train = asdict(read(words).train)
    for name in ("updates", "batch", "learning_rate", "ema_decay"):
        found = re.search(rf"--{name.replace('_', '-')} {name.upper()} [^()]*\(([\d.]+);", shown)
        assert found is not None
        assert float(found[1]) == train[name]


def test_usage_is_as_pinned(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert main([]) == 0
    assert shown == capsys.readouterr().out == usage() + "\n"
    compare("edgehar", shown)


def test_every_golden_file_belongs_to_a_verb() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} <= {"edgehar", *HELP}


@pytest.mark.parametrize(
    ("arguments", "prog", "refused"),
    [
        (["PACKAGE", "--smoothing", "0.5"], "edgehar evaluate", "--smoothing"),
        (["PACKAGE", "--stream", "--faults"], "edgehar evaluate --stream", "--faults"),
        (["--stream", "PACKAGE", "--seeds", "1"], "edgehar evaluate --stream", "--seeds"),
        (["--suite", "accuracy", "--stream"], "edgehar evaluate --suite", "--stream"),
        (["--suite=accuracy", "--chunk", "3"], "edgehar evaluate --suite", "--chunk"),
    ],
)
def test_option_of_another_mode_is_refused_by_name(
    arguments: list[str], prog: str, refused: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(["evaluate", *arguments]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"{prog}: error:")
    assert refused in error


def test_mode_without_a_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--suite"]) == 2
    assert "--suite" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ("data", "package")])
def test_verb_has_a_parser_and_runs_options(verb: str) -> None:
    module = load(VERBS[verb].module)
    assert module.PARSER.prog == f"edgehar {verb}"
    (parameter,) = inspect.signature(module.run).parameters.values()
    assert parameter.annotation is module.PARSER.config_type


def test_every_row_of_the_table_can_be_imported() -> None:
    rows = [*VERBS.values(), *(row for modes in MODES.values() for row in modes.values())]
    assert all(callable(load(row.module).main) for row in rows)


def test_every_verb_is_in_the_usage() -> None:
    for verb in VERBS:
        assert re.search(rf"^  {verb} ", usage(), re.MULTILINE)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"edgehar {__version__}\n"


def test_unknown_verb_gives_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fly"]) == 2
    shown = capsys.readouterr().err
    assert "'fly'" in shown
    assert shown.count("\n") == 1


@pytest.mark.parametrize("verb", VERBS)
def test_unknown_option_gives_exit_code_2(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of([verb, "--no-such-option"]) == 2
    assert f"edgehar {verb}" in capsys.readouterr().err


REFUSE = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuse())
from edgehar.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize(
    ("module", "verb", "extra"),
    [("torch", "pretrain", "train"), ("torch", "distill", "train"), ("onnxruntime", "verify", "runtime")],
)
def test_message_names_the_missing_extra(module: str, verb: str, extra: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    run = subprocess.run(
        [sys.executable, "-c", REFUSE, module, verb, "--help"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert run.returncode == 2
    assert f"pip install 'edgehar[{extra}]'" in run.stderr
    assert run.stderr.count("\n") == 1


def test_every_named_extra_installs_its_package() -> None:
    text = (REPOSITORY / "pyproject.toml").read_text()
    extras = text.partition("[project.optional-dependencies]")[2].partition("\n[project.scripts]")[0]
    for module, extra in EXTRAS.items():
        listed = re.search(rf"^{extra} = \[(.*?)\]$", extras, re.MULTILINE | re.DOTALL)
        assert listed is not None
        assert re.search(rf'"{module.replace("_", "-")}[>=]', listed[1]), f"{module} is not in [{extra}]"


def test_command_runs_as_a_module() -> None:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "edgehar", "--version"]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert run.stdout == f"edgehar {__version__}\n"


def test_closed_standard_output_gives_the_exit_code_of_sigpipe() -> None:
    command = [sys.executable, "-m", "edgehar", "data", "info", "simulated"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.wait() == 128 + signal.SIGPIPE
        assert process.stderr.read() == b""
