"""Movements of the whole body: standing, walking, sitting, squatting, bending, jumping, kicking.

Each function takes the course of a movement and a manner of four numbers, see `edgehar.simulation.activities`.
"""

import numpy as np

from edgehar.simulation.body import Doubles
from edgehar.simulation.curves import GRAVITY_MPS2, LIFT, Channels, Course, bilateral, keyframe_curves, pulse


def stand(course: Course, manner: Doubles) -> Channels:
    """Standing with weight shifts; arms hanging, folded or akimbo."""
    shift = np.sin(2 * np.pi * 0.35 * course.cycle)
    folded, akimbo = 75 * max(manner[0] - 0.2, 0.0), 60 * max(-manner[0] - 0.4, 0.0)
    still = np.ones_like(shift)
    return (
        bilateral("elbow_flexion", still * (folded + akimbo))
        | bilateral("shoulder_twist", still * (folded * 0.6 + akimbo * 0.7))
        | bilateral("shoulder_abduction", still * akimbo * 0.6)
        | {
            "left_hip_abduction": (3 + 2 * manner[1]) * shift,
            "right_hip_abduction": -(3 + 2 * manner[1]) * shift,
            "pelvis_abduction": 2 * manner[1] * shift,
            "chest_twist": 12 * manner[2] * np.sin(2 * np.pi * 0.2 * course.cycle + manner[3]),
        }
    )


def _leg(cycle: Doubles, hip: float, swing: float, stance: float, push: float) -> tuple[Doubles, Doubles, Doubles]:
    """Hip, knee and ankle angles of a leg, heel strike at cycle 0 (shape after Winter, Biomechanics of human gait)."""
    hip_flexion = 10 + hip * np.cos(2 * np.pi * (cycle + 0.06)) + 0.12 * hip * np.cos(4 * np.pi * cycle)
    knee_flexion = 5 + stance * pulse(cycle, 0.14, 0.09) + swing * pulse(cycle, 0.72, 0.10)
    ankle_flexion = push * (0.5 * pulse(cycle, 0.40, 0.12) - pulse(cycle, 0.60, 0.06))
    return hip_flexion, knee_flexion, ankle_flexion


def _gait(course: Course, hip: float, swing: float, stance: float, push: float, sway: float) -> Channels:
    right, left = course.cycle, course.cycle + 0.5
    channels: Channels = {}
    for side, cycle in (("right", right), ("left", left)):
        leg = _leg(cycle, hip, swing, stance, push)
        for part, curve in zip(("hip_flexion", "knee_flexion", "ankle_flexion"), leg, strict=True):
            channels[f"{side}_{part}"] = curve
    turn = np.cos(2 * np.pi * right)
    side_step = sway * np.sin(2 * np.pi * (right - 0.05))
    return channels | {
        "pelvis_twist": 4 * turn,
        "trunk_twist": -9 * turn,
        "pelvis_abduction": -0.6 * side_step,
        "right_hip_abduction": -side_step,
        "left_hip_abduction": side_step,
    }


def walk(course: Course, manner: Doubles) -> Channels:
    """Walking, with variable stride, arm swing and elbow bend."""
    arm = (18 + 9 * manner[0]) * np.cos(2 * np.pi * (course.cycle + 0.5))
    bend = 14 + 6 * manner[1]
    forward = np.ones_like(arm)
    return _gait(course, 22 + 4 * manner[2], 56 + 6 * manner[3], 12, 16, 3) | {
        "right_shoulder_flexion": 2 + arm,
        "left_shoulder_flexion": 2 - arm,
        "right_elbow_flexion": bend * (1 + 0.5 * arm / 20),
        "left_elbow_flexion": bend * (1 - 0.5 * arm / 20),
        "trunk_flexion": forward * (3 + 2 * manner[1]),
    }


