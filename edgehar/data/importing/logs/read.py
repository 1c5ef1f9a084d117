"""Tables of loggers: one file per recording or per sensor, with the columns found by name or by options."""

import re
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np

from edgehar.data.importing import columns
from edgehar.data.importing.columns import SensorColumns
from edgehar.data.importing.logs.options import TableOptions
from edgehar.data.importing.logs.places import Place, place_of
from edgehar.data.importing.logs.rows import (
    TextColumns,
    pieces_of,
    spans_of,
    text_columns,
    texts,
    time_column,
    with_times,
)
from edgehar.data.importing.logs.sensors import read_values, sensor_columns, sensor_of_rows, tables_of_sensors
from edgehar.data.importing.names import people, required_match
from edgehar.data.importing.sources import FoundFile
from edgehar.data.importing.table import Table, read_table
from edgehar.data.importing.takes import Numbers, Remarks, Samples, Take
from edgehar.errors import DataError
from edgehar.signals.clip import Times

_DATE_SUFFIX = re.compile(r"[-_ ]\d{4}-\d\d-\d\d[-_T ]\d\d-\d\d-\d\d$")


def _samples(own: SensorColumns, times_s: Times, values: Numbers) -> Samples | None:
    """Samples (T, C) of one sensor without those that lack a value; None if none is left."""
    known = ~np.isnan(values).any(1)
    if not known.any():
        return None
    return Samples(own.sensor, values[known], times_s[known], own.columns, own.unit, None, own.group)


def _remark_columns(
    table: Table, found: list[SensorColumns], other: set[int | None], options: TableOptions, file: str, remarks: Remarks
) -> None:
    """Name columns that are not imported, and of those with equal names the imported ones."""
    used = {table.names[index].casefold(): index for own in found for index in own.indices}
    rest = [index for index in range(len(table.names)) if index not in {*used.values(), *other}]
    twice = [index for index in rest if table.names[index].casefold() in used]
    if twice:
        names = ", ".join(repr(table.names[index]) for index in twice)
        kept = ", ".join(str(used[table.names[index].casefold()] + 1) for index in twice)
        choice = f"--columns {','.join(str(index + 1) for index in twice)}"
        remarks.add(file, f"columns {names} twice: number {kept} imported; choose the others with {choice}")
    names = [table.names[index] for index in rest if index not in twice and not table.names[index].isdigit()]
    if names and not options.columns:
        remarks.add(file, f"columns not imported: {', '.join(names[:12])}{' ...' if len(names) > 12 else ''}")


def _read_table(
    table: Table, place: Place, options: TableOptions, time: int | None, written: TextColumns, other: set[int | None],
    file: str, remarks: Remarks,
) -> list[Take]:  # fmt: skip
    """The recordings of a table without rows of several sensors."""
    table, times_s = with_times(table, time, options, file, remarks)
    found = sensor_columns(table, place, options)
    read = read_values(table, found, ~np.isnan(times_s), file, remarks)
    subjects, trials, labels = (texts(table, index) for index in (written.subject, written.trial, written.label))
    takes: list[Take] = []
    for rows in pieces_of(times_s, subjects, trials, file, remarks):
        if (np.diff(times_s[rows]) < 0).any():
            remarks.add(file, "rows out of order; sorted by time")
            order: list[int] = np.argsort(times_s[rows], kind="stable").tolist()
            rows = [rows[index] for index in order]
        parts = [_samples(own, times_s[rows], values[rows]) for own, values in read]
        spans = spans_of([labels[row] for row in rows], times_s[rows]) if labels else ()
        subject, trial = (cells[rows[0]] if cells else "" for cells in (subjects, trials))
        kept = tuple(part for part in parts if part is not None)
        if kept:
            takes.append(Take(file, place.key.as_posix(), kept, subject, trial, spans=spans))
    _remark_columns(table, found, other, options, file, remarks)
    return takes


def read_log(file: FoundFile, place: Place, options: TableOptions, remarks: Remarks) -> list[Take]:
    """The recordings of one table, with the sensors that it holds; raises DataError for a table that holds none."""
    shown = str(file.shown)
    table = read_table(file.text())
    if table.left_out:
        where = f"{shown}:{table.left_out[0]} ({len(table.left_out)} in all)"
        remarks.add(where, f"rows with more than {len(table.names)} cells; left out")
    time = time_column(table, options, shown, remarks)
    written = text_columns(table, options, shown, remarks)
    other = {time, *written.found, *columns.time_columns(table.names)}
    sensor = sensor_of_rows(table, {*other, *(table.find(name) for name in options.columns)})
    parts = [(table, place, options)]
    if sensor is not None:
        parts = tables_of_sensors(table, sensor, place, options, time, shown, remarks)
    read = [_read_table(*part, time, written, {*other, sensor}, shown, remarks) for part in parts]
    return _joined(read, shown, remarks)


