"""The documentation site builds without warnings; commands, options, paths and imports on its pages exist."""

import ast
import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import edgehar
from edgehar.config import field_names
from edgehar.verbs import VERBS, load, select

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = {
    path.name: path.read_text(encoding="utf-8")
    for path in [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
}
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SETTINGS = ("pretrain", "finetune", "distill", "prune")
"""Options whose value is a command line of the verb of that name."""
MARKS = ("<!-- results:", "<!-- end of results")
REMOVED = {"--equal-shares", "--init-from-teacher"}
"""Options that the lab notebook names and that no longer exist."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a broken link or anchor fails the build."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_site_has_every_page_and_a_search_index(site: Path) -> None:
    expected = {"index.html" if name == "README.md" else name.lower().replace(".md", ".html") for name in PAGES}
    assert expected <= {path.name for path in site.glob("*.html")}
    index = (site / "search" / "search_index.json").read_text(encoding="utf-8")
    assert "edgehar.signals.windows" in index


def test_site_loads_nothing_from_other_servers(site: Path) -> None:
    loaded = re.compile(r"<(?:script|img|link|iframe)\b[^>]*(?:src|href)=\"(?:https?:)?//[^\"]*\"")
    assert [path.name for path in site.rglob("*.html") if loaded.search(path.read_text(encoding="utf-8"))] == []


def test_api_page_has_every_public_name(site: Path) -> None:
    page = (site / "api.html").read_text(encoding="utf-8")
    for name in set(edgehar.__all__) - {"__version__"}:
        assert f'id="edgehar.{name}"' in page, name


def blocks(page: str) -> list[str]:
    """Lines of the indented and fenced blocks of a page."""
    text = PAGES[page]
    fenced = [line for language, body in FENCED.findall(text) if language in ("", "sh") for line in body.splitlines()]
    return fenced + [line.strip() for line in FENCED.sub("", text).splitlines() if line.startswith("    ")]


def spans(page: str) -> list[str]:
    """Code in backticks within the text of a page."""
    return [span.replace("\\|", "|") for span in re.findall(r"`([^`\n]+)`", FENCED.sub("", PAGES[page]))]


def edgehar_commands(lines: list[str]) -> list[list[str]]:
    """The arguments of each `edgehar` command."""
    parts = [part.strip() for line in lines for part in re.split(r" \| | && ", line)]
    return [shlex.split(part, comments=True)[1:] for part in parts if re.match(r"edgehar [a-z]+( |$)", part)]


def parser_of(arguments: list[str]) -> tuple[Any, list[str]]:
    """The parser of a command, and the arguments that it reads."""
    verb, *rest = arguments
    module: Any = load(select(verb, rest).module)
    if hasattr(module, "PARSER"):
        return module.PARSER, rest
    return module.ACTIONS[rest[0]].parser, rest[1:]


def accepted(parser: Any) -> set[str]:
    """The options of a parser."""
    names = {name.replace("_", "-") for name in field_names(parser.config_type)}
    return (
        {f"--{name}" for name in names}
        | {f"--no-{name}" for name in names}
        | {"--help", "--preset", f"--{parser.mode}"}
    )


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_blocks_parse(page: str) -> None:
    for arguments in edgehar_commands(blocks(page)):
        assert arguments[0] in VERBS, arguments
        parser, rest = parser_of(arguments)
        for name, value in parser.given(rest).items():
            if name in SETTINGS:
                parser_of([name])[0].given(shlex.split(value))


@pytest.mark.parametrize("page", PAGES)
def test_options_in_the_text_exist(page: str) -> None:
    for arguments in edgehar_commands(spans(page)):
        if len(arguments) > 1 and arguments[0] in VERBS:
            options = {word.partition("=")[0] for word in arguments if word.startswith("--")}
            assert options - REMOVED <= accepted(parser_of(arguments)[0]), arguments
    parsers = [load(row.module) for verb, row in VERBS.items() if verb not in ("data", "package")]
    known = set().union(*(accepted(module.PARSER) for module in parsers))
    known |= accepted(load(select("evaluate", ["--suite"]).module).PARSER)
    known |= accepted(load(select("evaluate", ["--stream"]).module).PARSER)
    known |= accepted(load(select("explain", ["--checkpoint"]).module).PARSER)
    for action in ("check", "info", "import", "convert", "pack", "fetch"):
        known |= accepted(parser_of(["data", action])[0])
    for span in spans(page):
        if span.startswith("--"):
            assert span.split()[0].partition("=")[0] in known | REMOVED, span


@pytest.mark.parametrize("page", PAGES)
def test_paths_in_the_text_exist(page: str) -> None:
    folders = "edgehar|teacher|student|deploy|tools|tests|docs"
    named = {path for span in spans(page) for path in re.findall(rf"(?:^|\s)((?:{folders})/[\w./-]*)", span)}
    written = {path for path in named if path.startswith("docs/results/") or "NAME" in path}  # by a command
    assert [path for path in sorted(named - written) if not (REPOSITORY / path).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_imports_in_python_examples_resolve(page: str) -> None:
    for language, body in FENCED.findall(PAGES[page]):
        if language != "python":
            continue
        for node in ast.walk(ast.parse(body)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("edgehar"):
                module = importlib.import_module(node.module or "")
                assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "edgehar":
                assert hasattr(edgehar, node.attr), ast.unparse(node)


def test_readme_is_short() -> None:
    lines = PAGES["README.md"].splitlines()
    assert len(lines) <= 150
    first, last = (next(number for number, line in enumerate(lines) if line.startswith(mark)) for mark in MARKS)
    rows = [line for line in lines[first:last] if line.startswith("|")]
    assert 2 < len(rows) <= 2 + 10
