"""Times, recordings and labels of the rows of a table."""

from dataclasses import dataclass

import numpy as np

from edgehar.data.importing import clock, columns
from edgehar.data.importing.logs.options import TableOptions
from edgehar.data.importing.table import MISSING, Table
from edgehar.data.importing.takes import Remarks
from edgehar.errors import DataError
from edgehar.signals.clip import Times

RESTART_S = 1.0
"""Time that goes back by more than this begins another recording; by less, the rows are out of order."""
PAUSE_S = 600.0
"""Time that goes on by more than this begins another recording, too: a pause, or a clock that was set."""


def time_column(table: Table, options: TableOptions, file: str, remarks: Remarks) -> int | None:
    """Index of the column of times; None at a given rate."""
    if options.time is not None:
        return table.index(options.time, "--time")
    candidates = columns.time_columns(table.names)
    if options.rate_hz is not None:
        for index in candidates[:1]:
            remarks.add(file, f"column {table.names[index]!r} not used, but --rate {options.rate_hz:g}")
        return None
    if not candidates:
        names = ", ".join(table.names[:20])
        raise DataError(f"no column of times among {names}; name it with --time, or give --rate; left out")
    return candidates[0]


def with_times(
    table: Table, index: int | None, options: TableOptions, file: str, remarks: Remarks
) -> tuple[Table, Times]:
    """The table with the oldest row first, and times in seconds (T,), NaN where a row has none.

    Without a column of times they are evenly spaced at the given rate.
    """
    if index is None:
        return table, np.arange(len(table.lines)) / (options.rate_hz or 1.0)
    if clock.decreases(table.cells[index]):
        remarks.add(file, f"times decrease in column {table.names[index]!r}: read from the last row to the first")
        table = table.rows(slice(None, None, -1))
    times_s, how = clock.seconds(table.names[index], table.cells[index], options.unit_of_time)
    if how:
        remarks.add(file, f"column {table.names[index]!r} read as {how}")
    times_s[_outliers(times_s)] = np.nan
    if np.isnan(times_s).any():
        first_line = table.lines[np.isnan(times_s)].min()
        remarks.add(
            f"{file}:{first_line} ({int(np.isnan(times_s).sum())} in all)",
            "rows without a time, or with one far from those around it; left out",
        )
    return table, times_s


def _outliers(times_s: Times) -> list[int]:
    """Rows whose time alone is far before or after those of the rows around it."""
    rows = np.flatnonzero(~np.isnan(times_s))
    before, own, after = (times_s[rows[part]] for part in (slice(None, -2), slice(1, -1), slice(2, None)))
    alone = (own > after + RESTART_S) | (own < before - RESTART_S)
    outliers: list[int] = rows[1:-1][alone & (after >= before) & (after - before < PAUSE_S)].tolist()
    return outliers


def texts(table: Table, index: int | None) -> tuple[str, ...] | None:
    """Cells of a column of texts, "" where nothing is written; None without a column."""
    if index is None:
        return None
    return tuple("" if cell.casefold() in MISSING else cell for cell in table.cells[index])


@dataclass(frozen=True)
class TextColumns:
    """Columns of labels, people and trials; None where there is none."""

    label: int | None
    subject: int | None
    trial: int | None

    @property
    def found(self) -> set[int | None]:
        """All of them."""
        return {self.label, self.subject, self.trial}


def text_columns(table: Table, options: TableOptions, file: str, remarks: Remarks) -> TextColumns:
    """The columns that options name, otherwise those with a usual name, which is remarked for people and trials."""

    def named(field: str, given: str | None, usual: tuple[str, ...]) -> int | None:
        if given is not None:
            return table.index(given, f"--{field}")
        index = next((found for name in usual if (found := table.find(name)) is not None), None)
        if index is None or table.names[index] in options.columns or (field != "label" and field in options.in_names):
            return None
        if field != "label":
            remarks.add(file, f"column {table.names[index]!r} read as {field}; choose another with --{field}")
        return index

    return TextColumns(
        named("label", options.label, columns.LABEL_NAMES),
        named("subject", options.subject, columns.SUBJECT_NAMES),
        named("trial", options.trial, columns.TRIAL_NAMES),
    )


def pieces_of(
    times_s: Times, subjects: tuple[str, ...] | None, trials: tuple[str, ...] | None, file: str, remarks: Remarks
) -> list[list[int]]:
    """Rows of each recording of a table: another subject or trial, and time that goes back, begin a new one."""
    pieces: list[list[int]] = []
    last: tuple[str, str, float] | None = None
    restarts = 0
    for row in range(len(times_s)):
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


def spans_of(labels: list[str], times_s: Times) -> tuple[tuple[float, float, str], ...]:
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
