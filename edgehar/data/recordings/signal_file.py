"""Reads one sensor's file of a recording, CSV or .npy, and lists its problems by line."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

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
from edgehar.data.recordings.timestamps import timestamp_problems
from edgehar.signals.clip import Bools, Floats, Times
from edgehar.signals.coarse_clock import spread
from edgehar.signals.modality import ModalitySpec


@dataclass(frozen=True)
class Signal:
    """Samples of a sensor: (T, C) values, (T,) valid, and (T,) seconds or None without timestamps."""

    values: Floats
    valid: Bools
    times_s: Times | None


def read_lines(path: Path) -> tuple[list[str], list[Problem]]:
    """Lines of a text file, without line ends, trailing blank lines and byte order mark."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as problem:
        return [], [Problem(str(path), 0, f"cannot be read ({problem.strerror}); expected a text file")]
    except UnicodeDecodeError as problem:
        return [], [Problem(str(path), 0, f"not UTF-8 text ({problem.reason}); save the file as UTF-8")]
    return text.rstrip().replace("\r\n", "\n").replace("\r", "\n").split("\n"), []


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _parse_rows(path: Path, lines: list[str], columns: int, timed: bool) -> tuple[NDArray[np.float64], list[Problem]]:
    """Rows of `columns` numbers, NaN for an empty cell; and the problems of other rows."""
    problems: list[Problem] = []
    rows: list[list[float]] = []
    for number, line in enumerate(lines, 2):
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
    return np.array(rows, np.float64).reshape(len(rows), columns), problems


def read_csv(path: Path, spec: ModalitySpec) -> tuple[Signal | None, list[Problem]]:
    """Read a CSV file: a header, then rows of `time_s` (optional), the channels, and `valid` (optional, 0 or 1).

    Channels are put in the order of `spec.columns`, if that is known.
    """
    lines, problems = read_lines(path)
    if problems:
        return None, problems
    names = split_names(lines[0])
    timed, masked = names[0] == TIME_COLUMN, names[-1] == VALID_COLUMN
    columns = len(names)
    problem = layout_problem(lines[0], spec)
    if all(map(_is_number, names)):
        problem = f"numbers in the first row; expected a header of {spec.channels} channels (time_s first); add it"
    if problem:
        problems.append(Problem(str(path), 1, problem))
    if len(lines) == 1:
        problems.append(Problem(str(path), 1, "no sample after the header; expected one per line; remove the file"))
    order, difference = column_order(channel_names(lines[0]), spec.columns)
    if difference and not problems:
        problems.append(Problem(str(path), 1, difference, is_warning=order is not None))
    if errors(problems) or order is None:
        return None, problems
    try:
        table = np.loadtxt(lines[1:], np.float64, delimiter=",", comments=None, ndmin=2)
    except ValueError:
        table = np.empty((0, 0))
    if table.shape != (len(lines) - 1, columns):
        table, problems = _parse_rows(path, lines[1:], columns, timed)
        if problems:
            return None, problems
    valid = np.ones(len(table), bool)
    if masked:
        flags = table[:, -1]
        for row in np.flatnonzero((flags != 0) & (flags != 1)):
            problems.append(Problem(str(path), int(row) + 2, f"valid is {flags[row]}; expected 0 or 1; correct it"))
        valid = flags == 1
    values = table[:, int(timed) : columns - int(masked)].take(order, axis=1)
    return _checked(path, values, valid, table[:, 0].copy() if timed else None, spec, problems, first_line=2)


def _load_npy(path: Path, kinds: str, problems: list[Problem]) -> NDArray[Any] | None:
    try:
        array: object = np.load(path, allow_pickle=False)
    except (
        OSError,
        ValueError,
        EOFError,
        SyntaxError,
        TypeError,
        KeyError,
        MemoryError,
        zipfile.BadZipFile,
    ) as problem:
        problems.append(Problem(str(path), 0, f"cannot be read ({problem}); expected a .npy array; write it again"))
        return None
    numbers = cast("NDArray[Any]", array) if isinstance(array, np.ndarray) else None
    if numbers is None or numbers.dtype.kind not in kinds:
        found = "several arrays" if numbers is None else numbers.dtype.name
        problems.append(Problem(str(path), 0, f"contains {found}; expected one array of numbers; write it again"))
        return None
    return numbers


