"""Reads BVH motion capture: the hierarchy's offsets and each frame's angles become joint positions."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgehar.data.importing.table import MAX_NUMBER
from edgehar.data.importing.takes import Numbers, Samples
from edgehar.errors import DataError

CHANNELS = tuple(f"{axis}{kind}" for kind in ("position", "rotation") for axis in "xyz")
HEIGHTS = {"m": (0.5, 2.6, 1.0), "cm": (50.0, 260.0, 0.01), "mm": (500.0, 2600.0, 0.001)}
"""Unit -> range of a body's extent in the rest pose, and its factor to metres."""
FRAME_S = (1e-4, 1.0)
"""Plausible seconds from one frame to the next."""


@dataclass
class Joint:
    """A joint of the hierarchy: its offset from the parent and the channels of a frame that move it."""

    name: str
    parent: int
    offset: Numbers = field(default_factory=lambda: np.zeros(3))
    channels: list[str] = field(default_factory=list[str])


def _hierarchy(words: list[str]) -> tuple[list[Joint], int]:
    """Joints of the hierarchy, parents first, and the position of the word MOTION."""
    joints: list[Joint] = []
    stack: list[int] = []
    position = 1
    while position < len(words) and words[position].upper() != "MOTION":
        word = words[position].upper()
        if word in ("ROOT", "JOINT", "END"):
            name = words[position + 1]
            if word == "END":
                name = f"{joints[stack[-1]].name}_end"
            elif word == "ROOT" and joints:
                raise DataError(f"a second ROOT {name!r}; expected one skeleton; split the file; left out")
            joints.append(Joint(name, stack[-1] if stack else len(joints)))
            position += 2
        elif word == "{":
            stack.append(len(joints) - 1)
            position += 1
        elif word == "}":
            stack.pop()
            position += 1
        elif word == "OFFSET":
            joints[stack[-1]].offset = np.array([float(value) for value in words[position + 1 : position + 4]])
            position += 4
        elif word == "CHANNELS":
            count = int(words[position + 1])
            names = words[position + 2 : position + 2 + count]
            if not all(name.casefold() in CHANNELS for name in names):
                raise DataError(f"channels {' '.join(names)}; expected {', '.join(CHANNELS)}; left out")
            joints[stack[-1]].channels = [name.casefold() for name in names]
            position += 2 + count
        else:
            raise DataError(f"{words[position]!r} in the hierarchy; expected JOINT, OFFSET or CHANNELS; left out")
    if not all((np.abs(joint.offset) < MAX_NUMBER).all() for joint in joints):
        raise DataError("an OFFSET that is not a number; left out")
    return joints, position


def _rotation(axis: int, degrees: Numbers) -> NDArray[np.float64]:
    """Rotation matrices (T, 3, 3) about an axis."""
    radians = np.deg2rad(degrees)
    matrices = np.zeros((len(degrees), 3, 3))
    one, two = (axis + 1) % 3, (axis + 2) % 3
    matrices[:, axis, axis] = 1
    matrices[:, one, one] = matrices[:, two, two] = np.cos(radians)
    matrices[:, two, one] = np.sin(radians)
    matrices[:, one, two] = -np.sin(radians)
    return matrices


def positions(joints: list[Joint], motion: Numbers) -> Numbers:
    """Joint positions (T, J, 3) of frames of channel values (T, channels), in the unit of the offsets.

    Forward kinematics: a joint is at its parent's position plus its offset, turned by the rotations of the joints
    above it; rotations apply in the order of the channels (Meredith and Maddock 2001, "Motion Capture File Formats
    Explained").
    """
    points = np.zeros((len(motion), len(joints), 3))
    turned = np.zeros((len(joints), len(motion), 3, 3))
    column = 0
    for index, joint in enumerate(joints):
        local = np.broadcast_to(np.eye(3), (len(motion), 3, 3))
        offset = np.broadcast_to(joint.offset, (len(motion), 3)).copy()
        for channel in joint.channels:
            axis = "xyz".index(channel[0])
            if channel.endswith("position"):
                offset[:, axis] = motion[:, column]  # exporters write the whole position, not the difference
            else:
                local = local @ _rotation(axis, motion[:, column])
            column += 1
        if joint.parent == index:
            points[:, index], turned[index] = offset, local
        else:
            parent = turned[joint.parent]
            points[:, index] = points[:, joint.parent] + np.einsum("tij,tj->ti", parent, offset)
            turned[index] = parent @ local
    return points


def _rest_pose(joints: list[Joint]) -> Numbers:
    points = np.zeros((len(joints), 3))
    for index, joint in enumerate(joints):
        points[index] = joint.offset + (points[joint.parent] if joint.parent != index else -joint.offset)
    return points


def read_bvh(text: str) -> tuple[Samples, str, float]:
    """The skeleton of a file in metres if its unit can be told, a remark about the unit, and the size it is about.

    Raises:
        DataError: not a BVH file, cut off, or a frame time that cannot be one.
    """
    words = text.split()
    if not words or words[0].upper() != "HIERARCHY":
        raise DataError(f"begins with {' '.join(words[:1])!r}; expected HIERARCHY; left out")
    try:
        joints, position = _hierarchy(words)
        header = words[position : position + 6]  # MOTION Frames: N Frame Time: s
        frames, frame_s = int(header[2]), float(header[5])
        values = np.array(words[position + 6 :], np.float64)
    except (ValueError, IndexError) as problem:
        raise DataError(f"not a complete BVH file ({problem}); left out") from None
    channels = sum(len(joint.channels) for joint in joints)
    if not (np.abs(values) < MAX_NUMBER).all():
        raise DataError("a value that is not a number in the frames; left out")
    if not FRAME_S[0] <= frame_s <= FRAME_S[1]:
        expected = f"seconds from {FRAME_S[0]:g} to {FRAME_S[1]:g}, such as 0.0333333 for 30 frames per second"
        raise DataError(f"Frame Time: {frame_s:g}; expected {expected}; correct it; left out")
    if not channels or len(values) != frames * channels or frames < 2:
        found = f"{len(values)} values for {frames} frames of {channels} channels"
        cause = "cut off" if len(values) < frames * channels else "correct Frames"
        raise DataError(f"{found}; expected {frames * channels}; {cause}; left out")
    rest = _rest_pose(joints)
    points = positions(joints, values.reshape(frames, channels))
    kept = [index for index, joint in enumerate(joints) if not joint.name.endswith("_end") or joint.offset.any()]
    vertical = int(np.argmax(np.ptp(points, axis=1).mean(0)))
    height = float(np.ptp(rest, 0).max())
    unit, factor = next(
        ((unit, factor) for unit, (low, high, factor) in HEIGHTS.items() if low <= height <= high), ("", 1.0)
    )
    remark = f"the size of the skeleton says {unit}; written in m; {'xyz'[vertical]} is vertical"
    if not unit:
        remark = "the size of the skeleton is neither that of m, cm nor mm: the unit stays unknown"
    names = tuple(joints[index].name for index in kept)
    parents = tuple(kept.index(joints[index].parent) for index in kept)
    flat = (points[:, kept] * factor).reshape(frames, -1)
    rate_hz = round(1 / frame_s, 2)
    samples = Samples("skeleton", flat, None, (), "m" if unit else "unknown", rate_hz, 3, names, parents, vertical)
    return samples, remark, height
