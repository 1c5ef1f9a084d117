"""Cuts recordings into windows of steps, for training and offline evaluation; the stream uses the same steps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError
from edgehar.signals.body import measure_bones
from edgehar.signals.clip import Bools, Clip, Dataset, DatasetInfo, Floats
from edgehar.signals.modality import ModalitySpec
from edgehar.signals.preprocess import Normalisation, measure_scale, prepare
from edgehar.signals.resampling import clip_span_s, gap_rule, resample, stretch

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


def clip_steps(
    clip: Clip, info: DatasetInfo, normalisation: Normalisation
) -> tuple[dict[str, Floats], dict[str, Bools], float]:
    """Features of all steps of one recording.

    Returns:
        modality -> (n, P, G, F) features, modality -> (n,) validity, and the seconds per step;
        n is S for a pre-cut clip, and the number of complete steps in a continuous recording.
    """
    features: dict[str, Floats] = {}
    valid: dict[str, Bools] = {}
    step_s = info.window.step_s
    if info.window.kind == "clip":
        span_s = clip_span_s(clip)
        for spec in info.modalities:
            frames, frame_valid, frame_s = stretch(clip, spec, info.window.steps, span_s)
            features[spec.name], valid[spec.name] = prepare(frames, frame_valid, spec, frame_s, normalisation)
            if spec.name in clip.signals:
                step_s = frame_s * spec.patch
        return features, valid, step_s
    last_s = max((times[-1] for times in clip.times_s.values() if len(times)), default=0.0)
    steps = int(last_s / step_s + 1e-9)
    for spec in info.modalities:
        frame_s = step_s / spec.patch
        grid_s = np.arange(steps * spec.patch, dtype=np.float64) * frame_s
        if spec.name in clip.signals:
            frames, frame_valid = resample(
                clip.signals[spec.name],
                clip.valid[spec.name],
                clip.times_s[spec.name],
                grid_s,
                gap_rule(spec, frame_s),
            )
        else:
            frames, frame_valid = np.zeros((len(grid_s), spec.channels), np.float32), np.zeros(len(grid_s), bool)
        features[spec.name], valid[spec.name] = prepare(frames, frame_valid, spec, frame_s, normalisation)
    return features, valid, step_s


def window_starts(steps: int, info: DatasetInfo) -> NDArray[np.intp]:
    """First step of each window of a recording with this many steps."""
    return np.arange(0, steps - info.window.steps + 1, info.window.hop)


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
    features: dict[str, list[Floats]] = {spec.name: [] for spec in info.modalities}
    valid: dict[str, list[Bools]] = {spec.name: [] for spec in info.modalities}
    rows: list[tuple[int, str, str, float, float]] = []
    for clip in clips:
        clip_features, clip_valid, step_s = clip_steps(clip, info, normalisation)
        starts = window_starts(len(next(iter(clip_valid.values()))), info)
        for spec in info.modalities:
            features[spec.name].append(sliding(clip_features[spec.name], starts, info.window.steps))
            valid[spec.name].append(sliding(clip_valid[spec.name], starts, info.window.steps))
        for start in starts.tolist():
            start_s, end_s = start * step_s, (start + info.window.steps) * step_s
            rows.append((window_label(clip, start_s, end_s), clip.subject, clip.name, start_s, end_s))
    if not rows:
        raise DataError(
            f"{info.name}: every recording is shorter than a window of {info.window.length_s:.2f} s; "
            "give longer recordings or a shorter window"
        )
    label, subject, name, start, end = zip(*rows, strict=True)
    return Windows(
        {key: concatenated(arrays) for key, arrays in features.items()},
        {key: concatenated(arrays) for key, arrays in valid.items()},
        np.asarray(label, np.int64),
        np.asarray(subject),
        np.asarray(name),
        np.asarray(start, np.float64),
        np.asarray(end, np.float64),
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
