"""The sections that show recordings: poses of a skeleton, or raw signals of each activity."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError
from edgehar.report import plots
from edgehar.report.entries import Entry, entry_of, list_of
from edgehar.report.page import decimal, escaped, image, table
from edgehar.signals.kinds import units_of_groups

MOST_FIGURES = 4
"""Of 12 activities each they take up to 200 kB of the page."""
MOST_CHANNELS = 6
"""Channels of a sensor without groups that are drawn."""


def _arrays(path: Path, expected: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """The arrays of an example's file; raises DataError if it is damaged or lacks one of these."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: np.asarray(archive[name]) for name in archive.files}
        missing = [name for name in expected if name not in arrays]
    except (OSError, KeyError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as problem:
        missing, arrays = [f"{problem}"], {}
    if missing:
        raise DataError(
            f"{path}: cannot read the example ({', '.join(missing)}); expected arrays {', '.join(expected)}; run the "
            "pipeline again"
        )
    return arrays


def example(results: Entry, folder: Path) -> str:
    """Poses of one test recording, with the model's prediction."""
    chosen = entry_of(results, "example")
    if not chosen:
        return ""
    verdict = "correct" if chosen["predicted"] == chosen["label"] else f"wrong, the label is {chosen['label']}"
    prediction = f"Predicted as {chosen['predicted']} with probability {chosen['score']:.3f}: {verdict}."
    text = f"<h2>Example</h2>\n<p>{escaped(prediction)}</p>\n"
    if not chosen.get("file"):
        return text
    arrays = _arrays(folder / Path(chosen["file"]).name, ("frames", "parents", "vertical"))
    frames, parents = arrays["frames"].astype(np.float32), arrays["parents"].astype(np.int64)
    strip = plots.skeleton_strip(frames, parents, int(arrays["vertical"]))
    return text + image(strip, f"Skeleton poses of one recording, {len(frames)} frames. {prediction}", width_rem=40)


def _figures(sensor: Entry, channels: int) -> list[tuple[str, slice]]:
    """Unit and channels of each figure of a sensor: one per group of channels."""
    group = int(sensor["group"])
    if group == 1:
        return [(str(sensor["unit"]), slice(0, min(channels, MOST_CHANNELS)))]
    units = units_of_groups(str(sensor["unit"]), channels // group)
    return [(unit or str(sensor["unit"]), slice(row * group, (row + 1) * group)) for row, unit in enumerate(units)]


def signals(results: Entry, folder: Path) -> str:
    """Raw signals of one recording of each activity, for each group of channels of each sensor."""
    chosen = entry_of(results, "signals")
    if not chosen:
        return ""
    activities = list_of(chosen, "activities")
    arrays = _arrays(folder / Path(chosen["file"]).name, ())
    figures: list[tuple[Entry, str, slice]] = []
    for sensor in list_of(chosen, "sensors"):
        shapes = [array.shape for name, array in arrays.items() if name.endswith(f".{sensor['name']}.values")]
        figures += [(sensor, *figure) for figure in (_figures(sensor, shapes[0][1]) if shapes else ())]
    figures.sort(key=lambda figure: figure[2].start)  # the first channels of every sensor, then further ones
    parts = [_figure(activities, arrays, *figure) for figure in figures[:MOST_FIGURES]]
    note = (
        "The recording of median energy of each activity, as recorded: up to 5 s, of recordings of 20 s or less around "
        "the largest movement. The activities of a figure share its axes."
    )
    total = len(list_of(entry_of(results, "dataset"), "labels"))
    note += f" {len(activities)} of {total} activities." if len(activities) < total else ""
    note += f" {MOST_FIGURES} of {len(figures)} signals." if len(figures) > MOST_FIGURES else ""
    rows = [[str(one[key]) for key in ("label", "recording", "subject")] for one in activities]
    listed = table(("activity", "recording", "person"), rows)
    return (
        f'<h2>Example signals</h2>\n<p class="note">{escaped(note)}</p>\n{"".join(parts)}'
        f"<details><summary>Recordings shown</summary>\n{listed}</details>\n"
    )


def _figure(activities: list[Any], arrays: dict[str, NDArray[Any]], sensor: Entry, unit: str, part: slice) -> str:
    """Small plots of some channels of one sensor, one for each activity."""
    panels: list[plots.Panel] = []
    described: list[str] = []
    for number, activity in enumerate(activities):
        key = f"{number}.{sensor['name']}"
        if f"{key}.values" not in arrays:
            continue
        values = arrays[f"{key}.values"].astype(np.float32)[:, part]
        panels.append(plots.Panel(str(activity["label"]), arrays[f"{key}.times_s"].astype(np.float64), values))
        if np.isfinite(values).any():
            described.append(
                f"{activity['label']} {decimal(float(np.nanmin(values)))} to {decimal(float(np.nanmax(values)))}"
            )
    names = [str(name) for name in list_of(sensor, "columns")[part]]
    if not names:
        channels = part.stop - part.start
        names = list("xyz") if channels == 3 else [f"channel {row + 1}" for row in range(part.start, part.stop)]
    caption = f"{sensor['name']}, {unit}, over seconds"
    picture = plots.signal_grid(panels, names, unit)
    return image(picture, f"{caption}: {'; '.join(described)}", caption, width_rem=46)
