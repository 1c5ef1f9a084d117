"""Motion of simulated people, brought to the sensors of a checkpoint: plausible windows out of nothing but a seed.

The people of `simulation.dataset` do their fourteen activities, whatever the checkpoint's own are, and improvise with
their arms as often: most of what sensors on a wrist are to recognise are gestures. A skeleton takes the joints it knows
by name; an inertial sensor is worn on the wrist, or on the thigh if its name says so. Every feature is
scaled to the root mean square of 1 that features of training windows have, so units and data sheets do not matter.
"""

import re
from dataclasses import replace

import numpy as np
import torch

from edgehar.signals.clip import Bools, Clip, DatasetInfo, Floats
from edgehar.signals.modality import KINECT_JOINTS, ModalitySpec
from edgehar.signals.preprocess import Normalisation, measure_scale
from edgehar.signals.windows import cut
from edgehar.simulation.activities import EVERYDAY, IMPROVISED
from edgehar.simulation.dataset import SimulatorConfig, simulate
from edgehar.simulation.wearables import SKELETON, THIGH, WRIST
from edgehar.student.windows import Inputs

TRIALS, STYLE = 2, 1.5
"""How often each of the simulated people does each activity, and how much they differ (1 in the quickstart)."""

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
ON_THE_THIGH = ("thigh", "phone", "pocket", "leg", "hip", "waist")


def joint_source(name: str) -> int | None:
    """The simulated joint that a joint of this name is, or None."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[\s-]+", "_", name).lower().strip("_")
    parts = [{"l": "left", "r": "right", "lhs": "left", "rhs": "right"}.get(part, part) for part in words.split("_")]
    sides = [part for part in parts if part in ("left", "right")]
    plain = "_".join([*sides, *(part for part in parts if part not in sides)])
    plain = ALIASES.get(plain, plain)
    return KINECT_JOINTS.index(plain) if plain in KINECT_JOINTS else None


def as_skeleton(motion: Floats, spec: ModalitySpec) -> Floats:
    """Simulated joints (T, 60) as the joints (T, C) of `spec`; an unknown joint lies where its parent does."""
    positions = motion.reshape(len(motion), SKELETON.groups, 3)
    sources = [joint_source(name) for name in spec.joints]

    def found(joint: int) -> int:
        source, above = sources[joint], spec.parents[joint]
        return source if source is not None else SKELETON.root if above == joint else found(above)

    chosen = positions[:, [found(joint) for joint in range(spec.groups)]]
    return np.roll(chosen, spec.vertical - SKELETON.vertical, axis=2).reshape(len(motion), spec.channels)


def as_inertial(unit: Floats, spec: ModalitySpec) -> Floats:
    """A simulated unit's accelerations and rates (T, 6) as the channels (T, C) of `spec`, in turn."""
    return unit[:, np.arange(spec.channels) % unit.shape[1]]


def simulated_windows(info: DatasetInfo, people: int, seed: int) -> Inputs:
    """Activities and improvisations of so many simulated people, each clip as a window of a checkpoint's sensors."""
    clips: list[Clip] = []
    everyday = SimulatorConfig(subjects=people, trials=TRIALS, style=STYLE, seed=seed)
    improvised = replace(everyday, trials=TRIALS * len(EVERYDAY), activities=(IMPROVISED,))
    for clip in (*simulate(everyday).clips, *simulate(improvised).clips):
        signals: dict[str, Floats] = {}
        for spec in info.modalities:
            worn = THIGH if any(word in spec.name.lower() for word in ON_THE_THIGH) else WRIST
            signals[spec.name] = (
                as_skeleton(clip.signals[SKELETON.name], spec)
                if spec.is_skeleton
                else as_inertial(clip.signals[worn.spec.name], spec)
            )
        valid: dict[str, Bools] = {name: np.ones(len(signal), bool) for name, signal in signals.items()}
        clips.append(Clip(clip.name, clip.subject, clip.trial, signals, valid))
    # One simulated clip fills one window, however long the checkpoint's windows are.
    stretched = replace(info, window=replace(info.window, kind="clip"))
    windows = cut(clips, stretched, Normalisation.identity(info.modalities))
    features: dict[str, torch.Tensor] = {}
    for spec in info.modalities:
        array = windows.features[spec.name]
        scale = measure_scale(array, windows.valid[spec.name], spec)  # (G, 2)
        features[spec.name] = torch.as_tensor(array / np.repeat(scale, spec.group, axis=1))
    return features, {name: torch.as_tensor(flags) for name, flags in windows.valid.items()}
