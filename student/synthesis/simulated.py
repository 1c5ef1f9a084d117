"""Windows of simulated subjects, mapped to the sensors of a checkpoint (source `simulated`).

The subjects of `simulation.dataset` perform its fourteen activities, whatever the checkpoint's activities are, and
improvise arm motion equally often, because wrist sensors mostly recognise gestures. Joints of a skeleton are matched
by name; an inertial sensor is simulated at the wrist, or at the thigh if its name says so. Every feature is scaled to
a root mean square of 1, as features of training windows are, so units and sensitivities do not matter.
"""

import re
from dataclasses import replace

import numpy as np
import torch

from edgehar.signals.clip import Bools, Clip, DatasetInfo, Floats
from edgehar.signals.modality import KINECT_JOINTS, ModalitySpec
from edgehar.signals.preprocess import measure_scale
from edgehar.signals.windows import cut, without_scale
from edgehar.simulation.activities import EVERYDAY, IMPROVISED
from edgehar.simulation.dataset import SimulatorConfig, simulate
from edgehar.simulation.wearables import SKELETON, THIGH, WRIST
from edgehar.student.windows import Inputs

TRIALS, STYLE = 2, 1.5
"""Trials per simulated subject and activity, and how much subjects differ (1 in the quickstart)."""

ALIASES = {
    "pelvis": "hip_centre",
    "hips": "hip_centre",
    "hip_center": "hip_centre",
    "spine_base": "hip_centre",
    "torso": "spine",
    "spine_mid": "spine",
    "neck": "shoulder_centre",
    "shoulder_center": "shoulder_centre",
    "spine_shoulder": "shoulder_centre",
}
THIGH_NAMES = ("thigh", "phone", "pocket", "leg", "hip", "waist")
"""A sensor whose name contains one of these is simulated at the thigh."""


def simulated_joint(name: str) -> int | None:
    """Index of the simulated joint with this name, in any common spelling, or None."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[\s-]+", "_", name).lower().strip("_")
    parts = [{"l": "left", "r": "right", "lhs": "left", "rhs": "right"}.get(part, part) for part in words.split("_")]
    sides = [part for part in parts if part in ("left", "right")]
    plain = "_".join([*sides, *(part for part in parts if part not in sides)])
    plain = ALIASES.get(plain, plain)
    return KINECT_JOINTS.index(plain) if plain in KINECT_JOINTS else None


def as_skeleton(motion: Floats, spec: ModalitySpec) -> Floats:
    """Simulated joints (T, 60) as the joints (T, C) of `spec`; an unmatched joint takes its parent's position.

    A 2-D skeleton is the picture without the depth, with the vertical axis downwards.
    """
    positions = motion.reshape(len(motion), SKELETON.groups, 3)
    matches = [simulated_joint(name) for name in spec.joints]

    def source(joint: int) -> int:
        match, parent = matches[joint], spec.parents[joint]
        return match if match is not None else SKELETON.root if parent == joint else source(parent)

    mapped = positions[:, [source(joint) for joint in range(spec.groups)]]
    if spec.is_picture:  # the simulated axes are: to the side, up, towards the camera
        mapped = mapped[..., :2] * np.array([1, -1], np.float32)
    mapped = np.roll(mapped, spec.vertical - SKELETON.vertical, axis=2)
    return mapped.reshape(len(motion), spec.channels)


def as_inertial(unit: Floats, spec: ModalitySpec) -> Floats:
    """A simulated unit's accelerations and angular rates (T, 6), repeated to the channels (T, C) of `spec`."""
    return unit[:, np.arange(spec.channels) % unit.shape[1]]


def simulated_windows(info: DatasetInfo, people: int, seed: int) -> Inputs:
    """Windows of a checkpoint's sensors: activities and improvisations of `people` simulated subjects, one per clip."""
    clips: list[Clip] = []
    everyday = SimulatorConfig(subjects=people, trials=TRIALS, style=STYLE, seed=seed)
    improvised = replace(everyday, trials=TRIALS * len(EVERYDAY), activities=(IMPROVISED,))
    for clip in (*simulate(everyday).clips, *simulate(improvised).clips):
        signals: dict[str, Floats] = {}
        for spec in info.modalities:
            wearable = THIGH if any(word in spec.name.lower() for word in THIGH_NAMES) else WRIST
            signals[spec.name] = (
                as_skeleton(clip.signals[SKELETON.name], spec)
                if spec.is_skeleton
                else as_inertial(clip.signals[wearable.spec.name], spec)
            )
        valid: dict[str, Bools] = {name: np.ones(len(signal), bool) for name, signal in signals.items()}
        clips.append(Clip(clip.name, clip.subject, clip.trial, signals, valid))
    # One simulated clip fills one window, whatever the length of the checkpoint's windows.
    one_per_clip = replace(info, window=replace(info.window, kind="clip"))
    windows = cut(clips, one_per_clip, without_scale(clips, info.modalities))
    features: dict[str, torch.Tensor] = {}
    for spec in info.modalities:
        array = windows.features[spec.name]
        scale = measure_scale(array, windows.valid[spec.name], spec)  # (G, 2)
        features[spec.name] = torch.as_tensor(array / np.repeat(scale, spec.group, axis=1))
        if spec.lost_joints:  # the mark of a known root has no scale
            features[spec.name][..., spec.root, : spec.group] = 1
    return features, {name: torch.as_tensor(flags) for name, flags in windows.valid.items()}
