"""Preprocessing: features of the frames that `edgehar.signals.resampling` gives.

A feature depends on its own frame and the previous one only, so that a stream computes the same values as a whole
recording. Joints of a skeleton are relative to the root joint, whose motion is kept; other sensors are used unchanged.
Each channel gives a value and a motion (rate of change per second). A 2-D skeleton is in units of the body's size; the
features of a lost joint are 0 (`edgehar.signals.body`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError
from edgehar.signals.body import body_motion
from edgehar.signals.clip import Bools, Floats, all_true, true_mask
from edgehar.signals.modality import ModalitySpec

AnyFloat = TypeVar("AnyFloat", np.float32, np.float64)

MIN_SCALE = 1e-6
"""A root-mean-square up to this is rounding: the channels were 0, or did not move."""


@dataclass(frozen=True)
class Normalisation:
    """Root-mean-square of values and motions over the training subjects, per modality: (G, 2) float32.

    One scale for all joints of a skeleton, one per triaxial sensor, and no mean, so that a rotation of the body or of
    the sensor commutes with the normalisation. A 2-D skeleton also has its usual bones, (G,) from `measure_bones`, by
    which the body's size is measured.
    """

    scale: dict[str, Floats]
    bones: dict[str, Floats] = field(default_factory=lambda: dict[str, Floats]())

    @cached_property
    def _rows(self) -> dict[str, Floats]:
        return {}

    def rows(self, spec: ModalitySpec) -> Floats:
        """Scales of the values and of the motions of each channel: (2, C)."""
        if spec.name not in self._rows:
            self._rows[spec.name] = np.repeat(self.scale[spec.name].T, spec.group, axis=1)
        return self._rows[spec.name]

    def to_json(self) -> dict[str, Any]:
        """Plain lists for JSON; for a modality with bones an object of two lists."""
        entry: dict[str, Any] = {name: scale.tolist() for name, scale in self.scale.items()}
        return entry | {name: {"scale": entry[name], "bones": bones.tolist()} for name, bones in self.bones.items()}

    @staticmethod
    def from_json(entry: dict[str, Any]) -> "Normalisation":
        """Inverse of `to_json`; raises KeyError, TypeError or ValueError for another structure."""
        bones = {name: np.asarray(value["bones"], np.float32) for name, value in entry.items() if "bones" in value}
        scale = {name: value["scale"] if name in bones else value for name, value in entry.items()}
        return Normalisation({name: np.asarray(value, np.float32) for name, value in scale.items()}, bones)

    def is_usable(self, spec: ModalitySpec) -> bool:
        """Whether a modality has scales above 0, and bones from 0 to 1 if and only if it is a 2-D skeleton."""
        scale, bones = self.scale[spec.name], self.bones.get(spec.name)
        if scale.shape != (spec.groups, 2) or not ((scale > 0) & (scale < np.inf)).all():
            return False
        if bones is None or not spec.is_picture:
            return bones is None and not spec.is_picture
        return bones.shape == (spec.groups,) and bool(((bones >= 0) & (bones <= 1)).all() and bones.any())

    @staticmethod
    def identity(specs: Sequence[ModalitySpec]) -> "Normalisation":
        """Scale 1 for each group, for measuring the scales."""
        return Normalisation({spec.name: np.ones((spec.groups, 2), np.float32) for spec in specs})


def check_shape(array: NDArray[AnyFloat], spec: ModalitySpec, where: str) -> NDArray[AnyFloat]:
    """One signal as (T, C).

    A skeleton may have shape (T, G, 3). Raises DataError for any other shape or an empty signal.
    Values that are not finite are not checked.
    """
    if array.ndim == 3 and array.shape[1:] == (spec.groups, spec.group):
        array = array.reshape(len(array), spec.channels)
    if array.ndim != 2 or array.shape[1] != spec.channels or not len(array):
        raise DataError(
            f"{where}: {spec.name} has shape {array.shape}; expected (samples, {spec.channels}) "
            f"with at least one sample; put time first and give {spec.channels} channels"
        )
    return array


def prepare(
    frames: Floats,
    valid: Bools,
    spec: ModalitySpec,
    frame_s: float,
    normalisation: Normalisation,
    previous: tuple[Floats, bool] | None = None,
) -> tuple[Floats, Bools]:
    """Features of the frames on the grid, by patch.

    A joint that is NaN in a frame is lost: its features are 0 in that frame, and in the whole step if it is known in
    fewer than half of the frames. Where joints may be lost (`lost_joints`), the root's value is 1 instead of 0, so that
    all features of a joint are 0 only if it is lost.

    Args:
        frames: (L, C) in the sensor's units, L a multiple of the patch length.
        valid: (L,) True where a frame is usable.
        spec: the modality.
        frame_s: seconds between two frames.
        normalisation: scales measured on the training subjects.
        previous: the previous frame (C,) and whether it is valid; None at the start of a recording.

    Returns:
        features (S, P, G, F) float32, where F holds the values, then the motions of a group, and
        (S,) bool, True where at least half of a patch's frames are valid. Features that are not valid are 0.
    """
    # Each step is one operation on all channels: the cost on a board is proportional to the number of operations.
    with_previous = np.concatenate([frames[:1] if previous is None else previous[0][None], frames])  # (L + 1, C)
    known: Bools | None = None
    bones = normalisation.bones.get(spec.name)
    if spec.is_skeleton and (bones is not None or np.isnan(with_previous).any()):
        value, motion, known = body_motion(with_previous, spec, bones)
        seen: Bools = np.logical_or.reduce(known, axis=1)  # (L + 1,)
        valid, known = valid & seen[1:], known[1:]
        previous = None if previous is None else (previous[0], previous[1] and bool(seen[0]))
    else:
        value, motion = _value_and_motion(with_previous, spec)
    all_usable = all_true(valid) and (previous is None or previous[1])
    if not all_usable:
        previous_valid = np.append(valid[:1] if previous is None else previous[1], valid[:-1])
        motion = np.where((valid & previous_valid)[:, None], motion, 0)
    steps = _by_step(value, motion, spec, frame_s, normalisation)
    if known is not None and not all_true(known):
        by_step: Bools = (known & valid[:, None]).reshape(-1, spec.patch, spec.groups)
        by_step = by_step & (2 * by_step.sum(axis=1, keepdims=True) >= spec.patch)
        steps = np.where(by_step[..., None], steps, 0)
        left: Bools = np.logical_or.reduce(by_step, axis=2)
        valid = valid & left.reshape(-1)
        all_usable = all_usable and all_true(valid)
    if all_usable:
        return steps, true_mask(len(steps))
    steps = np.where(valid.reshape(-1, spec.patch)[..., None, None], steps, 0)
    step_valid = valid.reshape(-1, spec.patch).mean(axis=1) >= 0.5
    return np.where(step_valid[:, None, None, None], steps, 0), step_valid


def _value_and_motion(with_previous: Floats, spec: ModalitySpec) -> tuple[Floats, Floats]:
    """Values and changes (..., L, C) of frames (..., L + 1, C), of which the first is the one before."""
    if not spec.is_skeleton:
        return with_previous[..., 1:, :], with_previous[..., 1:, :] - with_previous[..., :-1, :]
    relative: Floats = with_previous - with_previous.take(spec.root_channels, axis=-1)
    motion: Floats = relative[..., 1:, :] - relative[..., :-1, :]
    root = slice(spec.root * spec.group, (spec.root + 1) * spec.group)
    motion[..., root] = with_previous[..., 1:, root] - with_previous[..., :-1, root]
    return relative[..., 1:, :], motion


def _by_step(value: Floats, motion: Floats, spec: ModalitySpec, frame_s: float, normalisation: Normalisation) -> Floats:
    """Scaled features (..., P, G, F) of values and changes (..., L, C), all steps on one axis."""
    value_scale, motion_scale = normalisation.rows(spec)
    features: Floats = np.empty((*value.shape[:-1], 2 * spec.channels), np.float32)
    np.divide(value, value_scale, out=features[..., : spec.channels])
    np.divide(motion / frame_s, motion_scale, out=features[..., spec.channels :])
    # From all values, then all motions, to the values and motions by group: (L, C + C) -> (S, P, G, F)
    steps = features.take(spec.feature_order, axis=-1).reshape(-1, spec.patch, spec.groups, spec.features)
    if spec.lost_joints:
        steps[..., spec.root, : spec.group] = 1
    return steps


def measure_scale(features: Floats, step_valid: Bools, spec: ModalitySpec) -> Floats:
    """Root-mean-square scales (G, 2) of features prepared with `edgehar.signals.windows.without_scale`.

    Args:
        features: (N, S, P, G, F) of the training windows.
        step_valid: (N, S).
        spec: the modality.
    """
    used = features[step_valid].astype(np.float64)  # (steps, P, G, F)
    if not len(used):
        return np.ones((spec.groups, 2), np.float32)
    if spec.lost_joints:
        known = max(np.count_nonzero(used.any(axis=3)), 1)
        used[..., spec.root, : spec.group] = 0  # a mark, not a value
        parts = (used[..., : spec.group], used[..., spec.group :])
        mean_square = np.asarray([np.square(part).sum() / (known * spec.group) for part in parts])
        return _scale(np.broadcast_to(mean_square, (spec.groups, 2)))
    square = np.stack(
        [(used[..., : spec.group] ** 2).mean((0, 1, 3)), (used[..., spec.group :] ** 2).mean((0, 1, 3))], 1
    )
    if spec.is_skeleton:
        square = np.broadcast_to(square.mean(0), square.shape)
    return _scale(square)


def _scale(mean_square: NDArray[np.float64]) -> Floats:
    """The root, or 1 where nothing was measured: a channel that was constant in training is not magnified later."""
    root = np.sqrt(mean_square)
    return np.where(root > MIN_SCALE, root, 1).astype(np.float32)
