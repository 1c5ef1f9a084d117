"""Reads `.skeleton` files of NTU RGB+D: 25 joints of a Kinect v2, up to six bodies in a frame."""

import numpy as np

from edgehar.data.importing.joint_sets import NTU
from edgehar.data.importing.tracking import Body, Film, Frame
from edgehar.errors import DataError

RATE_HZ = 30.0
MAX_METRES = 100.0
NOT_TRACKED = "0"
"""Tracking state of a joint: 0 is not tracked, 1 inferred, 2 tracked."""


def read_skeleton(text: str) -> Film:
    """The frames of a file, in metres; a joint that is not a number, or not tracked at (0, 0, 0), is lost.

    Format: https://github.com/shahroudy/NTURGB-D, "read_skeleton_file.m": the number of frames; for each frame the
    number of bodies; for each body a line that starts with its number, the number of joints, and a line for each joint.

    Raises:
        DataError: the file ends early, goes on after the last frame, or a line is not as described.
    """
    lines = text.splitlines()
    position = 0

    def next_line() -> list[str]:
        nonlocal position
        position += 1
        if position > len(lines):
            raise DataError(f"ends in line {len(lines)}, within a frame; expected {total} frames; cut off; left out")
        return lines[position - 1].split()

    def next_count() -> int:
        words = next_line()
        if len(words) != 1 or not words[0].isdigit():
            raise DataError(f"line {position} is {' '.join(words)[:40]!r}; expected a number alone; left out")
        return int(words[0])

    total = "its"
    total = str(count := next_count())
    frames: list[Frame] = []
    for number in range(count):
        bodies: list[Body] = []
        for _ in range(next_count()):
            body = next_line()
            joints = next_count()
            if joints != len(NTU.joints) or not body:
                raise DataError(f"{joints} joints in line {position}; expected {len(NTU.joints)}; left out")
            points = np.full((joints, 3), np.nan)
            for joint in range(joints):
                words = next_line()
                try:
                    points[joint] = [float(word) for word in words[:3]]
                except ValueError:
                    found = " ".join(words[:3])
                    raise DataError(f"line {position} is {found!r}; expected x, y, z of a joint; left out") from None
                if (len(words) > 3 and words[-1] == NOT_TRACKED) and not points[joint].any():
                    points[joint] = np.nan
            points[~(np.abs(points) < MAX_METRES).all(1)] = np.nan
            if not np.isnan(points).all():
                bodies.append(Body(points, body[0]))
        frames.append(Frame(number, tuple(bodies)))
    if any(line.strip() for line in lines[position:]):
        more = f"{len(lines) - position} lines follow the {count} frames that line 1 states"
        raise DataError(f"{more}; expected the end; correct the number of frames; left out")
    if not any(frame.bodies for frame in frames):
        raise DataError(f"no body in {len(frames)} frames; left out")
    return Film(tuple(frames), NTU, "m", RATE_HZ, timed=False)
