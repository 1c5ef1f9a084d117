"""Tables of docs/explanations.md from the files in docs/results/faithfulness."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from edgehar.errors import DataError
from edgehar.files.atomic import read_json, write_text
from tools.faithfulness.methods import METHODS, RANDOM

FIRST, LAST = "<!-- faithfulness: python tools/faithfulness/measure.py table -->", "<!-- end of faithfulness -->"
TITLES = {
    "simulated": "Against the body simulator: area under precision-recall",
    "synthetic": "Against a known box of signal: area under precision-recall",
    "deletion": "Deletion and insertion: area under the probability of the answer",
}
COLUMNS = {
    "parts": "joints in steps", "skeleton": "of the skeleton", "limbs": "joints", "steps": "steps",
    "deletion": "deletion (low is good)", "insertion": "insertion (high is good)",
}  # fmt: skip


def tables(folder: Path) -> str:
    """A table for each check and data set: mean over seeds, and the sample standard deviation."""
    runs: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for path in sorted(folder.glob("*.json")):
        run = read_json(path)
        runs[run["check"], path.stem.rpartition("-")[0].partition("-")[2]].append(run)
    parts: list[str] = []
    for (check, data), found in sorted(runs.items(), key=lambda entry: (list(TITLES).index(entry[0][0]), entry[0][1])):
        names = [name for name in COLUMNS if name in found[0]["methods"][RANDOM]]
        seeds, windows = len(found), sum(run["windows"] for run in found)
        accuracy = 100 * float(np.mean([run["accuracy"] for run in found]))
        parts += [
            f"**{TITLES[check]}** ({data}, {seeds} {'seed' if seeds == 1 else 'seeds'}, {windows} windows, "
            f"{accuracy:.1f} % of the test windows recognised)",
            "",
            f"| method | {' | '.join(COLUMNS[name] for name in names)} |",
            f"|---|{'---|' * len(names)}",
        ]
        for method in METHODS:
            cells = [_cell([run["methods"][method] for run in found], name) for name in names]
            parts.append(f"| {method} | {' | '.join(cells)} |")
        if "share_true" in found[0]:
            shares = [f"{np.mean([run['share_true'][name] for run in found]):.3f}" for name in names]
            parts.append(f"| (share that is true) | {' | '.join(shares)} |")
        parts.append("")
    return "\n".join(parts)


def _cell(entries: list[dict[str, Any]], name: str) -> str:
    """Mean and standard deviation over the seeds, marked where a seed is no better than random."""
    means = [entry[name]["mean"] for entry in entries]
    text = f"{np.mean(means):.3f}" + (f" ± {np.std(means, ddof=1):.3f}" if len(means) > 1 else "")
    better = [entry[name].get("better_than_random", True) for entry in entries]
    if not any(better):
        return f"{text}, no better than random"
    return text if all(better) else f"{text}, better than random in {sum(better)} of {len(better)}"


def write_tables(folder: Path, page: Path) -> list[str]:
    """Replace the tables between the marks of the page; returns the lines written."""
    text = page.read_text(encoding="utf-8")
    before, mark, rest = text.partition(FIRST)
    _, end, after = rest.partition(LAST)
    if not mark or not end:
        raise DataError(f"{page}: expected the lines {FIRST!r} and {LAST!r}; add them where the tables belong")
    written = tables(folder)
    write_text(page, f"{before}{FIRST}\n\n{written}\n{LAST}{after}")
    return written.splitlines()
