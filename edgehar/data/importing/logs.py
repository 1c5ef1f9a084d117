"""Tables of loggers: one file per recording or per sensor, with the columns found by name or by options."""

import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np

from edgehar.data.importing import clock, columns
from edgehar.data.importing.columns import SensorColumns
from edgehar.data.importing.names import match_name, people, required_match, without_sensor
from edgehar.data.importing.sources import FoundFile
from edgehar.data.importing.table import MISSING, Table, numbers, read_table
from edgehar.data.importing.takes import Numbers, Remarks, Samples, Take
from edgehar.errors import DataError
from edgehar.signals.clip import Times

DEFAULT_SENSOR = "sensor"
RESTART_S = 1.0
"""Time that goes back by more than this begins another recording; by less, the rows are out of order."""
PAUSE_S = 600.0
"""Time that goes on by more than this begins another recording, too: a pause, or a clock that was set."""
NO_SAMPLES = frozenset((
    "metadata", "annotation", "annotations", "location", "locationgps", "locationnetwork", "device", "pedometer",
    "microphone", "activity", "camera", "orientation", "watchorientation", "network", "bluetooth", "battery",
    "brightness", "compass",
))  # fmt: skip
"""Files of loggers that hold no samples of a body sensor."""

_OWN_FILE = re.compile(r"(watch|headphone|phone|wrist)?(.+?)(uncalibrated)?")
_SUFFIX = re.compile(r"(.+)[_\-. ]([A-Za-z]{3,})")
_DATE_SUFFIX = re.compile(r"[-_ ]\d{4}-\d\d-\d\d[-_T ]\d\d-\d\d-\d\d$")
_SENSORS = frozenset(
    ("accelerometer", "gyroscope", "magnetometer", "linear_acceleration", "gravity", "total_acceleration", "heart_rate",
     "barometer", "light", "temperature", "pressure")
)  # fmt: skip


@dataclass(frozen=True)
class TableOptions:
    """What the user says about tables; None and empty where nothing is said."""

    time: str | None = None
    unit_of_time: str | None = None
    columns: tuple[str, ...] = ()
    label: str | None = None
    subject: str | None = None
    trial: str | None = None
    rate_hz: float | None = None


@dataclass(frozen=True)
class _Place:
    """Which recording and sensor a file belongs to."""

    key: PurePosixPath
    sensor: str
    own_file: bool


def _place(file: FoundFile, pattern: re.Pattern[str] | None) -> _Place | None:
    """The recording and sensor of a file by its name; None for a file without samples."""
    stem, folder = file.shown.with_suffix("").name, file.shown.parent
    rest = without_sensor(pattern, file.shown.with_suffix(""))
    if rest is not None:
        sensor = (match_name(pattern, file.shown.with_suffix("")) or {})["sensor"]
        return _Place(PurePosixPath(rest), columns.sensor_name(sensor), True)
    joined = "".join(columns.words_of(stem))
    if joined in NO_SAMPLES or folder.name == "meta":
        return None
    if joined == "rawdata":
        return _Place(folder, DEFAULT_SENSOR, False)
    own = _OWN_FILE.fullmatch(joined)
    if own and columns.sensor_name(stem) in _SENSORS:
        return _Place(folder, columns.sensor_name(stem), True)
    if own and (own[1] or own[3]) and any(own[2] == name.replace("_", "") for name in _SENSORS):
        return _Place(folder, columns.identifier(stem), True)
    suffix = _SUFFIX.fullmatch(stem)
    if suffix and columns.sensor_name(suffix[2]) in _SENSORS:
        return _Place(folder / suffix[1], columns.sensor_name(suffix[2]), True)
    return _Place(file.shown.with_suffix(""), DEFAULT_SENSOR, False)


def _sensor_columns(table: Table, place: _Place, options: TableOptions) -> list[SensorColumns]:
    if options.columns:
        indices = tuple(table.index(name, "--columns") for name in options.columns)
        split = [columns.split_unit(table.names[index]) for index in indices]
        group = 1 if len(indices) % 3 else 3
        unit = " and ".join(dict.fromkeys(unit for _, unit in split if unit))
        return [SensorColumns(place.sensor, indices, tuple(name for name, _ in split), unit, group)]
    found = columns.triaxial(table.names, place.sensor)
    if place.own_file and len(found) == 1:
        found = [replace(found[0], sensor=place.sensor)]
    elif place.own_file:
        found = [replace(own, sensor=f"{place.sensor}_{own.sensor}") for own in found]
    found = found or columns.separate(table.names, place.sensor)
    if "seconds_elapsed" in table.names:  # Sensor Logger states no units in its files
        found = [replace(own, unit=own.unit or columns.SENSOR_LOGGER_UNITS.get(own.sensor, "")) for own in found]
    if not found:
        names = ", ".join(table.names[:20])
        raise DataError(f"no x, y and z column among {names}; name the columns with --columns; left out")
    return found


def _times(table: Table, options: TableOptions, file: str, remarks: Remarks) -> tuple[Times, int | None]:
    """Times in seconds (T,) and their column; evenly spaced ones and None at a given rate."""
    if options.time is not None:
        index = table.index(options.time, "--time")
    else:
        candidates = columns.time_columns(table.names)
        if options.rate_hz is not None:
            for index in candidates[:1]:
                remarks.add(file, f"column {table.names[index]!r} not used, but --rate {options.rate_hz:g}")
            return np.arange(len(table.lines)) / options.rate_hz, None
        if not candidates:
            names = ", ".join(table.names[:20])
            raise DataError(f"no column of times among {names}; name it with --time, or give --rate; left out")
        index = candidates[0]
    times_s, how = clock.seconds(table.names[index], table.cells[index], options.unit_of_time)
    if how:
        remarks.add(file, f"column {table.names[index]!r} read as {how}")
    times_s[_outliers(times_s)] = np.nan
    if np.isnan(times_s).any():
        row = int(np.flatnonzero(np.isnan(times_s))[0])
        remarks.add(
            f"{file}:{table.lines[row]} ({int(np.isnan(times_s).sum())} in all)",
            "rows without a time, or with one far from those around it; left out",
        )
    return times_s, index


def _outliers(times_s: Times) -> list[int]:
    """Rows whose time alone is far before or after those of the rows around it."""
    rows = np.flatnonzero(~np.isnan(times_s))
    before, own, after = (times_s[rows[part]] for part in (slice(None, -2), slice(1, -1), slice(2, None)))
    alone = (own > after + RESTART_S) | (own < before - RESTART_S)
    outliers: list[int] = rows[1:-1][alone & (after >= before) & (after - before < PAUSE_S)].tolist()
    return outliers


def _texts(table: Table, option: str, name: str | None, defaults: tuple[str, ...] = ()) -> tuple[str, ...] | None:
    """Cells of a column of texts, "" where nothing is written; None without such a column."""
    index = table.index(name, option) if name is not None else next(
        (found for default in defaults if (found := table.find(default)) is not None), None
    )  # fmt: skip
    if index is None:
        return None
    return tuple("" if cell.casefold() in MISSING else cell for cell in table.cells[index])


def _pieces(table: Table, times_s: Times, options: TableOptions, file: str, remarks: Remarks) -> list[list[int]]:
    """Rows of each recording of a table: another subject or trial, and time that goes back, begin a new one."""
    subjects = _texts(table, "--subject", options.subject)
    trials = _texts(table, "--trial", options.trial)
    pieces: list[list[int]] = []
    last: tuple[str, str, float] | None = None
    restarts = 0
    for row in range(len(table.lines)):
        time_s = float(times_s[row])
        if np.isnan(time_s):
            continue
        who = (subjects[row] if subjects else "", trials[row] if trials else "")
        restart = last is not None and last[:2] == who and not -RESTART_S <= time_s - last[2] <= PAUSE_S
        restarts += restart
        if last is None or last[:2] != who or restart:
            pieces.append(list[int]())
            last = (*who, time_s)
        pieces[-1].append(row)
        last = (*who, max(last[2], time_s))
    if restarts:
        what = f"time goes back by more than {RESTART_S:g} s or on by more than {PAUSE_S:g} s"
        remarks.add(file, f"{what}: read as several recordings")
    return pieces


def _spans(labels: list[str], times_s: Times) -> tuple[tuple[float, float, str], ...]:
    """Spans of equal labels; a span ends where the next begins, or at its last sample before a pause or the end."""
    starts = [row for row in range(len(labels)) if row == 0 or labels[row] != labels[row - 1]]
    step_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0
    spans: list[tuple[float, float, str]] = []
    for start, after in zip(starts, [*starts[1:], len(labels)], strict=True):
        end_s = float(times_s[after - 1])
        if after < len(labels) and times_s[after] - end_s <= 10 * step_s:
            end_s = float(times_s[after])
        if labels[start] and end_s > times_s[start]:
            spans.append((float(times_s[start]), end_s, labels[start]))
    return tuple(spans)


