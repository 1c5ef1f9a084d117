"""Checks a folder of recordings: reads all of it and lists every problem.

docs/own-data.md describes the format. `edgehar.data.recordings.folder.load` uses the same `survey`.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgehar.data.recordings.csv_file import read_csv
from edgehar.data.recordings.header import HEADER_NAME, Header, read_header
from edgehar.data.recordings.header_row import channel_names, layout_problem
from edgehar.data.recordings.index import (
    ACCOMPANYING,
    INDEX_COLUMNS,
    INDEX_NAME,
    SEGMENTS_FOLDER,
    Row,
    read_index,
    read_segments,
    read_table,
)
from edgehar.data.recordings.problem import Problem, errors
from edgehar.data.recordings.signal_file import Signal, read_npy
from edgehar.data.recordings.suspicions.files import cut_files, similar_names, unused_labels
from edgehar.data.recordings.suspicions.folder import suspicions
from edgehar.data.recordings.suspicions.recorded import Recorded
from edgehar.data.recordings.window import KINDS, frames_per_step, window_of
from edgehar.signals.clip import Clip, Dataset, DatasetInfo, Segment
from edgehar.signals.kinds import kinds_are_declared
from edgehar.signals.limits import declaration_problem, size_problem
from edgehar.signals.modality import NO_MIRROR, ModalitySpec
from edgehar.signals.resampling import clip_span_s

MIN_CLIP_SAMPLES = 2


@dataclass(frozen=True)
class _Recording:
    """A recording as read: its row of the index, its spans with their lines, and its sensors' samples."""

    row: Row
    clip: Clip
    segments: list[tuple[int, Segment]]
    sensors: dict[str, Recorded]


def check(root: Path) -> list[Problem]:
    """All problems of a folder of recordings; an empty list if it is usable."""
    return survey(root)[1]


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
                and stem.endswith(ACCOMPANYING)
                and (path / f"{stem.rpartition('.')[0]}.npy").exists()
            ):
                stem = stem.rpartition(".")[0]
            if not file.name.startswith(".") and (stem not in recordings or file.suffix not in folders[path.name]):
                endings = " or ".join(folders[path.name])
                message = f"not in {INDEX_NAME}; expected a recording's name with {endings}; list or remove it"
                problems.append(Problem(str(file), 0, message))
    return problems


def _read_signals(root: Path, row: Row, header: Header, problems: list[Problem]) -> dict[str, tuple[Path, Signal]]:
    signals: dict[str, tuple[Path, Signal]] = {}
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
            signals[spec.name] = (present[0], signal)
            if header.kind == "clips" and len(signal.values) < MIN_CLIP_SAMPLES:
                message = f"{len(signal.values)} sample; expected {MIN_CLIP_SAMPLES} or more; remove it from the index"
                problems.append(Problem(str(present[0]), 0, message))
    if not files:
        names = ", ".join(f"{spec.name}/{row.recording}.csv" for spec in header.specs)
        message = f"recording {row.recording!r} has no file of any sensor; expected at least one of {names} (or .npy)"
        problems.append(Problem(str(root / INDEX_NAME), row.line, message))
    return signals


def _first_line(path: Path) -> str:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return file.readline().rstrip("\n")


def _with_columns(root: Path, header: Header, rows: list[Row]) -> Header:
    """The declaration with the names of channels that it omits, from the first CSV file of each sensor."""
    specs: list[ModalitySpec] = []
    for spec in header.specs:
        paths = [root / spec.name / f"{row.recording}.csv" for row in rows]
        first = next((path for path in paths if path.is_file()), None)
        row = "" if spec.columns or first is None else _first_line(first)
        names = channel_names(row) if row and not layout_problem(row, spec) else ()
        specs.append(replace(spec, columns=names) if names else spec)
    return replace(header, specs=tuple(specs))


def duration_s(clip: Clip, specs: tuple[ModalitySpec, ...], kind: str) -> float:
    """Seconds that windows of this kind cover: by timestamps, or else by the nominal rate of the first sensor."""
    if kind == "sliding" and clip.times_s:
        return max(float(times[-1]) for times in clip.times_s.values())
    span_s = clip_span_s(clip)
    if span_s is not None:
        return span_s[1] - span_s[0]
    return next((len(clip.signals[spec.name]) / spec.rate_hz for spec in specs if spec.name in clip.signals), 0.0)


def _has_lost_joints(clip: Clip, name: str) -> bool:
    return name in clip.signals and bool(np.isnan(clip.signals[name]).any())


def _info(header: Header, clips: list[Clip], durations_s: list[float]) -> DatasetInfo:
    """The declaration, with omitted values derived from the recordings."""
    spans_s = [span.end_s - span.start_s for clip in clips for span in clip.segments]
    window = window_of(header.kind, durations_s, spans_s, header.window)
    specs = tuple(
        replace(
            spec,
            patch=header.patches[spec.name] or frames_per_step(spec.rate_hz, window.step_s),
            lost_joints=spec.lost_joints
            or (spec.is_skeleton and any(_has_lost_joints(clip, spec.name) for clip in clips)),
        )
        for spec in header.specs
    )
    return DatasetInfo(header.name, specs, header.labels, window, header.citation, header.licence)


