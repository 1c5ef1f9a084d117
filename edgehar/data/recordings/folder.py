"""Reads and writes folders of recordings: pre-cut clips or continuous recordings.

docs/own-data.md describes the format; `edgehar.data.recordings.check` lists the problems of a folder.
"""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgehar.data.recordings.check import survey
from edgehar.data.recordings.header import FORMAT, FORMAT_VERSION, HEADER_NAME
from edgehar.data.recordings.header_row import TIME_COLUMN, VALID_COLUMN
from edgehar.data.recordings.index import INDEX_COLUMNS, INDEX_NAME, SEGMENT_COLUMNS, SEGMENTS_FOLDER, name_problem
from edgehar.data.recordings.problem import errors
from edgehar.data.recordings.window import KINDS
from edgehar.errors import DataError
from edgehar.files.atomic import atomic_folder
from edgehar.signals.clip import Clip, Dataset


def load(root: Path, report: Callable[[str], None] | None = None) -> Dataset:
    """Load a folder of recordings.

    Args:
        root: folder with recordings.json.
        report: called with one line if the folder has warnings.

    Raises:
        DataError: the first problem and the number of problems; `edgehar data check` lists all of them.
    """
    dataset, problems = survey(root, warn=report is not None)
    if dataset is None:
        found = errors(problems)
        more = f" (and {len(found) - 1:,} more; list them with: edgehar data check {root})" if len(found) > 1 else ""
        raise DataError(f"{found[0]}{more}")
    if problems and report is not None:
        more = f" (and {len(problems) - 1:,} more; list them with: edgehar data check {root})"
        report(f"{problems[0]}{more if len(problems) > 1 else ''}")
    return dataset


def _header(dataset: Dataset) -> dict[str, Any]:
    info = dataset.info
    extended = any(spec.columns or spec.lost_joints or spec.mirror or spec.is_picture for spec in info.modalities)
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION if extended else 1,
        "name": info.name,
        "kind": next(kind for kind, window in KINDS.items() if window == info.window.kind),
        "window": {"steps": info.window.steps, "step_s": info.window.step_s, "hop": info.window.hop},
        "modalities": [spec.to_json() for spec in info.modalities],
        "labels": list(info.labels),
        "licence": info.licence,
        "citation": info.citation,
    }


def _write_table(path: Path, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _write_csv(path: Path, clip: Clip, modality: str, channels: tuple[str, ...]) -> None:
    values, valid, times_s = clip.signals[modality], clip.valid[modality], clip.times_s.get(modality)
    masked = not valid.all()
    rows: list[tuple[str, ...]] = []
    for row in range(len(values)):
        # Nine digits represent a float32 exactly, repr a float64.
        cells = ["" if value != value else f"{value:.9g}" for value in values[row].tolist()]
        time = [] if times_s is None else [repr(float(times_s[row]))]
        rows.append((*time, *cells, *(["1" if valid[row] else "0"] if masked else [])))
    header = (*([] if times_s is None else [TIME_COLUMN]), *channels, *([VALID_COLUMN] if masked else []))
    _write_table(path, header, rows)


def _write_npy(folder: Path, clip: Clip, modality: str) -> None:
    np.save(folder / f"{clip.name}.npy", clip.signals[modality], allow_pickle=False)
    if modality in clip.times_s:
        np.save(folder / f"{clip.name}.times.npy", clip.times_s[modality], allow_pickle=False)
    if not clip.valid[modality].all():
        np.save(folder / f"{clip.name}.valid.npy", clip.valid[modality], allow_pickle=False)


def _channel_names(dataset: Dataset, modality: str) -> tuple[str, ...]:
    """Column names: joint_axis for a skeleton, otherwise sensor and channel by number."""
    spec = dataset.info.modality(modality)
    if spec.columns:
        return spec.columns
    axes = "xyz" if spec.group == 3 else [str(axis) for axis in range(spec.group)]
    groups = spec.joints or tuple(f"sensor{group}" for group in range(spec.groups))
    return tuple(f"{group}_{axis}".replace(",", " ") for group in groups for axis in axes)


def check_new(root: Path) -> None:
    """Raise DataError unless there is nothing or an empty folder at this path."""
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        found = "not empty" if root.is_dir() else "a file"
        raise DataError(f"{root}: {found}; expected a new or empty folder; choose another --out")


def write(dataset: Dataset, root: Path, as_csv: bool = False) -> None:
    """Write a data set as a folder of recordings, atomically.

    Args:
        dataset: the data set.
        root: a new or empty folder.
        as_csv: write CSV instead of .npy.

    Raises:
        DataError: the folder is not empty, or the data set cannot be written: a name that is not a file name, two
            recordings with the same name, values that are not finite, a recording shorter than a window.
    """
    check_new(root)
    for clip in dataset.clips:
        problem = name_problem(clip.name)
        texts = (clip.subject, clip.trial)
        if not problem and any(text.strip() != text or not text.isprintable() for text in texts):
            problem = f"subject {clip.subject!r}, trial {clip.trial!r}; expected text without surrounding spaces"
        if problem:
            raise DataError(f"{dataset.info.name}: {problem}; rename it")
    with atomic_folder(root) as temporary:
        text = json.dumps(_header(dataset), indent=2, ensure_ascii=False)
        (temporary / HEADER_NAME).write_text(text + "\n", encoding="utf-8")
        labels = dataset.info.labels
        rows = [
            (clip.name, clip.subject, clip.trial, "" if clip.label is None else labels[clip.label])
            for clip in dataset.clips
        ]
        _write_table(temporary / INDEX_NAME, INDEX_COLUMNS, rows)
        for spec in dataset.info.modalities:
            folder = temporary / spec.name
            folder.mkdir()
            channels = _channel_names(dataset, spec.name)
            for clip in dataset.clips:
                if spec.name in clip.signals and as_csv:
                    _write_csv(folder / f"{clip.name}.csv", clip, spec.name, channels)
                elif spec.name in clip.signals:
                    _write_npy(folder, clip, spec.name)
        for clip in dataset.clips:
            if clip.segments:
                spans = [(repr(span.start_s), repr(span.end_s), labels[span.label]) for span in clip.segments]
                _write_table(temporary / SEGMENTS_FOLDER / f"{clip.name}.csv", SEGMENT_COLUMNS, spans)
        problems = survey(temporary, warn=False)[1]
        if problems:
            first = str(problems[0]).replace(str(temporary), str(root))
            raise DataError(f"{dataset.info.name}: cannot be written: {first}")
