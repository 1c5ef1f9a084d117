"""Reads one sensor's CSV file of a recording block by block, and lists its problems by line."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgehar.data.recordings.header_row import (
    TIME_COLUMN,
    VALID_COLUMN,
    channel_names,
    column_order,
    layout_problem,
    split_names,
)
from edgehar.data.recordings.problem import Problem, errors
from edgehar.data.recordings.signal_file import BLOCK_ROWS, Signal, Unreadable, checked_times, checked_values
from edgehar.signals.clip import Bools
from edgehar.signals.modality import ModalitySpec


def iter_lines(path: Path) -> Iterator[str]:
    """Lines of a text file, without line ends, trailing blank lines and byte order mark; raises as `open`."""
    blank: list[str] = []
    with path.open(encoding="utf-8-sig") as file:
        for line in file:
            blank.append(line.rstrip("\n"))
            if blank[-1].strip():
                yield from blank
                blank = []


def unreadable(path: Path, problem: OSError | UnicodeDecodeError) -> Problem:
    """The problem of a text file that cannot be read."""
    if isinstance(problem, OSError):
        return Problem(str(path), 0, f"cannot be read ({problem.strerror}); expected a text file")
    return Problem(str(path), 0, f"not UTF-8 text ({problem.reason}); save the file as UTF-8")


def read_lines(path: Path) -> tuple[list[str], list[Problem]]:
    """All of `iter_lines`, at least one; or none, and the problem."""
    try:
        return list(iter_lines(path)) or [""], []
    except (OSError, UnicodeDecodeError) as problem:
        return [], [unreadable(path, problem)]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _parse_rows(
    path: Path, lines: list[str], first_line: int, columns: int, timed: bool, problems: list[Problem]
) -> NDArray[np.float64]:
    """Rows of `columns` numbers, NaN for an empty cell; the problems of other rows are added."""
    rows: list[list[float]] = []
    for number, line in enumerate(lines, first_line):
        cells = line.split(",")
        if len(cells) != columns:
            hint = "; separate columns by ',' and decimals by '.'" if ";" in line else ""
            problems.append(
                Problem(str(path), number, f"{len(cells)} columns; expected {columns} as in the header{hint}")
            )
            continue
        invalid = [(column, cell) for column, cell in enumerate(cells, 1) if cell.strip() and not _is_number(cell)]
        for column, cell in invalid:
            expected = "a number"
            if timed and column == 1:
                expected = "seconds from the start of the recording, not a date or clock time; subtract the first time"
            elif cell.strip().startswith(("'", '"')):
                expected = "a number; remove the quotes"
            problems.append(Problem(str(path), number, f"column {column} is {cell!r}; expected {expected}"))
        if not invalid:
            rows.append([float(cell) if cell.strip() else np.nan for cell in cells])
    return np.array(rows, np.float64).reshape(len(rows), columns)


@dataclass(frozen=True)
class _Layout:
    """Columns of a CSV file: their number, the column of each channel, and whether there are time_s and valid."""

    columns: int
    order: list[int]
    timed: bool
    masked: bool


def csv_blocks(path: Path, spec: ModalitySpec, problems: list[Problem]) -> Iterator[Signal]:
    """Read a CSV file: a header, then rows of `time_s` (optional), the channels, and `valid` (optional, 0 or 1).

    Channels are put in the order of `spec.columns`, if that is known. The times are as in the file, not checked.

    Args:
        path: the file.
        spec: its sensor.
        problems: those found are added.

    Yields:
        Blocks of samples; those with a row that is not all numbers are missing.

    Raises Unreadable if the header or the text cannot be used, or after the last block, if one was missing.
    """
    complete = True
    try:
        lines = iter_lines(path)
        header, block = next(lines, ""), list(islice(lines, BLOCK_ROWS))
        layout = _read_header(path, header, bool(block), spec, problems)
        if layout is None:
            raise Unreadable
        first_line = 2
        while block:
            table = _parse_block(path, block, first_line, layout, problems)
            if len(table) == len(block):
                numbers, flags = _split(path, table, first_line, layout, problems)
                numbers, usable = checked_values(path, numbers, flags, spec, problems, first_line, "")
                yield Signal(numbers, usable, table[:, 0] if layout.timed else None)
            complete &= len(table) == len(block)
            first_line += len(block)
            block = list(islice(lines, BLOCK_ROWS))
    except (OSError, UnicodeDecodeError) as problem:
        problems[:] = [unreadable(path, problem)]
        raise Unreadable from None
    if not complete:
        raise Unreadable


def read_csv(path: Path, spec: ModalitySpec) -> tuple[Signal | None, list[Problem]]:
    """Read a CSV file; see `csv_blocks`. Hours of a recording need little more memory than their numbers."""
    problems: list[Problem] = []
    values, valid, times_s = bytearray(), bytearray(), bytearray()
    try:
        for block in csv_blocks(path, spec, problems):
            values += block.values.tobytes()
            valid += block.valid.tobytes()
            times_s += b"" if block.times_s is None else block.times_s.tobytes()
    except Unreadable:
        return None, problems
    signal = Signal(
        np.frombuffer(values, np.float32).reshape(-1, spec.channels),
        np.frombuffer(valid, bool),
        np.frombuffer(times_s, np.float64) if times_s else None,
    )
    return checked_times(path, signal, spec, problems, 2, "")


def _read_header(
    path: Path, header: str, has_rows: bool, spec: ModalitySpec, problems: list[Problem]
) -> _Layout | None:
    """The layout by the first line of a CSV file; None if it cannot be used. Problems are added."""
    names = split_names(header)
    problem = layout_problem(header, spec)
    if all(map(_is_number, names)):
        problem = f"numbers in the first row; expected a header of {spec.channels} channels (time_s first); add it"
    if problem:
        problems.append(Problem(str(path), 1, problem))
    if not has_rows:
        problems.append(Problem(str(path), 1, "no sample after the header; expected one per line; remove the file"))
    order, difference = column_order(channel_names(header), spec.columns)
    if difference and not problems:
        problems.append(Problem(str(path), 1, difference, is_warning=order is not None))
    if errors(problems) or order is None:
        return None
    return _Layout(len(names), order, names[0] == TIME_COLUMN, names[-1] == VALID_COLUMN)


def _parse_block(
    path: Path, lines: list[str], first_line: int, layout: _Layout, problems: list[Problem]
) -> NDArray[np.float64]:
    """Rows of numbers; the problems of others are added."""
    try:
        table = np.loadtxt(lines, np.float64, delimiter=",", comments=None, ndmin=2)
    except ValueError:
        table = np.empty((0, 0))
    if table.shape == (len(lines), layout.columns):
        return table
    return _parse_rows(path, lines, first_line, layout.columns, layout.timed, problems)


def _split(
    path: Path, table: NDArray[np.float64], first_line: int, layout: _Layout, problems: list[Problem]
) -> tuple[NDArray[np.float64], Bools]:
    """Values (T, C) in the order of the channels, and (T,) the flags of `valid`."""
    valid = np.ones(len(table), bool)
    if layout.masked:
        flags = table[:, -1]
        for row in np.flatnonzero((flags != 0) & (flags != 1)):
            message = f"valid is {flags[row]}; expected 0 or 1; correct it"
            problems.append(Problem(str(path), int(row) + first_line, message))
        valid = flags == 1
    return table[:, int(layout.timed) : layout.columns - int(layout.masked)].take(layout.order, axis=1), valid
