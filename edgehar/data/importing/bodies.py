"""Tracks of people become skeleton recordings: one person each, or two who act on each other as one skeleton."""

from dataclasses import dataclass

import numpy as np

from edgehar.data.importing.joint_sets import JointSet
from edgehar.data.importing.takes import Numbers, Samples
from edgehar.data.importing.tracking import Frame, Track

SENSOR = "skeleton"
SHORTEST_FRAMES = 5
"""A track in fewer frames is a false detection."""


@dataclass(frozen=True)
class Film:
    """Frames of one file or folder and what is known of them."""

    frames: tuple[Frame, ...]
    joints: JointSet
    unit: str
    rate_hz: float
    timed: bool = True


def _points(film: Film, track: Track) -> Numbers:
    """Points (T, J, D) of a track over all frames, NaN where the person is absent."""
    points = np.full((len(film.frames), *track.points[0].shape), np.nan)
    points[track.frames] = np.stack(track.points)
    return film.joints.complete(points)


def _times(film: Film) -> Numbers:
    first = film.frames[0]
    if first.time_s is not None:
        return np.array([np.nan if frame.time_s is None else frame.time_s for frame in film.frames])
    return np.array([frame.number - first.number for frame in film.frames]) / film.rate_hz


def _rate(film: Film) -> float | None:
    """Frames per second, None where the frames have times of their own: measured from them."""
    return film.rate_hz if film.frames[0].time_s is None else None


def ranked(film: Film, tracks: list[Track]) -> list[Track]:
    """Tracks that are long enough, the one that moves most first."""
    long = [track for track in tracks if len(track.frames) >= min(SHORTEST_FRAMES, len(film.frames))]
    return sorted(long, key=lambda track: -track.movement(len(film.frames)))


def one_body(film: Film, track: Track) -> Samples:
    """A person's skeleton, from their first to their last frame if the frames have times, otherwise over all frames."""
    points, times_s = _points(film, track), None
    if film.timed:
        present = slice(track.frames[0], track.frames[-1] + 1)
        points, times_s = points[present], _times(film)[present]
    values = points.reshape(len(points), -1)
    group = points.shape[2]
    names, parents = film.joints.all_joints, film.joints.parent_indices
    return Samples(SENSOR, values, times_s, (), film.unit, _rate(film), group, names, parents)


def two_bodies(film: Film, first: Track, second: Track) -> Samples:
    """Two people as one skeleton: the second person's root hangs from the first one's, so their distance counts."""
    points = np.concatenate([_points(film, first), _points(film, second)], 1)  # (T, 2 J, D)
    joints, parents = film.joints.all_joints, film.joints.parent_indices
    root = next(joint for joint, parent in enumerate(parents) if joint == parent)
    others = [root if joint == root else parent + len(joints) for joint, parent in enumerate(parents)]
    names = (*(f"first_{joint}" for joint in joints), *(f"second_{joint}" for joint in joints))
    times_s = _times(film) if film.timed else None
    values = points.reshape(len(points), -1)
    return Samples(SENSOR, values, times_s, (), film.unit, _rate(film), points.shape[2], names, (*parents, *others))
