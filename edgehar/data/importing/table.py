"""Reads tables as spreadsheets and loggers write them: any separator, decimal commas, lines before the header."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from edgehar.data.importing.takes import Numbers
from edgehar.errors import DataError

SEPARATORS = ("\t", ";", "|", ",")
"""Candidates in the order of preference; with ";" a comma is a decimal point."""
MAX_PREAMBLE_LINES = 60
MAX_CELL_BYTES = 200
BLOCK_ROWS = 16_384
MAX_NUMBER = 1e30
"""Larger numbers, infinity among them, are errors of the logger."""
MISSING = frozenset(("", "nan", "na", "n/a", "null", "none", "-"))

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?", re.IGNORECASE)
_CLOCK = re.compile(r"\d{1,2}[:\-]\d{2}[:\-]\d{2}")


class Cells(Sequence[str]):
    """The cells of a column, as bytes in one array (T,): a tenth of what as many strings need."""

    def __init__(self, blocks: list[NDArray[np.bytes_]]) -> None:
        """Join blocks of a column."""
        self.array: NDArray[np.bytes_] = np.concatenate(blocks)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.array)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        """The text of a cell, or of several."""
        if isinstance(index, slice):
            return tuple(cell.decode(errors="replace") for cell in self.array[index].tolist())
        return self.array[index].decode(errors="replace")


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        names: names of the columns.
        cells: the cells of each column, (T,) each.
        lines: (T,) line of the file of each row.
        left_out: lines with more cells than columns, which are no rows: where the extra cell is cannot be told.
    """

    names: tuple[str, ...]
    cells: tuple[Cells, ...]
    lines: NDArray[np.intp]
    left_out: tuple[int, ...] = ()

    def rows(self, chosen: NDArray[Any] | slice) -> "Table":
        """The table with these rows only."""
        return replace(self, cells=tuple(Cells([own.array[chosen]]) for own in self.cells), lines=self.lines[chosen])

    def find(self, name: str) -> int | None:
        """Index of a column by its name, or by its number from 1 if no column has the name; None without one."""
        names = [own.casefold() for own in self.names]
        if name.strip().casefold() in names:
            return names.index(name.strip().casefold())
        return int(name) - 1 if name.isdigit() and 0 < int(name) <= len(names) else None

    def index(self, name: str, option: str) -> int:
        """Index of a column that an option names; raises DataError with the names that exist."""
        index = self.find(name)
        if index is None:
            raise DataError(f"{option} {name}: no such column; the columns are {', '.join(self.names)}")
        return index


def _is_value(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell) or _CLOCK.search(cell) or cell.casefold() == "nan")


def _is_data(row: list[str]) -> bool:
    """Whether at least half of the filled cells are numbers or times."""
    filled = [cell for cell in row if cell]
    return len(filled) > 1 and 2 * sum(map(_is_value, filled)) >= len(filled)


def _split(lines: list[str], separator: str) -> list[list[str]]:
    if separator == " ":
        return [line.split() for line in lines]
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    try:
        return [[cell.strip() for cell in row] for row in reader]
    except csv.Error as problem:
        raise DataError(f"not a table ({problem}); left out") from None


def _separator(lines: list[str]) -> str:
    """The separator with which most lines have the same number of cells, above one."""

    def agreement(separator: str) -> float:
        counts = Counter(len(row) for row in _split([line.rstrip("; ") for line in lines], separator))
        width, times = max(counts.items(), key=lambda item: (item[1] * (item[0] > 1), item[0]))
        return times / len(lines) if width > 1 else 0.0

    return next((separator for separator in SEPARATORS if agreement(separator) > 0.6), " ")


