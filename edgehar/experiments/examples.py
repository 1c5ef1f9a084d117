"""Example recordings of a run, stored for its report: poses of a skeleton, or signals of every activity."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgehar.files.atomic import atomic_file
from edgehar.signals.clip import Clip, Dataset, DatasetInfo, Floats, Times
from edgehar.signals.modality import ModalitySpec

SIGNALS_FILE = "signals.npz"
MOST_ACTIVITIES = 12
SHOWN_S = 5.0
"""Longest excerpt of a recording."""
LONG_S = 20.0
"""A longer recording is taken to repeat one movement, a shorter one to show an event, such as a fall."""


def _store(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    with atomic_file(path) as temporary, temporary.open("wb") as handle:
        np.savez(handle, **arrays)  # pyright: ignore[reportArgumentType]


def write_example(folder: Path, dataset: Dataset, predictions: list[dict[str, Any]]) -> dict[str, Any]:
    """Store the first test recording with a skeleton, and its prediction, for the report."""
    by_name = {clip.name: clip for clip in dataset.clips}
    for prediction in predictions:
        clip = by_name.get(prediction["clip"])
        for spec in dataset.info.modalities:
            if clip is None or not spec.is_skeleton or spec.name not in clip.signals:
                continue
            frames = clip.signals[spec.name].reshape(-1, spec.groups, spec.group)
            chosen = clip.valid[spec.name].copy()
            if spec.name in clip.times_s:
                times_s = clip.times_s[spec.name]
                chosen &= (times_s >= prediction["start_s"]) & (times_s <= prediction["end_s"])
            if not chosen.any():
                continue
            arrays = {"frames": frames[chosen], "parents": spec.parents, "vertical": spec.vertical}
            _store(folder / "example.npz", {name: np.asarray(array) for name, array in arrays.items()})
            return {"file": "example.npz"} | {key: prediction[key] for key in ("label", "predicted", "score")}
    return {}


class _Span(NamedTuple):
    """A labelled span of a recording."""

    clip: Clip
    start_s: float
    end_s: float

    def signal(self, spec: ModalitySpec) -> tuple[Times, Floats] | None:
        """Seconds (T,) and values (T, C) of a sensor, NaN where they are not valid; None without a valid one."""
        if spec.name not in self.clip.signals:
            return None
        values, valid = self.clip.signals[spec.name], self.clip.valid[spec.name]
        times_s = self.clip.times_s.get(spec.name)
        if times_s is None:
            times_s = np.arange(len(values)) / spec.rate_hz
        within = (times_s >= self.start_s) & (times_s <= self.end_s)
        if not (within & valid).any():
            return None
        return times_s[within], np.where(valid[:, None], values, np.nan)[within].astype(np.float32)


def _spans(clips: Sequence[Clip], label: int) -> Iterator[_Span]:
    for clip in clips:
        if clip.label == label:
            yield _Span(clip, -np.inf, np.inf)
        yield from (_Span(clip, one.start_s, one.end_s) for one in clip.segments if one.label == label)


def _median_energy(spans: Sequence[_Span], info: DatasetInfo) -> _Span | None:
    """Of the spans with most sensors that of median energy: mean standard deviation, relative to each group's own."""
    deviation = np.full((len(spans), sum(spec.groups for spec in info.modalities)), np.nan)  # (n, groups)
    for row, span in enumerate(spans):
        column = 0
        for spec in info.modalities:
            signal = span.signal(spec)
            if signal is not None:
                finite = signal[1][np.isfinite(signal[1]).all(axis=1)]
                squares = finite.var(axis=0).reshape(spec.groups, spec.group).mean(axis=1) if len(finite) else np.nan
                deviation[row, column : column + spec.groups] = np.sqrt(squares)
            column += spec.groups
    known = np.isfinite(deviation).sum(axis=1)
    complete = np.flatnonzero(known == known.max(initial=1))
    if not len(complete):
        return None
    deviation = np.nan_to_num(deviation[complete])
    energy = (deviation / np.maximum(np.median(deviation, axis=0), 1e-12)).mean(axis=1)
    return spans[int(complete[np.argsort(energy, kind="stable")[(len(energy) - 1) // 2]])]


def _excerpt(span: _Span, specs: Sequence[ModalitySpec]) -> dict[str, tuple[Times, Floats]]:
    """SHOWN_S seconds of each sensor, from second 0 on: sensor -> seconds, values.

    The middle of a long recording; of others the surroundings of the first sensor's largest deviation.
    """
    signals = {spec.name: signal for spec in specs if (signal := span.signal(spec)) is not None}
    times_s, values = next(iter(signals.values()))
    first_s, last_s = float(times_s[0]), float(times_s[-1])
    centre_s = (first_s + last_s) / 2
    if last_s - first_s <= LONG_S:
        deviation = np.nan_to_num(np.abs(values - np.nanmedian(values, axis=0))).sum(axis=1)
        centre_s = float(times_s[deviation.argmax()])
    start_s = max(min(centre_s - SHOWN_S / 2, last_s - SHOWN_S), first_s)
    shown: dict[str, tuple[Times, Floats]] = {}
    for name, (seconds, samples) in signals.items():
        within = (seconds >= start_s) & (seconds <= start_s + SHOWN_S)
        if within.any():
            shown[name] = seconds[within] - start_s, samples[within]
    return shown


def write_signals(folder: Path, dataset: Dataset) -> dict[str, Any]:
    """Store the raw signals of one recording of each activity; nothing if there is a skeleton, whose poses say more.

    The recording has the median energy among those of its activity. Of many activities, MOST_ACTIVITIES evenly spaced
    ones are stored.
    """
    info = dataset.info
    if any(spec.is_skeleton for spec in info.modalities):
        return {}
    arrays: dict[str, NDArray[Any]] = {}
    activities: list[dict[str, str]] = []
    labels = np.unique(np.linspace(0, len(info.labels) - 1, MOST_ACTIVITIES).astype(np.intp)).tolist()
    for label in labels:
        span = _median_energy(list(_spans(dataset.clips, label)), info)
        if span is None:
            continue
        for name, (times_s, values) in _excerpt(span, info.modalities).items():
            arrays |= {f"{len(activities)}.{name}.times_s": times_s, f"{len(activities)}.{name}.values": values}
        activities.append({"label": info.labels[label], "recording": span.clip.name, "subject": span.clip.subject})
    if not activities:
        return {}
    _store(folder / SIGNALS_FILE, arrays)
    sensors = [
        {"name": spec.name, "unit": spec.unit, "group": spec.group, "columns": list(spec.columns)}
        for spec in info.modalities
    ]
    return {"file": SIGNALS_FILE, "sensors": sensors, "activities": activities}
