"""Resampling of a sensor's samples to the frames of a grid: interpolated, or held if the sensor is slow."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgehar.signals.clip import Bools, Clip, Floats, Times, all_true, true_mask
from edgehar.signals.coarse_clock import is_last
from edgehar.signals.modality import ModalitySpec

MAX_GAP_FRAMES = 8
"""Longest gap, in frames of the grid or in samples of a slower sensor, that is bridged."""


@dataclass(frozen=True)
class GapRule:
    """How frames between and beside samples are filled.

    Attributes:
        max_gap_s: longest interval between two samples in which frames are valid; if held, the greatest age of a
            sample that a frame takes.
        margin_s: how far before the first sample frames are valid; if not held, also after the last.
        is_held: whether a frame takes the last sample at or before it, instead of interpolating.
    """

    max_gap_s: float
    margin_s: float
    is_held: bool = False


def gap_rule(spec: ModalitySpec, frame_s: float) -> GapRule:
    """The rule of a sensor on a grid with this many seconds per frame."""
    interval_s = 1.0 / spec.rate_hz
    longest_s = MAX_GAP_FRAMES * max(frame_s, interval_s)
    if interval_s > MAX_GAP_FRAMES / 2 * frame_s:  # a live stream cannot wait for the next sample
        return GapRule(longest_s, MAX_GAP_FRAMES / 2 * frame_s, is_held=True)
    return GapRule(longest_s, longest_s / 2)


@dataclass(frozen=True)
class ValidSamples:
    """The samples of one sensor that count.

    Attributes:
        values: (T, C) all samples; they may be a memory-mapped file. A channel that is NaN in a valid sample is NaN in
            the frames between the samples before and after it.
        rows: (N,) which of them count, or None for all.
        times_s: (N,) their increasing times.
    """

    values: Floats
    rows: NDArray[np.intp] | None
    times_s: Times

    @staticmethod
    def of(values: Floats, valid: Bools, times_s: Times) -> "ValidSamples":
        """Select the valid samples (T,), and the last of several with the same time; times (T,) do not decrease."""
        keep = valid & is_last(times_s)
        if all_true(keep):
            return ValidSamples(values, None, times_s)
        rows = np.flatnonzero(keep)
        return ValidSamples(values, rows, times_s[rows])

    def at(self, grid_s: Times, rule: GapRule) -> tuple[Floats, Bools]:
        """Frames (L, C) float32 at increasing times (L,), and (L,) which are valid; the others are 0."""
        first, end = 0, len(self.times_s)
        if len(grid_s):  # the samples on both sides of the grid, and always two where there are two
            first = max(int(self.times_s.searchsorted(float(grid_s[0]), side="right")) - 2, 0)
            end = max(int(self.times_s.searchsorted(float(grid_s[-1]))) + 2, 2)
        values = self.values[first:end] if self.rows is None else self.values[self.rows[first:end]]
        return fill(np.asarray(values, np.float32), self.times_s[first:end], grid_s, rule)


def fill(values: Floats, times_s: Times, grid_s: Times, rule: GapRule) -> tuple[Floats, Bools]:
    """Frames (L, C) at increasing times (L,) from valid samples (N, C) at increasing times (N,); (L,) valid."""
    return (hold if rule.is_held else interpolate)(values, times_s, grid_s, rule)


def hold(values: Floats, times_s: Times, grid_s: Times, rule: GapRule) -> tuple[Floats, Bools]:
    """`fill` with the last sample at or before each frame; before the first sample, with the first."""
    if not len(times_s):
        return np.zeros((len(grid_s), values.shape[1]), np.float32), np.zeros(len(grid_s), bool)
    last = np.maximum(times_s.searchsorted(grid_s, side="right") - 1, 0)  # (L,)
    age_s = grid_s - times_s.take(last)
    usable = (age_s <= rule.max_gap_s) & (age_s >= -rule.margin_s)
    return np.where(usable[:, None], values.take(last, axis=0), 0).astype(np.float32, copy=False), usable


def interpolate(values: Floats, times_s: Times, grid_s: Times, rule: GapRule) -> tuple[Floats, Bools]:
    """`fill` by linear interpolation."""
    if len(times_s) < 2:
        near = np.abs(grid_s - times_s[0]) <= rule.max_gap_s if len(times_s) else np.zeros(len(grid_s), bool)
        frames = np.zeros((len(grid_s), values.shape[1]), np.float32)
        frames[near] = values[:1]
        return frames, near
    right = times_s.searchsorted(grid_s)  # (L,)
    within = bool(len(grid_s) and times_s[0] <= grid_s[0] and right[-1] < len(times_s))
    if not within or not right[0]:
        right = np.minimum(np.maximum(right, 1), len(times_s) - 1)
    frames, left_s, span_s = between(values, times_s, grid_s, right, within)
    if within and all_true(span_s <= rule.max_gap_s):
        return frames, true_mask(len(grid_s))
    outside_s = np.maximum(times_s[0] - grid_s, grid_s - times_s[-1])
    # A grid point at the time of a sample is valid whatever the gap next to it.
    on_sample = (grid_s == left_s) | (grid_s == times_s[right])
    inside = (outside_s <= 0) & ((span_s <= rule.max_gap_s) | on_sample)
    usable = inside | ((outside_s > 0) & (outside_s <= rule.margin_s))
    frames = np.where(usable[:, None], frames, 0).astype(np.float32)
    return frames, usable


def between(
    values: Floats, times_s: Times, grid_s: Times, right: NDArray[np.intp], within: bool = True
) -> tuple[Floats, Times, Times]:
    """Interpolate between each frame's two neighbours, whatever the gap between these.

    Args:
        values: (N, C) samples.
        times_s: (N,) their times.
        grid_s: (L,) times of the frames.
        right: (L,) index of the sample after each frame, from 1; the one before it is the sample before the frame.
        within: whether every frame is between its neighbours; otherwise it is moved there.

    Returns:
        (L, C) frames float32, (L,) times of the samples before them, and (L,) seconds between their neighbours.
    """
    left = right - 1
    left_s = times_s.take(left)
    span_s = times_s.take(right) - left_s
    weight = (grid_s - left_s) / span_s
    if not within:
        weight = np.clip(weight, 0.0, 1.0)
    share: Floats = weight.astype(np.float32)[:, None]
    before, after = values.take(left, axis=0), values.take(right, axis=0)
    frames: Floats = before * (1 - share)
    frames += after * share
    if np.isnan(frames).any():  # a frame at the time of a sample needs no other one
        frames = np.where(share == 0, before, np.where(share == 1, after, frames))
    return frames, left_s, span_s


def clip_span_s(clip: Clip) -> tuple[float, float] | None:
    """First and last timestamp of a recording, over its sensors; None without timestamps, or if no time passes."""
    times = [times_s for times_s in clip.times_s.values() if len(times_s)]
    start_s = min((float(times_s[0]) for times_s in times), default=0.0)
    end_s = max((float(times_s[-1]) for times_s in times), default=0.0)
    return (start_s, end_s) if start_s < end_s else None


def stretch(
    clip: Clip, spec: ModalitySpec, steps: int, span_s: tuple[float, float] | None
) -> tuple[Floats, Bools, float]:
    """Resample one sensor of a pre-cut clip to `steps` patches.

    Args:
        clip: the clip.
        spec: the sensor.
        steps: S of the window.
        span_s: `clip_span_s` of the clip. The grid goes from its first to its last second, so that gaps and late
            starts keep their place; a sensor without timestamps spans all of it. If None, the samples are stretched
            by normalised time.

    Returns:
        (L, C) frames, (L,) valid, and the seconds between two frames, by the timestamps or else by the nominal rate.
    """
    length = steps * spec.patch
    frame_s = (span_s[1] - span_s[0]) / (length - 1) if span_s else 1.0 / spec.rate_hz
    if spec.name not in clip.signals:
        return np.zeros((length, spec.channels), np.float32), np.zeros(length, bool), frame_s
    values, valid = clip.signals[spec.name], clip.valid[spec.name]
    if span_s and spec.name in clip.times_s:
        grid_s = np.linspace(*span_s, length)
        samples = ValidSamples.of(values, valid, clip.times_s[spec.name])
        return *samples.at(grid_s, gap_rule(spec, frame_s)), frame_s
    samples = len(values)
    last = max(samples - 1, 0)
    grid = np.arange(length, dtype=np.float64) * (last / (length - 1))
    grid[-1] = last  # as np.linspace, but faster
    longest = MAX_GAP_FRAMES * max(samples / length, 1.0)  # in samples
    everything = ValidSamples.of(values, valid, np.arange(samples, dtype=np.float64))
    frames, valid = everything.at(grid, GapRule(longest, longest / 2))
    return frames, valid, frame_s if span_s else max(samples - 1, 1) / (length - 1) / spec.rate_hz
