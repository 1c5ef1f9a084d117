"""A camera or a video file becomes a live stream, with MediaPipe's BlazePose as the pose estimator.

    python docs/examples/camera_stream.py film.mp4 --record film.json > film.jsonl
    python docs/examples/camera_stream.py 0 | edgehar run runs/mine/package --stdin

Needs an environment of its own, 980 MB, without edgehar:
`python -m venv camera; camera/bin/pip install mediapipe==0.10.14 'numpy<2'`. MediaPipe 0.10.14 and 0.10.21 bring the
model in their wheels, 1.x does not.

Each frame is one line: 35 joints x 3 in metres from the middle of the hips, y up; null where a joint is not seen.
--record also writes the keypoints to a file for `edgehar data import`, from which a package is trained that reads these
lines. Another estimator: replace `estimator`; 2-D keypoints are pixels as in the picture, y down.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import mediapipe
import numpy as np
from numpy.typing import NDArray

LEAST_CONFIDENCE = 0.2  # the default of `edgehar data import --confidence`
SHOULDERS, HIPS = (11, 12), (23, 24)
Landmarks = list[dict[str, float]]


def estimator() -> Callable[[NDArray[Any]], Landmarks]:
    """A function that finds the 33 landmarks of one person in a picture; an empty list if there is nobody."""
    pose = mediapipe.solutions.pose.Pose(model_complexity=1)

    def estimate(picture: NDArray[Any]) -> Landmarks:
        found = pose.process(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)).pose_world_landmarks
        return [{key: round(getattr(point, key), 5) for key in ("x", "y", "z", "visibility")} for point in
                (found.landmark if found else ())]  # fmt: skip

    return estimate


def frames(source: str) -> Iterator[tuple[float, NDArray[Any]]]:
    """Time in seconds and picture of each frame; a camera's times are those of the computer's clock."""
    capture = cv2.VideoCapture(int(source) if source.isdigit() else source)
    if not capture.isOpened():
        sys.exit(f"camera_stream: {source}: cannot be opened; expected a camera's number or a video file")
    start_s = time.monotonic()
    while True:
        there, picture = capture.read()
        if not there:
            return
        # A film's own times: phones film at a varying rate.
        yield time.monotonic() - start_s if source.isdigit() else capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, picture


def joints(landmarks: Landmarks) -> NDArray[np.float64]:
    """(35, 3): the landmarks with y up, the middle of the hips and of the shoulders; NaN for joints not seen."""
    points = np.full((33, 3), np.nan)
    for joint, landmark in enumerate(landmarks):
        if landmark["visibility"] >= LEAST_CONFIDENCE:
            points[joint] = landmark["x"], -landmark["y"], -landmark["z"]
    middles: list[NDArray[np.float64]] = []
    for pair in (HIPS, SHOULDERS):
        seen = [points[joint] for joint in pair if not np.isnan(points[joint, 0])]
        middles.append(np.mean(seen, 0) if seen else np.full(3, np.nan))
    return np.vstack([points, *middles])


def main() -> None:
    """Write a line for each frame until the source ends."""
    parser = argparse.ArgumentParser(description="Write the skeleton in each frame as a line of a live stream.")
    parser.add_argument("source", help="number of a camera, or a video file")
    parser.add_argument("--record", type=Path, help="also write the keypoints to this JSON file")
    options = parser.parse_args()
    estimate = estimator()
    recorded: list[dict[str, Any]] = []
    with suppress(KeyboardInterrupt, BrokenPipeError):
        for time_s, picture in frames(options.source):
            landmarks = estimate(picture)
            values = [None if np.isnan(value) else round(value, 5) for value in joints(landmarks).ravel().tolist()]
            line = {"modality": "skeleton", "time_s": round(time_s, 4), "samples": [values]}
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
            if options.record is not None:
                recorded.append({"time_s": round(time_s, 4), "pose_world_landmarks": landmarks})
    if options.record is not None:
        options.record.write_text(json.dumps({"frames": recorded}), encoding="utf-8")


if __name__ == "__main__":
    main()
