"""The samples of one sensor: reads them from .npy files and checks those of any file."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edgehar.data.recordings.problem import Problem, errors
from edgehar.data.recordings.timestamps import timestamp_problems
from edgehar.errors import DataError
from edgehar.signals.clip import Bools, Floats, Times
from edgehar.signals.coarse_clock import spread
from edgehar.signals.modality import ModalitySpec


class Unreadable(Exception):
    """A file cannot be read; the problems are listed."""


BLOCK_ROWS = 16_384
"""Samples that are converted and checked at a time."""


@dataclass(frozen=True)
class Signal:
    """Samples of a sensor: (T, C) values, (T,) valid, and (T,) seconds or None without timestamps."""

    values: Floats
    valid: Bools
    times_s: Times | None


def _load_npy(path: Path, kinds: str, problems: list[Problem], mapped: bool = False) -> NDArray[Any] | None:
    try:
        array: object = np.load(path, allow_pickle=False, mmap_mode="r" if mapped else None)
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


@dataclass(frozen=True)
class _Arrays:
    """The arrays of NAME.npy, NAME.times.npy and NAME.valid.npy: (T, C), and (T,) or None."""

    values: NDArray[Any]
    times_s: NDArray[Any] | None
    valid: NDArray[Any] | None


def _open_npy(path: Path, spec: ModalitySpec, problems: list[Problem], mapped: bool) -> _Arrays | None:
    """The arrays, memory-mapped or not; None if they cannot be used. Problems are added."""
    values = _load_npy(path, "fiu", problems, mapped)
    beside: dict[str, NDArray[Any]] = {}
    for part, kinds in (("times", "fiu"), ("valid", "b")):
        part_path = path.with_name(f"{path.stem}.{part}.npy")
        array = _load_npy(part_path, kinds, problems, mapped) if part_path.exists() else None
        if array is not None:
            beside[part] = array
    if values is None:
        return None
    for part, array in beside.items():
        if array.shape != values.shape[:1]:
            message = f"{part} has shape {array.shape}, the samples {values.shape}; expected one value per sample"
            problems.append(Problem(str(path.with_name(f"{path.stem}.{part}.npy")), 0, f"{message}; write both again"))
    if problems:
        return None
    is_flat = values.ndim == 2 and values.shape[1] == spec.channels
    by_joint = spec.is_skeleton and values.ndim == 3 and values.shape[1:] == (spec.groups, spec.group)
    if not (is_flat or by_joint) or not len(values):
        message = f"shape {values.shape}; expected (samples, {spec.channels}) with at least one sample; put time first"
        problems.append(Problem(str(path), 0, message))
        return None
    return _Arrays(values, beside.get("times"), beside.get("valid"))


def read_npy(path: Path, spec: ModalitySpec) -> tuple[Signal | None, list[Problem]]:
    """Read NAME.npy (T, C), NAME.times.npy (T,) seconds and NAME.valid.npy (T,) bool; the last two are optional."""
    problems: list[Problem] = []
    arrays = _open_npy(path, spec, problems, mapped=False)
    if arrays is None:
        return None, problems
    given = arrays.values.reshape(len(arrays.values), spec.channels)
    valid = np.ones(len(given), bool) if arrays.valid is None else arrays.valid
    values, usable = checked_values(path, given, valid, spec, problems, 0, "sample ")
    times_s = None if arrays.times_s is None else arrays.times_s.astype(np.float64)
    return checked_times(path, Signal(values, usable, times_s), spec, problems, 0, "sample ")


def _copy(array: NDArray[Any] | None, rows: slice, path: Path) -> NDArray[Any]:
    """Some rows of a memory-mapped array, mapped anew, so that those read before are no longer in memory."""
    assert isinstance(array, np.memmap)
    order = "C" if array.flags.c_contiguous else "F"
    try:
        return np.array(np.memmap(path, array.dtype, "r", array.offset, array.shape, order)[rows])
    except ValueError:
        raise DataError(f"{path}: became shorter while it was read; expected no other writer; write it again") from None


def npy_blocks(path: Path, spec: ModalitySpec, problems: list[Problem]) -> Iterator[Signal]:
    """Blocks of `read_npy`, one in memory at a time; the times are as in the file, not checked.

    Raises Unreadable if the arrays cannot be used, and DataError if another process shortens them.
    """
    arrays = _open_npy(path, spec, problems, mapped=True)
    if arrays is None:
        raise Unreadable
    times_path, valid_path = (path.with_name(f"{path.stem}.{part}.npy") for part in ("times", "valid"))
    for first in range(0, len(arrays.values), BLOCK_ROWS):
        rows = slice(first, first + BLOCK_ROWS)
        given = _copy(arrays.values, rows, path).reshape(-1, spec.channels)
        valid = np.ones(len(given), bool) if arrays.valid is None else _copy(arrays.valid, rows, valid_path)
        times_s = None if arrays.times_s is None else _copy(arrays.times_s, rows, times_path).astype(np.float64)
        values, usable = checked_values(path, given, valid, spec, problems, first, "sample ")
        yield Signal(values, usable, times_s)


def _row_problem(path: Path, number: int, message: str, prefix: str) -> Problem:
    """A problem of a line of a text file or, with a prefix, of a sample of another one."""
    return Problem(str(path), 0, f"{prefix}{number}: {message}") if prefix else Problem(str(path), number, message)


def checked_values(
    path: Path,
    values: NDArray[Any],
    valid: Bools,
    spec: ModalitySpec,
    problems: list[Problem],
    first: int,
    prefix: str,
) -> tuple[Floats, Bools]:
    """Values as float32, 0 or a lost joint's NaN where not finite, and (T,) valid; other such values are problems."""
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
        message = f"channel {channel + 1} is {found}; expected a finite number; {cure} or set valid to 0"
        problems.append(_row_problem(path, int(row) + first, message, prefix))
    # Samples that are not valid are not used; 0 avoids NaN in later arithmetic.
    numbers[~finite & ~(lost & valid[:, None])] = 0
    return numbers, valid


def checked_times(
    path: Path, signal: Signal, spec: ModalitySpec, problems: list[Problem], first: int, prefix: str
) -> tuple[Signal | None, list[Problem]]:
    """The signal with times of which none repeats, or None if there is a problem; and the problems."""
    if signal.times_s is not None:
        found = timestamp_problems(signal.times_s, spec)
        problems += [_row_problem(path, row + first, message, prefix) for row, message in found]
    if errors(problems):
        return None, problems
    if signal.times_s is None:
        return signal, problems
    times_s, counted = spread(signal.times_s, signal.values, spec.rate_hz)
    if counted.all():
        return Signal(signal.values, signal.valid, times_s), problems
    return Signal(signal.values[counted], signal.valid[counted], times_s[counted]), problems
