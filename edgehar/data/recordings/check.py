"""Checks a folder of recordings: reads all of it and lists every problem.

docs/own-data.md describes the format. `edgehar.data.recordings.folder.load` uses the same `survey`.
"""

import csv
import re
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from edgehar.data.recordings.header import (
    DEFAULT_HOP,
    DEFAULT_STEP_S,
    DEFAULT_STEPS,
    HEADER_NAME,
    KINDS,
    Header,
    Problem,
    read_header,
)
from edgehar.data.recordings.signal_file import Signal, read_csv, read_lines, read_npy
from edgehar.signals.clip import Clip, Dataset, DatasetInfo, Segment
from edgehar.signals.modality import ModalitySpec, WindowSpec

INDEX_NAME = "index.csv"
INDEX_COLUMNS = ("recording", "subject", "trial", "label")
SEGMENTS_FOLDER = "segments"
SEGMENT_COLUMNS = ("start_s", "end_s", "label")
MIN_CLIP_SAMPLES = 2

_SAFE_NAME = re.compile(r"\w[\w.-]{0,199}")
_ACCOMPANYING = (".times", ".valid")


@dataclass(frozen=True)
class _Row:
    """A row of index.csv."""

    line: int
    recording: str
    subject: str
    trial: str
    label: int | None


def check(root: Path) -> list[Problem]:
    """All problems of a folder of recordings; an empty list if it is usable."""
    return survey(root)[1]


def name_problem(name: str) -> str:
    """Why a recording's name cannot be a file name, or an empty text."""
    if _SAFE_NAME.fullmatch(name) and ".." not in name and not name.endswith(_ACCOMPANYING):
        return ""
    return f"recording {name!r}; expected letters, digits, '_', '-' and single dots, not ending in .times or .valid"


def _table(path: Path, columns: tuple[str, ...], problems: list[Problem]) -> list[tuple[int, list[str]]]:
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


def _read_index(path: Path, labels: tuple[str, ...], problems: list[Problem]) -> list[_Row]:
    rows: list[_Row] = []
    first_line: dict[str, int] = {}
    for line, (recording, subject, trial, label) in _table(path, INDEX_COLUMNS, problems):
        found: list[str] = []
        if name_problem(recording):
            found.append(name_problem(recording))
        if recording in first_line:
            found.append(f"recording {recording!r} is listed twice (first in line {first_line[recording]}); remove one")
        if not subject:
            found.append(f"recording {recording!r} has no subject; expected one, for the split by subject")
        if label and label not in labels:
            found.append(f"label {label!r}; expected one of recordings.json: {', '.join(labels)}; or empty")
        first_line.setdefault(recording, line)
        problems += [Problem(str(path), line, message) for message in found]
        if not found:
            rows.append(_Row(line, recording, subject, trial, labels.index(label) if label else None))
    if not rows and not problems:
        problems.append(Problem(str(path), 1, "no recording; expected one per row"))
    return rows


def _read_segments(path: Path, labels: tuple[str, ...], problems: list[Problem]) -> list[tuple[int, Segment]]:
    rows: list[tuple[int, Segment]] = []
    for line, (start, end, label) in _table(path, SEGMENT_COLUMNS, problems):
        try:
            start_s, end_s = float(start), float(end)
        except ValueError:
            problems.append(Problem(str(path), line, f"start {start!r}, end {end!r}; expected seconds"))
            continue
        if label not in labels:
            problems.append(Problem(str(path), line, f"label {label!r}; expected one of {', '.join(labels)}"))
        elif not 0 <= start_s < end_s < float("inf"):
            problems.append(Problem(str(path), line, f"from {start_s} to {end_s} s; expected 0 <= start_s < end_s"))
        else:
            rows.append((line, Segment(start_s, end_s, labels.index(label))))
    ordered = sorted(rows, key=lambda row: row[1].start_s)
    for (line_before, before), (line, segment) in pairwise(ordered):
        if segment.start_s < before.end_s:
            message = (
                f"starts at {segment.start_s} s, before line {line_before} ends at {before.end_s} s; end it earlier"
            )
            problems.append(Problem(str(path), line, message))
    return rows


def _unexpected_files(root: Path, header: Header, recordings: set[str]) -> list[Problem]:
    """Files and folders that neither recordings.json nor index.csv lists."""
    problems: list[Problem] = []
    folders: dict[str, tuple[str, ...]] = {spec.name: (".csv", ".npy") for spec in header.specs}
    if header.kind == "continuous":
        folders[SEGMENTS_FOLDER] = (".csv",)
    for path in sorted(root.iterdir()):
        if (
            path.name.startswith(".")
            or path.suffix in (".md", ".txt")
            or path.name in (HEADER_NAME, INDEX_NAME, "LICENSE")
        ):
            continue
        if not path.is_dir() or path.name not in folders:
            expected = f"{HEADER_NAME}, {INDEX_NAME} and the folders {', '.join(folders)}"
            problems.append(Problem(str(path), 0, f"unexpected; expected {expected}; remove or rename it"))
            continue
        for file in sorted(path.iterdir()):
            stem = file.stem
            if (
                file.suffix == ".npy"
                and stem.endswith(_ACCOMPANYING)
                and (path / f"{stem.rpartition('.')[0]}.npy").exists()
            ):
                stem = stem.rpartition(".")[0]
            if not file.name.startswith(".") and (stem not in recordings or file.suffix not in folders[path.name]):
                endings = " or ".join(folders[path.name])
                message = f"not in {INDEX_NAME}; expected a recording's name with {endings}; list or remove it"
                problems.append(Problem(str(file), 0, message))
    return problems


