"""Reads keypoints as JSON: OpenPose, COCO results, AlphaPose, MMPose and landmarks of MediaPipe."""

import json
import re
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from edgehar.data.importing.bodies import Film
from edgehar.data.importing.columns import identifier
from edgehar.data.importing.joint_sets import COCO, KEYPOINT_SETS, JointSet
from edgehar.data.importing.table import MAX_NUMBER
from edgehar.data.importing.takes import Numbers
from edgehar.data.importing.tracking import Body, Frame
from edgehar.errors import DataError

FRAME_KEYS = ("frame", "frame_id", "frame_index", "frame_number", "image_id", "index")
TIMES = {"time_s": 1.0, "timestamp_s": 1.0, "timestamp_ms": 1e-3, "time_ms": 1e-3, "timestamp_us": 1e-6}
"""Key of a frame's time -> seconds."""
PEOPLE_KEYS = (
    "people", "persons", "instances", "pose_world_landmarks", "poseWorldLandmarks", "world_landmarks", "worldLandmarks",
    "pose_landmarks", "poseLandmarks", "landmarks", "poses", "keypoints",
)  # fmt: skip
"""Keys of a frame's people, the preferred ones first."""
NUMBER_KEYS = ("idx", "track_id", "person_id", "instance_id")
CONFIDENCE_KEYS = ("keypoint_scores", "keypoints_score", "scores", "visibility", "confidence")
MAX_FRAMES = 10**9
FRAMES_KEYS = ("frames", "instance_info", "annotations", "results", "data")


@dataclass(frozen=True)
class Person:
    """A person as the file has them: points (J, D), confidences (J,), their number, and the key they were found at."""

    points: Numbers
    confidence: Numbers
    number: str
    source: str


def _array(value: object) -> Numbers:
    try:
        numbers = np.array(value, np.float64)
        return np.where(np.abs(numbers) < MAX_NUMBER, numbers, np.nan)
    except (TypeError, ValueError):
        raise DataError(f"keypoints are {str(value)[:60]!r}; expected numbers; left out") from None


def _landmarks(entries: list[Any], source: str) -> Person:
    """Landmarks with the keys x, y, z and visibility."""
    points = _array([[entry.get("x"), entry.get("y"), entry.get("z", 0.0)] for entry in entries])
    seen = _array([entry.get("visibility", entry.get("score", 1.0)) for entry in entries])
    return Person(points if "world" in source.casefold() else points[:, :2], seen, "", source)


def _person(entry: dict[str, Any], source: str) -> Person:
    """A person with a list of keypoints: x, y and confidence one after the other, or a point in each entry."""
    number: Any = next((entry[key] for key in NUMBER_KEYS if entry.get(key) is not None), -1)
    if isinstance(number, list):
        number = cast("list[Any]", number)[0] if number else -1
    identity = "" if number == -1 else str(cast("object", number))
    if "pose_keypoints_2d" in entry or "pose_keypoints_3d" in entry:
        key = "pose_keypoints_3d" if entry.get("pose_keypoints_3d") else "pose_keypoints_2d"
        table = _array(entry.get(key, [])).reshape(-1, 4 if key.endswith("3d") else 3)
        return Person(table[:, :-1], table[:, -1], identity, key)
    keypoints: Any = entry.get("keypoints")
    if keypoints is None:
        keys = [key for key in PEOPLE_KEYS if isinstance(entry.get(key), list)]
        if not keys:
            raise DataError(f"a person has the keys {', '.join(list(entry)[:8])}; expected keypoints; left out")
        keypoints, source = entry[keys[0]], keys[0]
    if keypoints and isinstance(keypoints[0], dict):
        return replace(_landmarks(keypoints, source), number=identity)
    table = _array(keypoints)
    if table.ndim == 1:
        if len(table) % 3:
            raise DataError(f"{len(table)} numbers for the keypoints of a person; expected three for each; left out")
        table = table.reshape(-1, 3)  # COCO: x, y and confidence (or visibility 0, 1, 2)
        return Person(table[:, :2], table[:, 2], identity, source)
    given = next((entry[key] for key in CONFIDENCE_KEYS if isinstance(entry.get(key), list)), None)
    if given is None and table.shape[1] in (3, 4):  # the last value is the confidence; z is a share of the picture, too
        return Person(table[:, : 3 if "world" in source.casefold() else 2], table[:, -1], identity, source)
    confidence = np.ones(len(table)) if given is None else _array(given)
    if confidence.shape != (len(table),):
        raise DataError(f"{len(table)} keypoints with {confidence.size} confidences; expected as many; left out")
    return Person(table, confidence, identity, source)


