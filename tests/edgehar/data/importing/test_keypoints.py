"""Keypoints of cameras: rates and times of their own, structures of JSON, people who cross, and one direction of y."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehar.data.importing.joint_sets import COCO
from edgehar.data.importing.keypoints import read_keypoints
from edgehar.data.importing.takes import Numbers
from edgehar.data.importing.tracking import Body, Frame, follow
from edgehar.errors import DataError
from edgehar.signals.clip import Clip
from tests.edgehar.data.importing.conftest import Importer


def walk(frames: int, rate_hz: float, start: float = 100.0, speed: float = 50.0, seed: int = 0) -> Numbers:
    """Keypoints (T, 17, 2) of a body that goes to the right, in pixels, and swings at 1 Hz."""
    random = np.random.default_rng(seed)
    base, phase = random.uniform(-1, 1, (17, 2)) * [25, 90], random.uniform(0, 6, 17)
    times_s = np.arange(frames) / rate_hz
    points = base + np.stack([start + speed * times_s, np.full(frames, 240.0)], 1)[:, None]
    points[..., 0] += 12 * np.sin(2 * np.pi * times_s[:, None] + phase)
    return points.round(3)


def flat(points: Numbers) -> list[float]:
    return np.hstack([points, np.full((len(points), 1), 0.9)]).reshape(-1).tolist()


def length_s(clip: Clip) -> float:
    return float(clip.times_s["skeleton"][-1])


def stated_fps(points: Numbers, rate_hz: int) -> Any:
    return {"fps": rate_hz, "frames": [{"keypoints": frame.tolist()} for frame in points]}


def stated_in_video(points: Numbers, rate_hz: int) -> Any:
    return {"video": {"frameRate": f"{rate_hz * 1001}/1001"}, "keypoints": points.tolist()}


def stated_timestamps(points: Numbers, rate_hz: int) -> Any:
    return [{"image_id": n, "timestamp": n / rate_hz, "keypoints": flat(frame)} for n, frame in enumerate(points)]


def stated_columns(points: Numbers, rate_hz: int) -> Any:
    times_ms = [1000 * n / rate_hz for n in range(len(points))]
    return {"keypoints": points.tolist(), "scores": np.ones(points.shape[:2]).tolist(), "timestampMs": times_ms}


@pytest.mark.parametrize("document", [stated_fps, stated_in_video, stated_timestamps, stated_columns])
def test_files_keep_their_own_rates(document: Callable[[Numbers, int], Any], imported: Importer) -> None:
    rates = {"ann": 30, "bob": 60, "cat": 30}
    films = {name: walk(5 * rate_hz, rate_hz) for name, rate_hz in rates.items()}
    found = imported({f"{name}.json": json.dumps(document(films[name], rate)) for name, rate in rates.items()})
    assert found.dataset.info.modality("skeleton").rate_hz == 30
    assert "assumed" not in found.printed
    for name, rate_hz in rates.items():
        clip = found.clip(name)
        np.testing.assert_allclose(clip.times_s["skeleton"], np.arange(5 * rate_hz) / rate_hz, atol=1e-4)
        values = clip.signals["skeleton"].reshape(-1, 19, 2)[:, :17]
        np.testing.assert_allclose(values, films[name], rtol=1e-6)  # as in the picture: y downwards


def test_a_stated_rate_is_preferred_to_the_option(imported: Importer) -> None:
    points = walk(80, 25)
    files: dict[str, str | bytes] = {
        "a.json": json.dumps(stated_fps(points, 25)),
        "b.json": json.dumps(points.tolist()),
    }
    found = imported(files, "--rate", "20")
    assert (length_s(found.clip("a")), length_s(found.clip("b"))) == pytest.approx((79 / 25, 79 / 20))
    assert "a.json: states 25 frames per second; --rate is not used" in found.printed


def test_rates_and_times_that_cannot_be_right_are_named(refused: Callable[..., str]) -> None:
    points = walk(80, 25)
    document = stated_timestamps(points, 25)
    unknown = [{**frame, "timestamp": 2 * frame["image_id"]} for frame in document]
    message = refused({
        "a.json": json.dumps({**stated_fps(points, 25), "fps": 0}),
        "b.json": json.dumps(unknown),
        "c.json": json.dumps([*document[:-1], {**document[-1], "timestamp": 1.5}]),
    })  # fmt: skip
    assert "a.json: fps is '0'; expected frames per second; correct it" in message
    assert "c.json: timestamp '3.12' is followed by '1.5'; expected times that never decrease" in message
    assert "b.json: timestamp from '0', '158'; expected seconds, or another unit in its name; or give --rate" in message


STRUCTURES: dict[str, Callable[[Numbers], Any]] = {
    "list of frames": lambda points: points.tolist(),
    "flat frames": lambda points: [flat(frame) for frame in points],
    "array at a key": lambda points: {"keypoints": points.tolist(), "fps": 30},
    "flat array at a key": lambda points: {"keypoints": [flat(frame) for frame in points], "fps": 30},
    "frames of people": lambda points: {"poses": points[:, None].tolist(), "fps": 30},
    "frames by number": lambda points: {"frames": {str(n): {"keypoints": flat(p)} for n, p in enumerate(points)}},
    "results in data": lambda points: {"data": {"results": [{"keypoints": flat(p)} for p in points]}},
    "people in frames": lambda points: [{"frame": n, "keypoints": [p.tolist()]} for n, p in enumerate(points)],
}


@pytest.mark.parametrize("structure", STRUCTURES)
def test_structures(structure: str, imported: Importer) -> None:
    points = walk(60, 30)
    (clip,) = imported({"a.json": json.dumps(STRUCTURES[structure](points))}).dataset.clips
    np.testing.assert_allclose(clip.signals["skeleton"].reshape(-1, 19, 2)[:, :17], points, rtol=1e-6)


JUNK = st.one_of(
    st.none(), st.booleans(), st.floats(), st.integers(), st.just(10**400), st.text(max_size=3),
    st.sampled_from([[], {}, [[]], [{}], [None], {"x": 1}, [1, 2, 3], [[1, 2], [3]], {"frames": []}, {"0": []}]),
)  # fmt: skip
KEYS = ("fps", "timestamp", "frame", "keypoints", "people", "landmarks", "scores", "idx", "width", "video", "frames")


def damaged(value: Any, draw: Callable[..., Any], level: int = 0) -> Any:
    """A value with one entry, at any depth, replaced, nested, renamed or omitted."""
    places = list(range(len(value))) if isinstance(value, list) else list(value) if isinstance(value, dict) else []
    if not places or draw(st.integers(0, 5)) < level:
        return draw(st.one_of(JUNK, st.just([value]), st.sampled_from(KEYS).map(lambda key: {key: value})))
    place = draw(st.sampled_from(places))
    if draw(st.integers(0, 9)) == 0:
        kept = [(key, value[key]) for key in places if key != place]
        return [entry for _, entry in kept] if isinstance(value, list) else dict(kept)
    changed = damaged(value[place], draw, level + 1)
    if isinstance(value, list):
        return [changed if key == place else value[key] for key in places]
    name = draw(st.sampled_from([place, place, place, *KEYS]))
    return {**{key: value[key] for key in places if key != place}, name: changed}


@given(st.data())
def test_no_structure_ends_in_a_traceback(data: st.DataObject) -> None:
    points = walk(6, 30)
    landmarks = [{"frame": n, "landmarks": [{"x": x, "y": y, "visibility": 1} for x, y in p]} for n, p in
                 enumerate(points)]  # fmt: skip
    mmpose = {"meta_info": {"keypoint_id2name": dict(enumerate(COCO.joints))}, "instance_info": [
        {"frame_id": n, "instances": [{"keypoints": p.tolist(), "keypoint_scores": [1] * 17}]}
        for n, p in enumerate(points)]}  # fmt: skip
    documents: list[Any] = [
        *(make(points) for make in STRUCTURES.values()),
        stated_timestamps(points, 30),
        landmarks,
        mmpose,
    ]
    document = data.draw(st.sampled_from(documents))
    for _ in range(data.draw(st.integers(1, 3))):
        document = damaged(document, data.draw)
    with suppress(DataError):
        film, _ = read_keypoints(json.dumps(document), None, 0.2)
        assert follow(film.frames)


@pytest.mark.parametrize("hidden", [0, 10, 20])
@pytest.mark.parametrize("speed", [60, 240])
def test_people_who_cross_are_not_exchanged(hidden: int, speed: int) -> None:
    """The one behind is not seen for a while; the order in the file varies."""
    a, b = walk(120, 30, 320 - 2 * speed, speed), walk(120, 30, 320 + 2 * speed, -speed) + np.array([0, 4])
    frames: list[Frame] = []
    for n in range(120):
        bodies = [Body(a[n])] if abs(n - 60) < hidden / 2 else [Body(a[n]), Body(b[n])]
        frames.append(Frame(n, tuple(bodies[:: -1 if n % 3 == 0 else 1])))
    first, second = sorted(follow(tuple(frames)), key=lambda track: -len(track.frames))
    own, other = (a, b) if np.array_equal(first.points[0], a[0]) else (b, a)
    assert np.array_equal(np.stack(first.points), own[first.frames])
    assert np.array_equal(np.stack(second.points), other[second.frames])


def test_two_people_in_a_picture_together(imported: Importer) -> None:
    ann, bob = walk(60, 30, 100), walk(60, 30, 500, -50, seed=1)
    frames = [
        {"frame": n, "people": [{"keypoints": flat(p)} for p in ((ann[n], bob[n]) if n % 2 else (bob[n], ann[n]))]}
        for n in range(60)
    ]
    document = {"fps": 30, "frames": frames}
    found = imported({"ann+bob_push.json": json.dumps(document)}, "--together", "--names", "{subject}_{label}")
    (clip,) = found.dataset.clips
    spec = found.dataset.info.modality("skeleton")
    assert (clip.subject, spec.group, len(spec.joints)) == ("ann+bob", 2, 38)
    assert spec.parents[19 + spec.joints.index("first_pelvis")] == spec.root == spec.joints.index("first_pelvis")
    points = clip.signals["skeleton"].reshape(60, 38, 2)
    both = sorted((points[:, :17], points[:, 19:36]), key=lambda body: float(body[0, :, 0].mean()))
    np.testing.assert_allclose(both[0], ann, rtol=1e-6)
    np.testing.assert_allclose(both[1], bob, rtol=1e-6)


def test_a_clip_begins_and_ends_with_the_person(imported: Importer) -> None:
    points = walk(60, 30)
    frames = [{"keypoints": frame.tolist() if 10 <= n < 50 else []} for n, frame in enumerate(points)]
    (clip,) = imported({"a.json": json.dumps({"fps": 30, "frames": frames})}, "--kind", "clips").dataset.clips
    np.testing.assert_allclose(clip.times_s["skeleton"], np.arange(40) / 30, atol=1e-6)
    np.testing.assert_allclose(clip.signals["skeleton"].reshape(-1, 19, 2)[:, :17], points[10:50], rtol=1e-6)
