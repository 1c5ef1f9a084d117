"""Skeletons whose axes, units or joints are not what the declaration says are named."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgehar.data.recordings.suspicions.recorded import Recorded
from edgehar.data.recordings.suspicions.skeletons import (
    body_sizes,
    joints_at_zero,
    lost_joints,
    lost_shares,
    vertical_axis,
)
from edgehar.signals.modality import KINECT_JOINTS, KINECT_PARENTS, ModalitySpec
from edgehar.simulation.dataset import SimulatorConfig, simulate

Doubles = NDArray[np.float64]
Change = Callable[[Doubles], Doubles]
BODY = ModalitySpec("body", 60, "m", 30, 4, joints=KINECT_JOINTS, parents=KINECT_PARENTS)
FRAMES = [
    clip.signals["skeleton"].reshape(-1, 20, 3).astype(np.float64)
    for clip in simulate(SimulatorConfig(subjects=2, trials=1, activities=("walk", "throw", "jog"))).clips
]


def files(change: Change | None = None, which: tuple[int, ...] = tuple(range(len(FRAMES)))) -> list[Recorded]:
    recorded: list[Recorded] = []
    for number, frames in enumerate(FRAMES):
        joints = frames if change is None or number not in which else change(frames.copy())
        values = joints.reshape(len(joints), -1).astype(np.float32)
        recorded.append(Recorded(f"r{number}", f"r{number}", "ann", 0, values, np.ones(len(values), bool), None))
    return recorded


def test_a_standing_body_in_metres_is_not_suspicious() -> None:
    assert vertical_axis("body", BODY, files()) == []
    assert body_sizes("body", BODY, files()) == []
    assert [problem for each in files() for problem in joints_at_zero(BODY, each)] == []
    relative = files(lambda joints: joints - joints[:, BODY.root, None])
    assert [problem for each in relative for problem in joints_at_zero(BODY, each)] == []


@pytest.mark.parametrize(("axes", "vertical"), [([0, 2, 1], 2), ([1, 0, 2], 0)])
def test_a_vertical_axis_that_is_none_is_named(axes: list[int], vertical: int) -> None:
    (problem,) = vertical_axis("body", BODY, files(lambda joints: joints[..., axes]))
    assert f"set vertical to {vertical}" in problem.message
    assert vertical_axis("body", replace(BODY, vertical=vertical), files(lambda joints: joints[..., axes])) == []


def test_an_axis_that_points_down_is_named() -> None:
    down = np.array([1.0, -1.0, 1.0])
    (problem,) = vertical_axis("body", BODY, files(lambda joints: joints * down))
    assert "head is below the feet along axis 1" in problem.message
    (problem,) = vertical_axis("body", BODY, files(lambda joints: joints * down, (2,)))
    assert (problem.file, "reverse the axis" in problem.message) == ("r2", True)
    picture = ModalitySpec("body", 40, "px", 30, 4, group=2, joints=KINECT_JOINTS, parents=KINECT_PARENTS)
    assert vertical_axis("body", picture, files(lambda joints: joints[..., :2] * down[:2])) == []


@settings(max_examples=20, deadline=None)
@given(factor=st.sampled_from([1000.0, 100.0, 1e-3, 39.37]), which=st.integers(0, len(FRAMES) - 1))
def test_millimetres_among_metres_are_named(factor: float, which: int) -> None:
    (problem,) = body_sizes("body", BODY, files(lambda joints: joints * factor, (which,)))
    assert (problem.file, "in the other recordings" in problem.message) == (f"r{which}", True)


def test_a_unit_that_no_body_fits_is_named() -> None:
    (problem,) = body_sizes("body", BODY, files(lambda joints: joints * 1000))
    assert "unit says 'm'; expected mm" in problem.message
    assert body_sizes("body", replace(BODY, unit="mm"), files(lambda joints: joints * 1000)) == []


@settings(max_examples=20, deadline=None)
@given(joint=st.integers(0, 19), share=st.floats(0.1, 1), seed=st.integers(0, 99))
def test_joints_at_zero_are_named(joint: int, share: float, seed: int) -> None:
    def lost(joints: Doubles) -> Doubles:
        joints[np.random.default_rng(seed).random(len(joints)) < share, joint] = 0
        return joints

    each = files(lost, (0,))[0]
    at_zero = float((each.values.reshape(-1, 20, 3)[:, joint] == 0).all(1).mean())
    found = joints_at_zero(BODY, each)
    if joint == BODY.root and at_zero == 1:
        assert found == []  # the origin
    elif at_zero:
        assert f"joints at 0 in all axes: {KINECT_JOINTS[joint]} ({at_zero:.0%})" in found[0].message


def test_joints_that_are_never_seen_or_mostly_lost_are_named() -> None:
    def lost(joints: Doubles) -> Doubles:
        joints[:, 3] = np.nan
        joints[: len(joints) * 7 // 10, 8] = np.nan
        joints[: len(joints) // 3, 9] = np.nan
        return joints

    assert lost_joints("body", BODY, files()) == []
    never, mostly = lost_joints("body", BODY, files(lost))
    assert never.message.startswith(f"{KINECT_JOINTS[3]} is lost (NaN) in every sample of every recording")
    assert mostly.message.startswith(f"lost (NaN) in most samples: {KINECT_JOINTS[8]} (70%);")
    assert list(lost_shares(BODY, files(lost))) == [KINECT_JOINTS[joint] for joint in (3, 8, 9)]
    assert lost_joints("body", BODY, files(lost, (0,))) == []