def _people(frame: dict[str, Any]) -> list[Person]:
    """The people of one frame."""
    key = next((key for key in PEOPLE_KEYS if isinstance(frame.get(key), list)), None)
    if key is None:
        return []
    value = cast("list[Any]", frame[key])
    if not value:
        return []
    if key == "keypoints" or (isinstance(value[0], dict) and "x" in value[0]):
        return [_person(frame, key)]
    if not isinstance(value[0], list):
        people = [_person(person, key) for person in value]
    elif value[0] and not isinstance(value[0][0], list | dict):  # rows of numbers
        people = [_person({"keypoints": value}, key)]
    else:  # a list of poses, each a list of landmarks
        people = [_person({"keypoints": pose}, key) for pose in value]
    return [person for person in people if len(person.points)]


def _digits(value: object) -> int:
    """A frame's number from 12, "12" or "video_0012.jpg"."""
    found = re.findall(r"\d+", str(value).rpartition(".")[0] or str(value))
    number = value if isinstance(value, int) else int(found[-1]) if found else -1
    if not 0 <= number < MAX_FRAMES:
        raise DataError(f"frame {value!r}; expected a number from 0; left out")
    return number


def _grouped(entries: list[Any]) -> list[tuple[int | None, float | None, list[Person]]]:
    """Number, time and people of each frame; entries of one frame are joined."""
    frames: dict[object, tuple[int | None, float | None, list[Person]]] = {}
    for position, entry in enumerate(entries):
        if isinstance(entry, list):  # a list of landmarks or of poses for each frame
            entry: Any = {"landmarks": cast("list[Any]", entry)}
        if not isinstance(entry, dict):
            raise DataError(f"frame {position} is {str(entry)[:40]!r}; expected an object with keypoints; left out")
        fields = cast("dict[str, Any]", entry)
        key = next((key for key in FRAME_KEYS if key in fields), None)
        number = None if key is None else _digits(fields[key])
        times_s = [_array(fields[key]) * factor for key, factor in TIMES.items() if fields.get(key) is not None]
        time_s = float(times_s[0]) if times_s and times_s[0].ndim == 0 and np.isfinite(times_s[0]) else None
        where: object = position if number is None else number
        frames.setdefault(where, (number, time_s, []))[2].extend(_people(fields))
    return list(frames.values())


def _entries(document: Any) -> list[Any]:
    """The list of frames, or of people with the number of their frame, of a document."""
    if isinstance(document, list):
        return cast("list[Any]", document)
    if not isinstance(document, dict):
        raise DataError("neither a list nor an object; expected keypoints; left out")
    fields = cast("dict[str, Any]", document)
    for key in FRAMES_KEYS:
        if isinstance(fields.get(key), list):
            return fields[key]
    if any(key in fields for key in PEOPLE_KEYS):
        return [fields]
    if fields and all(re.search(r"\d", key) and isinstance(value, dict | list) for key, value in fields.items()):
        return [  # AlphaPose: picture -> people
            (value if isinstance(value, dict) else {"people": value}) | {"image_id": key}
            for key, value in fields.items()
        ]
    raise DataError(f"the keys {', '.join(list(fields)[:8])}; expected frames with keypoints; left out")


def _picture_size(document: Any) -> tuple[float, float] | None:
    """Width and height of the picture where the file states them."""
    fields = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    places = (fields, *(fields.get(key) for key in ("video", "picture", "image", "meta_info", "metadata")))
    for place in places:
        if isinstance(place, dict) and {"width", "height"} <= set(cast("dict[str, Any]", place)):
            size = cast("dict[str, Any]", place)
            return float(size["width"]), float(size["height"])
    return None


def _stated_joints(document: Any) -> tuple[str, ...]:
    """Names of the keypoints where MMPose or COCO state them."""
    fields = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    named: Any = fields.get("meta_info", {}).get("keypoint_id2name", {})
    if isinstance(named, dict) and named:
        return tuple(str(cast("dict[str, Any]", named)[key]) for key in sorted(cast("dict[str, Any]", named), key=int))
    categories: Any = fields.get("categories")
    return tuple(map(str, categories[0].get("keypoints", ()))) if categories else ()


