"""One sensor's file of one recording, as CSV or .npy, and everything wrong with it line by line."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edgehar.data.recordings.header import Problem
from edgehar.signals.clip import Bools, Floats, Times
from edgehar.signals.modality import ModalitySpec

TIME_COLUMN = "time_s"
VALID_COLUMN = "valid"
LATEST_START_S = 3600.0
"""A recording that starts later than this has timestamps of a clock, not seconds from its start."""


@dataclass(frozen=True)
class Signal:
    """A sensor's samples: (T, C) values, (T,) valid, and (T,) seconds or None if the file has no timestamps."""

    values: Floats
    valid: Bools
    times_s: Times | None


def read_lines(path: Path) -> tuple[list[str], list[Problem]]:
    """Lines of a text file without line ends, blank lines at the end left off; a byte order mark is skipped."""
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


def _rows_one_by_one(path: Path, lines: list[str], columns: int) -> tuple[NDArray[np.float64], list[Problem]]:
    """Every row that is not `columns` numbers; an empty cell counts as not a number (NaN), found later."""
    problems: list[Problem] = []
    rows: list[list[float]] = []
    for number, line in enumerate(lines, 2):
        cells = line.split(",")
        if len(cells) != columns:
            hint = "; separate columns by ',' and decimals by '.'" if ";" in line else ""
            problems.append(Problem(str(path), number, f"{len(cells)} columns; the header has {columns}{hint}"))
            continue
        wrong = [(place, cell) for place, cell in enumerate(cells, 1) if cell.strip() and not _is_number(cell)]
        for place, cell in wrong:
            problems.append(Problem(str(path), number, f"column {place} is {cell!r}; expected a number"))
        if not wrong:
            rows.append([float(cell) if cell.strip() else np.nan for cell in cells])
    return np.array(rows, np.float64).reshape(len(rows), columns), problems


def read_csv(path: Path, spec: ModalitySpec) -> tuple[Signal | None, list[Problem]]:
    """Read a header row, then rows of `time_s` (optional), the channels, and `valid` (optional, 0 or 1)."""
    lines, problems = read_lines(path)
    if problems:
        return None, problems
    names = [name.strip().strip('"') for name in lines[0].split(",")]
    timed, masked = names[0] == TIME_COLUMN, names[-1] == VALID_COLUMN
    columns = len(names)
    expected = f"{'time_s, ' if timed else ''}{spec.channels} channels{', valid' if masked else ''}"
    if all(map(_is_number, names)):
        problems.append(Problem(str(path), 1, f"numbers in the first row; expected a header naming {expected}; add it"))
    elif columns != spec.channels + timed + masked:
        message = f"{columns} columns in the header; expected {expected}; correct the file or recordings.json"
        problems.append(Problem(str(path), 1, message))
    if TIME_COLUMN in names[1:] or VALID_COLUMN in names[:-1]:
        problems.append(Problem(str(path), 1, "expected time_s only as the first and valid only as the last column"))
    if len(lines) == 1:
        problems.append(Problem(str(path), 1, "no sample after the header; expected one per line; remove the file"))
    if problems:
        return None, problems
    try:
        table = np.loadtxt(lines[1:], np.float64, delimiter=",", comments=None, ndmin=2)
    except ValueError:
        table = np.empty((0, 0))
    if table.shape != (len(lines) - 1, columns):
        table, problems = _rows_one_by_one(path, lines[1:], columns)
        if problems:
            return None, problems
    valid = np.ones(len(table), bool)
    if masked:
        marks = table[:, -1]
        for row in np.flatnonzero((marks != 0) & (marks != 1)):
            problems.append(Problem(str(path), int(row) + 2, f"valid is {marks[row]}; expected 0 or 1"))
        valid = marks == 1
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
        problems.append(Problem(str(path), 0, f"holds {found}; expected one array of numbers; write it again"))
        return None
    return numbers


def read_npy(path: Path, spec: ModalitySpec) -> tuple[Signal | None, list[Problem]]:
    """Read NAME.npy (T, C), with NAME.times.npy (T,) seconds and NAME.valid.npy (T,) bool beside it if present."""
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
            message = f"{part} have shape {array.shape}, the samples {values.shape}; expected one per sample"
            problems.append(Problem(str(path.with_name(f"{path.stem}.{part}.npy")), 0, f"{message}; write both again"))
    if problems:
        return None, problems
    if spec.is_skeleton and values.ndim == 3 and values.shape[1:] == (spec.groups, spec.group):
        values = values.reshape(len(values), spec.channels)
    if values.ndim != 2 or values.shape[1] != spec.channels or not len(values):
        message = (
            f"shape {values.shape}; expected (samples, {spec.channels}) with at least one sample; time comes first"
        )
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
    """The checks that both forms share: finite values, and time that goes forward in seconds."""

    def note(row: int, message: str) -> None:
        where = "" if first_line is not None else f"sample {row}: "
        problems.append(Problem(str(path), 0 if first_line is None else row + first_line, where + message))

    with np.errstate(over="ignore"):
        numbers = np.array(values, np.float32, order="C")
    finite = np.isfinite(numbers)
    for row in np.flatnonzero(valid & ~finite.all(1)):
        place = int(np.argmin(finite[row]))
        found = "empty or not a number" if np.isnan(values[row, place]) else f"{values[row, place]}"
        note(
            int(row), f"channel {place + 1} is {found}; expected a finite number; leave the row out or mark it valid=0"
        )
    # What is marked as not valid is never read; 0 keeps later arithmetic free of NaN.
    numbers[~finite] = 0
    if times_s is not None:
        steady = np.isfinite(times_s)
        for row in np.flatnonzero(~steady):
            note(int(row), f"time_s is {times_s[row]}; expected seconds")
        for row in np.flatnonzero(np.diff(times_s) < 0) + 1:
            note(int(row), f"time goes back from {times_s[row - 1]} to {times_s[row]} s; sort the rows by time")
        if steady.all():
            problem = _clock_problem(times_s, spec)
            if problem:
                note(0, problem)
    return (None if problems else Signal(numbers, valid, times_s)), problems


def _clock_problem(times_s: Times, spec: ModalitySpec) -> str:
    """What shows that a column of times is not in seconds from the start, or nothing."""
    first_s, last_s = float(times_s[0]), float(times_s[-1])
    if not 0 <= first_s <= LATEST_START_S:
        return f"time starts at {first_s} s; expected seconds from the recording's start; subtract its first time"
    if last_s - first_s > spec.longest_s(len(times_s)):
        found = f"{len(times_s)} samples over {last_s - first_s:g} s at rate_hz {spec.rate_hz:g}"
        return f"{found}; expected time in seconds; convert it, or correct rate_hz"
    return ""
