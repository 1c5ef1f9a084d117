"""Movements of the arms: punching, throwing, waving, clapping, drawing a circle, improvising.

Each function takes the course of a movement and a manner of four numbers, see `edgehar.simulation.activities`.
"""

import numpy as np

from edgehar.simulation.body import Doubles
from edgehar.simulation.curves import Channels, Course, bilateral, keyframe_curves, plateau

ARM_DEG = {
    "shoulder_flexion": (-30, 150),
    "shoulder_abduction": (-25, 100),
    "shoulder_twist": (-80, 60),
    "elbow_flexion": (0, 130),
}
BODY_DEG = {"trunk_flexion": (-10, 30), "trunk_twist": (-30, 30), "pelvis_twist": (-15, 15), "knee_flexion": (0, 50)}
"""Ranges of the angles of an improvised pose."""
MAX_POSES, MIN_INTERVAL = 4, 0.06
"""Largest number of poses of an improvisation, and the smallest share of its time between two."""


def punch(course: Course, manner: Doubles) -> Channels:
    """One or two straight punches of the right hand, from a guard."""
    guard = plateau(course.progress)
    centres = (0.36, 0.62) if manner[0] > -0.2 else (0.48,)
    hit = sum((np.exp(-(((course.progress - centre) / 0.075) ** 2)) for centre in centres), np.zeros_like(guard))
    bent, raised = 118 + 12 * manner[1], 38 + 12 * manner[2]
    stance = 8 + 8 * manner[3]
    return (
        bilateral("knee_flexion", 1.6 * stance * guard)
        | bilateral("hip_flexion", stance * guard)
        | bilateral("shoulder_twist", 18 * guard)
        | {
            "right_shoulder_flexion": guard * raised + hit * (86 - raised + 8 * manner[1]),
            "right_shoulder_abduction": 8 * guard - 14 * hit,
            "left_shoulder_flexion": guard * raised - 10 * hit,
            "right_elbow_flexion": guard * bent - hit * (bent - 12),
            "left_elbow_flexion": guard * bent,
            "trunk_twist": -14 * guard + (40 + 8 * manner[2]) * hit,
            "pelvis_twist": -8 * guard + 14 * hit,
            "trunk_flexion": 5 * guard + 7 * hit,
        }
    )


def throw(course: Course, manner: Doubles) -> Channels:
    """Throwing, from overarm (manner 1) to sidearm (manner -1), with a weight shift."""
    overarm = 0.5 + 0.5 * manner[0]
    up, out = 20 + 60 * overarm, 85 - 5 * overarm
    arc = keyframe_curves(
        course.progress,
        (0, 0.30, 0.46, 0.56, 0.70, 1),
        flexion=(0, up - 40, up, up + 15, 38, 0),
        abduction=(0, out, 0.9 * out, 0.35 * out, -16, 0),
        twist=(0, -70, -70, 5, 25, 0),
        elbow=(0, 95 + 12 * manner[1], 100, 22, 15, 0),
        turn=(0, -32 - 10 * manner[2], -6, 26, 30 + 8 * manner[2], 0),
        lean=(0, -8, 2, 16, 22 + 8 * manner[3], 0),
        balance=(0, 45 + 20 * manner[1], 40, 10, -10, 0),
        weight=(0, 7, 0, -6, -7, 0),
        knee=(0, 14, 16, 20, 18 + 6 * manner[3], 0),
    )
    return (
        bilateral("hip_flexion", 0.5 * arc["knee"])
        | bilateral("knee_flexion", arc["knee"])
        | {
            "right_shoulder_flexion": arc["flexion"],
            "right_shoulder_abduction": arc["abduction"],
            "right_shoulder_twist": arc["twist"],
            "right_elbow_flexion": arc["elbow"],
            "left_shoulder_flexion": arc["balance"],
            "left_elbow_flexion": 0.5 * np.abs(arc["balance"]),
            "trunk_twist": 0.6 * arc["turn"],
            "pelvis_twist": 0.4 * arc["turn"],
            "trunk_flexion": arc["lean"],
            "right_hip_abduction": arc["weight"],
            "left_hip_abduction": -arc["weight"],
        }
    )


