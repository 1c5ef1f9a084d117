"""Adds the pages of the documentation site that are not in docs/: an mkdocs hook, named in mkdocs.yml.

README, CHANGELOG and CONTRIBUTING become pages with their links adapted; each package gets a page that lists its
modules, classes and functions with the first line of their docstrings. The sources are parsed, not imported.
"""

import ast
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
TOP_PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
PACKAGES = {
    "edgehar": "what workstation and board share; needs numpy only",
    "teacher": "the teacher network and its training; needs torch",
    "student": "the student network: distillation, pruning, export; needs torch and torch-pruning",
    "deploy": "recognition, streaming, packaging and measuring; needs numpy and onnxruntime",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    pages = {page: _from_top((ROOT / source).read_text(encoding="utf-8")) for source, page in TOP_PAGES.items()}
    for package, summary in PACKAGES.items():
        pages[f"api-{package if package != 'edgehar' else 'core'}.md"] = package_page(package, summary)
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Adapt links from docs/ to the files above it."""
    for source, target in TOP_PAGES.items():
        markdown = markdown.replace(f"](../{source}", f"]({target}")
    return markdown


def _from_top(markdown: str) -> str:
    """Links of a file at the top of the repository, as seen from docs/."""
    for source, target in TOP_PAGES.items():
        markdown = markdown.replace(f"]({source}", f"]({target}")
    return markdown.replace("](docs/", "](")


def package_page(package: str, summary: str) -> str:
    """Markdown that lists the modules of one package, by sub-package, with their public names."""
    prefix = "edgehar" if package == "edgehar" else f"edgehar.{package}"
    lines = [f"# {prefix}", "", f"{summary[0].upper()}{summary[1:]}.", ""]
    folders = sorted(path.parent for path in (ROOT / package).rglob("__init__.py") if not _is_link(path))
    for folder in folders:
        dotted = ".".join((prefix, *folder.relative_to(ROOT / package).parts))
        docstring = _first_line(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
        lines += [] if folder == ROOT / package else [f"## {dotted}", "", docstring, ""]
        for path in sorted(folder.glob("*.py")):
            if not path.stem.startswith("__"):
                lines += _module(f"{dotted}.{path.stem}", path)
    return "\n".join(lines)


def _is_link(path: Path) -> bool:
    """Whether the file lies below a link, such as edgehar/deploy."""
    return any((ROOT / part).is_symlink() for part in path.relative_to(ROOT).parents)


def _module(dotted: str, path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lines = [f"### {dotted}", "", _first_line(tree), ""]
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            lines.append(f"- `{_signature(node)}`: {_first_line(node)}")
    return [*lines, ""]


def _signature(node: ast.ClassDef | ast.FunctionDef) -> str:
    if isinstance(node, ast.ClassDef):
        return f"class {node.name}"
    arguments = node.args
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
    names += [f"*{arguments.vararg.arg}"] if arguments.vararg else []
    names += [argument.arg for argument in arguments.kwonlyargs]
    names += [f"**{arguments.kwarg.arg}"] if arguments.kwarg else []
    return f"{node.name}({', '.join(names)})"


def _first_line(node: ast.Module | ast.ClassDef | ast.FunctionDef) -> str:
    """First line of a docstring, with what Markdown would interpret escaped outside backticks."""
    line = (ast.get_docstring(node) or "").partition("\n")[0]
    parts = re.split(r"(`[^`]*`)", line)
    return "".join(part if part.startswith("`") else re.sub(r"([*_<>\[\]|])", r"\\\1", part) for part in parts)
