"""What the page shows of each person, and its JSON."""

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgehar.deploy.live.page.handover import Received, Shown
from edgehar.deploy.live.page.sensor_track import TRACE_S, SensorTrack, description
from edgehar.deploy.stream.clocks.sample_counts import SampleCounts
from edgehar.deploy.stream.segments import Activity
from edgehar.deploy.stream.settings import Chunk
from edgehar.package.manifest import Manifest
from edgehar.signals.clip import Prediction

MAX_SHOWN = 16
"""People on the page; the others are counted."""
LEFT_S = 60.0
"""How long somebody who left stays on the page, unless there is no room for others."""
MAX_PREDICTIONS, MAX_ACTIVITIES = 240, 20
"""Kept of each person, for clients that connect later."""
MAX_PROBABILITIES = 8
"""The most probable activities of a prediction that are sent; with fewer than so many, all."""

Counts = dict[str | None, dict[str, SampleCounts]]
Timed = tuple[Prediction, float | None]
"""A prediction and its latency in seconds, if known."""


@dataclass
class PersonTrack:
    """One person on the page.

    Attributes:
        sensors: sensor -> its last seconds.
        predictions: the newest last, as the next two, each with its latency in seconds if known.
        activities: in JSON's form, those that have ended.
        lost: sensor -> counts of samples.
        sent_s: sensor -> time up to which samples were sent.
        new_predictions: how many of the predictions were not sent.
        new_activities: how many of the activities were not sent.
        is_changed: whether anything was not sent.
        left_s: when the person's stream ended, as `time.monotonic`; None while it goes on.
    """

    sensors: dict[str, SensorTrack]
    predictions: deque[Timed] = field(default_factory=lambda: deque[Timed](maxlen=MAX_PREDICTIONS))
    activities: deque[dict[str, Any]] = field(default_factory=lambda: deque[dict[str, Any]](maxlen=MAX_ACTIVITIES))
    lost: dict[str, dict[str, int]] = field(default_factory=lambda: dict[str, dict[str, int]]())
    sent_s: dict[str, float] = field(default_factory=lambda: dict[str, float]())
    new_predictions: int = 0
    new_activities: int = 0
    is_changed: bool = True
    left_s: float | None = None

    @property
    def last(self) -> Prediction | None:
        """The newest prediction."""
        return self.predictions[-1][0] if self.predictions else None

    def to_json(self, name: str | None, is_all: bool) -> dict[str, Any]:
        """All that is kept, or only what was not sent yet."""
        sensors = {
            sensor: track.drawn(-np.inf if is_all else self.sent_s.get(sensor, -np.inf))
            for sensor, track in self.sensors.items()
            if track.newest_s > -np.inf and (is_all or track.newest_s > self.sent_s.get(sensor, -np.inf))
        }
        predictions, activities = list(self.predictions), list(self.activities)
        if not is_all:
            predictions = predictions[len(predictions) - min(self.new_predictions, len(predictions)) :]
            activities = activities[len(activities) - min(self.new_activities, len(activities)) :]
        return {
            "name": name,
            "sensors": sensors,
            "predictions": [_prediction(*one) for one in predictions],
            "activities": activities,
            "lost": self.lost,
            "left": self.left_s is not None,
        }

    def mark_sent(self) -> None:
        """All that is kept was sent."""
        self.sent_s = {name: track.newest_s for name, track in self.sensors.items()}
        self.new_predictions = self.new_activities = 0
        self.is_changed = False


