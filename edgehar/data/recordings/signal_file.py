"""Reads one sensor's file of a recording, CSV or .npy, and lists its problems by line."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edgehar.data.recordings.header import Problem
from edgehar.signals.clip import Bools, Floats, Times
from edgehar.signals.coarse_clock import spread
from edgehar.signals.modality import ModalitySpec

TIME_COLUMN = "time_s"
VALID_COLUMN = "valid"
MAX_START_S = 3600.0
"""Timestamps that start later are clock times, not seconds from the start of the recording."""


@dataclass(frozen=True)
class Signal:
    """Samples of a sensor: (T, C) values, (T,) valid, and (T,) seconds or None without timestamps."""

    values: Floats
    valid: Bools
    times_s: Times | None


def read_lines(path: Path) -> tuple[list[str], list[Problem]]:
    """Lines of a text file, without line ends, trailing blank lines and byte order mark."""
    try:
        lines = path.read_bytes().decode("utf-8-sig").rstrip().split("\n")
    except OSError as problem:
        return [], [Problem(str(path), 0, f"cannot be read ({problem.strerror}); expected a text file")]
    except UnicodeDecodeError as problem:
        return [], [Problem(str(path), 0, f"not UTF-8 text ({problem.reason}); save the file as UTF-8")]
    return [line.rstrip("\r") for line in lines], []


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _parse_rows(path: Path, lines: list[str], columns: int) -> tuple[NDArray[np.float64], list[Problem]]:
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
            problems.append(Problem(str(path), number, f"column {column} is {cell!r}; expected a number"))
        if not invalid:
            rows.append([float(cell) if cell.strip() else np.nan for cell in cells])
    return np.array(rows, np.float64).reshape(len(rows), columns), problems


def read_csv(path: Path, spec: ModalitySpec) -> tuple[Signal | None, list[Problem]]:
    """Read a CSV file: a header, then rows of `time_s` (optional), the channels, and `valid` (optional, 0 or 1)."""
    lines, problems = read_lines(path)
    if problems:
        return None, problems
    names = [name.strip().strip('"') for name in lines[0].split(",")]
    timed, masked = names[0] == TIME_COLUMN, names[-1] == VALID_COLUMN
    columns = len(names)
    expected = f"{'time_s, ' if timed else ''}{spec.channels} channels{', valid' if masked else ''}"
    if all(map(_is_number, names)):
        problems.append(Problem(str(path), 1, f"numbers in the first row; expected a header of {expected}; add it"))
    elif columns != spec.channels + timed + masked:
        message = f"{columns} columns in the header; expected {expected}; correct the file or recordings.json"
        problems.append(Problem(str(path), 1, message))
    if TIME_COLUMN in names[1:] or VALID_COLUMN in names[:-1]:
        problems.append(Problem(str(path), 1, "expected time_s as the first column and valid as the last"))
    if len(lines) == 1:
        problems.append(Problem(str(path), 1, "no sample after the header; expected one per line; remove the file"))
    if problems:
        return None, problems
    try:
        table = np.loadtxt(lines[1:], np.float64, delimiter=",", comments=None, ndmin=2)
    except ValueError:
        table = np.empty((0, 0))
    if table.shape != (len(lines) - 1, columns):
        table, problems = _parse_rows(path, lines[1:], columns)
        if problems:
            return None, problems
    valid = np.ones(len(table), bool)
    if masked:
        flags = table[:, -1]
        for row in np.flatnonzero((flags != 0) & (flags != 1)):
            problems.append(Problem(str(path), int(row) + 2, f"valid is {flags[row]}; expected 0 or 1"))
        valid = flags == 1
    values = table[:, int(timed) : columns - int(masked)]
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
    for row in np.flatnonzero(valid & ~finite.all(1)):
        channel = int(np.argmin(finite[row]))
        found = "empty or not a number" if np.isnan(values[row, channel]) else f"{values[row, channel]}"
        add_problem(
            int(row), f"channel {channel + 1} is {found}; expected a finite number; remove the row or set valid to 0"
        )
    # Samples that are not valid are not used; 0 avoids NaN in later arithmetic.
    numbers[~finite] = 0
    if times_s is not None:
        finite_times = np.isfinite(times_s)
        for row in np.flatnonzero(~finite_times):
            add_problem(int(row), f"time_s is {times_s[row]}; expected seconds")
        for row in np.flatnonzero(np.diff(times_s) < 0) + 1:
            add_problem(int(row), f"time goes back from {times_s[row - 1]} to {times_s[row]} s; sort the rows by time")
        if finite_times.all():
            problem = _time_unit_problem(times_s, spec)
            if problem:
                add_problem(0, problem)
    return (None if problems else _spread(numbers, valid, times_s, spec)), problems


def _spread(values: Floats, valid: Bools, times_s: Times | None, spec: ModalitySpec) -> Signal:
    """The samples, those of one timestamp spread over the time until the next, and repeated rows once."""
    if times_s is None:
        return Signal(values, valid, None)
    times_s, keep = spread(times_s, values, spec.rate_hz)
    return Signal(values, valid, times_s) if keep.all() else Signal(values[keep], valid[keep], times_s[keep])


def _time_unit_problem(times_s: Times, spec: ModalitySpec) -> str:
    """Why the times are not seconds from the start of the recording, or an empty text."""
    first_s, last_s = float(times_s[0]), float(times_s[-1])
    if not 0 <= first_s <= MAX_START_S:
        return f"time starts at {first_s} s; expected seconds from the start of the recording; subtract the first time"
    if last_s - first_s > spec.max_span_s(len(times_s)):
        found = f"{len(times_s)} samples over {last_s - first_s:g} s at rate_hz {spec.rate_hz:g}"
        return f"{found}; expected time in seconds; convert it, or correct rate_hz"
    return ""
