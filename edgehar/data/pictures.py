"""A picture of each recording: signals over time, lost samples in grey, labelled spans in colour."""

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError
from edgehar.files.atomic import atomic_folder
from edgehar.signals.clip import Bools, Clip, Dataset, DatasetInfo, Floats, Times
from edgehar.signals.modality import ModalitySpec

MAX_POINTS = 4000
"""Longer signals are drawn with every k-th sample."""
PANEL_INCHES = (9.0, 1.5)
GAP_SAMPLES = 8
"""Longest time between two samples, in intervals of rate_hz, that is drawn as a line."""


def write_pictures(dataset: Dataset, folder: Path) -> int:
    """Write one PNG per recording into a new or empty folder, atomically; returns their number.

    Raises:
        DataError: the folder is not empty.
        ModuleNotFoundError: matplotlib is not installed (the extra "report").
    """
    import matplotlib

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder}: not empty; expected a new or empty folder; choose another --plot")
    library: Any = matplotlib  # its type hints do not fit a dict of settings
    # A label may hold a $, or letters that the built-in font lacks.
    with atomic_folder(folder) as temporary, library.rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        for clip in dataset.clips:
            name = re.sub(r"[^\w.-]", "_", clip.name)
            _draw(clip, dataset.info, temporary / f"{name}.png")
    return len(dataset.clips)


def _panels(clip: Clip, specs: Sequence[ModalitySpec]) -> list[tuple[ModalitySpec, str, list[int]]]:
    """Sensor, title and channels of each panel: one per group, or per skeleton its coordinates along the vertical."""
    panels: list[tuple[ModalitySpec, str, list[int]]] = []
    for spec in specs:
        if spec.name not in clip.signals:
            continue
        if spec.is_skeleton:
            channels = list(range(spec.vertical, spec.channels, spec.group))
            panels.append((spec, f"{spec.name}: joints along axis {spec.vertical} ({spec.unit})", channels))
            continue
        size = spec.group if spec.group > 1 else spec.channels
        for first in range(0, spec.channels, size):
            channels = list(range(first, min(first + size, spec.channels)))
            names = ", ".join(spec.columns[channel] for channel in channels) if spec.columns else ""
            title = names or f"channels {first + 1} to {channels[-1] + 1}"
            panels.append((spec, f"{spec.name}: {title} ({spec.unit})", channels))
    return panels


def _draw(clip: Clip, info: DatasetInfo, path: Path) -> None:
    from matplotlib.figure import Figure

    panels = _panels(clip, info.modalities)
    width, height = PANEL_INCHES
    figure: Any = Figure(figsize=(width, 0.8 + height * max(len(panels), 1)), layout="constrained")
    all_axes: Any = figure.subplots(max(len(panels), 1), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (spec, title, channels) in zip(all_axes, panels, strict=False):
        values = clip.signals[spec.name]
        times_s = clip.times_s.get(spec.name)
        times_s = np.arange(len(values)) / spec.rate_hz if times_s is None else times_s
        _panel(axes, times_s, values[:, channels], clip.valid[spec.name], spec)
        axes.set_title(title, fontsize=8, loc="left")
        for span in clip.segments:
            axes.axvspan(span.start_s, span.end_s, color=f"C{span.label % 10}", alpha=0.15, linewidth=0)
    for span in clip.segments:
        place = ((span.start_s + span.end_s) / 2, 1.0)
        label = info.labels[span.label]
        all_axes[0].annotate(label, place, xycoords=("data", "axes fraction"), fontsize=7, ha="center", va="top")
    label = "" if clip.label is None else f", {info.labels[clip.label]}"
    figure.suptitle(f"{clip.name}: {clip.subject}{label}", fontsize=10)
    all_axes[-1].set_xlabel("seconds")
    figure.savefig(path, format="png", dpi=100, metadata={"Software": None})


def _panel(axes: Any, times_s: Times, values: Floats, valid: Bools, spec: ModalitySpec) -> None:
    stride = max(len(values) // MAX_POINTS, 1)
    shown = np.where(valid[:, None], values, np.nan)[::stride]
    shown_s = times_s[::stride]
    # A line across a gap would look like samples.
    gaps: NDArray[np.intp] = np.flatnonzero(np.diff(shown_s) > GAP_SAMPLES * stride / spec.rate_hz) + 1
    axes.plot(np.insert(shown_s, gaps, np.nan), np.insert(shown, gaps, np.nan, axis=0), linewidth=0.7)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], ~valid, [False]]).astype(np.int8)))
    for first, end in edges.reshape(-1, 2).tolist():
        axes.axvspan(times_s[first], times_s[min(end, len(times_s) - 1)], color="0.75", alpha=0.6, linewidth=0)
    axes.tick_params(labelsize=7)
