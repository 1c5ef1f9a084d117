"""Recordings on disk: check, describe, convert and fetch them.

edgehar data info simulated
"""

import json
import sys
from collections.abc import Callable
from dataclasses import MISSING, dataclass, replace
from pathlib import Path
from typing import Any

from edgehar.command_line import Action, Parser
from edgehar.config import Options, option, positional
from edgehar.data import recordings
from edgehar.data.describe import as_text, describe
from edgehar.data.importing import command as importing
from edgehar.data.parts import cut_into_parts
from edgehar.data.pictures import write_pictures
from edgehar.data.public.fetch import DOWNLOADS, Progress, fetch
from edgehar.data.recordings.check import survey
from edgehar.data.recordings.problem import condensed, errors
from edgehar.data.registry import DATA_HELP, ROOT_HELP, load
from edgehar.data.shards.pack import PackOptions, pack
from edgehar.data.splits import people_in
from edgehar.entry import call_action
from edgehar.errors import DataError, shortened
from edgehar.signals.clip import natural_key

USAGE = """usage: edgehar data ACTION [options]     (edgehar data ACTION --help for an action's own options)

  check      list the problems of a folder of your own recordings, with warnings
  info       sensors, labels, people, durations, and what training will see
  import     read files of loggers, cameras and motion capture
  convert    write a data set in edgehar's own format
  pack       write data sets as shards, which edgehar pretrain reads without holding them in memory
  fetch      download a public data set from its publisher
"""


@dataclass(frozen=True)
class CheckOptions(Options):
    """Options of `edgehar data check`."""

    folder: str = positional("folder with recordings.json")


@dataclass(frozen=True)
class InfoOptions(Options):
    """Options of `edgehar data info`."""

    data: str = positional(DATA_HELP)
    root: str | None = option(None, ROOT_HELP)
    json: bool = option(False, "print JSON")
    plot: str | None = option(None, "new folder for a picture of each recording")


@dataclass(frozen=True)
class ConvertOptions(Options):
    """Options of `edgehar data convert`."""

    data: str = positional(DATA_HELP)
    out: str = option(MISSING, "new folder to write")
    root: str | None = option(None, ROOT_HELP)
    subjects: tuple[str, ...] = option((), "only these subjects")
    modalities: tuple[str, ...] = option((), "only these sensors")
    csv: bool = option(False, "write CSV instead of .npy")
    part_s: float | None = option(None, "cut continuous recordings into parts of about so many seconds", above=0)


@dataclass(frozen=True)
class FetchOptions(Options):
    """Options of `edgehar data fetch`."""

    name: str = positional("data set", choices=DOWNLOADS)
    out: str = option(MISSING, "folder to unpack into")


def _write_line(line: str) -> None:
    sys.stdout.write(line + "\n")


def check(options: CheckOptions) -> int:
    """List every problem of a folder; raises DataError if there is any."""
    dataset, problems = survey(Path(options.folder))
    for line in condensed(problems):
        _write_line(line)
    count = len(errors(problems))
    if dataset is None:
        raise DataError(f"{options.folder}: {count:,} problem{'s' if count > 1 else ''} found, listed above")
    kind = "pre-cut clips" if dataset.info.window.kind == "clip" else "continuous"
    sensors = ", ".join(spec.name for spec in dataset.info.modalities)
    found = f"{len(problems):,} warning{'s' if len(problems) > 1 else ''}" if problems else "no problem"
    _write_line(
        f"{found} found: {len(dataset.clips)} recordings ({kind}) of {len(people_in(dataset.subjects))} subjects; "
        f"{sensors}; {len(dataset.info.labels)} labels"
    )
    return 0


