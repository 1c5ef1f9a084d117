"""Simulated subjects: build, tempo, posture and individual style of each activity."""

from dataclasses import dataclass

import numpy as np

from edgehar.signals.modality import KINECT_JOINTS
from edgehar.simulation.activities import ACTIVITIES
from edgehar.simulation.body import JOINTS, REST_OFFSETS_M, STANDARD_HEIGHT_M, Doubles
from edgehar.simulation.curves import MANNER_PARAMETERS


@dataclass(frozen=True)
class Subject:
    """A simulated person.

    Attributes:
        name: "s1", "s2", ...
        offsets_m: (20, 3) vector from each parent to the joint, see `edgehar.simulation.body`.
        tempo: speed of all movements, 1 for the average subject.
        gain: (20, 1) range of motion of each joint, 1 for the average subject.
        left_handed: whether one-sided movements are performed with the left side.
        posture_deg: (20, 3) angles added to all movements.
        smooth_s: standard deviation of the Gaussian filter applied to all movements.
        sway: amplitude of the idle sway, 1 for the average subject.
        heading_deg: usual heading to the camera, positive to the person's left.
        rest: (2,) usual shares of a clip before and after a movement.
        skew: -1..1, positive for movements that start fast, negative for those that end fast.
        manner: activity -> (4,) numbers of about -1..1, see `edgehar.simulation.activities`.
    """

    name: str
    offsets_m: Doubles
    tempo: float
    gain: Doubles
    left_handed: bool
    posture_deg: Doubles
    smooth_s: float
    sway: float
    heading_deg: float
    rest: Doubles
    skew: float
    manner: dict[str, Doubles]


def _groups() -> dict[str, list[int]]:
    """Joint indices by name without side."""
    groups: dict[str, list[int]] = {}
    for index, joint in enumerate(KINECT_JOINTS):
        groups.setdefault(joint.removeprefix("left_").removeprefix("right_"), []).append(index)
    return groups


_GROUPS = _groups()
_ARM = [index for part in ("shoulder", "elbow", "wrist") for index in _GROUPS[part]]
_LEG = [index for part in ("hip", "knee", "ankle") for index in _GROUPS[part]]
_TRUNK = [index for part in ("hip_centre", "spine", "shoulder_centre") for index in _GROUPS[part]]

# Mean and standard deviation in degrees of the posture's angles: (joint, axis) -> (mean, spread).
_POSTURE: dict[tuple[str, int], tuple[float, float]] = {
    ("spine", 0): (2.0, 3.0),
    ("shoulder_centre", 0): (2.0, 4.0),
    ("shoulder", 0): (1.0, 4.0),
    ("shoulder", 1): (8.0, 3.0),
    ("shoulder", 2): (8.0, 4.0),
    ("elbow", 0): (13.0, 5.0),
    ("elbow", 2): (12.0, 9.0),
    ("hip", 1): (3.0, 1.5),
    ("hip", 2): (-6.0, 4.0),
    ("knee", 0): (4.0, 1.5),
}


def _build(rng: np.random.Generator, style: float) -> Doubles:
    """Bone offsets: random height, and proportions of arms, legs and shoulders."""
    height = rng.normal(1.73, 0.08 * style) / STANDARD_HEIGHT_M
    legs, arms, width = 1 + style * rng.normal(0, (0.025, 0.03, 0.06))
    offsets = REST_OFFSETS_M * height
    for part in ("knee", "ankle"):
        offsets[_GROUPS[part]] *= legs
    for part in ("elbow", "wrist", "hand"):
        offsets[_GROUPS[part]] *= arms
    for part in ("shoulder", "hip"):
        offsets[_GROUPS[part], 0] *= width
    return offsets


def draw_subject(seed: int, number: int, style: float = 1.0) -> Subject:
    """Subject `number` of the population `seed`; `style` scales the differences between subjects, 0 for none."""
    rng = np.random.default_rng((seed, 1, number))
    gain = np.ones((JOINTS, 1))
    for joints, spread in ((_ARM, 0.12), (_LEG, 0.06), (_TRUNK, 0.15)):
        gain[joints] = np.exp(style * spread * rng.normal())
    posture = np.zeros((JOINTS, 3))
    for (part, axis), (mean, spread) in _POSTURE.items():
        posture[_GROUPS[part], axis] = mean + style * spread * rng.normal()
    manner = {
        name: style * np.random.default_rng((seed, 2, number, index)).uniform(-1, 1, MANNER_PARAMETERS)
        for index, name in enumerate(ACTIVITIES)
    }
    return Subject(
        name=f"s{number}",
        offsets_m=_build(rng, style),
        tempo=float(np.exp(style * rng.normal(0, 0.12))),
        gain=gain,
        left_handed=bool(rng.random() < 0.12 * min(style, 1.0)),
        posture_deg=posture,
        smooth_s=0.03 * float(np.exp(style * rng.uniform(-0.5, 0.5))),
        sway=float(np.exp(style * rng.normal(0, 0.35))),
        heading_deg=style * float(rng.normal(0, 16)),
        rest=0.10 + style * rng.uniform(-0.07, 0.10, 2),
        skew=style * float(rng.uniform(-0.35, 0.35)),
        manner=manner,
    )
