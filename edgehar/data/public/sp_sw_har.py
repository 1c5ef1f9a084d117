"""SP-SW-HAR: a phone in the pocket and a watch, continuous recordings of standing up, walking, turning, sitting down.

Each sensor has its own timestamps, from the earlier start of the two. Several samples may have the same timestamp:
resampling uses the last of them.
"""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError
from edgehar.signals.clip import Clip, Dataset, DatasetInfo, Floats, Segment, Times
from edgehar.signals.modality import ModalitySpec, WindowSpec

LABELS = ("seated", "standing_up", "walking", "turning", "sitting_down")
HEADER = "x_acc,y_acc,z_acc,x_gyro,y_gyro,z_gyro,timestamp,label"
INFO = DatasetInfo(
    name="sp-sw-har",
    # Recorded at about 100 Hz, used on a grid of 50 Hz.
    modalities=(
        ModalitySpec("phone", channels=6, unit="m/s2 and rad/s", rate_hz=50, patch=5),
        ModalitySpec("watch", channels=6, unit="m/s2 and rad/s", rate_hz=50, patch=5),
    ),
    labels=LABELS,
    window=WindowSpec("sliding", steps=16, step_s=0.1, hop=4),
    citation="M. Matey-Sanz, S. Casteleyn, C. Granell: Dataset of inertial measurements of smartphones and "
    "smartwatches for human activity recognition. Data in Brief 109809, 2023, doi 10.1016/j.dib.2023.109809.",
    licence="CC BY 4.0",
)
MAX_BACKWARDS_MS = 1000.0
"""Samples out of order by up to this are sorted; more is an error."""
MAX_GAP_MS = 60_000.0
"""A longer gap in an execution of about ten seconds is an error."""

_SENSORS = {"sp": "phone", "sw": "watch"}
_FILE_NAME = re.compile(r"((s\d+)_(\d+))_(sp|sw)\.csv")


def find_root(root: Path) -> Path:
    """The folder with s01/, s02/, ...: `root`, or DATA/, sp-sw-har/ or sp-sw-har/DATA/ in it.

    Raises:
        DataError: none of them contains a recording.
    """
    for folder in (root, root / "DATA", root / "sp-sw-har" / "DATA", root / "sp-sw-har"):
        if any(folder.glob("s*/s*_s[pw].csv")):
            return folder
    found = "no file like DATA/s01/s01_01_sp.csv in it" if root.is_dir() else "no such folder"
    raise DataError(
        f"{root}: {found}; expected the unpacked SP-SW-HAR; give its folder, or run: "
        "edgehar data fetch sp-sw-har --out DIR"
    )


def _line_error(path: Path, lines: list[str]) -> DataError:
    """The error for the first invalid line of a file that the fast parser rejects."""
    for number, line in enumerate(lines, 2):
        cells = line.split(",")
        if len(cells) != 8:
            found = f"{len(cells)} columns; expected 8 ({HEADER})"
        elif cells[7].lower() not in LABELS:
            found = f"label {cells[7]!r}; expected {', '.join(LABELS).upper()}"
        else:
            try:
                if np.isfinite(np.array(cells[:7], float)).all():
                    continue
                found = f"a value that is not finite in {','.join(cells[:7])}; expected numbers"
            except ValueError as problem:
                found = f"{problem}; expected numbers"
        return DataError(f"{path}:{number}: {found}; fetch the file again or correct the line")
    return DataError(f"{path}: rows that are not numbers; fetch the file again")