def _joined(parts: list[list[Take]], where: str, remarks: Remarks) -> list[Take]:
    """The recordings of one sensor each, joined to those of all; none if they do not correspond."""
    parts = [takes for takes in parts if takes]
    if len(parts) < 2:
        return parts[0] if parts else []
    if len({len(takes) for takes in parts}) > 1 or not all(map(_of_one_person, zip(*parts, strict=True))):
        counts = ", ".join(f"{takes[0].samples[0].sensor} {len(takes)}" for takes in parts)
        remarks.add(where, f"different recordings in the files or rows of its sensors ({counts}); left out")
        return []
    joined: list[Take] = []
    for takes in zip(*parts, strict=True):
        spans = [take.spans for take in takes if take.spans]
        if len({tuple(label for _, _, label in own) for own in spans}) > 1:
            remarks.add(where, "labels differ between its sensors; those of the first one are used")
        joined.append(replace(
            takes[0],
            samples=tuple(samples for take in takes for samples in take.samples),
            subject=next((take.subject for take in takes if take.subject), ""),
            trial=next((take.trial for take in takes if take.trial), ""),
            spans=_widest(spans),
        ))  # fmt: skip
    return joined


def _of_one_person(takes: tuple[Take, ...]) -> bool:
    """Whether no two of the recordings state different people or trials."""
    return all(
        len({text for text in own if text}) < 2 for own in zip(*((t.subject, t.trial) for t in takes), strict=True)
    )


def _widest(spans: list[tuple[tuple[float, float, str], ...]]) -> tuple[tuple[float, float, str], ...]:
    """The spans of the first sensor, from the first sample of any to the last."""
    if not spans:
        return ()
    widest = list(spans[0])
    widest[0] = (min(own[0][0] for own in spans), *widest[0][1:])
    widest[-1] = (widest[-1][0], max(own[-1][1] for own in spans), widest[-1][2])
    return tuple(widest)


def read_logs(
    files: list[FoundFile], options: TableOptions, pattern: re.Pattern[str] | None, source_name: str, remarks: Remarks
) -> list[Take]:
    """The recordings of tables; files of one recording are joined, and what cannot be read is remarked and left out."""
    groups: dict[PurePosixPath, list[list[Take]]] = {}
    options = replace(options, in_names=frozenset(pattern.groupindex) if pattern else frozenset())
    places = {file: place_of(file, pattern) for file in files}
    of_one_recording = {place.key for file, place in places.items() if place and place.key == file.shown.parent}
    for file, place in places.items():
        if place is not None and not place.own_file and file.shown.parent in of_one_recording - {place.key}:
            place = Place(file.shown.parent, columns.identifier(file.shown.stem), True)
        if place is None or place.sensor.endswith("_uncalibrated"):
            why = "no samples of a sensor" if place is None else "values before calibration"
            remarks.add(str(file.shown), f"not imported: {why}")
            continue
        key = place.key if place.key.parts else PurePosixPath(source_name)
        try:
            takes = read_log(file, replace(place, key=key), options, remarks)
        except DataError as problem:
            remarks.add(str(file.shown), str(problem))
            continue
        groups.setdefault(key, []).append(takes)
    named: list[Take] = []
    for key, parts in groups.items():
        pieces = _joined(parts, key.as_posix(), remarks)
        try:
            named += [_named(own, pattern, number if len(pieces) > 1 else 0) for number, own in enumerate(pieces, 1)]
        except DataError as problem:
            remarks.add(key.as_posix(), str(problem))
    return named


def _named(take: Take, pattern: re.Pattern[str] | None, number: int) -> Take:
    """A recording with subject, label and trial of its name; the pieces of one file are numbered."""
    name = _DATE_SUFFIX.sub("", take.name)
    paths = (PurePosixPath(path) for path in (name, take.name))
    fields = required_match(pattern, *paths, PurePosixPath(take.source).with_suffix(""))
    trial = take.trial or fields.get("trial", "")
    return replace(
        take,
        name=f"{name}_{number}" if number else name,
        subject=take.subject or people(fields),
        trial=f"{trial}.{number}".strip(".") if number and not take.trial else trial,
        label="" if take.spans else fields.get("label", ""),
    )
