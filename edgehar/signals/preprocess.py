"""The one preprocessing function: physical frames in, features out, patch by patch.

Every value depends on its own frame and the frame before it only, so that a stream computes exactly
what a whole recording does. A skeleton is taken relative to its root joint, whose own motion is kept;
any other sensor is taken as it is. Each channel gives a value and a motion (change per second).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError
from edgehar.signals.clip import Bools, Clip, Floats, Times, every, trues
from edgehar.signals.modality import ModalitySpec

AnyFloat = TypeVar("AnyFloat", np.float32, np.float64)

MAX_GAP_FRAMES = 8
"""Samples lost in a row, in frames of the grid, up to which a gap is bridged by a straight line."""


@dataclass(frozen=True)
class Normalisation:
    """Root-mean-square of values and motions over the training subjects, per modality: (G, 2) float32.

    One scale for all joints of a skeleton and one per triaxial sensor, and no mean: a rotation of the
    body or of the sensor then commutes with the normalisation.
    """

    scale: dict[str, Floats]

    @cached_property
    def _rows(self) -> dict[str, Floats]:
        return {}

    def rows(self, spec: ModalitySpec) -> Floats:
        """The scales of a modality's values and of its motions, one for each channel: (2, C)."""
        if spec.name not in self._rows:
            self._rows[spec.name] = np.repeat(self.scale[spec.name].T, spec.group, axis=1)
        return self._rows[spec.name]

    def to_json(self) -> dict[str, Any]:
        """Plain lists for JSON."""
        return {name: scale.tolist() for name, scale in self.scale.items()}

    @staticmethod
    def from_json(entry: dict[str, Any]) -> "Normalisation":
        """Inverse of `to_json`."""
        return Normalisation({name: np.asarray(scale, np.float32) for name, scale in entry.items()})

    @staticmethod
    def identity(specs: tuple[ModalitySpec, ...]) -> "Normalisation":
        """Scale 1 for every group, used while the real scales are measured."""
        return Normalisation({spec.name: np.ones((spec.groups, 2), np.float32) for spec in specs})


def check_signal(values: Floats, spec: ModalitySpec, where: str) -> Floats:
    """Bring one signal to (T, C) float32; see `check_shape`."""
    return check_shape(np.asarray(values, np.float32), spec, where)


def check_shape(array: NDArray[AnyFloat], spec: ModalitySpec, where: str) -> NDArray[AnyFloat]:
    """Bring one signal to (T, C).

    A skeleton may also come as (T, G, 3). Raises DataError for any other shape or an empty signal.
    Values that are not finite are left as they are: the caller decides whether that is an error.
    """
    if array.ndim == 3 and array.shape[1:] == (spec.groups, spec.group):
        array = array.reshape(len(array), spec.channels)
    if array.ndim != 2 or array.shape[1] != spec.channels or not len(array):
        raise DataError(
            f"{where}: {spec.name} has shape {array.shape}; expected (samples, {spec.channels}) "
            f"with at least one sample; give time first and {spec.channels} channels"
        )
    return array


def resample(values: Floats, valid: Bools, times_s: Times, grid_s: Times, max_gap_s: float) -> tuple[Floats, Bools]:
    """Straight-line interpolation of the valid samples onto a grid.

    Args:
        values: (T, C) samples.
        valid: (T,) True where a sample can be trusted.
        times_s: (T,) seconds, not decreasing; of samples with the same time the last counts.
        grid_s: (L,) increasing seconds.
        max_gap_s: a grid point further than this from the neighbouring samples' span is not valid.

    Returns:
        (L, C) float32 and (L,) bool; what is not valid is 0.
    """
    keep = valid.copy()
    keep[:-1] &= times_s[1:] > times_s[:-1]
    return interpolate(values[keep], times_s[keep], grid_s, max_gap_s)


def interpolate(known: Floats, known_s: Times, grid_s: Times, max_gap_s: float) -> tuple[Floats, Bools]:
    """`resample` of valid samples (N, C) at increasing times (N,)."""
    if len(known_s) < 2:
        near = np.abs(grid_s - known_s[0]) <= max_gap_s if len(known_s) else np.zeros(len(grid_s), bool)
        frames = np.zeros((len(grid_s), known.shape[1]), np.float32)
        frames[near] = known[:1]
        return frames, near
    right = known_s.searchsorted(grid_s)  # (L,)
    within = bool(len(grid_s) and known_s[0] <= grid_s[0] and right[-1] < len(known_s))
    if not within or not right[0]:
        right = np.minimum(np.maximum(right, 1), len(known_s) - 1)
    left = right - 1
    left_s = known_s.take(left)
    span_s = known_s.take(right) - left_s
    weight = (grid_s - left_s) / span_s
    if not within:
        weight = np.clip(weight, 0.0, 1.0)
    share: Floats = weight.astype(np.float32)[:, None]
    frames: Floats = known.take(left, axis=0) * (1 - share)
    frames += known.take(right, axis=0) * share
    if within and every(span_s <= max_gap_s):  # nothing lost, as it nearly always is
        return frames, trues(len(grid_s))
    outside_s = np.maximum(known_s[0] - grid_s, grid_s - known_s[-1])
    # Exactly on a sample the gap beside it does not matter.
    on_sample = (grid_s == left_s) | (grid_s == known_s[right])
    inside = (outside_s <= 0) & ((span_s <= max_gap_s) | on_sample)
    usable = inside | ((outside_s > 0) & (outside_s <= max_gap_s / 2))
    frames = np.where(usable[:, None], frames, 0).astype(np.float32)
    return frames, usable


