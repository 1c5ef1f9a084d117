"""Cuts recordings into windows of steps, for training and offline evaluation; the stream uses the same steps."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError
from edgehar.signals.body import measure_bones
from edgehar.signals.clip import Bools, Clip, Dataset, DatasetInfo, Floats
from edgehar.signals.modality import ModalitySpec, WindowSpec
from edgehar.signals.preprocess import Normalisation, measure_scale
from edgehar.signals.steps import ContinuousSteps, Steps, clip_steps

UNLABELLED = -1

AnyScalar = TypeVar("AnyScalar", bound=np.generic)


@dataclass(frozen=True)
class Windows:
    """Windows of many clips as stacked features.

    Attributes:
        features: modality -> (N, S, P, G, F) float32.
        valid: modality -> (N, S) bool.
        label: (N,) int64 index of the label, or -1.
        subject: (N,) subject of each window.
        clip: (N,) name of the clip the window was cut from.
        start_s: (N,) start, in seconds from the start of the clip.
        end_s: (N,) end.
    """

    features: dict[str, Floats]
    valid: dict[str, Bools]
    label: NDArray[np.int64]
    subject: NDArray[np.str_]
    clip: NDArray[np.str_]
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]

    def __len__(self) -> int:
        """Number of windows N."""
        return len(self.label)

    def take(self, keep: NDArray[np.intp] | Bools) -> "Windows":
        """The windows selected by indices or a mask."""
        return Windows(
            {name: array[keep] for name, array in self.features.items()},
            {name: array[keep] for name, array in self.valid.items()},
            self.label[keep],
            self.subject[keep],
            self.clip[keep],
            self.start_s[keep],
            self.end_s[keep],
        )

    def of_subjects(self, subjects: Iterable[str]) -> "Windows":
        """The windows of these subjects."""
        return self.take(np.isin(self.subject, list(subjects)))

    def labelled(self) -> "Windows":
        """The windows that have a label."""
        return self.take(self.label != UNLABELLED)

    def keep_labels(self, rows: NDArray[np.intp]) -> "Windows":
        """The same windows, unlabelled except for these rows."""
        label = np.full_like(self.label, UNLABELLED)
        label[rows] = self.label[rows]
        return replace(self, label=label)


def window_starts(steps: int, info: DatasetInfo) -> NDArray[np.intp]:
    """First step of each window of a recording with this many steps."""
    return np.arange(0, steps - info.window.steps + 1, info.window.hop)


def window_spans(starts: NDArray[np.intp], window: WindowSpec) -> list[tuple[float, float]]:
    """Start and end of windows in seconds, from their first steps."""
    return [(start * window.step_s, (start + window.steps) * window.step_s) for start in starts.tolist()]


def sliding(steps: NDArray[AnyScalar], starts: NDArray[np.intp], length: int) -> NDArray[AnyScalar]:
    """Windows (N, S, ...) of a recording's steps (n, ...) that start at `starts`."""
    if len(starts) == 1:
        return steps[None, starts[0] : starts[0] + length]
    return steps[starts[:, None] + np.arange(length)]


