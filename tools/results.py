"""Renders docs/results.md, strangers.md, transfer.md, the table in README.md and the figures from docs/results.

    python tools/results.py            rewrite what differs
    python tools/results.py --check    exit 1 if anything differs

The list of tables is in tools/results/tables.py; docs/strangers.md and docs/transfer.md are made in the
modules of these names in tools/results. Figures of
other authors come from docs/published.json.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from edgehar.command_line import Parser
from edgehar.config import Options, option
from edgehar.entry import guarded
from tools.results.render import differences, write

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class ResultsOptions(Options):
    """Options of the command."""

    check: bool = option(False, "write nothing; exit 1 if a page or figure differs from the result files")


def main(argv: list[str] | None = None) -> int:
    """Write the tables and figures, or name those that differ."""
    options = Parser(ResultsOptions, "python tools/results.py", __doc__ or "").parse(argv)
    if options.check:
        wrong = differences(REPOSITORY)
        if wrong:
            sys.stderr.write(f"{', '.join(wrong)}: not up to date with docs/results; run python tools/results.py\n")
        return int(bool(wrong))
    for name in write(REPOSITORY):
        sys.stdout.write(f"{name} written\n")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