def jog(course: Course, manner: Doubles) -> Channels:
    """Jogging with bent elbows and a short flight phase at each step."""
    arm = (26 + 10 * manner[0]) * np.cos(2 * np.pi * (course.cycle + 0.5))
    forward = np.ones_like(arm)
    heels = 78 + 16 * manner[3]
    hop = np.maximum(-np.cos(4 * np.pi * (course.cycle - 0.05)), 0) ** 2
    return _gait(course, 29 + 7 * manner[2], heels, 24, 22, 2) | {
        "right_shoulder_flexion": -5 + arm,
        "left_shoulder_flexion": -5 - arm,
        "right_elbow_flexion": 80 + 18 * manner[1] + 0.3 * arm,
        "left_elbow_flexion": 80 + 18 * manner[1] - 0.3 * arm,
        "right_shoulder_twist": forward * 15,
        "left_shoulder_twist": forward * 15,
        "trunk_flexion": forward * (9 + 4 * manner[1]),
        LIFT: (0.045 + 0.015 * manner[2]) * hop,
    }


def _seat(progress: Doubles, manner: Doubles, lean_at: float) -> Channels:
    """Transition from upright (progress 0) to seated (1), with the largest trunk flexion at `lean_at`."""
    knee, lean, slouch = 88 + 6 * manner[0], 34 + 12 * manner[1], 6 + 6 * manner[2]
    reach = 25 + 25 * manner[3]
    legs = keyframe_curves(progress, (0, 1), hip=(0, 84.0), knee=(0, knee), pelvis=(0, 0.0))
    upper = keyframe_curves(
        progress,
        (0, lean_at, 1),
        lean=(0, lean, slouch),
        tilt=(0, 0.5 * lean, 0.0),
        reach=(0, reach, 18.0),
        elbow=(0, 20, 42.0),
    )
    return (
        bilateral("hip_flexion", legs["hip"] + upper["tilt"])
        | bilateral("knee_flexion", legs["knee"])
        | bilateral("shoulder_flexion", upper["reach"])
        | bilateral("elbow_flexion", upper["elbow"])
        | {"pelvis_flexion": upper["tilt"], "trunk_flexion": upper["lean"]}
    )


def sit_down(course: Course, manner: Doubles) -> Channels:
    """Sitting down on a chair."""
    return _seat(course.progress, manner, 0.62)


def stand_up(course: Course, manner: Doubles) -> Channels:
    """Standing up from a chair."""
    return _seat(1 - course.progress, manner, 0.70)


def squat(course: Course, manner: Doubles) -> Channels:
    """Squatting with the arms stretched forward or hanging."""
    depth, lean, arms = 98 + 14 * manner[0], 26 + 8 * manner[1], 45 + 45 * manner[2]
    hold = 0.06 + 0.04 * manner[3]
    move = keyframe_curves(
        course.progress,
        (0, 0.48 - hold, 0.48 + hold, 1),
        hip=(0, depth, depth, 0),
        lean=(0, lean, lean, 0),
        arms=(0, arms, arms, 0),
    )
    return (
        bilateral("hip_flexion", move["hip"])
        | bilateral("knee_flexion", 1.02 * move["hip"])
        | bilateral("hip_abduction", 0.12 * move["hip"])
        | bilateral("shoulder_flexion", move["arms"])
        | {"pelvis_flexion": move["lean"], "trunk_flexion": 0.5 * move["lean"]}
    )


def bend(course: Course, manner: Doubles) -> Channels:
    """Picking something up, between a stoop with straight legs and a crouch."""
    knees, back = 54 + 36 * manner[0], 40 - 8 * manner[0]
    tilt, reach = 46 - 8 * manner[0], 92 + 10 * manner[1]
    move = keyframe_curves(
        course.progress,
        (0, 0.42, 0.56, 1),
        knees=(0, knees, knees, 0),
        tilt=(0, tilt, tilt * 0.95, 0),
        back=(0, back, back, 0),
        reach=(0, reach, reach - 6, 0),
        turn=(0, 6 + 8 * manner[2], 6 + 8 * manner[2], 0),
        elbow=(0, 4, 20 + 15 * manner[3], 0),
    )
    return bilateral("hip_flexion", 0.55 * move["knees"] + move["tilt"]) | {
        "left_knee_flexion": move["knees"],
        "right_knee_flexion": 1.1 * move["knees"],
        "pelvis_flexion": move["tilt"],
        "trunk_flexion": move["back"],
        "trunk_twist": move["turn"],
        "right_shoulder_flexion": move["reach"],
        "left_shoulder_flexion": (0.75 + 0.2 * manner[3]) * move["reach"],
        "right_elbow_flexion": move["elbow"],
    }


