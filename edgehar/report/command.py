"""Render the results of a run as one self-contained HTML page.

edgehar report runs/quickstart
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from edgehar.command_line import Parser
from edgehar.config import Options, positional
from edgehar.errors import DataError
from edgehar.files.atomic import atomic_file, read_json
from edgehar.report.entries import Entry, entry_of
from edgehar.report.page import page
from edgehar.report.sections import SECTIONS

FORMAT = "edgehar-results"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class ReportOptions(Options):
    """Options of `edgehar report`."""

    run: Path = positional("folder of a run with results.json; report.html is written to it")


def read_results(folder: Path) -> Entry:
    """Read a run's results.json; raises DataError for another format or version."""
    path = folder / "results.json"
    value = read_json(path)
    results: Entry = cast(Entry, value) if isinstance(value, dict) else {}
    if results.get("format") != FORMAT:
        raise DataError(
            f"{path}: format {results.get('format')!r}; expected {FORMAT!r}; give a folder that edgehar pipeline wrote"
        )
    if results.get("format_version") != FORMAT_VERSION:
        raise DataError(
            f"{path}: format_version {results.get('format_version')!r}; expected {FORMAT_VERSION}; "
            "run the pipeline again with this version of edgehar"
        )
    return results


def render(results: Entry, folder: Path) -> str:
    """The page for a run's results; the example recording is read from the run's folder.

    Raises DataError naming the section that results.json lacks values for.
    """
    parts: list[str] = []
    for name, section in SECTIONS.items():
        try:
            parts.append(section(results, folder))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as problem:
            raise DataError(
                f"{folder / 'results.json'}: cannot render the {name} ({type(problem).__name__}: {problem}); "
                "expected a file written by edgehar pipeline; run the pipeline again"
            ) from None
    return page(f"edgehar: {entry_of(results, 'dataset').get('name', 'results')}", "".join(parts))


PARSER = Parser(ReportOptions, "edgehar report", "Render a run's results.json as one HTML page.")


def run(options: ReportOptions) -> int:
    """Write RUN/report.html."""
    text = render(read_results(options.run), options.run)
    path = options.run / "report.html"
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{path} ({len(text.encode()) / 1000:.0f} kB)\n")
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))
