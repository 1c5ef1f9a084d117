"""Follows people through frames; each becomes a skeleton recording, or two who act on each other one skeleton.

A person is followed by their number where it persists, otherwise by the nearest body.
"""

from dataclasses import dataclass, field

import numpy as np

from edgehar.data.importing.joint_sets import JointSet
from edgehar.data.importing.takes import Numbers, Samples
from edgehar.signals.clip import Bools

SENSOR = "skeleton"
SHORTEST_FRAMES = 5
"""A track in fewer frames is a false detection."""
MAX_STEP = 0.5
"""A body moves at most this share of its own size from one frame to the next."""
MAX_ABSENT_FRAMES = 30
"""A person who was absent for longer is another track, unless the number says that it is the same one."""
VELOCITY_FRAMES = 5
"""A body is expected to go on as in about this many frames before, so that people who cross are not exchanged."""


@dataclass(frozen=True)
class Body:
    """A person in one frame: points (J, D) with NaN for lost joints, and the estimator's number of the person."""

    points: Numbers
    number: str = ""


@dataclass(frozen=True)
class Frame:
    """A picture: its number and its time if the file states one, and the people in it."""

    number: int
    bodies: tuple[Body, ...]
    time_s: float | None = None


@dataclass
class Track:
    """One person: indices of the frames, the points in them, the number of the last one, and the velocity (D,)."""

    frames: list[int] = field(default_factory=list[int])
    points: list[Numbers] = field(default_factory=list[Numbers])
    numbers: set[str] = field(default_factory=set[str])
    last: int = 0
    velocity: Numbers = field(default_factory=lambda: np.zeros(1))

    def add(self, index: int, frame: Frame, body: Body) -> None:
        """Append a frame."""
        if self.points:
            step = _moved(self.points[-1], body.points) / max(frame.number - self.last, 1)
            self.velocity = self.velocity + (step - self.velocity) / VELOCITY_FRAMES
        self.frames.append(index)
        self.points.append(body.points)
        self.numbers.add(body.number)
        self.last = frame.number

    def movement(self, frames: int) -> float:
        """Variance of the joints over time, weighted with the share of the frames that the person is in."""
        values = np.stack(self.points)  # (T, J, D)
        known = ~np.isnan(values)
        counts = np.maximum(known.sum(0), 1)
        centred = np.where(known, values - np.where(known, values, 0).sum(0) / counts, 0)
        return float((centred**2).sum(0).sum() / counts.sum()) * len(self.frames) / frames


def _size(points: Numbers) -> float:
    """Diagonal of the box around a body."""
    known = points[~np.isnan(points).any(1)]
    return float(np.linalg.norm(np.ptp(known, 0))) if len(known) else 0.0


def _moved(before: Numbers, after: Numbers) -> Numbers:
    """Mean movement (D,) of the joints that are known in both frames; 0 without one."""
    steps: Numbers = after - before
    known: Bools = np.logical_and.reduce(~np.isnan(steps), axis=1)
    total: Numbers = np.where(known[:, None], steps, 0).sum(0)
    return total / max(int(known.sum()), 1)


def _distance(a: Numbers, b: Numbers) -> float:
    """Mean distance of the joints that both have; of the centres if they share none; infinite if one has no joint."""
    both = ~np.isnan(a).any(1) & ~np.isnan(b).any(1)
    if both.any():
        return float(np.linalg.norm(a[both] - b[both], axis=1).mean())
    if np.isnan(a).all() or np.isnan(b).all():
        return np.inf
    return float(np.linalg.norm(np.nanmean(a, 0) - np.nanmean(b, 0)))


def follow(frames: tuple[Frame, ...]) -> list[Track]:
    """Tracks of the people, in the order of their first frame.

    A body continues the track that has its number. One with a new number, or none, continues the nearest track that
    is not in this frame, ended at most `MAX_ABSENT_FRAMES` ago and is near enough, where it would be if it had gone on;
    otherwise it begins a new track.
    """
    tracks: list[Track] = []
    for index, frame in enumerate(frames):
        free = [track for track in tracks]
        unmatched: list[Body] = []
        for body in frame.bodies:
            own = next((track for track in free if body.number and body.number in track.numbers), None)
            if own is None:
                unmatched.append(body)
            else:
                own.add(index, frame, body)
                free.remove(own)
        pairs: list[tuple[float, int, int]] = []
        for number, body in enumerate(unmatched):
            for candidate, track in enumerate(free):
                absent = frame.number - track.last
                if absent > MAX_ABSENT_FRAMES:
                    continue
                distance = _distance(track.points[-1] + track.velocity * absent, body.points)
                moved = min(distance, _distance(track.points[-1], body.points))  # a person may have stopped
                if moved <= MAX_STEP * max(_size(track.points[-1]), _size(body.points)):
                    pairs.append((distance, number, candidate))
        used: dict[int, int] = {}
        for _, number, candidate in sorted(pairs):
            if number not in used and candidate not in used.values():
                used[number] = candidate
        for number, body in enumerate(unmatched):
            track = free[used[number]] if number in used else Track()
            if number not in used:
                tracks.append(track)
            track.add(index, frame, body)
    return tracks


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


def _samples(film: Film, points: Numbers, names: tuple[str, ...], parents: tuple[int, ...]) -> Samples:
    """A skeleton from the first to the last frame with a joint: a recording begins when the person is seen."""
    seen = np.flatnonzero(~np.isnan(points).all((1, 2)))
    present = slice(seen[0], seen[-1] + 1)
    times_s = _times(film)[present] if film.timed else None
    values = points[present].reshape(-1, points.shape[1] * points.shape[2])
    return Samples(SENSOR, values, times_s, (), film.unit, _rate(film), points.shape[2], names, parents)


def one_body(film: Film, track: Track) -> Samples:
    """A person's skeleton."""
    return _samples(film, _points(film, track), film.joints.all_joints, film.joints.parent_indices)


def two_bodies(film: Film, first: Track, second: Track) -> Samples:
    """Two people as one skeleton: the second person's root hangs from the first one's, so their distance counts."""
    points = np.concatenate([_points(film, first), _points(film, second)], 1)  # (T, 2 J, D)
    joints, parents = film.joints.all_joints, film.joints.parent_indices
    root = next(joint for joint, parent in enumerate(parents) if joint == parent)
    others = [root if joint == root else parent + len(joints) for joint, parent in enumerate(parents)]
    names = (*(f"first_{joint}" for joint in joints), *(f"second_{joint}" for joint in joints))
    return _samples(film, points, names, (*parents, *others))
