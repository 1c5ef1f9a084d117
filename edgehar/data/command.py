"""Recordings on disk: check, describe, convert and fetch them.

edgehar data info simulated
"""

import json
import sys
from collections.abc import Callable
from dataclasses import MISSING, dataclass, replace
from pathlib import Path
from typing import Any

from edgehar.command_line import parse
from edgehar.config import option, positional
from edgehar.data import recordings
from edgehar.data.describe import describe, render
from edgehar.data.fetch import SOURCES, Progress, fetch
from edgehar.data.recordings.check import survey
from edgehar.data.registry import load
from edgehar.entry import call_action, guarded
from edgehar.errors import DataError

USAGE = """usage: edgehar data ACTION [options]     (edgehar data ACTION --help for an action's own options)

  check      list every problem of a folder of your own recordings
  info       sensors, labels, recordings per subject, durations
  convert    write a data set in edgehar's own format
  fetch      download a public data set from its publisher
"""


@dataclass(frozen=True)
class CheckOptions:
    """Options of `edgehar data check`."""

    folder: str = positional("folder with recordings.json")


@dataclass(frozen=True)
class InfoOptions:
    """Options of `edgehar data info`."""

    data: str = positional("simulated, utd-mhad, sp-sw-har, or a folder in edgehar's own format")
    root: str | None = option(None, "folder with the recordings of a named data set, else $EDGEHAR_DATA")
    json: bool = option(False, "print JSON")


@dataclass(frozen=True)
class ConvertOptions:
    """Options of `edgehar data convert`."""

    data: str = positional("simulated, utd-mhad, sp-sw-har, or a folder in edgehar's own format")
    out: str = option(MISSING, "new folder to write")
    root: str | None = option(None, "folder with the recordings of a named data set, else $EDGEHAR_DATA")
    subjects: tuple[str, ...] = option((), "only these subjects")
    modalities: tuple[str, ...] = option((), "only these sensors")
    csv: bool = option(False, "write CSV instead of .npy")


@dataclass(frozen=True)
class FetchOptions:
    """Options of `edgehar data fetch`."""

    name: str = positional("utd-mhad or sp-sw-har")
    out: str = option(MISSING, "folder to unpack into")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def check(argv: list[str]) -> int:
    """List every problem of a folder; exit code 2 if there is any."""
    options = parse(CheckOptions, argv, "edgehar data check", "List every problem of a folder of your own recordings.")
    dataset, problems = survey(Path(options.folder))
    for problem in problems:
        _say(str(problem))
    if dataset is None:
        raise DataError(
            f"{options.folder}: {len(problems)} problem{'s' if len(problems) > 1 else ''} found, listed above"
        )
    kind = "pre-cut clips" if dataset.info.window.kind == "clip" else "continuous"
    sensors = ", ".join(spec.name for spec in dataset.info.modalities)
    _say(
        f"no problem found: {len(dataset.clips)} recordings ({kind}) of {len(dataset.subjects)} subjects; "
        f"{sensors}; {len(dataset.info.labels)} labels"
    )
    return 0


def info(argv: list[str]) -> int:
    """Print what a data set holds."""
    options = parse(InfoOptions, argv, "edgehar data info", "Sensors, labels, recordings per subject, durations.")
    facts = describe(load(options.data, options.root))
    _say(json.dumps(facts, indent=2, ensure_ascii=False) if options.json else render(facts))
    return 0


def convert(argv: list[str]) -> int:
    """Write a data set in edgehar's own format."""
    options = parse(ConvertOptions, argv, "edgehar data convert", "Write a data set in edgehar's own format.")
    dataset = load(options.data, options.root, options.modalities)
    unknown = [subject for subject in options.subjects if subject not in dataset.subjects]
    if unknown:
        known = ", ".join(dataset.subjects)
        raise DataError(f"--subjects: no {', '.join(unknown)} in {options.data}; expected some of {known}")
    if options.subjects:
        dataset = replace(dataset, clips=tuple(clip for clip in dataset.clips if clip.subject in options.subjects))
    recordings.write(dataset, Path(options.out), options.csv)
    _say(f"{options.out}: {len(dataset.clips)} recordings of {len(dataset.subjects)} subjects written")
    return 0


def _progress_bar() -> tuple[Progress, Callable[[], None]]:
    """A bar per file if tqdm is installed, else nothing; and what closes it."""
    try:
        from tqdm import tqdm
    except ModuleNotFoundError:
        return (lambda have, total: None), (lambda: None)
    bars: list[Any] = []

    def show(have: int, total: int | None) -> None:
        if not bars or have < bars[0].n:  # the next file
            close()
            bars.append(tqdm(total=total, unit="B", unit_scale=True, unit_divisor=1024, leave=False))
        bars[0].update(have - bars[0].n)

    def close() -> None:
        while bars:
            bars.pop().close()

    return show, close


def fetch_action(argv: list[str]) -> int:
    """Download a public data set."""
    options = parse(FetchOptions, argv, "edgehar data fetch", "Download a public data set from its publisher.")
    source = SOURCES.get(options.name)
    if source is None:
        raise DataError(f"data set {options.name!r}; expected {' or '.join(SOURCES)}; nothing was downloaded")
    progress, close = _progress_bar()
    try:
        files = fetch(options.name, source, Path(options.out), _say, progress)
    finally:
        close()
    follow = f"edgehar data info {options.name} --root {options.out}"
    _say(f"{options.out}: {files} files of {options.name}; see them with: {follow}")
    return 0


ACTIONS = {"check": check, "info": info, "convert": convert, "fetch": fetch_action}


def main(argv: list[str] | None = None) -> int:
    """Entry point of `edgehar data`."""
    return call_action("data", USAGE, ACTIONS, argv)


if __name__ == "__main__":
    sys.exit(guarded(main))