def _read_file(path: Path) -> tuple[Floats, Times, NDArray[np.intp]]:
    """The samples of one file: (T, 6) values, (T,) timestamps in ms, (T,) labels, in order of time."""
    try:
        header, *lines = path.read_text(encoding="utf-8").rstrip().split("\n")
    except (OSError, UnicodeDecodeError) as problem:
        raise DataError(f"{path}: cannot be read ({problem}); expected a CSV file; fetch it again") from None
    if header.strip() != HEADER:
        raise DataError(f"{path}:1: found the header {header[:80]!r}; expected {HEADER}; fetch the file again")
    lines = [line.rstrip("\r") for line in lines]
    if not lines:
        raise DataError(f"{path}:1: no sample after the header; expected one per line; remove the file")
    label_of = {name.upper(): index for index, name in enumerate(LABELS)}
    try:
        labels = np.array([label_of[line.rpartition(",")[2]] for line in lines], np.intp)
        table = np.loadtxt([line.rpartition(",")[0] for line in lines], delimiter=",", comments=None, ndmin=2)
    except (KeyError, ValueError):
        raise _line_error(path, lines) from None
    if table.shape != (len(lines), 7) or not np.isfinite(table).all():
        raise _line_error(path, lines)
    times_ms = table[:, 6]
    steps_ms = np.diff(times_ms)
    jumps = np.flatnonzero((steps_ms < -MAX_BACKWARDS_MS) | (steps_ms > MAX_GAP_MS))
    if len(jumps):
        raise DataError(
            f"{path}:{jumps[0] + 3}: the timestamp jumps by {steps_ms[jumps[0]]:.0f} ms; expected "
            f"-{MAX_BACKWARDS_MS:.0f} to {MAX_GAP_MS:.0f}; fetch the file again or remove it"
        )
    if (steps_ms < 0).any():
        order = np.argsort(times_ms, kind="stable")
        table, times_ms, labels = table[order], times_ms[order], labels[order]
    return np.ascontiguousarray(table[:, :6], np.float32), times_ms, labels


def _segments(labels: NDArray[np.intp], times_s: Times, end_s: float) -> tuple[Segment, ...]:
    """Runs of equal labels; the first is extended to 0 and the last to `end_s`, covering the other sensor's samples."""
    starts = np.flatnonzero(np.diff(labels, prepend=-1))
    bounds_s = np.concatenate([[0.0], times_s[starts[1:]], [end_s]])
    return tuple(
        Segment(float(bounds_s[run]), float(bounds_s[run + 1]), int(labels[start]))
        for run, start in enumerate(starts)
        if bounds_s[run] < bounds_s[run + 1]
    )


def load(root: Path) -> Dataset:
    """Load all executions, in the order of their names.

    Args:
        root: folder with s01/, s02/, ...; or with DATA/ or sp-sw-har/.

    Returns:
        The data set; labels are those of the watch, or of the phone without a watch; an execution lacks a modality if
        its file is missing.

    Raises:
        DataError: no recordings, or a file with a line that cannot be read.
    """
    files: dict[str, dict[str, Path]] = {}
    for path in sorted(find_root(root).glob("s*/*.csv")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            raise DataError(f"{path}: expected a name like s01_01_sp.csv or s01_01_sw.csv; rename or move the file")
        files.setdefault(match[1], {})[_SENSORS[match[4]]] = path
    clips: list[Clip] = []
    for name, paths in files.items():
        recorded = {modality: _read_file(path) for modality, path in sorted(paths.items())}
        start_ms = min(times_ms[0] for _, times_ms, _ in recorded.values())
        times_s = {modality: (times_ms - start_ms) / 1000 for modality, (_, times_ms, _) in recorded.items()}
        end_s = max(float(times[-1]) for times in times_s.values())
        labelling = "watch" if "watch" in recorded else "phone"
        subject, _, trial = name.partition("_")
        clips.append(
            Clip(
                name=name,
                subject=subject,
                trial=trial,
                signals={modality: values for modality, (values, _, _) in recorded.items()},
                valid={modality: np.ones(len(values), bool) for modality, (values, _, _) in recorded.items()},
                times_s=times_s,
                segments=_segments(recorded[labelling][2], times_s[labelling], end_s),
            )
        )
    return Dataset(INFO, tuple(clips))