def _read_signals(root: Path, row: _Row, header: Header, problems: list[Problem]) -> dict[str, Signal]:
    signals: dict[str, Signal] = {}
    files = 0
    for spec in header.specs:
        paths = [root / spec.name / f"{row.recording}{ending}" for ending in (".csv", ".npy")]
        present = [path for path in paths if path.is_file()]
        files += len(present)
        if len(present) == 2:
            problems.append(
                Problem(str(present[0]), 0, f"{present[1].name} exists, too; expected one of the two; remove the other")
            )
        elif present:
            read = read_csv if present[0].suffix == ".csv" else read_npy
            signal, found = read(present[0], spec)
            problems += found
            if signal is None:
                continue
            signals[spec.name] = signal
            if header.kind == "clips" and len(signal.values) < MIN_CLIP_SAMPLES:
                message = f"{len(signal.values)} sample; expected {MIN_CLIP_SAMPLES} or more; remove it from the index"
                problems.append(Problem(str(present[0]), 0, message))
    if not files:
        names = ", ".join(f"{spec.name}/{row.recording}.csv" for spec in header.specs)
        message = f"recording {row.recording!r} has no file of any sensor; expected at least one of {names} (or .npy)"
        problems.append(Problem(str(root / INDEX_NAME), row.line, message))
    return signals


def duration_s(clip: Clip, specs: tuple[ModalitySpec, ...]) -> float:
    """Duration of a recording: by its timestamps, or else by the nominal rate of its first sensor."""
    if clip.times_s:
        return max(float(times[-1]) for times in clip.times_s.values())
    return next((len(clip.signals[spec.name]) / spec.rate_hz for spec in specs if spec.name in clip.signals), 0.0)


def _info(header: Header, durations_s: list[float]) -> DatasetInfo:
    """The declaration, with omitted values derived from the recordings."""
    steps = int(header.window.get("steps", DEFAULT_STEPS))
    step_s = DEFAULT_STEP_S
    if header.kind == "clips" and any(durations_s):
        step_s = round(float(np.median(durations_s)) / steps, 4) or DEFAULT_STEP_S
    step_s = float(header.window.get("step_s", step_s))
    window = WindowSpec(KINDS[header.kind], steps, step_s, int(header.window.get("hop", DEFAULT_HOP[header.kind])))
    specs = tuple(
        replace(spec, patch=header.patches[spec.name] or max(1, round(spec.rate_hz * step_s))) for spec in header.specs
    )
    return DatasetInfo(header.name, specs, header.labels, window, header.citation, header.licence)


def _clip(root: Path, row: _Row, header: Header, problems: list[Problem]) -> tuple[Clip, list[tuple[int, Segment]]]:
    """One recording, and its segments with their line numbers."""
    signals = _read_signals(root, row, header, problems)
    times_s = {name: signal.times_s for name, signal in signals.items() if signal.times_s is not None}
    segments: list[tuple[int, Segment]] = []
    if header.kind == "continuous":
        for spec in header.specs:
            if spec.name in signals and spec.name not in times_s:
                times_s[spec.name] = np.arange(len(signals[spec.name].values)) / spec.rate_hz
        path = root / SEGMENTS_FOLDER / f"{row.recording}.csv"
        if path.is_file():
            segments = _read_segments(path, header.labels, problems)
            if row.label is not None:
                message = f"recording {row.recording!r} has a label and segments/{path.name}; expected one of the two"
                problems.append(Problem(str(root / INDEX_NAME), row.line, message))
    clip = Clip(
        name=row.recording,
        subject=row.subject,
        trial=row.trial,
        signals={name: signal.values for name, signal in signals.items()},
        valid={name: signal.valid for name, signal in signals.items()},
        label=row.label,
        times_s=times_s,
        segments=tuple(segment for _, segment in segments),
    )
    return clip, segments


def survey(root: Path) -> tuple[Dataset | None, list[Problem]]:
    """Read a folder: the data set, or None if there are problems; and the problems."""
    if not root.is_dir():
        return None, [Problem(str(root), 0, "no such folder; expected recordings, see docs/own-data.md")]
    header, problems = read_header(root / HEADER_NAME)
    if header is None:
        return None, problems
    rows = _read_index(root / INDEX_NAME, header.labels, problems)
    listed = {cells[0] for _, cells in _table(root / INDEX_NAME, INDEX_COLUMNS, [])}
    if listed:
        problems += _unexpected_files(root, header, listed)
    read = [(row, *_clip(root, row, header, problems)) for row in rows]
    durations_s = [duration_s(clip, header.specs) for _, clip, _ in read]
    info = _info(header, durations_s)
    for (row, clip, segments), length_s in zip(read, durations_s, strict=True):
        if header.kind != "continuous" or not clip.signals:
            continue
        if length_s < info.window.length_s:
            message = f"recording {row.recording!r} lasts {length_s:.3g} s; expected at least a window of "
            message += f"{info.window.length_s:.3g} s; remove it or declare a shorter window"
            problems.append(Problem(str(root / INDEX_NAME), row.line, message))
        for line, segment in segments:
            if segment.end_s > length_s + info.window.step_s:
                message = f"ends at {segment.end_s} s, after the recording ({length_s:.3f} s); end it earlier"
                problems.append(Problem(str(root / SEGMENTS_FOLDER / f"{row.recording}.csv"), line, message))
    return (None if problems else Dataset(info, tuple(clip for _, clip, _ in read))), problems
