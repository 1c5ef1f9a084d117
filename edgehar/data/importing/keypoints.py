"""Reads keypoints as JSON: OpenPose, COCO results, AlphaPose, MMPose and landmarks of MediaPipe."""

import json
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, cast

import numpy as np

from edgehar.data.importing import clock
from edgehar.data.importing.columns import identifier
from edgehar.data.importing.detections import Detections, Person, entries_of, grouped
from edgehar.data.importing.joint_sets import COCO, KEYPOINT_SETS, JointSet
from edgehar.data.importing.takes import Numbers
from edgehar.data.importing.tracking import Body, Film, Frame
from edgehar.errors import DataError

DEFAULT_RATE_HZ = 30.0
MAX_RATE_HZ = 10_000
MAX_PIXELS = 1_000_000
RATE_KEYS = ("fps", "frame_rate", "framerate", "frames_per_second", "video_fps", "rate_hz", "avg_frame_rate")
_UNEXPECTED = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What the readers raise for JSON of another structure."""


def _picture_size(document: Any) -> tuple[float, float] | None:
    """Width and height of the picture where the file states them."""
    fields = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    places = (fields, *(fields.get(key) for key in ("video", "picture", "image", "meta_info", "metadata")))
    for place in places:
        if isinstance(place, dict) and {"width", "height"} <= set(cast("dict[str, Any]", place)):
            width, height = (cast("dict[str, Any]", place)[key] for key in ("width", "height"))
            if all(isinstance(side, int | float) and 0 < side < MAX_PIXELS for side in (width, height)):
                return float(width), float(height)
            raise DataError(f"a picture of {width!r} x {height!r}; expected pixels; correct width and height; left out")
    return None


def _stated_joints(document: Any) -> tuple[str, ...]:
    """Names of the keypoints where MMPose or COCO state them."""
    fields = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    named: Any = fields.get("meta_info", {}).get("keypoint_id2name", {})
    if isinstance(named, dict) and named:
        return tuple(str(cast("dict[str, Any]", named)[key]) for key in sorted(cast("dict[str, Any]", named), key=int))
    categories: Any = fields.get("categories")
    return tuple(map(str, categories[0].get("keypoints", ()))) if categories else ()


def _objects(value: Any, levels: int = 2) -> Iterator[dict[str, Any]]:
    """The objects that may state something about all frames: the outer ones, and the first one of each list."""
    if isinstance(value, list):
        value = cast("list[Any]", value)[0] if value else None
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        yield fields
        for inner in fields.values() if levels else ():
            yield from _objects(inner, levels - 1)


def _stated_rate(document: Any) -> float | None:
    """Frames per second where the file states them, as 29.97 or "30000/1001"; raises DataError for another value."""
    for fields in _objects(document):
        for key, value in fields.items():
            if identifier(key) in RATE_KEYS and value is not None:
                try:
                    rate_hz = float(Fraction(str(value)))
                except (ArithmeticError, ValueError):
                    rate_hz = 0.0
                if not 0 < rate_hz <= MAX_RATE_HZ:
                    raise DataError(f"{key} is {str(value)[:40]!r}; expected frames per second; correct it; left out")
                return rate_hz
    return None


def _stated_times(frames: list[Detections], has_rate: bool) -> tuple[Numbers | None, str]:
    """Times of the frames in seconds (T,), or None; and a remark, empty if their name states the unit.

    Raises:
        DataError: times that decrease, or that are none or of an unknown unit while no other rate is known.
    """
    names = [name for name in frames[0].times if all(name in frame.times for frame in frames)]
    if not names:
        timed = sum(bool(frame.times) for frame in frames)
        return None, f"{timed} of {len(frames)} frames have times, which are not used" if timed else ""
    name = next((name for name in names if clock.unit_in_name(name)), names[0])
    try:
        times_s, how = clock.seconds(name, [frame.times[name] for frame in frames], None)
    except DataError:
        times_s, how = np.full(len(frames), np.nan), ""
    if (falls := np.diff(times_s) < 0).any():
        row = int(falls.argmax())
        found = f"{name} {frames[row].times[name][:40]!r} is followed by {frames[row + 1].times[name][:40]!r}"
        raise DataError(f"{found}; expected times that never decrease; left out")
    if not np.isnan(times_s).any():
        return times_s, f"{name} in {how}" if how else ""
    if not has_rate:
        example = f"{frames[0].times[name][:40]!r}, {frames[-1].times[name][:40]!r}"
        raise DataError(
            f"{name} from {example}; expected seconds, or another unit in its name; or give --rate; left out"
        )
    return None, f"{name} cannot be read and is not used"


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
    frames: list[Detections], document: Any, given_hz: float | None, least_confidence: float
) -> tuple[Film, list[str]]:
    people = [person for frame in frames for person in frame.people]
    if not people:
        raise DataError(f"no person in {len(frames)} frames; left out")
    joints, dimensions = _check_joints(people, _stated_joints(document))
    stated_hz = _stated_rate(document)
    frames = sorted(frames, key=lambda frame: -1 if frame.number is None else frame.number)
    times_s, remark = _stated_times(frames, (stated_hz or given_hz) is not None)
    rate_hz = stated_hz or given_hz or DEFAULT_RATE_HZ
    remarks = [remark] if remark else []
    if given_hz and (times_s is not None or rate_hz != given_hz):
        source = "times" if times_s is not None else f"{rate_hz:g} frames per second"
        remarks.append(f"states {source}; --rate is not used")
    elif times_s is None and not (stated_hz or given_hz):
        remarks.append(f"no times: {rate_hz:g} frames per second assumed; correct it with --rate")
    size = _picture_size(document)
    values = np.abs(np.concatenate([person.points.ravel() for person in people]))
    shares = bool((values[~np.isnan(values)] <= 2.5).all())
    unit = ("m" if shares else "unknown") if dimensions == 3 else "px"
    scale = np.array([1.0, -1.0, -1.0]) if dimensions == 3 else np.ones(2)  # world landmarks count y downwards, too
    if dimensions == 2 and shares:
        scale = np.array(size if size else (1.0, 1.0))
        if size is None:
            unit = "share of the picture"
            remarks.append(
                "x and y are shares of the picture, whose size is not stated: bodies are distorted unless it is "
                'square; add "width" and "height" to the file'
            )
    made: list[Frame] = []
    for position, frame in enumerate(frames):
        bodies: list[Body] = []
        for person in frame.people:
            points = person.points * scale
            absent = ~(person.confidence >= least_confidence) | ~np.isfinite(points).all(1)
            points[absent | ~person.points.any(1)] = np.nan  # estimators write a joint not found as (0, 0)
            if not np.isnan(points).all():
                bodies.append(Body(points, person.number))
        time_s = None if times_s is None else float(times_s[position])
        made.append(Frame(position if frame.number is None else frame.number, tuple(bodies), time_s))
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


def read_keypoints(
    texts: str | dict[str, str], rate_hz: float | None, least_confidence: float
) -> tuple[Film, list[str]]:
    """The people in the frames of one file, or of a folder with one file per frame; and remarks.

    2-D keypoints are in pixels as in the picture, y downwards; world landmarks are in metres, y upwards.

    Args:
        texts: JSON; see the module's first line. Name -> JSON for one file per frame, whose number is the last one of
            its name.
        rate_hz: frames per second, where the file states neither times nor a rate.
        least_confidence: joints with less are lost (NaN).

    Raises:
        DataError: not JSON, no person, joints of an unknown number, or times of an unknown unit.
    """
    try:
        if isinstance(texts, str):
            document = _parsed(texts)
            return _film(grouped(entries_of(document)), document, rate_hz, least_confidence)
        frames: list[Detections] = []
        for name, text in texts.items():
            found = grouped(entries_of(_parsed(text)))
            digits = re.findall(r"\d+", name)
            number = int(digits[-1]) if digits else len(frames)
            people = [person for frame in found for person in frame.people]
            frames.append(Detections(number, found[0].times if found else {}, people))
        return _film(frames, None, rate_hz, least_confidence)
    except _UNEXPECTED:
        expected = "a list of frames with keypoints, as in the documentation of edgehar data import"
        raise DataError(f"an unknown structure; expected {expected}; left out") from None
