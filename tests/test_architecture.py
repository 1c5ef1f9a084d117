"""The rules about files, folders and imports, checked on the checkout as it is."""

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import grimp
import pytest
from importlinter.cli import lint_imports

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = ("edgehar", "teacher", "student", "deploy")
MOST_LINES = 300
MOST_MODULES = 16
MOST_FLOORS = 6
SOURCES = sorted(path for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py"))
TOOLS = sorted((REPOSITORY / "tools").rglob("*.py"))
SCRIPTS = [path for path in [*SOURCES, *TOOLS] if '__name__ == "__main__"' in path.read_text()]


def module_name(path: Path) -> str:
    """The name a file is imported as; teacher, student and deploy are installed inside edgehar."""
    name = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")
    return f"edgehar.{name}" if name.partition(".")[0] in PACKAGES[1:] else name


def tracked_files() -> list[Path]:
    """What git tracks or would track; every file outside dotted folders where this is no git checkout."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    if (REPOSITORY / ".git").exists():
        shown = subprocess.run(listing, cwd=REPOSITORY, capture_output=True, check=True).stdout.decode()
        found = [REPOSITORY / name for name in shown.split("\0") if name]
    else:
        found = [path for path in REPOSITORY.rglob("*") if not path.relative_to(REPOSITORY).parts[0].startswith(".")]
    return [path for path in found if path.is_file()]


def python_files() -> list[Path]:
    return [path for path in tracked_files() if path.suffix == ".py"]


def test_imports_follow_the_contracts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert lint_imports(config_filename="pyproject.toml", cache_dir=None) == 0


def longest_import_chain(imports: dict[str, set[str]]) -> int:
    """Number of nodes on the longest chain of imports; the graph has no circle."""

    def height(name: str) -> int:
        return 1 + max(map(height, imports[name]), default=0)

    return max(map(height, imports))


@cache
def import_graph() -> grimp.ImportGraph:
    return grimp.build_graph("edgehar", exclude_type_checking_imports=True, cache_dir=None)


@pytest.mark.parametrize("package", ["edgehar", *(f"edgehar.{name}" for name in PACKAGES[1:])])
def test_a_package_has_few_floors(package: str) -> None:
    graph = import_graph()
    apart = {f"edgehar.{name}" for name in PACKAGES[1:]} if package == "edgehar" else set[str]()
    children = graph.find_children(package) - apart
    imports = {
        child: {other for other in children - {child} if graph.direct_import_exists(
            importer=child, imported=other, as_packages=True)}
        for child in children
    }  # fmt: skip
    assert longest_import_chain(imports) <= MOST_FLOORS


def test_no_module_is_too_long() -> None:
    long = {str(path): count for path in python_files() if (count := len(path.read_text().splitlines())) > MOST_LINES}
    assert long == {}


def test_no_folder_holds_too_many_modules() -> None:
    counted = Counter(path.parent for path in [*SOURCES, *TOOLS] if path.name != "__init__.py")
    assert {str(folder): count for folder, count in counted.items() if count > MOST_MODULES} == {}


def test_nothing_beside_a_script_shadows_a_library() -> None:
    # `python student/distill.py` puts student/ first on sys.path
    pinned = {
        line.partition("==")[0] for line in (REPOSITORY / "constraints.txt").read_text().splitlines() if "==" in line
    }
    installed = importlib.metadata.packages_distributions()
    dependencies = {
        name
        for name, owners in installed.items()
        if any(re.sub(r"[-_.]+", "-", owner.lower()) in pinned for owner in owners)
    }
    taken = sys.stdlib_module_names | dependencies | {"edgehar"}
    beside = {sibling for script in SCRIPTS for sibling in script.parent.iterdir()}
    assert [str(path) for path in sorted(beside) if path.stem in taken and path.suffix in ("", ".py")] == []


def test_every_import_uses_the_installed_name() -> None:
    # With the repository as working folder, `import teacher` would find the folder and load its modules a second time.
    bare = re.compile(r"^\s*(?:from|import) (?:teacher|student|deploy)\b", re.MULTILINE)
    assert [str(path) for path in python_files() if bare.search(path.read_text())] == []


def test_no_file_names_a_path_of_one_machine() -> None:
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
def test_a_script_calls_a_main_that_takes_its_arguments(path: Path) -> None:
    source = path.read_text()
    functions = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    if "main" not in functions:
        assert "import main" in source
        return
    main = functions["main"]
    assert ast.unparse(main.args) == "argv: list[str] | None=None"
    assert main.returns is not None
    assert ast.unparse(main.returns) == "int"


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_a_module_docstring_opens_with_one_sentence(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert docstring.splitlines()[0].endswith(".")


@pytest.mark.parametrize("path", SCRIPTS, ids=module_name)
def test_a_script_docstring_shows_a_command(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()), clean=False) or ""
    assert re.search(r"^ *(edgehar|python) ", docstring, re.MULTILINE)


BLOCKER = """
import importlib, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name in REFUSED:
            raise ModuleNotFoundError(f"{name} is refused", name=name)

REFUSED = set(sys.argv[1].split(","))
sys.meta_path.insert(0, Refuse())
for name in sys.argv[2:]:
    importlib.import_module(name)
sys.stdout.write(f"{len(sys.argv) - 2} imported")
"""
TRAINING = ("torch", "torch_pruning", "edgehar.teacher", "edgehar.student")


def import_without(refused: tuple[str, ...], names: list[str]) -> None:
    """Import modules in a process where others cannot be imported."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", BLOCKER, ",".join(refused), *names]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert run.stdout == f"{len(names)} imported", run.stderr


def modules_of(package: str) -> list[str]:
    return [module_name(path) for path in SOURCES if path.relative_to(REPOSITORY).parts[0] == package]


def test_deploy_imports_without_torch() -> None:
    pytest.importorskip("onnxruntime", reason="deploy needs the runtime extra")
    import_without(TRAINING, modules_of("deploy"))


def test_core_imports_with_numpy_alone() -> None:
    others = ("onnx", "onnxruntime", "matplotlib", "scipy", "tqdm", "safetensors")
    import_without((*TRAINING, *others), modules_of("edgehar"))


FACE = """
import sys
import edgehar
loaded = {"torch", "onnxruntime", "numpy"} & set(sys.modules)
assert not loaded, loaded
for name in edgehar.__all__:
    getattr(edgehar, name)
assert dir(edgehar) == sorted(edgehar.__all__)
assert "torch" not in sys.modules
try:
    edgehar.no_such_name
except AttributeError as problem:
    assert "no_such_name" in str(problem)
else:
    raise AssertionError("an unknown name was found")
"""


def test_public_names_are_imported_on_first_use() -> None:
    pytest.importorskip("onnxruntime", reason="deploy needs the runtime extra")
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    run = subprocess.run([sys.executable, "-c", FACE], capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr
