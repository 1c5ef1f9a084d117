"""Sensors of a table: their columns, rows of several sensors one below the other, and their samples."""

from dataclasses import replace

import numpy as np

from edgehar.data.importing import clock, columns
from edgehar.data.importing.columns import SensorColumns
from edgehar.data.importing.logs.options import TableOptions
from edgehar.data.importing.logs.places import Place
from edgehar.data.importing.table import MISSING, Table, numbers
from edgehar.data.importing.takes import Numbers, Remarks
from edgehar.errors import DataError
from edgehar.signals.clip import Bools

COMPARED_ROWS = 100
"""Rows that tell whether a column holds texts."""
MAX_SENSORS = 16
"""Most sensors in the rows of one table."""
SAME_ROWS = 0.5
"""Share of the rows with a value in either of two columns that have both, from which they are of one sensor."""
ALTERNATING_SHARE = 0.1
"""Share of rows that differ from the one before from which a column alternates between devices."""
SENSOR_WORDS = frozenset(("sensor", "sensortype", "sensorname", "sensorid", "type", "name", "id", "number"))
DEVICE_WORDS = frozenset((
    "type", "name", "device", "source", "position", "location", "placement", "side", "limb",
))  # fmt: skip


def sensor_columns(table: Table, place: Place, options: TableOptions) -> list[SensorColumns]:
    """Columns of each sensor of a table, by options or by their names; raises DataError if there is none."""
    if options.columns:
        indices = tuple(table.index(name, "--columns") for name in options.columns)
        split = [columns.split_unit(table.names[index]) for index in indices]
        group = 1 if len(indices) % 3 else 3
        unit = columns.unit_of([table.names[index] for index in indices])
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


def sensor_of_rows(table: Table, other: set[int | None]) -> int | None:
    """The column that names the sensor of each row, in a table with rows of several sensors; None without one."""
    for index, (name, cells) in enumerate(zip(table.names, table.cells, strict=True)):
        words = set(columns.words_of(name))
        names_sensors = words <= SENSOR_WORDS and any(word.startswith("sensor") for word in words)
        if index in other or (not names_sensors and not numbers(cells[:COMPARED_ROWS])[1]):
            continue
        found = {cell.decode(errors="replace") for cell in np.unique(cells.array).tolist()}
        found = {text for text in found if text.casefold() not in MISSING}
        if not 0 < len(found) <= MAX_SENSORS:
            continue
        alternates = bool((cells.array[1:] != cells.array[:-1]).mean() > ALTERNATING_SHARE)
        is_known = all(columns.known_sensor(text) for text in found)
        if len(found) == 1:
            if is_known and words & SENSOR_WORDS:
                return index
        elif is_known or names_sensors or (alternates and words & DEVICE_WORDS):
            return index
    return None


def tables_of_sensors(
    table: Table, index: int, place: Place, options: TableOptions, time: int | None, file: str, remarks: Remarks
) -> list[tuple[Table, Place, TableOptions]]:
    """The rows of each sensor, the most frequent one first.

    Args:
        table: the table.
        index: the column that names the sensor of each row.
        place: recording and sensor of the file.
        options: what the user says; those of the other sensors get the unit of time of the first.
        time: the column of times, if there is one.
        file: the file, as it is shown.
        remarks: gets a line about the sensors.
    """
    cells = [cell.decode(errors="replace") for cell in table.cells[index].array.tolist()]
    name_of = {
        cell: f"{place.sensor}_{cell}" if cell.isdigit() else columns.sensor_name(cell)
        for cell in sorted(set(cells))
        if cell.casefold() not in MISSING
    }
    names = np.array([name_of.get(cell, "") for cell in cells])
    counts = {name: int((names == name).sum()) for name in sorted(set(name_of.values()))}
    ordered = sorted(counts, key=lambda name: -counts[name])
    remarks.add(file, f"column {table.names[index]!r} read as the sensor of each row: {', '.join(ordered)}")
    unnamed = np.flatnonzero(names == "")
    if len(unnamed):
        remarks.add(f"{file}:{table.lines[unnamed[0]]} ({len(unnamed)} in all)", "rows without a sensor; left out")
    tables: list[tuple[Table, Place, TableOptions]] = []
    for name in ordered:
        own = table.rows(np.flatnonzero(names == name))
        sensor = name if name == place.sensor or not place.own_file else f"{place.sensor}_{name}"
        tables.append((own, replace(place, sensor=sensor, own_file=True), options))
        if time is not None and options.unit_of_time is None:
            unit = clock.recognised_unit(table.names[time], own.cells[time])
            options = replace(options, unit_of_time=unit)
    return tables


