"""Loads the result files and groups them by data set, pipeline run and measurement."""

import shlex
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgehar.errors import DataError, EdgeharError
from edgehar.experiments.suite.options import SEEDS
from edgehar.files.atomic import read_json
from tools.results.checks import check_run, check_scores, check_suite
from tools.results.records import Record, Run, records_of
from tools.results.tables import TABLES

MEASUREMENTS = "Measurements"
FORMATS = tuple(dict.fromkeys(table.suites[0] for table in TABLES if table.suites[0].startswith("edgehar-")))
"""Formats of docs/results/board, in the order of their tables."""


@dataclass(frozen=True)
class Group:
    """The result files of one data set, one pipeline run or one measurement.

    Attributes:
        section: heading of the section they are shown in.
        name: in the headings of their tables.
        files: suite, or format of a measurement -> name and content of each file.
        published: figures of other authors on this data set.
        records: all records of the files.
    """

    section: str
    name: str
    files: dict[str, list[tuple[str, Run]]]
    published: dict[str, Any]
    records: list[Record]


def _group(section: str, name: str, files: dict[str, list[tuple[str, Run]]], published: dict[str, Any]) -> Group:
    with naming(f"results of {section}"):
        records = [record for found in files.values() for _, run in found for record in records_of(run)]
    return Group(section, name, files, published, records)


@contextmanager
def naming(source: str) -> Generator[None, None, None]:
    """Name the files that an error in a result comes from."""
    try:
        yield
    except EdgeharError:
        raise
    except (ArithmeticError, AttributeError, LookupError, StopIteration, TypeError, ValueError) as problem:
        text = str(problem) if isinstance(problem, ValueError) else f"{type(problem).__name__}: {problem}"
        raise DataError(f"{source}: {text}; expected a file as edgehar writes it; measure again") from problem


def _read(path: Path, formats: tuple[str, ...]) -> Run:
    run = read_json(path)
    kind = run.get("format") if isinstance(run, dict) else None
    if kind not in formats:
        raise DataError(f"{path}: format {kind!r}; expected {' or '.join(formats)}; move the file elsewhere")
    return run


def load(docs: Path) -> list[Group]:
    """The groups, those with the most files first; raises DataError for a file that is inconsistent."""
    pipelines, measurements = list[Group](), list[Group]()
    data_sets: dict[str, dict[str, list[tuple[str, Run]]]] = {}
    for path in sorted((docs / "results").glob("*.json")):
        run = _read(path, ("edgehar-run", "edgehar-results"))
        with naming(path.name):
            if run["format"] == "edgehar-results":
                check_scores(run)
                pipelines.append(_group(path.stem, path.stem, {"pipeline": [(path.name, run)]}, {}))
            else:
                check_run(path.stem, run)
                files = data_sets.setdefault(_data_of(run), {suite: [] for suite in SEEDS})
                files[run["suite"]].append((path.name, run))
    for path in sorted((docs / "results" / "board").glob("*.json")):
        run = _read(path, FORMATS)
        name = str(run.get("name") or run.get("data", "")) + ", LiteRT" * ("--providers LiteRT" in run["command"])
        measurements.append(_group(MEASUREMENTS, name, {run["format"]: [(f"board/{path.name}", run)]}, {}))
    known: dict[str, Any] = read_json(docs / "published.json") if (docs / "published.json").is_file() else {}
    groups: list[Group] = []
    for name, suites in sorted(data_sets.items(), key=lambda item: -sum(map(len, item[1].values()))):
        for found in suites.values():
            check_suite(found)
            found.sort(key=lambda item: item[1]["seed"])
        files = {suite: found for suite, found in suites.items() if found}
        groups.append(_group(name, name, files, known.get(name.partition(",")[0], {})))
    return [*groups, *pipelines, *sorted(measurements, key=lambda group: FORMATS.index(next(iter(group.files))))]


def _data_of(run: Run) -> str:
    """Data set, and options of the run that are not the default."""
    recipe, words = run["config"]["recipe"], shlex.split(run["command"])
    parts = [run["dataset"]["name"]]
    for option in ("--split", "--modalities", "--without"):
        parts += [f"{option[2:]} {words[words.index(option) + 1]}"] if option in words else []
    parts += [f"preset {recipe['preset']}"] if recipe["preset"] != "base" else []
    share = recipe["update_share"]
    return ", ".join([*parts, *([f"{100 * share:g} % of the updates"] if share != 1 else [])])
