"""The rules about files and imports, checked on the checkout as it is."""

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = ("edgehar", "teacher", "student", "deploy")
SOURCES = sorted(path for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py"))
SCRIPTS = [
    path for path in [*SOURCES, *(REPOSITORY / "tools").glob("*.py")] if '__name__ == "__main__"' in path.read_text()
]


def module_name(path: Path) -> str:
    name = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")
    return f"edgehar.{name}" if name.partition(".")[0] in ("teacher", "student", "deploy") else name


def tracked_files() -> list[Path]:
    """What git tracks or would; every file outside dotted folders where this is no git checkout."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    if (REPOSITORY / ".git").exists():
        shown = subprocess.run(listing, cwd=REPOSITORY, capture_output=True, check=True).stdout.decode()
        found = [REPOSITORY / name for name in shown.split("\0") if name]
    else:
        found = [path for path in REPOSITORY.rglob("*") if not path.relative_to(REPOSITORY).parts[0].startswith(".")]
    return [path for path in found if path.is_file()]


def python_files() -> list[Path]:
    return [path for path in tracked_files() if path.suffix == ".py"]


def test_imports_point_one_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert lint_imports(config_filename="pyproject.toml", cache_dir=None) == 0


def test_no_module_is_longer_than_300_lines() -> None:
    long = {str(path): count for path in python_files() if (count := len(path.read_text().splitlines())) > 300}
    assert long == {}


def test_no_module_hides_another_when_a_script_is_run_by_path() -> None:
    # python student/distill.py puts student/ first on sys.path
    pinned = {
        line.partition("==")[0] for line in (REPOSITORY / "constraints.txt").read_text().splitlines() if "==" in line
    }
    installed = importlib.metadata.packages_distributions()
    dependencies = {
        name
        for name, owners in installed.items()
        if any(re.sub(r"[-_.]+", "-", owner.lower()) in pinned for owner in owners)
    }
    taken = sys.stdlib_module_names | dependencies | set(PACKAGES)
    assert [str(path) for path in SOURCES if path.stem in taken] == []


def test_no_path_of_one_machine_is_in_a_file() -> None:
    # /home/NAME, /Users/NAME, /root, and folders at the root that belong to whoever wrote the file
    private = re.compile(r"(?<![\w.~/-])/(?:home/\w|Users/\w|root/|work/|workspace/|mnt/\w|opt/\w|tmp/\w)")
    found: list[str] = []
    for path in tracked_files():
        if path == Path(__file__):
            continue
        lines = path.read_text(encoding="utf-8", errors="ignore").splitlines()
        found += [f"{path}:{number}: {line}" for number, line in enumerate(lines, 1) if private.search(line)]
    assert found == []


def test_the_installed_package_is_marked_as_typed() -> None:
    assert (REPOSITORY / "edgehar" / "py.typed").is_file()


@pytest.mark.parametrize("path", SCRIPTS, ids=module_name)
def test_a_script_has_a_main_that_takes_its_arguments(path: Path) -> None:
    functions = {node.name: node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
    assert "main" in functions
    main = functions["main"]
    assert ast.unparse(main.args) == "argv: list[str] | None=None"
    assert main.returns is not None
    assert ast.unparse(main.returns) == "int"


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_a_module_starts_with_its_one_idea(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert docstring.splitlines()[0].endswith(".")


@pytest.mark.parametrize("path", SCRIPTS, ids=module_name)
def test_a_script_opens_with_a_command(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()), clean=False) or ""
    assert re.search(r"^ *(edgehar|python) ", docstring, re.MULTILINE)


BLOCKER = """
import importlib, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name in {"torch", "torch_pruning", "edgehar.teacher", "edgehar.student"}:
            raise ModuleNotFoundError(f"{name} is refused", name=name)

sys.meta_path.insert(0, Refuse())
for name in sys.argv[1:]:
    importlib.import_module(name)
sys.stdout.write(f"{len(sys.argv) - 1} imported")
"""


@pytest.mark.parametrize("package", ["edgehar", "deploy"])
def test_the_board_side_imports_without_torch(package: str) -> None:
    if package == "deploy":
        pytest.importorskip("onnxruntime", reason="the board side needs the runtime extra")
    names = [module_name(path) for path in SOURCES if path.relative_to(REPOSITORY).parts[0] == package]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    run = subprocess.run(
        [sys.executable, "-c", BLOCKER, *names], capture_output=True, text=True, env=environment, check=False
    )
    assert run.stdout == f"{len(names)} imported", run.stderr


def test_edgehar_imports_with_numpy_alone() -> None:
    names = [module_name(path) for path in SOURCES if path.relative_to(REPOSITORY).parts[0] == "edgehar"]
    script = BLOCKER.replace(
        '"torch",', '"torch", "onnx", "onnxruntime", "matplotlib", "scipy", "tqdm", "safetensors",'
    )
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    run = subprocess.run(
        [sys.executable, "-c", script, *names], capture_output=True, text=True, env=environment, check=False
    )
    assert run.stdout == f"{len(names)} imported", run.stderr
