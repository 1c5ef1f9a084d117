"""The body of a skeleton: its origin, its size in a picture, and its lost joints.

A joint is lost where its channels are NaN. Everything here looks at one frame, or at a frame and the one before it, so
that a stream gives the same values as a whole recording.
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgehar.signals.clip import Bools, Floats, all_true, true_mask
from edgehar.signals.modality import ModalitySpec

SIZE_QUANTILE = 0.75
"""Foreshortening only shortens bones, so the size follows the longer ones; the longest would follow errors."""
BONE_ITERATIONS = 8
MAX_STRETCH = 4.0
"""Largest distance of a joint from the origin, in sums of all bones: no body is that long."""


class BodyMotion(NamedTuple):
    """A skeleton's frames relative to their origin, and relative to the body's size if the skeleton is 2-D.

    Attributes:
        value: (L, C), 0 where a joint is lost.
        motion: (L, C) change since the frame before; that of the root is its own. 0 where a joint is lost in either
            frame or the origins are not the same joints.
        known: (L + 1, G) True where a joint is known, of the frame before the first and of all frames.
    """

    value: Floats
    motion: Floats
    known: Bools


@dataclass(frozen=True)
class _Tree:
    """Joints of a skeleton: (G,) flags of the root and of its neighbours, (bones,) ends of the bones."""

    root: Bools
    near_root: Bools
    child: NDArray[np.intp]
    parent: NDArray[np.intp]


@cache
def _tree(parents: tuple[int, ...]) -> _Tree:
    joint, parent = np.arange(len(parents)), np.asarray(parents)
    root = joint == parent
    return _Tree(root, root[parent] & ~root, joint[~root], parent[~root])


def known_joints(positions: Floats) -> Bools:
    """(..., G, axes) positions -> (..., G) True where every coordinate of a joint is a number."""
    return np.logical_not(np.logical_or.reduce(np.isnan(positions), axis=-1))


def _bone_lengths(positions: Floats, spec: ModalitySpec) -> Floats:
    """(L, G, axes) -> (L, bones) float32, NaN where an end is lost."""
    tree = _tree(spec.parents)
    across = positions[:, tree.child] - positions[:, tree.parent]
    return np.sqrt(np.square(across).sum(axis=2))


def _upper_quantile(values: Floats) -> Floats:
    """The quantile SIZE_QUANTILE of each row's numbers, linearly interpolated; NaN for a row without any."""
    if not values.shape[1]:
        return np.full(len(values), np.nan, np.float32)
    ordered = np.sort(values, axis=1)  # NaN last
    index = np.maximum((~np.isnan(values)).sum(axis=1) - 1, 0) * SIZE_QUANTILE
    below = index.astype(np.intp)
    share = (index - below).astype(np.float32)
    row = np.arange(len(ordered))
    low, high = ordered[row, below], ordered[row, np.minimum(below + 1, ordered.shape[1] - 1)]
    return np.where(share > 0, low * (1 - share) + high * share, low)


def body_size(positions: Floats, bones: Floats, spec: ModalitySpec) -> Floats:
    """Size of a body in each frame: an upper quantile of its bones' lengths, each over its usual share.

    Args:
        positions: (L, G, axes), NaN where a joint is lost.
        bones: (G,) from `measure_bones`: lengths of the bones to each joint, which sum to 1.
        spec: the skeleton.

    Returns:
        (L,) float32, the length of all bones together, in the unit of the positions; NaN without a bone whose ends are
        both known.
    """
    shares = bones[_tree(spec.parents).child]
    return _upper_quantile(_bone_lengths(positions, spec)[:, shares > 0] / shares[shares > 0])


def measure_bones(samples: Floats, spec: ModalitySpec) -> Floats:
    """Usual share of each bone in the sum of all bones, in the picture: the same quantile of the share in each frame.

    Sizes and shares depend on each other and are computed alternately.

    Args:
        samples: (N, C) of the training subjects, NaN where a joint is lost.
        spec: a 2-D skeleton.

    Returns:
        (G,) float32 by the joint at the outer end; 0 for the root, and for bones of which no frame shows both ends.
        Equal shares if there is no bone at all.
    """
    lengths = _bone_lengths(samples.reshape(len(samples), spec.groups, spec.group), spec)  # (N, bones)
    shares = np.where(np.nan_to_num(lengths).any(axis=0), 1.0, 0.0).astype(np.float32)
    for _ in range(BONE_ITERATIONS):
        shown = shares > 0
        if not shown.any():
            break
        size = _upper_quantile(lengths[:, shown] / shares[shown])
        relative = lengths[size > 0] / size[size > 0][:, None]
        shares = np.where(shown, np.nan_to_num(_upper_quantile(np.ascontiguousarray(relative.T))), 0)
        shares = (shares / max(float(shares.sum()), 1e-30)).astype(np.float32)
    bones = np.zeros(spec.groups, np.float32)
    bones[_tree(spec.parents).child] = shares if shares.any() else 1 / max(spec.groups - 1, 1)
    return bones


def body_motion(frames: Floats, spec: ModalitySpec, bones: Floats | None) -> BodyMotion:
    """Joints relative to the body's origin, their motion, and which of them are known.

    The origin is the root joint. Where it is lost, it is the mean of the known joints next to the root in the tree, or
    else of all known joints. In a frame of a 2-D skeleton without a size no joint counts as known.

    Args:
        frames: (L + 1, C), the frame before the first and all frames.
        spec: the skeleton.
        bones: (G,) from `measure_bones` for a 2-D skeleton, else None.
    """
    positions = frames.reshape(len(frames), spec.groups, spec.group)
    known = known_joints(positions)
    origin, same_origin = _origin(positions, known, spec)
    relative: Floats = positions - origin
    motion: Floats = relative[1:] - relative[:-1]
    motion[:, spec.root] = positions[1:, spec.root] - positions[:-1, spec.root]
    if bones is not None:
        size = body_size(positions, bones, spec)
        stretch = np.fmax.reduce(np.abs(relative), axis=(1, 2))
        has_size = (size > 0) & (stretch <= MAX_STRETCH * size)  # NaN compares False
        known = known & has_size[:, None]
        size = np.where(has_size, size, 1)[:, None, None]
        relative /= size
        motion /= size[1:]
    value = relative[1:]
    if not all_true(known) or not all_true(same_origin):
        moving = known[1:] & known[:-1] & same_origin
        value = np.where(known[1:, :, None], value, 0)
        motion = np.where(moving[..., None], motion, 0)
    return BodyMotion(value.reshape(-1, spec.channels), motion.reshape(-1, spec.channels), known)


def _origin(positions: Floats, known: Bools, spec: ModalitySpec) -> tuple[Floats, Bools]:
    """The origin (L + 1, 1, axes) of each frame, and (L, 1) True where it is of the same joints as the one before."""
    if all_true(known[:, spec.root]):
        return positions[:, spec.root : spec.root + 1], true_mask(len(known) - 1)[:, None]
    tree = _tree(spec.parents)
    near = known & tree.near_root
    joints = np.where(near.any(axis=1, keepdims=True), near, known)
    joints = np.where(known[:, spec.root, None], tree.root, joints)  # (L + 1, G)
    count = np.maximum(joints.sum(axis=1, keepdims=True), 1).astype(np.float32)[..., None]
    origin = np.where(joints[..., None], positions, 0).sum(axis=1, keepdims=True) / count
    same: Bools = np.logical_and.reduce(joints[1:] == joints[:-1], axis=1, keepdims=True)
    return origin, same