def stretch(clip: Clip, spec: ModalitySpec, steps: int) -> tuple[Floats, Bools, float]:
    """A pre-cut clip without timestamps over `steps` patches by normalised time.

    Returns:
        (L, C) frames, (L,) valid, and the seconds between two frames at the modality's nominal rate.
    """
    length = steps * spec.patch
    if spec.name not in clip.signals:
        return np.zeros((length, spec.channels), np.float32), np.zeros(length, bool), 1.0 / spec.rate_hz
    values = clip.signals[spec.name]
    samples = len(values)
    last = max(samples - 1, 0)
    grid = np.arange(length, dtype=np.float64) * (last / (length - 1))
    grid[-1] = last  # np.linspace, in a fraction of the time
    max_gap = MAX_GAP_FRAMES * max(samples / length, 1.0)
    frames, valid = resample(values, clip.valid[spec.name], np.arange(samples, dtype=np.float64), grid, max_gap)
    return frames, valid, max(samples - 1, 1) / (length - 1) / spec.rate_hz


def prepare(
    frames: Floats,
    valid: Bools,
    spec: ModalitySpec,
    frame_s: float,
    normalisation: Normalisation,
    before: tuple[Floats, bool] | None = None,
) -> tuple[Floats, Bools]:
    """Turn frames on the grid into features, patch by patch.

    Args:
        frames: (L, C) in the sensor's units, L a multiple of the patch length.
        valid: (L,) True where a frame can be trusted.
        spec: the modality.
        frame_s: seconds between two frames.
        normalisation: scales measured on the training subjects.
        before: the frame (C,) before the first one and whether it is valid; None at the start of a recording.

    Returns:
        features (S, P, G, F) float32, where F holds the values then the motions of a group, and
        (S,) bool, True where at least half of a patch's frames are valid. What is not valid is 0.
    """
    # Every step is one operation on whole rows of channels: on a board the number of operations is what costs.
    from_before = np.concatenate([frames[:1] if before is None else before[0][None], frames])  # (L + 1, C)
    if spec.is_skeleton:
        about_root = from_before - from_before.take(spec.root_channels, axis=1)
        motion = about_root[1:] - about_root[:-1]
        root = from_before[:, spec.root * spec.group : (spec.root + 1) * spec.group]
        motion[:, spec.root * spec.group : (spec.root + 1) * spec.group] = root[1:] - root[:-1]
        value = about_root[1:]
    else:
        value, motion = frames, from_before[1:] - from_before[:-1]
    nothing_lost = every(valid) and (before is None or before[1])
    if not nothing_lost:
        previous_valid = np.append(valid[:1] if before is None else before[1], valid[:-1])
        motion = np.where((valid & previous_valid)[:, None], motion, 0)
    value_scale, motion_scale = normalisation.rows(spec)
    features: Floats = np.empty((len(frames), 2 * spec.channels), np.float32)
    np.divide(value, value_scale, out=features[:, : spec.channels])
    np.divide(motion / frame_s, motion_scale, out=features[:, spec.channels :])
    # From all values, then all motions, to the values and motions of each group: (L, C + C) -> (S, P, G, F).
    steps = features.take(spec.feature_order, axis=1).reshape(-1, spec.patch, spec.groups, spec.features)
    if nothing_lost:
        return steps, trues(len(steps))
    steps = np.where(valid.reshape(-1, spec.patch)[..., None, None], steps, 0)
    step_valid = valid.reshape(-1, spec.patch).mean(axis=1) >= 0.5
    return np.where(step_valid[:, None, None, None], steps, 0), step_valid


def measure_scale(features: Floats, step_valid: Bools, spec: ModalitySpec) -> Floats:
    """Root-mean-square scales (G, 2) of features prepared with `Normalisation.identity`.

    Args:
        features: (N, S, P, G, F) of the training windows.
        step_valid: (N, S).
        spec: the modality.
    """
    used = features[step_valid].astype(np.float64)  # (steps, P, G, F)
    if not len(used):
        return np.ones((spec.groups, 2), np.float32)
    square = np.stack(
        [(used[..., : spec.group] ** 2).mean((0, 1, 3)), (used[..., spec.group :] ** 2).mean((0, 1, 3))], 1
    )
    if spec.is_skeleton:
        square = np.broadcast_to(square.mean(0), square.shape)
    return np.sqrt(np.maximum(square, 1e-12)).astype(np.float32)
