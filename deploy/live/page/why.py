"""Explains the newest prediction of a person, from the samples that the page has kept."""

from typing import Any

from edgehar.deploy.explanation.explain import explain
from edgehar.deploy.live.page.people import PersonTrack
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import DataError
from edgehar.explanation.result import describe

MAX_GROUPS = 6


def samples_of_last(track: PersonTrack, recognizer: Recognizer) -> tuple[dict[str, Any], dict[str, Any], float]:
    """Signals and times of the window of the newest prediction, with a step before it, and the middle of the window.

    Raises:
        DataError: there is no prediction yet, or its samples were not kept.
    """
    window = recognizer.manifest.window
    if track.last is None:
        raise DataError("no prediction yet; expected one to explain; wait for it")
    start_s, end_s = track.last.start_s, track.last.end_s
    before_s = window.length_s / window.steps if window.kind == "sliding" else 0.0
    signals, times_s = dict[str, Any](), dict[str, Any]()
    for name, sensor in track.sensors.items():
        times, rows = sensor.between(start_s - before_s, end_s)
        if len(times):
            signals[name], times_s[name] = rows, times
    if not signals:
        raise DataError("no samples of the newest window were kept; expected some; wait for the next prediction")
    return signals, times_s, (start_s + end_s) / 2


def explanation_json(samples: tuple[dict[str, Any], dict[str, Any], float], recognizer: Recognizer) -> dict[str, Any]:
    """The explanation of the window of these samples as the page shows it; raises DataError as `explain`.

    The windows of a stream begin at steps of its own; the explained one is the nearest that these samples give.
    """
    signals, times_s, middle_s = samples
    found = explain(recognizer, signals, times_s, at_s=middle_s)
    document = found.to_json()
    groups = [
        {"sensor": name, "name": group["name"], "total": group["total"]}
        for name, sensor in document["sensors"].items()
        for group in sensor["groups"]
    ]
    total = sum(group["total"] for group in groups) or 1.0
    for group in groups:
        group["share"] = round(group.pop("total") / total, 4)
    return {
        **{key: document[key] for key in ("label", "predicted", "probability", "start_s", "end_s", "missing", "steps")},
        "sensors": {name: entry.get("evidence") for name, entry in document["sensors"].items()},
        "groups": sorted((one for one in groups if one["share"] > 0), key=lambda one: -one["share"])[:MAX_GROUPS],
        "joints": {
            spec.name: [one["total"] for one in document["sensors"][spec.name]["groups"]]
            for spec in found.specs
            if spec.is_skeleton
        },
        "text": describe(found),
    }
