"""Reads tables as spreadsheets and loggers write them: any separator, decimal commas, lines before the header."""

import csv
import re
from collections import Counter
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from edgehar.data.importing.takes import Numbers
from edgehar.errors import DataError

SEPARATORS = ("\t", ";", "|", ",")
"""Candidates in the order of preference; with ";" a comma is a decimal point."""
MAX_PREAMBLE_LINES = 60
MAX_NUMBER = 1e30
"""Larger numbers, infinity among them, are errors of the logger."""
MISSING = frozenset(("", "nan", "na", "n/a", "null", "none", "-"))

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?", re.IGNORECASE)
_CLOCK = re.compile(r"\d{1,2}[:\-]\d{2}[:\-]\d{2}")


@dataclass(frozen=True)
class Table:
    """A table: names of the columns, the cells of each column, and the line of the file of each row."""

    names: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

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
    and so on. Shorter rows are filled up with empty cells.

    Raises:
        DataError: no row of numbers within the first lines.
    """
    numbered = [(number, line) for number, line in enumerate(text.lstrip("\ufeff").splitlines(), 1) if line.strip()]
    lines = [line.lstrip("# ") if line.startswith("#") else line for _, line in numbered]
    if not lines:
        raise DataError("empty; expected a table")
    separator = _separator(lines[: MAX_PREAMBLE_LINES * 2][-MAX_PREAMBLE_LINES:])
    if separator == "," and all(line.rstrip().endswith(";") for line in lines[-3:]):  # WISDM
        lines = [line.rstrip().rstrip(";") for line in lines]
    rows = _split(lines, separator)
    if len(rows) < len(lines):
        line = next(number for number, line in numbered if line.count('"') % 2 or number == numbered[-1][0])
        raise DataError(f"a quote in line {line} is not closed; expected a row per line; correct it; left out")
    first = next((index for index, row in enumerate(rows[:MAX_PREAMBLE_LINES]) if _is_data(row)), None)
    if first is None:
        raise DataError(f"no row of numbers in the first {MAX_PREAMBLE_LINES} lines; expected a table with a header")
    width = len(rows[first])
    names = [str(number) for number in range(1, width + 1)]
    headers = [row for row in rows[:first] if 0 <= width - len(row) <= 1 and sum(map(_is_value, row)) <= len(row) / 4]
    if headers:
        named = headers[-2] if len(headers) > 1 and _is_units(headers[-1]) else headers[-1]
        names = [name or str(number) for number, name in zip_longest(range(1, width + 1), named, fillvalue="")]
    body = [(number, row) for (number, _), row in zip(numbered[first:], rows[first:], strict=True)]
    cells = tuple(tuple(row[column] if column < len(row) else "" for _, row in body) for column in range(width))
    return Table(tuple(map(str, names)), cells, tuple(number for number, _ in body))


def _is_units(row: list[str]) -> bool:
    """Whether a row below the header states units, such as (s) and (m/s^2)."""
    return all(cell[:1] in "([" or cell in ("s", "ms", "g", "CAL") for cell in row)


def numbers(cells: tuple[str, ...]) -> tuple[Numbers, list[int]]:
    """Cells as numbers, NaN for missing ones (T,); and the rows that are neither a number nor missing."""
    try:
        values = np.array(cells, np.float64)
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