def info(options: InfoOptions) -> int:
    """Print sensors, labels, subjects and durations of a data set."""
    dataset = load(options.data, options.root)
    pictures = None if options.plot is None else write_pictures(dataset, Path(options.plot))
    facts = describe(dataset)
    _write_line(json.dumps(facts, indent=2, ensure_ascii=False) if options.json else as_text(facts))
    if pictures is not None and not options.json:
        _write_line(f"{options.plot}: {pictures} pictures written")
    return 0


def convert(options: ConvertOptions) -> int:
    """Write a data set in edgehar's own format."""
    dataset = load(options.data, options.root, options.modalities)
    chosen, people = people_in(options.subjects), people_in(dataset.subjects)
    missing, shown = sorted(chosen - people), shortened(sorted(people, key=natural_key))
    if missing:
        raise DataError(f"--subjects {','.join(missing)}: not in {options.data}; expected some of {shown}")
    if options.subjects:
        dataset = replace(dataset, clips=tuple(clip for clip in dataset.clips if people_in([clip.subject]) <= chosen))
    if options.part_s is not None:
        dataset = cut_into_parts(dataset, options.part_s)
    recordings.write(dataset, Path(options.out), options.csv)
    people = people_in(dataset.subjects)
    _write_line(f"{options.out}: {len(dataset.clips)} recordings of {len(people)} subjects written")
    return 0


def pack_data(options: PackOptions) -> int:
    """Write data sets as shards."""
    progress, close = _progress_bar(" recordings")
    try:
        sources = pack(options, progress)
    finally:
        close()
    for source in sources:
        size = sum(shard.size for shard in source.shards)
        _write_line(
            f"{source.info.name}: {source.people} people, {source.hours:.3g} hours, {source.windows} windows; "
            f"{len(source.shards)} shards, {size / 1e6:.3g} MB"
        )
    return 0


def _progress_bar(unit: str) -> tuple[Progress, Callable[[], None]]:
    """A callback that draws one bar per file or data set, and a function that closes it; nothing without tqdm."""
    try:
        from tqdm import tqdm
    except ModuleNotFoundError:
        return (lambda have, total: None), (lambda: None)
    bars: list[Any] = []

    def show(have: int, total: int | None) -> None:
        if not bars or have < bars[0].n or total != bars[0].total:  # another one
            close()
            bars.append(tqdm(total=total, unit=unit, unit_scale=unit == "B", unit_divisor=1024, leave=False))
        bars[0].update(have - bars[0].n)

    def close() -> None:
        while bars:
            bars.pop().close()

    return show, close


def fetch_data(options: FetchOptions) -> int:
    """Download and unpack a public data set."""
    progress, close = _progress_bar("B")
    try:
        files = fetch(options.name, DOWNLOADS[options.name], Path(options.out), _write_line, progress)
    finally:
        close()
    next_command = f"edgehar data info {options.name} --root {options.out}"
    _write_line(f"{options.out}: {files} files of {options.name}; to list them: {next_command}")
    return 0


CHECK = Parser(
    CheckOptions, "edgehar data check", "List the problems of a folder of your own recordings, with warnings."
)
INFO = Parser(InfoOptions, "edgehar data info", "Sensors, labels, people, durations, and what training will see.")
CONVERT = Parser(ConvertOptions, "edgehar data convert", "Write a data set in edgehar's own format.")
PACK = Parser(
    PackOptions,
    "edgehar data pack",
    "Write data sets as shards, which edgehar pretrain reads without holding them in memory.",
)
FETCH = Parser(FetchOptions, "edgehar data fetch", "Download a public data set from its publisher.")
ACTIONS: dict[str, Callable[[list[str]], int]] = {
    "check": Action(CHECK, check),
    "info": Action(INFO, info),
    "import": Action(importing.PARSER, importing.run),
    "convert": Action(CONVERT, convert),
    "pack": Action(PACK, pack_data),
    "fetch": Action(FETCH, fetch_data),
}


def main(argv: list[str] | None = None) -> int:
    """Entry point of `edgehar data`."""
    return call_action("data", USAGE, ACTIONS, argv)
