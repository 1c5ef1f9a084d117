"""A run's results as one HTML page that needs nothing beside itself.

edgehar report runs/quickstart
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from edgehar.command_line import parse
from edgehar.config import positional
from edgehar.entry import guarded
from edgehar.errors import DataError
from edgehar.files.atomic import atomic_file, read_json
from edgehar.report.page import page
from edgehar.report.sections import SECTIONS, Entry, entry_of

FORMAT = "edgehar-results"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class ReportConfig:
    """Which run to render."""

    run: Path = positional("folder of a run, with results.json; report.html is written there")


def read_results(run: Path) -> Entry:
    """Read a run's results.json; raises DataError if it is not one that this version can show."""
    path = run / "results.json"
    value = read_json(path)
    results: Entry = cast(Entry, value) if isinstance(value, dict) else {}
    if results.get("format") != FORMAT:
        raise DataError(
            f"{path}: format {results.get('format')!r}; expected {FORMAT!r}; name a folder of `edgehar pipeline`"
        )
    if results.get("format_version") != FORMAT_VERSION:
        raise DataError(
            f"{path}: format_version {results.get('format_version')!r}; expected {FORMAT_VERSION}; "
            "run the pipeline again with this version of edgehar"
        )
    return results


def render(results: Entry, run: Path) -> str:
    """The page for a run's results; `run` is where its example recording lies.

    Raises DataError naming the part of results.json that is not as it should be.
    """
    parts: list[str] = []
    for name, section in SECTIONS.items():
        try:
            parts.append(section(results, run))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as problem:
            raise DataError(
                f"{run / 'results.json'}: the {name} cannot be shown ({type(problem).__name__}: {problem}); "
                "expected what `edgehar pipeline` writes; run it again"
            ) from None
    return page(f"edgehar: {entry_of(results, 'dataset').get('name', 'results')}", "".join(parts))


def main(argv: list[str] | None = None) -> int:
    """Write RUN/report.html."""
    config = parse(ReportConfig, argv, "edgehar report", "Render a run's results.json as one HTML page.")
    text = render(read_results(config.run), config.run)
    path = config.run / "report.html"
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{path} ({len(text.encode()) / 1000:.0f} kB)\n")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
