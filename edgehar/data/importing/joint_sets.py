"""Joints of the usual pose estimators, in the order of their files, and the joints that are computed from them."""

from dataclasses import dataclass

import numpy as np

from edgehar.data.importing.takes import Numbers


@dataclass(frozen=True)
class JointSet:
    """A skeleton.

    Attributes:
        name: the estimator's name for it.
        joints: names in the order of the files.
        parents: joint -> its parent, also of the computed joints; the root is its own parent.
        computed: joint that the files lack -> the two joints whose middle it is.
    """

    name: str
    joints: tuple[str, ...]
    parents: dict[str, str]
    computed: dict[str, tuple[str, str]]

    @property
    def all_joints(self) -> tuple[str, ...]:
        """Joints as imported: those of the files, then the computed ones."""
        return (*self.joints, *self.computed)

    @property
    def parent_indices(self) -> tuple[int, ...]:
        """Index of the parent of each joint as imported."""
        return tuple(self.all_joints.index(self.parents[joint]) for joint in self.all_joints)

    def complete(self, points: Numbers) -> Numbers:
        """Points (..., J, D) with the computed joints appended; one is lost (NaN) only if both of its joints are."""
        middles: list[Numbers] = []
        for first, second in self.computed.values():
            a, b = points[..., self.joints.index(first), :], points[..., self.joints.index(second), :]
            middles.append(np.where(np.isnan(a), b, np.where(np.isnan(b), a, (a + b) / 2)))
        return np.concatenate([points, *(middle[..., None, :] for middle in middles)], -2)


_LIMBS = {
    f"{side}_{joint}": f"{side}_{parent}" if parent not in ("neck", "pelvis") else parent
    for side in ("left", "right")
    for joint, parent in (
        ("shoulder", "neck"), ("elbow", "shoulder"), ("wrist", "elbow"), ("hip", "pelvis"), ("knee", "hip"),
        ("ankle", "knee"), ("eye", "nose"), ("ear", "eye"),
    )
}  # fmt: skip
_BODY = {joint: parent.replace("left_nose", "nose").replace("right_nose", "nose") for joint, parent in _LIMBS.items()}
_TRUNK = {"pelvis": "pelvis", "neck": "pelvis", "nose": "neck"}
_MIDDLES = {"pelvis": ("left_hip", "right_hip"), "neck": ("left_shoulder", "right_shoulder")}


def _sides(*joints: str) -> tuple[str, ...]:
    return tuple(f"{side}_{joint}" for joint in joints for side in ("left", "right"))


COCO = JointSet(
    "COCO-17",
    ("nose", *_sides("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")),
    {**_TRUNK, **_BODY},
    _MIDDLES,
)
BODY_25 = JointSet(
    "BODY_25",
    ("nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
     "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye",
     "right_ear", "left_ear", "left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe",
     "right_heel"),
    {
        **_TRUNK, **_BODY,
        **{f"{side}_{part}": f"{side}_ankle" for part in ("big_toe", "small_toe", "heel")
           for side in ("left", "right")},
    },
    {},
)  # fmt: skip
BLAZEPOSE = JointSet(
    "BlazePose-33",
    ("nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
     "left_ear", "right_ear", "mouth_left", "mouth_right",
     *_sides("shoulder", "elbow", "wrist", "pinky", "index", "thumb", "hip", "knee", "ankle", "heel", "foot_index")),
    {
        **_TRUNK, **_BODY, "mouth_left": "nose", "mouth_right": "nose",
        **{f"{side}_{eye}": f"{side}_eye" for side in ("left", "right") for eye in ("eye_inner", "eye_outer")},
        **{f"{side}_{finger}": f"{side}_wrist" for side in ("left", "right") for finger in ("pinky", "index", "thumb")},
        **{f"{side}_{part}": f"{side}_ankle" for side in ("left", "right") for part in ("heel", "foot_index")},
    },
    _MIDDLES,
)  # fmt: skip
NTU = JointSet(
    "NTU-25",
    ("spine_base", "spine_middle", "neck", "head", "left_shoulder", "left_elbow", "left_wrist", "left_hand",
     "right_shoulder", "right_elbow", "right_wrist", "right_hand", "left_hip", "left_knee", "left_ankle", "left_foot",
     "right_hip", "right_knee", "right_ankle", "right_foot", "spine_shoulder", "left_hand_tip", "left_thumb",
     "right_hand_tip", "right_thumb"),
    {
        "spine_base": "spine_base", "spine_middle": "spine_base", "spine_shoulder": "spine_middle",
        "neck": "spine_shoulder", "head": "neck",
        **{f"{side}_{joint}": f"{side}_{parent}" for side in ("left", "right") for joint, parent in (
            ("elbow", "shoulder"), ("wrist", "elbow"), ("hand", "wrist"), ("hand_tip", "hand"), ("thumb", "hand"),
            ("knee", "hip"), ("ankle", "knee"), ("foot", "ankle"))},
        **{f"{side}_shoulder": "spine_shoulder" for side in ("left", "right")},
        **{f"{side}_hip": "spine_base" for side in ("left", "right")},
    },
    {},
)  # fmt: skip
"""Kinect v2, in the order of NTU RGB+D (Shahroudy et al. 2016, figure 2)."""
KEYPOINT_SETS = {17: COCO, 25: BODY_25, 33: BLAZEPOSE}
"""Number of keypoints -> the joints that estimators write in that number."""