def _read_recording(root: Path, row: Row, header: Header, problems: list[Problem]) -> _Recording:
    signals = _read_signals(root, row, header, problems)
    times_s = {name: signal.times_s for name, (_, signal) in signals.items() if signal.times_s is not None}
    sensors = {
        name: Recorded(str(path), row.recording, row.subject, row.label, signal.values, signal.valid, signal.times_s)
        for name, (path, signal) in signals.items()
    }
    segments: list[tuple[int, Segment]] = []
    if header.kind == "continuous":
        for spec in header.specs:
            if spec.name in signals and spec.name not in times_s:
                times_s[spec.name] = np.arange(len(signals[spec.name][1].values)) / spec.rate_hz
        path = root / SEGMENTS_FOLDER / f"{row.recording}.csv"
        if path.is_file():
            segments = read_segments(path, header.labels, problems)
            if row.label is not None:
                message = f"recording {row.recording!r} has a label and segments/{path.name}; expected one of the two"
                problems.append(Problem(str(root / INDEX_NAME), row.line, message))
    clip = Clip(
        name=row.recording,
        subject=row.subject,
        trial=row.trial,
        signals={name: signal.values for name, (_, signal) in signals.items()},
        valid={name: signal.valid for name, (_, signal) in signals.items()},
        label=row.label,
        times_s=times_s,
        segments=tuple(segment for _, segment in segments),
    )
    return _Recording(row, clip, segments, sensors)


def _length_problems(root: Path, info: DatasetInfo, read: list[_Recording], durations_s: list[float]) -> list[Problem]:
    """Continuous recordings shorter than a window, and spans that end after their recording."""
    problems: list[Problem] = []
    for each, length_s in zip(read, durations_s, strict=True):
        if not each.clip.signals:
            continue
        if length_s < info.window.length_s:
            message = f"recording {each.row.recording!r} lasts {length_s:.3g} s; expected at least a window of "
            message += f"{info.window.length_s:.3g} s; remove it or declare a shorter window"
            problems.append(Problem(str(root / INDEX_NAME), each.row.line, message))
        for line, segment in each.segments:
            if segment.end_s > length_s + info.window.step_s:
                message = f"ends at {segment.end_s} s, after the recording ({length_s:.3f} s); end it earlier"
                problems.append(Problem(str(root / SEGMENTS_FOLDER / f"{each.row.recording}.csv"), line, message))
    return problems


def survey(root: Path, warn: bool = True) -> tuple[Dataset | None, list[Problem]]:
    """Read a folder: the data set, or None if there are errors; and the problems.

    Args:
        root: the folder.
        warn: look for warnings, too, which takes about as long as reading.
    """
    if not root.is_dir():
        return None, [Problem(str(root), 0, "no such folder; expected recordings, see docs/own-data.md")]
    header, problems = read_header(root / HEADER_NAME)
    if header is None:
        return None, problems
    rows = read_index(root / INDEX_NAME, header.labels, problems)
    header = _with_columns(root, header, rows)
    listed = {cells[0] for _, cells in read_table(root / INDEX_NAME, INDEX_COLUMNS, [])}
    if listed:
        problems += _unexpected_files(root, header, listed)
    read = [_read_recording(root, row, header, problems) for row in rows]
    clips = [each.clip for each in read]
    durations_s = [duration_s(clip, header.specs, KINDS[header.kind]) for clip in clips]
    info = _info(header, clips, durations_s)
    unfit = declaration_problem(info) or size_problem(info)
    if unfit:
        problems.append(Problem(str(root / HEADER_NAME), 0, f"{unfit}; no package could hold it"))
    for spec in info.modalities:
        if spec.mirror not in ("", NO_MIRROR) and not kinds_are_declared(spec):
            found = f"modality {spec.name!r}: mirror {spec.mirror!r} with unit {spec.unit!r}"
            expected = "expected a unit that names accelerations and angular rates, such as 'g and deg/s'"
            problems.append(Problem(str(root / HEADER_NAME), 0, f"{found}; {expected}; correct it or omit mirror"))
    if header.kind == "continuous":
        problems += _length_problems(root, info, read, durations_s)
    problems += suspicions(str(root), info, [each.sensors for each in read], errors_only=not warn)
    if warn:
        for spec in header.specs:
            problems += cut_files([Path(each.sensors[spec.name].file) for each in read if spec.name in each.sensors])
        problems += similar_names(str(root / INDEX_NAME), [row.subject for row in rows])
        used = {clip.label for clip in clips} | {span.label for clip in clips for span in clip.segments}
        problems += unused_labels(str(root / HEADER_NAME), header.labels, used)
    return (None if errors(problems) else Dataset(info, tuple(clips))), problems