def read_values(
    table: Table, found: list[SensorColumns], timed: Bools, file: str, remarks: Remarks
) -> list[tuple[SensorColumns, Numbers]]:
    """Values (T, C) of each sensor, NaN in all channels of a row that lacks one; remarks on rows that are left out.

    Columns of one sensor that have values in different rows are sensors of their own.

    Args:
        table: the table.
        found: the columns of each sensor.
        timed: (T,) whether a row has a time; others are not remarked.
        file: the file, as it is shown.
        remarks: gets the lines.

    Raises:
        DataError: a column without a number.
    """
    read: list[tuple[SensorColumns, Numbers]] = []
    remarked = ~timed
    with_value = np.zeros(len(timed), bool)
    for own in found:
        channels = [_channel(table, index, remarked, file, remarks) for index in own.indices]
        for part, values in _of_same_rows(own, np.stack(channels, 1), table, file, remarks):
            missing = np.isnan(values)
            with_value |= ~missing.all(1)
            partial = missing.any(1) & ~missing.all(1) & ~remarked
            gone = [index for index, lost in zip(part.indices, missing[partial].T, strict=True) if lost.any()]
            names = ", ".join(repr(table.names[index]) for index in gone)
            _remark_rows(partial, f"{part.sensor}: no value in column {names}; rows left out", table, file, remarks)
            values[missing.any(1)] = np.nan
            read.append((part, values))
    _remark_rows(~with_value & ~remarked, "rows without values; left out", table, file, remarks)
    return read


def _channel(table: Table, index: int, remarked: Bools, file: str, remarks: Remarks) -> Numbers:
    """A column as numbers (T,), NaN where it holds none; rows with another text are remarked."""
    column, wrong = numbers(table.cells[index])
    if len(wrong) == len(column):
        raise DataError(f"column {table.names[index]!r} holds {table.cells[index][0]!r}; expected numbers")
    if wrong:
        first = min(wrong, key=lambda row: int(table.lines[row]))
        where = f"{file}:{table.lines[first]} ({table.cells[index][first]!r}; {len(wrong)} in all)"
        remarks.add(where, f"column {table.names[index]!r} is not a number; its rows left out")
        remarked[wrong] = True
    return column


def _of_same_rows(
    own: SensorColumns, values: Numbers, table: Table, file: str, remarks: Remarks
) -> list[tuple[SensorColumns, Numbers]]:
    """The sensor, or several of the columns that have values in the same rows, such as a heart rate at 1 Hz."""
    known = ~np.isnan(values)
    groups: list[list[int]] = []
    for channel in range(len(own.indices)):
        name = table.names[own.indices[channel]]
        if not known[:, channel].any():
            remarks.add(file, f"{own.sensor}: column {name!r} is empty; left out")
            continue
        for group in groups:
            both, either = known[:, channel] & known[:, group[0]], known[:, channel] | known[:, group[0]]
            if both.sum() >= SAME_ROWS * either.sum():
                group.append(channel)
                break
        else:
            groups.append([channel])
    main = max(groups, key=lambda group: int(known[:, group].sum()), default=list[int]())
    parts: list[tuple[SensorColumns, Numbers]] = []
    for group in groups:
        names = [table.names[own.indices[channel]] for channel in group]
        sensor = own.sensor
        if group is not main:
            filled = int(known[:, group].any(1).sum())
            sensor = f"{sensor}_{names[0] if names[0].isdigit() else columns.identifier(names[0])}"
            what = f"{own.sensor}: column {', '.join(map(repr, names))} has values in other rows"
            where = f"{file} ({filled} of {len(known)} rows)"
            remarks.add(where, f"{what}; imported as a sensor of its own, {sensor}")
        part = replace(
            own,
            sensor=sensor,
            indices=tuple(own.indices[channel] for channel in group),
            columns=tuple(own.columns[channel] for channel in group),
            unit=own.unit if len(groups) == 1 else columns.unit_of(names) or own.unit,
            group=1 if len(group) % 3 else 3,
        )
        parts.append((part if len(group) < len(own.indices) else own, values[:, group]))
    return parts


def _remark_rows(rows: Bools, what: str, table: Table, file: str, remarks: Remarks) -> None:
    if rows.any():
        remarks.add(f"{file}:{table.lines[rows].min()} ({rows.sum()} of {len(rows)} rows)", what)