def read_npy(path: Path, spec: ModalitySpec) -> tuple[Signal | None, list[Problem]]:
    """Read NAME.npy (T, C), NAME.times.npy (T,) seconds and NAME.valid.npy (T,) bool; the last two are optional."""
    problems: list[Problem] = []
    values = _load_npy(path, "fiu", problems)
    beside: dict[str, NDArray[Any]] = {}
    for part, kinds in (("times", "fiu"), ("valid", "b")):
        part_path = path.with_name(f"{path.stem}.{part}.npy")
        array = _load_npy(part_path, kinds, problems) if part_path.exists() else None
        if array is not None:
            beside[part] = array
    if values is None:
        return None, problems
    for part, array in beside.items():
        if array.shape != values.shape[:1]:
            message = f"{part} has shape {array.shape}, the samples {values.shape}; expected one value per sample"
            problems.append(Problem(str(path.with_name(f"{path.stem}.{part}.npy")), 0, f"{message}; write both again"))
    if problems:
        return None, problems
    if spec.is_skeleton and values.ndim == 3 and values.shape[1:] == (spec.groups, spec.group):
        values = values.reshape(len(values), spec.channels)
    if values.ndim != 2 or values.shape[1] != spec.channels or not len(values):
        message = f"shape {values.shape}; expected (samples, {spec.channels}) with at least one sample; put time first"
        return None, [Problem(str(path), 0, message)]
    times_s = beside["times"].astype(np.float64) if "times" in beside else None
    valid = beside.get("valid", np.ones(len(values), bool))
    return _checked(path, values, valid, times_s, spec, problems, first_line=None)


def _checked(
    path: Path,
    values: NDArray[Any],
    valid: Bools,
    times_s: Times | None,
    spec: ModalitySpec,
    problems: list[Problem],
    first_line: int | None,
) -> tuple[Signal | None, list[Problem]]:
    """Checks of both file types: finite values, and increasing time in seconds."""

    def add_problem(row: int, message: str) -> None:
        where = "" if first_line is not None else f"sample {row}: "
        problems.append(Problem(str(path), 0 if first_line is None else row + first_line, where + message))

    with np.errstate(over="ignore"):
        numbers = np.array(values, np.float32, order="C")
    finite = np.isfinite(numbers)
    lost = np.zeros_like(finite)
    if spec.is_skeleton:  # a joint that was not seen is NaN in all its channels
        joints = np.isnan(values).reshape(len(values), spec.groups, spec.group)
        lost = np.repeat(joints.all(2), spec.group, axis=1)
        valid = valid & ~lost.all(1)
    for row in np.flatnonzero(valid & ~(finite | lost).all(1)):
        channel = int(np.argmin((finite | lost)[row]))
        found = "empty or not a number" if np.isnan(values[row, channel]) else f"{values[row, channel]}"
        cure = "empty the whole joint" if spec.is_skeleton else "remove the row"
        add_problem(int(row), f"channel {channel + 1} is {found}; expected a finite number; {cure} or set valid to 0")
    # Samples that are not valid are not used; 0 avoids NaN in later arithmetic.
    numbers[~finite & ~(lost & valid[:, None])] = 0
    if times_s is None:
        return (None if errors(problems) else Signal(numbers, valid, None)), problems
    for row, message in timestamp_problems(times_s, spec):
        add_problem(row, message)
    if errors(problems):
        return None, problems
    times_s, counted = spread(times_s, numbers, spec.rate_hz)
    return Signal(numbers[counted], valid[counted], times_s[counted]), problems
