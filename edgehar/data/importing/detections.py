"""Finds the frames of a JSON document and the people in them: lists, objects by picture, or an array for each key."""

import re
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from edgehar.data.importing import clock
from edgehar.data.importing.columns import identifier
from edgehar.data.importing.table import MAX_NUMBER
from edgehar.data.importing.takes import Numbers
from edgehar.errors import DataError

FRAME_KEYS = ("frame", "frame_id", "frame_index", "frame_number", "image_id", "index")
PEOPLE_KEYS = (
    "people", "persons", "instances", "pose_world_landmarks", "poseWorldLandmarks", "world_landmarks", "worldLandmarks",
    "pose_landmarks", "poseLandmarks", "landmarks", "poses", "keypoints",
)  # fmt: skip
"""Keys of a frame's people, the preferred ones first."""
NUMBER_KEYS = ("idx", "track_id", "person_id", "instance_id")
CONFIDENCE_KEYS = ("keypoint_scores", "keypoints_score", "scores", "visibility", "confidence")
FRAMES_KEYS = ("frames", "instance_info", "annotations", "results", "data")
MAX_FRAMES = 10**9
_TIME = re.compile(r"(frame_)?(time|timestamp|time_stamp|t|ts)(_(?P<unit>[a-z]+))?|seconds|secs?|milliseconds|millis")


@dataclass(frozen=True)
class Person:
    """A person as the file has them: points (J, D), confidences (J,), their number, and the key they were found at."""

    points: Numbers
    confidence: Numbers
    number: str
    source: str


@dataclass(frozen=True)
class Detections:
    """A frame as the file has it: its number, its times by key, and the people in it."""

    number: int | None
    times: dict[str, str]
    people: list[Person]


def numbers(value: object) -> Numbers:
    """An array; NaN for what is no number or too large. Raises DataError for other things than numbers."""
    try:
        array = np.array(value, np.float64)
        return np.where(np.abs(array) < MAX_NUMBER, array, np.nan)
    except (OverflowError, TypeError, ValueError):
        raise DataError(f"keypoints are {str(value)[:60]!r}; expected numbers; left out") from None


def _landmarks(entries: list[Any], source: str) -> Person:
    """Landmarks with the keys x, y, z and visibility."""
    points = numbers([[entry.get("x"), entry.get("y"), entry.get("z", 0.0)] for entry in entries])
    seen = numbers([entry.get("visibility", entry.get("score", 1.0)) for entry in entries])
    return Person(points if "world" in source.casefold() else points[:, :2], seen, "", source)


def _points_of(table: Numbers, each: int) -> Numbers:
    """Numbers (J * each,) as (J, each)."""
    if table.ndim != 1 or len(table) % each:
        raise DataError(f"{table.size} numbers for the keypoints of a person; expected {each} for each; left out")
    return table.reshape(-1, each)


def _person(entry: dict[str, Any], source: str) -> Person:
    """A person with a list of keypoints: x, y and confidence one after the other, or a point in each entry."""
    number: Any = next((entry[key] for key in NUMBER_KEYS if entry.get(key) is not None), -1)
    if isinstance(number, list):
        number = cast("list[Any]", number)[0] if number else -1
    identity = "" if number == -1 else str(cast("object", number))
    if "pose_keypoints_2d" in entry or "pose_keypoints_3d" in entry:
        key = "pose_keypoints_3d" if entry.get("pose_keypoints_3d") else "pose_keypoints_2d"
        table = _points_of(numbers(entry.get(key, [])), 4 if key.endswith("3d") else 3)
        return Person(table[:, :-1], table[:, -1], identity, key)
    keypoints: Any = entry.get("keypoints")
    if keypoints is None:
        keys = [key for key in PEOPLE_KEYS if isinstance(entry.get(key), list)]
        if not keys:
            raise DataError(f"a person has the keys {', '.join(list(entry)[:8])}; expected keypoints; left out")
        keypoints, source = entry[keys[0]], keys[0]
    if keypoints and isinstance(keypoints[0], dict):
        return replace(_landmarks(keypoints, source), number=identity)
    table = numbers(keypoints)
    if table.ndim == 1:
        table = _points_of(table, 3)  # COCO: x, y and confidence (or visibility 0, 1, 2)
        return Person(table[:, :2], table[:, 2], identity, source)
    if table.ndim != 2:
        raise DataError(f"keypoints of a person of shape {table.shape}; expected (keypoints, values); left out")
    given = next((entry[key] for key in CONFIDENCE_KEYS if isinstance(entry.get(key), list)), None)
    if given is None and table.shape[1] in (3, 4):  # the last value is the confidence; z is a share of the picture, too
        return Person(table[:, : 3 if "world" in source.casefold() else 2], table[:, -1], identity, source)
    confidence = np.ones(len(table)) if given is None else numbers(given)
    if confidence.shape != (len(table),):
        raise DataError(f"{len(table)} keypoints with {confidence.size} confidences; expected as many; left out")
    return Person(table, confidence, identity, source)


def _first(value: Any) -> Any:
    """The first entry that holds anything, or None."""
    return next((entry for entry in value if entry not in (None, [], {})), None)