def read_table(text: str) -> Table:
    """Read a table.

    The header is the last row without numbers before the first row of numbers; without one the columns are named 1, 2,
    and so on. Shorter rows are filled up with empty cells, longer ones are left out.

    Raises:
        DataError: a single column, or no row of numbers within the first lines.
    """
    every_line = text.lstrip("\ufeff").splitlines()
    filled = [index for index, line in enumerate(every_line) if line.strip()]
    lines = [every_line[index].lstrip("# ") if every_line[index][0] == "#" else every_line[index] for index in filled]
    if not lines:
        raise DataError("empty; expected a table")
    separator = _separator(lines[: MAX_PREAMBLE_LINES * 2][-MAX_PREAMBLE_LINES:])
    if separator == "," and all(line.rstrip().endswith(";") for line in lines[-3:]):  # WISDM
        lines = [line.rstrip().rstrip(";") for line in lines]
    start = _split(lines[:MAX_PREAMBLE_LINES], separator)
    first = next((index for index, row in enumerate(start) if _is_data(row)), None)
    if first is None and all(len(row) < 2 for row in start):
        raise DataError("a single column; expected a column of times and those of a sensor, separated by , ; or tabs")
    if first is None:
        raise DataError(f"no row of numbers in the first {MAX_PREAMBLE_LINES} lines; expected a table with a header")
    width = Counter(len(row) for row in start[first:] if _is_data(row)).most_common(1)[0][0]
    names = [str(number) for number in range(1, width + 1)]
    headers = [row for row in start[:first] if 0 <= width - len(row) <= 1 and sum(map(_is_value, row)) <= len(row) / 4]
    if headers:
        named = headers[-2] if len(headers) > 1 and _is_units(headers[-1]) else headers[-1]
        names = [name or str(number) for number, name in zip_longest(range(1, width + 1), named, fillvalue="")]
    blocks: list[list[NDArray[np.bytes_]]] = []
    lines_of_rows, left_out = list[int](), list[int]()
    for block in range(first, len(lines), BLOCK_ROWS):
        part = lines[block : block + BLOCK_ROWS]
        rows = _split(part, separator)
        if len(rows) < len(part):
            open_quote = next((index for index, line in enumerate(part) if line.count('"') % 2), 0)
            number = filled[block + open_quote] + 1
            raise DataError(f"a quote in line {number} is not closed; expected a row per line; correct it; left out")
        fits = [not any(row[width:]) for row in rows]
        kept_rows = [row for row, fit in zip(rows, fits, strict=True) if fit]
        for index, fit in enumerate(fits, block):
            (lines_of_rows if fit else left_out).append(filled[index] + 1)
        blocks.append([_packed(kept_rows, column) for column in range(width)])
    cells = tuple(Cells([block[column] for block in blocks]) for column in range(width))
    return Table(tuple(map(str, names)), cells, np.array(lines_of_rows), tuple(left_out))


def _packed(rows: list[list[str]], column: int) -> NDArray[np.bytes_]:
    """Cells of a column, empty ones where a row is short."""
    return np.array([row[column].encode()[:MAX_CELL_BYTES] if column < len(row) else b"" for row in rows], np.bytes_)


def _is_units(row: list[str]) -> bool:
    """Whether a row below the header states units, such as (s) and (m/s^2)."""
    return all(cell[:1] in "([" or cell in ("s", "ms", "g", "CAL") for cell in row)


def numbers(cells: Sequence[str]) -> tuple[Numbers, list[int]]:
    """Cells as numbers, NaN for missing ones (T,); and the rows that are neither a number nor missing."""
    try:
        values = (cells.array if isinstance(cells, Cells) else np.array(cells)).astype(np.float64)
    except ValueError:
        pass
    else:
        too_large = np.abs(values) > MAX_NUMBER
        return np.where(too_large, np.nan, values), np.flatnonzero(too_large).tolist()
    values = np.full(len(cells), np.nan)
    wrong: list[int] = []
    for row, cell in enumerate(cells):
        if _NUMBER.fullmatch(cell):
            values[row] = float(cell.replace(",", "."))
            if abs(values[row]) > MAX_NUMBER:
                wrong.append(row)
                values[row] = np.nan
        elif cell.casefold() not in MISSING:
            wrong.append(row)
    return values, wrong