class PagePeople:
    """The people of a stream, as the page shows them; for one thread.

    Args:
        manifest: of the package.
        has_activities: whether activities are written, by `--activities`.
    """

    def __init__(self, manifest: Manifest, has_activities: bool) -> None:
        """Start without people."""
        self._manifest, self._has_activities = manifest, has_activities
        self._specs = {spec.name: spec for spec in manifest.modalities}
        self._keep_s = max(TRACE_S, 1.5 * manifest.window.length_s)
        self._tracks = dict[str | None, PersonTrack]()
        self._hidden = 0

    def hello(self) -> dict[str, Any]:
        """What does not change during the run."""
        return {
            "labels": list(self._manifest.labels),
            "sensors": [description(spec) for spec in self._manifest.modalities],
            "window_s": self._manifest.window.length_s,
            "trace_s": TRACE_S,
            "activities": self._has_activities,
        }

    def track(self, person: str | None) -> PersonTrack | None:
        """What is kept of a person; None if nothing is."""
        return self._tracks.get(person)

    def update(self, samples: Iterable[Received], answers: Iterable[Shown]) -> None:
        """Add what was received and recognised."""
        parts = dict[tuple[str | None, str], list[Chunk]]()
        for person, chunk in samples:
            parts.setdefault((person, chunk.modality), []).append(chunk)
        for (person, modality), chunks in parts.items():
            track = self._admitted(person)
            if track is None:
                continue
            sensor = track.sensors[modality]
            kept = _newest(chunks, sensor)
            times_s = np.array([time_s for one in kept for time_s in one.times_s])
            sensor.add(times_s, np.concatenate([one.rows for one in kept], dtype=np.float64))
            track.is_changed = True
        for (person, found, _), latency_s in answers:
            track = self._admitted(person)
            if track is None:
                continue
            track.is_changed = True
            if isinstance(found, Activity):
                track.activities.append(_activity(found))
                track.new_activities += 1
            else:
                track.predictions.append((found, latency_s))
                track.new_predictions += 1

    def count(self, counts: Counts) -> None:
        """Note the counts of samples of everybody who has a stream; all others have left."""
        now_s = time.monotonic()
        for person, track in list(self._tracks.items()):
            if person in counts:
                lost = {name: _counts(one) for name, one in counts[person].items() if one.received}
                track.is_changed |= lost != track.lost or track.left_s is not None
                track.lost, track.left_s = lost, None
            elif track.left_s is None:
                track.left_s, track.is_changed = now_s, True
            elif now_s - track.left_s > LEFT_S:
                del self._tracks[person]
        self._hidden = sum(person is not None and person not in self._tracks for person in counts)

    def to_json(self, is_all: bool) -> dict[str, Any]:
        """All that is kept, or only what is new since the last `mark_sent`."""
        people = [one.to_json(name, is_all) for name, one in self._tracks.items() if is_all or one.is_changed]
        return {"people": people, "names": list(self._tracks), "hidden": self._hidden}

    def mark_sent(self) -> None:
        """All that is kept was sent."""
        for track in self._tracks.values():
            track.mark_sent()

    def _admitted(self, person: str | None) -> PersonTrack | None:
        """The track of a person, a new one if there is room."""
        track = self._tracks.get(person)
        if track is None:
            if len(self._tracks) >= MAX_SHOWN:
                left = [(one.left_s, name) for name, one in self._tracks.items() if one.left_s is not None]
                if not left:
                    return None
                del self._tracks[min(left, key=lambda entry: entry[0])[1]]
            sensors = {name: SensorTrack(spec, self._keep_s) for name, spec in self._specs.items()}
            track = self._tracks[person] = PersonTrack(sensors)
        return track


def _prediction(found: Prediction, latency_s: float | None) -> dict[str, Any]:
    most = np.argsort(-found.probabilities, kind="stable")[:MAX_PROBABILITIES].tolist()
    return {
        "start_s": round(found.start_s, 3),
        "end_s": round(found.end_s, 3),
        "label": found.label,
        "score": round(found.score, 4),
        "p": [[index, round(float(found.probabilities[index]), 4)] for index in most],
        "latency_ms": None if latency_s is None else round(1e3 * latency_s, 2),
    }


def _newest(chunks: list[Chunk], sensor: SensorTrack) -> list[Chunk]:
    """The last chunks: no fewer than the track will keep."""
    first, count = len(chunks), 0
    start_s = max(chunks[-1].times_s) - sensor.keep_s
    while first and count < sensor.most and max(chunks[first - 1].times_s) >= start_s:
        first -= 1
        count += len(chunks[first].times_s)
    return chunks[first:]


def _activity(found: Activity) -> dict[str, Any]:
    return {
        "start_s": round(found.start_s, 3),
        "end_s": round(found.end_s, 3),
        "label": found.label,
        "score": round(found.score, 4),
    }


def _counts(one: SampleCounts) -> dict[str, int]:
    return {
        "received": one.received,
        "late": one.late,
        "rejected": one.rejected,
        "duplicated": one.duplicated,
        "invalid": one.invalid,
    }
