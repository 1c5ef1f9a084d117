"""Render every table and figure of the documentation from docs/results/*.json; no figure is typed by hand.

    python tools/results.py            rewrite README.md, pages of docs and docs/images
    python tools/results.py --check    exit 1 if one of them differs from the files

What others published comes from docs/published.json.
"""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgehar.entry import guarded
from edgehar.errors import DataError, EdgeharError
from edgehar.files.atomic import atomic_file, read_json
from tools.board_tables import board_section, load_board
from tools.compression_tables import compression_data
from tools.figures import draw, labels_data, robustness_data, shows
from tools.result_checks import check_alike, check_run, check_scores
from tools.result_figures import Run
from tools.result_sections import (
    COMPRESSED,
    SUITES,
    Groups,
    baselines_section,
    compression_section,
    group_section,
    image_of,
    robustness_section,
    runs_of,
)
from tools.result_tables import pipeline_section

REPOSITORY = Path(__file__).resolve().parent.parent
END = "<!-- end of results -->"
README = "<!-- results: python tools/results.py -->"
ROBUSTNESS = "<!-- results: robustness -->"
BASELINES = "<!-- results: baselines -->"
BOARD = "<!-- results: board -->"
COMPRESSION = "<!-- results: compression -->"


@contextmanager
def naming(what: str) -> Generator[None, None, None]:
    """Say which files something is wrong with that cannot be shown."""
    try:
        yield
    except EdgeharError:
        raise
    except (ArithmeticError, AttributeError, LookupError, StopIteration, TypeError, ValueError) as problem:
        said = str(problem) if isinstance(problem, ValueError) else f"{type(problem).__name__}: {problem}"
        raise DataError(
            f"{what}: {said}; expected what 'edgehar evaluate --suite' writes, with counts that add up; measure again"
        ) from problem


def load(folder: Path) -> tuple[list[tuple[str, Run]], Groups]:
    """The runs of the pipeline, and those of the suites; raises DataError for a file that contradicts itself."""
    pipelines: list[tuple[str, Run]] = []
    groups: Groups = {}
    for path in sorted(folder.glob("*.json")):
        run: Run = read_json(path)
        kind = run.get("format") if isinstance(run, dict) else None
        if kind == "edgehar-results":
            with naming(path.name):
                check_scores(run)
            pipelines.append((path.stem, run))
        elif kind == "edgehar-run":
            with naming(path.name):
                check_run(path.stem, run, SUITES)
            suite = groups.setdefault(_group(run), {name: [] for name in SUITES})[run["suite"]]
            suite.append((path.name, run))
        else:
            raise DataError(f"{path}: format {kind!r}; expected edgehar-results or edgehar-run; move it elsewhere")
    groups = dict(sorted(groups.items(), key=lambda item: -sum(map(len, item[1].values()))))  # most evidence first
    for suites in groups.values():
        for found in suites.values():
            check_alike(found)
            found.sort(key=lambda item: item[1]["seed"])
    return pipelines, groups


def _group(run: Run) -> str:
    """Data set, and what was asked for that is not the default."""
    recipe, words = run["config"]["recipe"], run["command"].split()
    parts = [run["dataset"]["name"]]
    for option in ("--split", "--modalities", "--without"):
        parts += [f"{option[2:]} {words[words.index(option) + 1]}"] if option in words else []
    parts += [f"preset {recipe['preset']}"] if recipe["preset"] != "base" else []
    share = recipe["update_share"]
    return ", ".join([*parts, *([f"{100 * share:g} % of the updates"] if share != 1 else [])])


def figures_of(groups: Groups) -> dict[str, dict[str, Any]]:
    """File name -> data of every figure."""
    figures: dict[str, dict[str, Any]] = {}
    for group, suites in groups.items():
        for kind, data in (
            ("robustness", robustness_data(runs_of(suites["accuracy"]))),
            ("labels", labels_data(runs_of(suites["labels"]))),
            ("compression", compression_data([run for suite in COMPRESSED for run in runs_of(suites[suite])])),
        ):
            if data is not None:
                figures[image_of(group, kind)] = data
    return figures


def section(text: str, begin: str, lines: list[str]) -> str:
    """The text with the part between its markers replaced; raises DataError if it lacks them."""
    before, start, rest = text.partition(begin)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise DataError(f"no {begin} followed by {END}; expected both around the results; put them where they belong")
    body = "\n".join(lines)
    return f"{before}{begin}\n\n{body}\n\n{END}{after}" if body else f"{before}{begin}\n{END}{after}"


def documents(root: Path) -> tuple[dict[Path, str], dict[Path, dict[str, Any]]]:
    """What every page should say, and the data every figure should show."""
    pipelines, groups = load(root / "docs" / "results")
    known = root / "docs" / "published.json"
    published: dict[str, Any] = read_json(known) if known.is_file() else {}
    readme: list[str] = []
    for group, suites in groups.items():
        with naming(f"results of {group}"):
            readme += ["", *group_section(group, suites, published)]
    for name, run in pipelines:
        with naming(f"{name}.json"):
            readme += ["", *pipeline_section(name, run)]
    pages: dict[Path, str] = {}
    for path, begin, lines in (
        (root / "README.md", README, readme[1:]),
        (root / "docs" / "robustness.md", ROBUSTNESS, robustness_section(groups, published)),
        (root / "docs" / "baselines.md", BASELINES, baselines_section(groups)),
        (root / "docs" / "compression.md", COMPRESSION, compression_section(groups)),
        (root / "docs" / "benchmark.md", BOARD, board_section(load_board(root / "docs" / "results" / "board"))),
    ):
        if path.is_file():
            pages[path] = section(path.read_text(encoding="utf-8"), begin, lines)
    return pages, {root / "docs" / "images" / name: data for name, data in figures_of(groups).items()}


def differences(root: Path) -> list[str]:
    """The pages and figures that are not what the files say."""
    pages, figures = documents(root)
    wrong = [path for path, text in pages.items() if path.read_text(encoding="utf-8") != text]
    wrong += [path for path, data in figures.items() if not shows(path, data)]
    return [str(path.relative_to(root)) for path in wrong]


def write(root: Path) -> list[str]:
    """Rewrite what differs; the names of it."""
    wrong, (pages, figures) = differences(root), documents(root)
    for path, text in pages.items():
        if str(path.relative_to(root)) in wrong:
            with atomic_file(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
    for path, data in figures.items():
        if str(path.relative_to(root)) in wrong:
            draw(data, path)
    return wrong


def main(argv: list[str] | None = None) -> int:
    """Write the tables and figures, or say which differ."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python tools/results.py [--check]\n")
        return 2
    if arguments:
        wrong = differences(REPOSITORY)
        if wrong:
            sys.stderr.write(f"{', '.join(wrong)} differ from docs/results; run python tools/results.py\n")
        return int(bool(wrong))
    for name in write(REPOSITORY):
        sys.stdout.write(f"{name} written\n")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