def _check_joints(people: list[Person], stated: tuple[str, ...]) -> tuple[JointSet, int]:
    """The joints and the dimensions of the points; raises DataError unless they are known."""
    shapes = {person.points.shape for person in people}
    count, dimensions = next(iter(shapes))
    if len(shapes) > 1 or count not in KEYPOINT_SETS or dimensions not in (2, 3):
        found = " and ".join(sorted(f"{joints} keypoints of {size} values" for joints, size in shapes))
        expected = ", ".join(f"{number} ({joints.name})" for number, joints in KEYPOINT_SETS.items())
        raise DataError(f"{found}; expected {expected} of 2 or 3 values; left out")
    joints = KEYPOINT_SETS[count]
    if stated and tuple(identifier(name) for name in stated) != joints.joints:
        raise DataError(f"keypoints {', '.join(stated[:5])}, ...; expected those of {joints.name}; left out")
    if joints is COCO and dimensions == 3 and not stated:
        raise DataError("17 keypoints in 3-D, usually Human3.6M's; expected 2-D ones of COCO-17, or names; left out")
    return joints, dimensions


def _film(
    frames: list[tuple[int | None, float | None, list[Person]]],
    document: Any,
    rate_hz: float,
    least_confidence: float,
) -> tuple[Film, list[str]]:
    people = [person for _, _, persons in frames for person in persons]
    if not people:
        raise DataError(f"no person in {len(frames)} frames; left out")
    joints, dimensions = _check_joints(people, _stated_joints(document))
    size = _picture_size(document)
    remarks: list[str] = []
    shares = bool(np.nanmax([np.nanmax(np.abs(person.points)) for person in people]) <= 2.5)
    unit = ("m" if shares else "unknown") if dimensions == 3 else "px"
    scale = np.ones(dimensions)
    if dimensions == 2 and shares:
        scale = np.array(size if size else (1.0, 1.0))
        if size is None:
            unit = "share of the picture"
            remarks.append(
                "x and y are shares of the picture, whose size is not stated: bodies are distorted unless it is "
                'square; add "width" and "height" to the file'
            )
    upright = scale * np.array([1.0, -1.0, -1.0][:dimensions])  # pictures and cameras count y downwards
    made: list[Frame] = []
    for position, (number, time_s, persons) in enumerate(frames):
        bodies: list[Body] = []
        for person in persons:
            points = person.points * upright
            absent = (person.confidence < least_confidence) | ~np.isfinite(points).all(1)
            points[absent | ~person.points.any(1)] = np.nan  # estimators write a joint not found as (0, 0)
            if not np.isnan(points).all():
                bodies.append(Body(points, person.number))
        made.append(Frame(position if number is None else number, tuple(bodies), time_s))
    made.sort(key=lambda frame: frame.number)
    timed = all(frame.time_s is not None for frame in made)
    made = [frame if timed else replace(frame, time_s=None) for frame in made]
    if not any(frame.bodies for frame in made):
        raise DataError(f"no joint with a confidence of {least_confidence:g} or more; lower --confidence; left out")
    return Film(tuple(made), joints, unit, rate_hz), remarks


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise DataError(f"not valid JSON ({problem}); left out") from None


def is_single_frame(text: str) -> bool:
    """Whether a file holds one frame of OpenPose, so that its folder is the recording."""
    return re.match(r'\s*\{[^\[{]*"people"\s*:', text[:400]) is not None


def read_video(text: str, rate_hz: float, least_confidence: float) -> tuple[Film, list[str]]:
    """The people in the frames of one file, and remarks.

    Pixels and landmarks get y upwards; coordinates are in pixels, or in metres for world landmarks.

    Args:
        text: JSON; see the module's first line.
        rate_hz: frames per second, where the file states no times.
        least_confidence: joints with less are lost (NaN).

    Raises:
        DataError: not JSON, no person, or joints of an unknown number.
    """
    document = _parsed(text)
    return _film(_grouped(_entries(document)), document, rate_hz, least_confidence)


def read_frames(texts: dict[str, str], rate_hz: float, least_confidence: float) -> tuple[Film, list[str]]:
    """The people in a folder with one file per frame, whose number is the last one of its name; see `read_video`."""
    frames: list[tuple[int | None, float | None, list[Person]]] = []
    for name, text in texts.items():
        numbers = re.findall(r"\d+", name)
        number = int(numbers[-1]) if numbers else len(frames)
        frames.append(
            (number, None, [person for _, _, persons in _grouped(_entries(_parsed(text))) for person in persons])
        )
    return _film(frames, None, rate_hz, least_confidence)
