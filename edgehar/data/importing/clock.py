"""Times of a table in seconds: numbers in a unit found by name, magnitude or interval; dates; times of day."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import numpy as np

from edgehar.data.importing.table import numbers
from edgehar.data.importing.takes import Numbers
from edgehar.errors import DataError
from edgehar.signals.clip import Times

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
"""Unit of time -> seconds."""
EPOCH_S = (946684800.0, 4102444800.0)
"""Seconds since 1970 from the year 2000 to 2100."""
PLAUSIBLE_INTERVAL_S = (1e-4, 20.0)
"""Median interval of a sensor, 10 kHz to one sample in 20 s: others contradict a stated unit."""

COMPARED_ROWS = 1000
"""Rows that tell whether the newest comes first."""

_NAMED_UNIT = re.compile(
    r"(?:^|[\s_(\[])(s|sec|secs|seconds?|ms|msec|millis|milliseconds?|us|[µμ]s|micros|ns|nanos)[)\]]?$"
)
_SPELLINGS = {"milli": "ms", "ms": "ms", "micro": "us", "us": "us", "µs": "us", "μs": "us", "n": "ns", "s": "s"}
_DATE = re.compile(
    r"(?:(?P<day>\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4})[T\s]+)?(?P<hour>\d{1,2})[:\-](?P<minute>\d{2})[:\-](?P<second>\d{2})"
    r"(?:[.,:_](?P<fraction>\d{1,9}))?\s*(?P<half>[AaPp][Mm])?\s*(?P<zone>Z|[+-]\d{2}:?\d{2})?"
)


def unit_in_name(name: str) -> str | None:
    """The unit of time that a column's name states, such as "Time since start in ms" or "seconds_elapsed"."""
    text = name.strip().casefold()
    if text.startswith(("seconds", "milliseconds")):
        return "s" if text.startswith("s") else "ms"
    match = _NAMED_UNIT.search(text)
    if match is None:
        return None
    return next(unit for start, unit in _SPELLINGS.items() if match[1].startswith(start))


def _unit_by_magnitude(times: Numbers) -> tuple[str, str]:
    """Unit of times without a stated one, and what it was recognised by."""
    first = float(times[0])
    gaps = np.diff(times)
    gaps = gaps[gaps > 0]
    step = float(np.median(gaps)) if len(gaps) else 0.0
    for unit, seconds in UNITS.items():
        if EPOCH_S[0] <= first * seconds <= EPOCH_S[1] and step * seconds <= 5:
            return unit, f"{unit} since 1970"
    for unit, (low, high) in {"s": (0, 0.5), "ms": (5, 500), "us": (5000, 5e5), "ns": (5e6, np.inf)}.items():
        if low < step <= high:
            return unit, f"{unit}, from the interval of {step:g} between samples"
    raise DataError(f"the interval between samples is {step:g}, which may be of several units; give --unit-of-time")


def _calendar_day(text: str) -> datetime:
    parts = [int(part) for part in re.split(r"[-/.]", text)]
    if parts[0] > 31:
        year, month, day = parts
    elif "." in text or parts[0] > 12:
        day, month, year = parts
    else:
        month, day, year = parts
    return datetime(year if year > 99 else 2000 + year, month, day, tzinfo=timezone.utc)


def _dates(cells: Sequence[str]) -> Times:
    """Dates with times, or times of day, in seconds; a time of day that falls by hours is after midnight."""
    times = np.full(len(cells), np.nan)
    days: dict[str, float] = {"": 0.0}
    for row, cell in enumerate(cells):
        match = _DATE.fullmatch(cell.strip())
        if match is None:
            continue
        day = match["day"] or ""
        if day not in days:
            try:
                days[day] = _calendar_day(day).timestamp()
            except ValueError:
                continue
        hour = int(match["hour"])
        if match["half"]:
            hour = hour % 12 + 12 * (match["half"].casefold() == "pm")
        fraction = float(f"0.{match['fraction']}") if match["fraction"] else 0.0
        zone = (match["zone"] or "Z").replace(":", "")
        offset = timedelta() if zone == "Z" else timedelta(hours=int(zone[:3]), minutes=int(zone[0] + zone[3:]))
        whole = hour * 3600 + int(match["minute"]) * 60 + int(match["second"])
        times[row] = days[day] + whole + fraction - offset.total_seconds()
    midnights = np.cumsum(np.diff(times, prepend=times[:1]) < -43200)
    return np.add(times, 86400.0 * midnights, dtype=np.float64)


def decreases(cells: Sequence[str]) -> bool:
    """Whether times fall from row to row, as in a table with the newest row first."""
    times, wrong = numbers(cells[:COMPARED_ROWS])
    if len(wrong) > len(times) / 2:
        times = _dates(cells[:COMPARED_ROWS])
    steps = np.diff(times[~np.isnan(times)])
    return bool((steps < 0).sum() > 0.9 * np.count_nonzero(steps))


def recognised_unit(name: str, cells: Sequence[str]) -> str | None:
    """The unit of times that are numbers; None for others, and where it cannot be told."""
    values, wrong = numbers(cells)
    known = values[~np.isnan(values)]
    if len(wrong) > len(cells) / 2 or len(known) < 2:
        return None
    try:
        return unit_in_name(name) or _unit_by_magnitude(known)[0]
    except DataError:
        return None


def seconds(name: str, cells: Sequence[str], unit: str | None) -> tuple[Times, str]:
    """Times of a column in seconds (T,), NaN where a cell is none; and how they were read, empty if stated by its name.

    Args:
        name: name of the column.
        cells: its cells.
        unit: the unit where the user gives it.

    Raises:
        DataError: no times, or a unit that cannot be told or contradicts the interval between samples.
    """
    values, wrong = numbers(cells)
    if len(wrong) > len(cells) / 2:
        times = _dates(cells)
        if np.isnan(times).mean() > 0.5:
            raise DataError(
                f"column {name!r} holds {cells[0]!r}; expected numbers or dates; name the times with --time"
            )
        return times, "dates" if re.search(r"\d[-/.]\d", cells[0]) else "times of day"
    known = values[~np.isnan(values)]
    if not len(known):
        raise DataError(f"column {name!r} is empty; name the times with --time")
    if len(known) == 1:
        return values * UNITS[unit or unit_in_name(name) or "s"], ""
    stated = unit or unit_in_name(name)
    how = ""
    if stated is None:
        stated, how = _unit_by_magnitude(known)
    gaps = np.diff(known * UNITS[stated])
    step_s = float(np.median(gaps[gaps > 0])) if (gaps > 0).any() else 1.0
    if not PLAUSIBLE_INTERVAL_S[0] <= step_s <= PLAUSIBLE_INTERVAL_S[1]:
        raise DataError(f"column {name!r} in {stated} is a sample every {step_s:g} s; correct it with --unit-of-time")
    return values * UNITS[stated], how