def _samples(own: SensorColumns, times_s: Times, values: Numbers) -> Samples | None:
    """Samples (T, C) of one sensor without those that lack a value; None if none is left."""
    known = ~np.isnan(values).any(1)
    if not known.any():
        return None
    return Samples(own.sensor, values[known], times_s[known], own.columns, own.unit, None, own.group)


def read_log(file: FoundFile, place: _Place, options: TableOptions, remarks: Remarks) -> list[Take]:
    """The recordings of one table, with the sensors that it holds; raises DataError for a table that holds none."""
    shown = str(file.shown)
    table = read_table(file.text())
    times_s, time_index = _times(table, options, shown, remarks)
    found = _sensor_columns(table, place, options)
    labels = _texts(table, "--label", options.label, columns.LABEL_NAMES)
    values: list[Numbers] = []
    for own in found:
        channels: list[Numbers] = []
        for index in own.indices:
            column, wrong = numbers(table.cells[index])
            if len(wrong) == len(column):
                raise DataError(f"column {table.names[index]!r} holds {table.cells[index][0]!r}; expected numbers")
            if wrong:
                cell, line = table.cells[index][wrong[0]], table.lines[wrong[0]]
                where = f"{shown}:{line} ({cell!r}; {len(wrong)} in all)"
                remarks.add(where, f"column {table.names[index]!r} is not a number; its rows left out")
            channels.append(column)
        values.append(np.stack(channels, 1))
    used = {index for own in found for index in own.indices} | {time_index, *columns.time_columns(table.names)}
    named = {table.find(name) for name in (options.label, options.subject, options.trial, *columns.LABEL_NAMES) if name}
    unused = [name for index, name in enumerate(table.names) if index not in used | named and not name.isdigit()]
    if unused and not options.columns:
        remarks.add(shown, f"columns not imported: {', '.join(unused[:12])}{' ...' if len(unused) > 12 else ''}")
    takes: list[Take] = []
    for rows in _pieces(table, times_s, options, shown, remarks):
        if (np.diff(times_s[rows]) < 0).any():
            remarks.add(shown, "rows out of order; sorted by time")
            order: list[int] = np.argsort(times_s[rows], kind="stable").tolist()
            rows = [rows[index] for index in order]
        parts = [_samples(own, times_s[rows], own_values[rows]) for own, own_values in zip(found, values, strict=True)]
        spans = _spans([labels[row] for row in rows], times_s[rows]) if labels else ()
        who = [_texts(table, "--subject", options.subject), _texts(table, "--trial", options.trial)]
        subject, trial = (texts[rows[0]] if texts else "" for texts in who)
        kept = tuple(part for part in parts if part is not None)
        if kept:
            takes.append(Take(shown, place.key.as_posix(), kept, subject, trial, spans=spans))
    return takes


def read_logs(
    files: list[FoundFile], options: TableOptions, pattern: re.Pattern[str] | None, source_name: str, remarks: Remarks
) -> list[Take]:
    """The recordings of tables; files of one recording are joined, and what cannot be read is remarked and left out."""
    groups: dict[PurePosixPath, list[list[Take]]] = {}
    places = {file: _place(file, pattern) for file in files}
    of_one_recording = {place.key for file, place in places.items() if place and place.key == file.shown.parent}
    for file, place in places.items():
        if place is not None and not place.own_file and file.shown.parent in of_one_recording - {place.key}:
            place = _Place(file.shown.parent, columns.identifier(file.shown.stem), True)
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
    joined: list[Take] = []
    for key, parts in groups.items():
        if len(parts) == 1:
            pieces = parts[0]
        elif all(len(own) == 1 for own in parts):
            takes = [own[0] for own in parts]
            spans = next((take.spans for take in takes if take.spans), ())
            if len({take.spans for take in takes if take.spans}) > 1:
                remarks.add(key.as_posix(), "labels differ between its files; those of the first one are used")
            samples = tuple(samples for take in takes for samples in take.samples)
            pieces = [replace(takes[0], samples=samples, spans=spans)]
        else:
            remarks.add(key.as_posix(), "several recordings in the files of one sensor; expected one; left out")
            continue
        try:
            joined += [_named(own, pattern, number if len(pieces) > 1 else 0) for number, own in enumerate(pieces, 1)]
        except DataError as problem:
            remarks.add(key.as_posix(), str(problem))
    return joined


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