def concatenated(parts: Sequence[NDArray[AnyScalar]]) -> NDArray[AnyScalar]:
    """`np.concatenate` that does not copy a single array."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def window_label(clip: Clip, start_s: float, end_s: float) -> int:
    """The label that covers most of a window, or -1 if labels cover less than half of it."""
    if clip.label is not None:
        return clip.label
    covered: dict[int, float] = {}
    for segment in clip.segments:
        overlap_s = min(end_s, segment.end_s) - max(start_s, segment.start_s)
        if overlap_s > 0:
            covered[segment.label] = covered.get(segment.label, 0.0) + overlap_s
    if sum(covered.values()) < (end_s - start_s) / 2:
        return UNLABELLED
    return max(covered, key=lambda label: covered[label])


def cut(clips: Iterable[Clip], info: DatasetInfo, normalisation: Normalisation) -> Windows:
    """Cut clips into windows; raises DataError if no recording is long enough for one."""
    parts = [windows for clip in clips for windows in cut_clip(clip, info, normalisation)]
    if not parts:
        raise too_short(info)
    return join(parts)


def too_short(info: DatasetInfo) -> DataError:
    """The error for recordings without a window."""
    return DataError(
        f"{info.name}: every recording is shorter than a window of {info.window.length_s:.2f} s; "
        "give longer recordings or a shorter window"
    )


def cut_clip(clip: Clip, info: DatasetInfo, normalisation: Normalisation, most: int | None = None) -> Iterator[Windows]:
    """Windows of one recording, at most `most` at a time, so that hours need little memory; none if it is too short."""
    window = info.window
    if window.kind == "clip":
        steps, start_s, end_s = clip_steps(clip, info, normalisation)
        first = np.zeros(1, np.intp)
        yield _windows(clip, info, steps, first, [(start_s, end_s)])
        return
    yield from cut_steps(ContinuousSteps.of(clip, info, normalisation), clip, info, most)


def cut_steps(recording: ContinuousSteps, clip: Clip, info: DatasetInfo, most: int | None = None) -> Iterator[Windows]:
    """`cut_clip` of the steps of a continuous recording; labels, subject and name are those of the clip."""
    window = info.window
    starts = window_starts(recording.count, info)
    for row in range(0, len(starts), most or max(len(starts), 1)):
        chosen = starts[row : row + (most or len(starts))]
        first = int(chosen[0])
        steps = recording.between(first, int(chosen[-1]) + window.steps)
        yield _windows(clip, info, steps, chosen - first, window_spans(chosen, window))


def _windows(
    clip: Clip, info: DatasetInfo, steps: Steps, starts: NDArray[np.intp], spans_s: list[tuple[float, float]]
) -> Windows:
    """The windows of steps that start at `starts` and span `spans_s` of the recording."""
    count, length = len(starts), info.window.steps
    return Windows(
        {name: sliding(array, starts, length) for name, array in steps.features.items()},
        {name: sliding(array, starts, length) for name, array in steps.valid.items()},
        np.asarray([window_label(clip, *span_s) for span_s in spans_s], np.int64),
        np.asarray([clip.subject] * count),
        np.asarray([clip.name] * count),
        *np.asarray(spans_s, np.float64).T,
    )


def join(parts: Sequence[Windows]) -> Windows:
    """The windows of all parts, in order."""
    if len(parts) == 1:
        return parts[0]
    return Windows(
        {name: np.concatenate([part.features[name] for part in parts]) for name in parts[0].features},
        {name: np.concatenate([part.valid[name] for part in parts]) for name in parts[0].valid},
        np.concatenate([part.label for part in parts]),
        np.concatenate([part.subject for part in parts]),
        np.concatenate([part.clip for part in parts]),
        np.concatenate([part.start_s for part in parts]),
        np.concatenate([part.end_s for part in parts]),
    )


def fit_normalisation(dataset: Dataset, subjects: Iterable[str]) -> Normalisation:
    """Normalisation measured on the windows of these subjects only, the training subjects."""
    chosen = set(subjects)
    info = replace(dataset.info, window=replace(dataset.info.window, hop=dataset.info.window.steps))
    clips = [clip for clip in dataset.clips if clip.subject in chosen]
    unscaled = without_scale(clips, info.modalities)
    windows = cut(clips, info, unscaled)
    scale = {
        spec.name: measure_scale(windows.features[spec.name], windows.valid[spec.name], spec)
        for spec in info.modalities
    }
    return Normalisation(scale, unscaled.bones)


def without_scale(clips: Sequence[Clip], specs: Sequence[ModalitySpec]) -> Normalisation:
    """Scale 1 for every modality, to measure the scales with, and the usual bones of the bodies in these clips."""
    bones: dict[str, Floats] = {}
    for spec in specs:
        if spec.is_picture:
            samples = [clip.signals[spec.name][clip.valid[spec.name]] for clip in clips if spec.name in clip.signals]
            bones[spec.name] = measure_bones(np.concatenate([np.zeros((0, spec.channels), np.float32), *samples]), spec)
    return Normalisation(Normalisation.identity(specs).scale, bones)


def stratified(label: NDArray[np.int64], share: float, draw: int) -> NDArray[np.intp]:
    """Row indices of a stratified random subset of the windows, with at least one window of each class.

    Args:
        label: (N,) classes.
        share: share of the windows, above 0 and up to 1.
        draw: seed of the choice.

    Raises DataError if there is no window.
    """
    if not len(label):
        raise DataError("no training window has a label; expected one or more of every activity; label some recordings")
    rng = np.random.default_rng(draw)
    classes, counts = np.unique(label, return_counts=True)
    quota = np.maximum(np.floor(share * counts), 1).astype(np.int64)
    # Largest remainder method, ties broken at random.
    remainder = share * counts - quota
    for index in np.lexsort((rng.random(len(classes)), -remainder)):
        if quota.sum() >= round(share * len(label)):
            break
        quota[index] += quota[index] < counts[index]
    rows = [rng.permutation(np.flatnonzero(label == name))[:size] for name, size in zip(classes, quota, strict=True)]
    return np.sort(np.concatenate(rows))
