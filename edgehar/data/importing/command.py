"""`edgehar data import`: files of loggers, cameras and motion capture become a folder in edgehar's own format."""

import sys
from collections import Counter
from dataclasses import MISSING, dataclass, replace
from pathlib import Path

from edgehar.command_line import Parser
from edgehar.config import Options, option, positional
from edgehar.data import recordings
from edgehar.data.importing.assemble import assemble
from edgehar.data.importing.clock import UNITS
from edgehar.data.importing.logs.options import TableOptions
from edgehar.data.importing.logs.read import read_logs
from edgehar.data.importing.names import name_pattern
from edgehar.data.importing.skeleton_files import SkeletonOptions, read_skeleton_files
from edgehar.data.importing.sources import FORMATS, choose_format, found_files, only_archive
from edgehar.data.importing.takes import Remarks
from edgehar.data.recordings.window import KINDS
from edgehar.errors import ConfigError
from edgehar.signals.clip import Dataset

DEFAULT_KIND = {"table": "continuous", "ntu": "clips", "keypoints": "continuous", "bvh": "continuous"}
_BELONGS_TO = {
    "table": ("time", "unit_of_time", "columns", "label", "subject", "trial"),
    "skeletons": ("all_bodies", "together"),
    "keypoints": ("confidence",),
    "without times": ("rate",),
}
"""Kind of files -> options that only they have."""
_FORMATS_OF = {
    "table": ("table",), "skeletons": ("ntu", "keypoints"), "keypoints": ("keypoints",),
    "without times": ("table", "keypoints"),
}  # fmt: skip


@dataclass(frozen=True)
class ImportOptions(Options):
    """Options of `edgehar data import`."""

    source: str = positional("file, folder or zip archive")
    out: str = option(MISSING, "new folder to write")
    format: str | None = option(None, "format of the files, recognised by default", choices=FORMATS)
    names: str | None = option(
        None, "pattern of the names of files or folders, such as '{subject}_{label}_{trial}' or '{subject}/{label}_{}'"
    )
    kind: str | None = option(None, "kind of recordings; default: clips for .skeleton, else continuous", choices=KINDS)
    sensors: tuple[str, ...] = option((), "only these sensors")
    rate: float | None = option(
        None, "samples or frames per second of files without times; default: 30 for keypoints", above=0, at_most=1e5
    )
    time: str | None = option(None, "tables: column of times")
    unit_of_time: str | None = option(None, "tables: unit of the times, recognised by default", choices=UNITS)
    columns: tuple[str, ...] = option((), "tables: columns of the sensor, in the order to write them")
    label: str | None = option(None, "tables: column of labels")
    subject: str | None = option(None, "tables: column of people")
    trial: str | None = option(None, "tables: column of trials")
    confidence: float = option(0.2, "keypoints: joints with less confidence are lost", at_least=0, at_most=1)
    all_bodies: bool = option(False, "skeletons: each person is a recording (keypoints: always)")
    together: bool = option(False, "skeletons: the two people who move most are one skeleton")
    csv: bool = option(False, "write CSV instead of .npy")


PARSER = Parser(ImportOptions, "edgehar data import", "Import files of loggers, cameras and motion capture.")


def _check_options(options: ImportOptions, chosen: str) -> None:
    """Raise ConfigError for options of another format."""
    for name, fields in _BELONGS_TO.items():
        for field in fields:
            default = ImportOptions.__dataclass_fields__[field].default
            if chosen not in _FORMATS_OF[name] and getattr(options, field) != default:
                raise ConfigError(f"--{field.replace('_', '-')}: not used for {chosen}; omit the option")
    if options.all_bodies and options.together:
        raise ConfigError("--all-bodies, --together: expected one of the two; omit the other")


def read_source(options: ImportOptions, remarks: Remarks) -> tuple[Dataset, str]:
    """The recordings of a source, and the format in which they were found; see `assemble` for the errors."""
    source = Path(options.source)
    name = source.resolve().stem or "recordings"
    with found_files(source, remarks) as files:
        chosen, own = choose_format(source, files, options.format, remarks)
        _check_options(options, chosen)
        pattern = name_pattern(options.names) if options.names else None
        if chosen == "table":
            table = TableOptions(
                options.time, options.unit_of_time, options.columns, options.label, options.subject, options.trial,
                options.rate,
            )  # fmt: skip
            takes = read_logs(own, table, pattern, name, remarks)
        else:
            skeletons = SkeletonOptions(
                name, pattern, options.rate, options.confidence, options.all_bodies, options.together
            )
            takes = read_skeleton_files(own, chosen, skeletons, remarks)
        archive = only_archive(own)
        takes = [replace(take, name=take.name.removeprefix(archive)) for take in takes]
        return assemble(takes, name, options.kind or DEFAULT_KIND[chosen], options.sensors, remarks), chosen


def _summary(dataset: Dataset, chosen: str, out: str) -> list[str]:
    lines: list[str] = []
    for spec in dataset.info.modalities:
        own = [clip for clip in dataset.clips if spec.name in clip.signals]
        channels = (
            f"{len(spec.joints)} joints" if spec.joints else ", ".join(spec.columns or (f"{spec.channels} channels",))
        )
        lines.append(f"{spec.name}: {channels}; {spec.rate_hz:g} Hz; {spec.unit}; in {len(own)} recordings")
    counts = Counter(
        dataset.info.labels[label]
        for clip in dataset.clips
        for label in ({clip.label} - {None} or {segment.label for segment in clip.segments})
        if label is not None
    )
    if counts:
        lines.append("recordings per label: " + ", ".join(f"{label} {counts[label]}" for label in dataset.info.labels))
    kind = next(kind for kind, window in KINDS.items() if window == dataset.info.window.kind)
    people_found = f"{len(dataset.subjects)} subject{'s' if len(dataset.subjects) != 1 else ''}"
    lines.append(f"{out}: {len(dataset.clips)} recordings ({kind}) of {people_found} imported from {chosen} files")
    return lines


def run(options: ImportOptions) -> int:
    """Import recordings and print what was assumed, what was left out, and a summary."""
    recordings.check_new(Path(options.out))
    remarks = Remarks()
    dataset, chosen = read_source(options, remarks)
    recordings.write(dataset, Path(options.out), options.csv)
    for line in (*remarks.lines(), *_summary(dataset, chosen, options.out)):
        sys.stdout.write(line + "\n")
    return 0
