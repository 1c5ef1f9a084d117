"""Reads `index.csv` and the labelled spans of `segments/`, and lists their problems by line."""

import csv
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from edgehar.data.recordings.csv_file import read_lines
from edgehar.data.recordings.problem import Problem
from edgehar.errors import shortened
from edgehar.signals.clip import Segment

INDEX_NAME = "index.csv"
INDEX_COLUMNS = ("recording", "subject", "trial", "label")
SEGMENTS_FOLDER = "segments"
SEGMENT_COLUMNS = ("start_s", "end_s", "label")
ACCOMPANYING = (".times", ".valid")
TOUCH_S = 1e-6
"""Spans that overlap by less touch: the difference is rounding."""

_SAFE_NAME = re.compile(r"\w[\w.-]{0,199}")


@dataclass(frozen=True)
class Row:
    """A row of index.csv."""

    line: int
    recording: str
    subject: str
    trial: str
    label: int | None


def name_problem(name: str) -> str:
    """Why a recording's name cannot be a file name, or an empty text."""
    if _SAFE_NAME.fullmatch(name) and ".." not in name and not name.endswith(ACCOMPANYING):
        return ""
    return f"recording {name!r}; expected letters, digits, '_', '-' and single dots, not ending in .times or .valid"


def read_table(path: Path, columns: tuple[str, ...], problems: list[Problem]) -> list[tuple[int, list[str]]]:
    """Rows of a CSV file with a fixed header, each with its line number."""
    lines, unreadable = read_lines(path)
    problems += unreadable
    if unreadable:
        return []
    rows: list[tuple[int, list[str]]] = []
    reader = csv.reader(lines, strict=True)
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if reader.line_num == 1:
                if tuple(cells) != columns:
                    message = f"header {','.join(cells)!r}; expected {','.join(columns)}; correct the first row"
                    problems.append(Problem(str(path), 1, message))
                    return []
            elif len(cells) != len(columns):
                message = f"{len(cells)} columns; expected {len(columns)} ({','.join(columns)})"
                problems.append(Problem(str(path), reader.line_num, message))
            else:
                rows.append((reader.line_num, cells))
    except csv.Error as problem:
        problems.append(Problem(str(path), reader.line_num, f"not CSV ({problem}); correct the quotes"))
    return rows


def read_index(path: Path, labels: tuple[str, ...], problems: list[Problem]) -> list[Row]:
    """Rows of index.csv that can be used; adds the problems of the others."""
    rows: list[Row] = []
    first_line: dict[str, int] = {}
    for line, (recording, subject, trial, label) in read_table(path, INDEX_COLUMNS, problems):
        found: list[str] = []
        if name_problem(recording):
            found.append(name_problem(recording))
        if recording in first_line:
            found.append(f"recording {recording!r} is listed twice (first in line {first_line[recording]}); remove one")
        if not subject:
            found.append(f"recording {recording!r} has no subject; expected one, for the split by subject")
        if label and label not in labels:
            found.append(f"label {label!r}; expected one of recordings.json: {shortened(labels, 40)}; or empty")
        first_line.setdefault(recording, line)
        problems += [Problem(str(path), line, message) for message in found]
        if not found:
            rows.append(Row(line, recording, subject, trial, labels.index(label) if label else None))
    if not rows and not problems:
        problems.append(Problem(str(path), 1, "no recording; expected one per row"))
    return rows


def read_segments(path: Path, labels: tuple[str, ...], problems: list[Problem]) -> list[tuple[int, Segment]]:
    """Labelled spans of a recording, each with its line; adds the problems of the others."""
    rows: list[tuple[int, Segment]] = []
    for line, (start, end, label) in read_table(path, SEGMENT_COLUMNS, problems):
        try:
            start_s, end_s = float(start), float(end)
        except ValueError:
            problems.append(Problem(str(path), line, f"start {start!r}, end {end!r}; expected seconds"))
            continue
        if label not in labels:
            problems.append(Problem(str(path), line, f"label {label!r}; expected one of {shortened(labels, 40)}"))
        elif not 0 <= start_s < end_s < float("inf"):
            problems.append(Problem(str(path), line, f"from {start_s} to {end_s} s; expected 0 <= start_s < end_s"))
        else:
            rows.append((line, Segment(start_s, end_s, labels.index(label))))
    ordered = sorted(rows, key=lambda row: row[1].start_s)
    for (line_before, before), (line, segment) in pairwise(ordered):
        if segment.start_s < before.end_s - TOUCH_S:
            message = (
                f"starts at {segment.start_s} s, before line {line_before} ends at {before.end_s} s; end it earlier"
            )
            problems.append(Problem(str(path), line, message))
    return rows