def wave(course: Course, manner: Doubles) -> Channels:
    """Waving from the elbow or the shoulder, high or low."""
    up = plateau(course.progress)
    swing = up**2 * np.sin(2 * np.pi * course.cycle)
    high, whole = 70 + 34 * manner[0], 0.5 + 0.5 * manner[1]
    return {
        "right_shoulder_abduction": up * high + swing * 16 * whole,
        "right_shoulder_flexion": up * (28 + 24 * manner[2]),
        "right_shoulder_twist": -up * (72 - 12 * manner[0]) + swing * (26 - 10 * whole),
        "right_elbow_flexion": up * (88 - 22 * manner[0]) + swing * 12 * manner[3],
        "right_wrist_abduction": swing * 20,
        "trunk_abduction": up * 3 * manner[2],
    }


def clap(course: Course, manner: Doubles) -> Channels:
    """Clapping at the height of belly or chest, with bent or stretched arms."""
    up = plateau(course.progress)
    apart = 0.5 - 0.5 * np.cos(2 * np.pi * course.cycle)
    wide = (26 + 8 * manner[0]) * apart
    return (
        bilateral("shoulder_flexion", up * (46 + 24 * manner[1]))
        | bilateral("shoulder_twist", up * (30 - wide))
        | bilateral("shoulder_abduction", up * (0.35 * wide - 2))
        | bilateral("elbow_flexion", up * (74 - 16 * manner[2]))
        | {"trunk_flexion": up * (2 + 4 * manner[3])}
    )


def draw_circle(course: Course, manner: Doubles) -> Channels:
    """Drawing a circle, or one and a half, in front of the chest, clockwise for the subject."""
    up = plateau(course.progress, 0.2, 0.2)
    turns = 1.5 if manner[0] > 0.3 else 1.0
    angle = 2 * np.pi * turns * keyframe_curves(course.progress, (0.1, 0.9), part=(0, 1))["part"]
    size = 22 + 6 * manner[1]
    return {
        "right_shoulder_flexion": up * (74 + 12 * manner[2] + size * np.cos(angle)),
        "right_shoulder_abduction": up * (4 + 6 * manner[3] + size * np.sin(angle)),
        "right_elbow_flexion": up * (24 + 14 * manner[3]),
        "trunk_twist": up * 5 * np.sin(angle),
    }


def improvise(course: Course, manner: Doubles) -> Channels:
    """Random poses of the arms and, with smaller angles, the body; sometimes with a superimposed oscillation.

    The arms move symmetrically, independently, or mostly one of them. The manner is the seed of all random numbers.
    """
    rng = np.random.default_rng(manner.view(np.uint64))
    poses = int(rng.integers(1, MAX_POSES + 1))
    ways = MIN_INTERVAL + (1 - (poses + 1) * MIN_INTERVAL) * rng.dirichlet(np.ones(poses + 1))
    times = (0.0, *ways.cumsum()[:-1].tolist(), 1.0)
    swing = 0.25 * (rng.random() < 0.3) * plateau(course.progress)
    swing = swing * np.sin(2 * np.pi * rng.uniform(0.7, 1.6) * course.cycle)

    def wander(ranges: dict[str, tuple[int, int]], amount: float) -> Channels:
        goals = {part: amount * rng.uniform(*between, poses) for part, between in ranges.items()}
        curves = keyframe_curves(
            course.progress, times, **{part: (0.0, *goal.tolist(), 0.0) for part, goal in goals.items()}
        )
        return {
            part: curve + amount * (ranges[part][1] - ranges[part][0]) * rng.uniform(-0.5, 0.5) * swing
            for part, curve in curves.items()
        }

    right, alike, own = wander(ARM_DEG, 1.0), rng.random() < 0.2, rng.random() < 0.4
    left = right if alike else wander(ARM_DEG, rng.random() if own else 0.15 * rng.random())
    body = wander(BODY_DEG, 1.0 if rng.random() < 0.25 else 0.3)
    knees = body.pop("knee_flexion")
    return (
        bilateral("knee_flexion", knees)
        | bilateral("hip_flexion", 0.5 * knees)
        | {f"right_{part}": curve for part, curve in right.items()}
        | {f"left_{part}": curve for part, curve in left.items()}
        | body
    )