def jump(course: Course, manner: Doubles) -> Channels:
    """A jump on the spot with an arm swing; ballistic during the flight."""
    height_m = 0.20 + 0.07 * manner[0]
    flight = min(np.sqrt(8 * height_m / GRAVITY_MPS2) / course.seconds, 0.34)
    # The height that the flight time allows, for a very short movement.
    height_m = (flight * course.seconds) ** 2 * GRAVITY_MPS2 / 8
    off, land = 0.44, 0.44 + flight
    crouch, arms, tuck = 68 + 14 * manner[1], 70 + 50 * manner[2], 14 + 12 * manner[3]
    move = keyframe_curves(
        course.progress,
        (0, 0.30, off, off + flight / 2, land, land + 0.09, 1),
        hip=(0, crouch, 0, tuck, 12, 0.7 * crouch, 0),
        knee=(0, crouch * 1.1, 0, tuck * 1.6, 14, 0.8 * crouch, 0),
        lean=(0, 24, 2, 2, 6, 18, 0),
        arms=(0, -12, 0.8 * arms, arms, 0.7 * arms, 20, 0),
        elbow=(0, 15, 30, 35, 35, 30, 0),
    )
    air = np.clip((course.progress - off) / flight, 0, 1)
    return (
        bilateral("hip_flexion", move["hip"])
        | bilateral("knee_flexion", move["knee"])
        | bilateral("shoulder_flexion", move["arms"])
        | bilateral("elbow_flexion", move["elbow"])
        | bilateral("ankle_flexion", -32 * pulse(course.progress / 2, (off + land) / 4, 0.05 + flight / 10))
        | {"pelvis_flexion": move["lean"], "trunk_flexion": 0.6 * move["lean"], LIFT: 4 * height_m * air * (1 - air)}
    )


def kick(course: Course, manner: Doubles) -> Channels:
    """A kick with the right leg, from the knee or the hip."""
    height, snap = 68 + 16 * manner[0], 48 + 34 * manner[1]
    swing = keyframe_curves(
        course.progress,
        (0, 0.28, 0.42, 0.55, 0.72, 1),
        hip=(0, -22, 0.55 * height, height, 0.4 * height, 0),
        knee=(0, snap, snap, 6, 32 + 14 * manner[1], 0),
        lean=(0, 6, 0, -10 - 6 * manner[2], 0, 0),
        twist=(0, -10, 0, 12 + 8 * manner[2], 4, 0),
        arm=(0, 24, 8, -20, -8, 0),
        across=(0, 8, 0, -6 + 12 * manner[3], 0, 0),
        stance=(0, 12, 14, 10, 10, 0),
        shift=(0, 5, 6, 6, 5, 0),
    )
    return {
        "right_hip_flexion": swing["hip"],
        "right_knee_flexion": swing["knee"],
        "right_hip_abduction": swing["across"] - swing["shift"],
        "left_hip_flexion": 0.5 * swing["stance"],
        "left_knee_flexion": swing["stance"],
        "left_hip_abduction": swing["shift"],
        "pelvis_twist": swing["twist"],
        "trunk_flexion": swing["lean"] - 0.1 * swing["hip"],
        "right_shoulder_flexion": swing["arm"],
        "left_shoulder_flexion": -1.4 * swing["arm"],
        "left_shoulder_abduction": 2.5 * swing["shift"],
        "right_shoulder_abduction": 2.0 * swing["shift"],
    }
