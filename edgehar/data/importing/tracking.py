"""Follows people through frames: by their number where it persists, otherwise by the nearest body."""

from dataclasses import dataclass, field

import numpy as np

from edgehar.data.importing.takes import Numbers

MAX_STEP = 0.5
"""A body moves at most this share of its own size from one frame to the next."""
MAX_ABSENT_FRAMES = 30
"""A person who was absent for longer is another track, unless the number says that it is the same one."""


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
    """One person through the frames: indices of the frames and the points in them."""

    frames: list[int] = field(default_factory=list[int])
    points: list[Numbers] = field(default_factory=list[Numbers])
    numbers: set[str] = field(default_factory=set[str])

    def add(self, frame: int, body: Body) -> None:
        """Append a frame."""
        self.frames.append(frame)
        self.points.append(body.points)
        self.numbers.add(body.number)

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
    is not in this frame, ended at most `MAX_ABSENT_FRAMES` ago and is near enough; otherwise it begins a new track.
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
                own.add(index, body)
                free.remove(own)
        pairs: list[tuple[float, int, int]] = []
        for number, body in enumerate(unmatched):
            for candidate, track in enumerate(free):
                absent = frame.number - frames[track.frames[-1]].number
                distance = _distance(track.points[-1], body.points)
                size = max(_size(track.points[-1]), _size(body.points))
                if absent <= MAX_ABSENT_FRAMES and distance <= MAX_STEP * size:
                    pairs.append((distance, number, candidate))
        used: dict[int, int] = {}
        for _, number, candidate in sorted(pairs):
            if number not in used and candidate not in used.values():
                used[number] = candidate
        for number, body in enumerate(unmatched):
            track = free[used[number]] if number in used else Track()
            if number not in used:
                tracks.append(track)
            track.add(index, body)
    return tracks