def _depth(value: Any) -> int:
    """Levels of lists down to numbers: 2 for a person's points, also as landmarks with x and y; else those of lists."""
    depth = 0
    while isinstance(value, list):
        depth, value = depth + 1, _first(cast("list[Any]", value))
    return depth + (isinstance(value, dict) and "x" in value)


def _is_one_person(value: list[Any]) -> bool:
    """Whether a list has the points of one person: numbers one after the other, or short rows."""
    depth, row = _depth(value), _first(value)
    return depth == 1 or (depth == 2 and (isinstance(row, dict) or len(row) <= 4))


def _people(frame: dict[str, Any]) -> list[Person]:
    """The people of one frame."""
    key = next((key for key in PEOPLE_KEYS if isinstance(frame.get(key), list)), None)
    if key is None:
        return []
    value = cast("list[Any]", frame[key])
    first = _first(value)
    if first is None:
        return []
    if isinstance(first, dict) and "x" not in first:
        people = [_person(person, key) for person in value if person]
    elif _is_one_person(value):
        people = [_person({**frame, "keypoints": value}, key)]
    else:  # a list of poses, each a list of landmarks or points
        scores = {key: frame[key] for key in CONFIDENCE_KEYS if isinstance(frame.get(key), list)}
        own = {key: rows for key, rows in scores.items() if len(rows) == len(value) and _depth(rows) == 2}
        poses = [{"keypoints": pose} | {key: rows[row] for key, rows in own.items()} for row, pose in enumerate(value)]
        people = [_person(pose, key) for pose in poses if pose["keypoints"]]
    return [person for person in people if len(person.points)]


def _digits(value: object) -> int:
    """A frame's number from 12, "12" or "video_0012.jpg"."""
    found = re.findall(r"\d+", str(value).rpartition(".")[0] or str(value))
    number = value if isinstance(value, int) else int(found[-1][-20:]) if found else -1
    if not 0 <= number < MAX_FRAMES:
        raise DataError(f"frame {str(value)[:40]!r}; expected a number from 0; left out")
    return number


def _is_time(key: str) -> bool:
    """Whether a key names a time in seconds or in another unit that it states."""
    match = _TIME.fullmatch(identifier(key))
    return match is not None and (not match["unit"] or clock.unit_in_name(identifier(key)) is not None)


def grouped(entries: list[Any]) -> list[Detections]:
    """The frames of entries that have a frame or a person each; entries of one frame are joined."""
    frames: dict[object, Detections] = {}
    for position, entry in enumerate(entries):
        if isinstance(entry, list) or entry is None:  # a list of landmarks or of poses for each frame
            entry: Any = {"landmarks": cast("list[Any]", entry or [])}
        if not isinstance(entry, dict):
            raise DataError(f"frame {position} is {str(entry)[:40]!r}; expected an object with keypoints; left out")
        fields = cast("dict[str, Any]", entry)
        key = next((key for key in FRAME_KEYS if fields.get(key) is not None), None)
        number = None if key is None else _digits(fields[key])
        times = {identifier(key): str(value) for key, value in fields.items() if value is not None and _is_time(key)}
        where: object = position if number is None else number
        if number is None and times and any(fields.get(key) is not None for key in NUMBER_KEYS):
            where = next(iter(times.values()))  # an entry for each numbered person
        frames.setdefault(where, Detections(number, times, [])).people.extend(_people(fields))
    return list(frames.values())


def _singular(key: str) -> str:
    """The key of one entry: "timestamp" for "timestamps", "frame_id" for "frame_ids"; other keys as they are."""
    one = key[:-1] if key.endswith("s") and not _is_time(key) else key
    return one if _is_time(one) or one in FRAME_KEYS else key


def _rows(columns: dict[str, Any], count: int) -> list[Any]:
    """Entries of an object that has an array for each key, such as {"keypoints": [T][17][2], "timestamps": [T]}."""
    arrays: dict[str, list[Any]] = {
        _singular(key): value
        for key, value in columns.items()
        if isinstance(value, list) and len(cast("list[Any]", value)) == count
    }
    return [{key: array[row] for key, array in arrays.items()} for row in range(count)]


def entries_of(document: Any) -> list[Any]:
    """The list of frames, or of people with the number of their frame, of a document."""
    if isinstance(document, list):
        return cast("list[Any]", document)
    if not isinstance(document, dict):
        raise DataError("neither a list nor an object; expected keypoints; left out")
    fields = cast("dict[str, Any]", document)
    for key in FRAMES_KEYS:
        value = fields.get(key)
        if isinstance(value, list | dict) and value and (isinstance(value, dict) or isinstance(value[0], list | dict)):
            return entries_of(value)
    people = next((fields[key] for key in PEOPLE_KEYS if isinstance(fields.get(key), list)), None)
    if people is not None:
        more = _depth(people) > 1 and not _is_one_person(people)
        return _rows(fields, len(people)) if more else [fields]
    if fields and all(re.search(r"\d", key) and isinstance(value, dict | list) for key, value in fields.items()):
        return [  # AlphaPose: picture -> people
            (value if isinstance(value, dict) else {"people": value}) | {"image_id": key}
            for key, value in fields.items()
        ]
    raise DataError(f"the keys {', '.join(list(fields)[:8])}; expected frames with keypoints; left out")
