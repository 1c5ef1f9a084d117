"""One sensor is one declaration: a new sensor is a new `ModalitySpec`, never a new class."""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError

RESERVED_TENSOR_NAMES = ("valid", "token", "tokens", "logits")
"""Names of the exported graphs' own inputs and outputs, which no modality may take."""


LONGEST_PAUSE_S = 60.0
"""Pause of a recording that is believed, however few samples there are."""
MOST_STRETCHED = 100.0
"""Seconds by timestamp for a second by nominal rate that are believed besides."""


@dataclass(frozen=True)
class ModalitySpec:
    """What the models and the preprocessing need to know of one sensor.

    Attributes:
        name: key of the modality in every dict ("skeleton", "inertial", "watch", ...).
        channels: values per sample as recorded, C = groups * group.
        unit: unit of each channel within a group family, for people ("m", "g and deg/s").
        rate_hz: nominal sampling rate; the grid rate for sliding windows.
        patch: frames of this modality in one step of the window.
        group: channels that belong together (3: one joint's xyz, or one triaxial sensor).
        joints: names of the joints if this is a skeleton, else empty.
        parents: index of each joint's parent; the root joint is its own parent.
        vertical: which of the three axes points along gravity in a skeleton (0, 1 or 2).
    """

    name: str
    channels: int
    unit: str
    rate_hz: float
    patch: int
    group: int = 3
    joints: tuple[str, ...] = ()
    parents: tuple[int, ...] = ()
    vertical: int = 1

    def __post_init__(self) -> None:
        """Refuse a declaration that contradicts itself."""
        if not self.name.isidentifier():
            raise DataError(f"modality name {self.name!r}: expected letters, digits and '_'; rename it")
        if self.name in RESERVED_TENSOR_NAMES:
            raise DataError(f"modality name {self.name!r}: names a graph's own input or output; rename it")
        if self.channels <= 0 or self.group <= 0 or self.channels % self.group:
            raise DataError(
                f"modality {self.name}: {self.channels} channels in groups of {self.group}; "
                "expected a positive multiple; set 'group' to a divisor of 'channels'"
            )
        if self.patch <= 0 or not self.rate_hz > 0:
            raise DataError(f"modality {self.name}: patch {self.patch}, rate {self.rate_hz} Hz; both must be above 0")
        if self.joints and (self.group != 3 or len(self.joints) != self.groups or len(self.parents) != self.groups):
            raise DataError(
                f"modality {self.name}: {len(self.joints)} joints and {len(self.parents)} parents for "
                f"{self.channels} channels; a skeleton needs one of each per 3 channels"
            )
        if any(not 0 <= parent < len(self.joints) for parent in self.parents) or (self.joints and self.vertical > 2):
            raise DataError(f"modality {self.name}: a parent or the vertical axis is out of range")

    @property
    def groups(self) -> int:
        """G: joints of a skeleton, or sensors of an inertial unit."""
        return self.channels // self.group

    def longest_s(self, samples: int) -> float:
        """Seconds by timestamp that so many samples span at most; more, and the times are in no seconds."""
        return LONGEST_PAUSE_S + MOST_STRETCHED * samples / self.rate_hz

    @property
    def features(self) -> int:
        """F: value and motion of each channel of a group, see `edgehar.signals.preprocess`."""
        return 2 * self.group

    @property
    def is_skeleton(self) -> bool:
        """True if the groups are joints of a body."""
        return bool(self.joints)

    @cached_property
    def root(self) -> int:
        """Index of the joint that is its own parent."""
        return next(joint for joint, parent in enumerate(self.parents) if joint == parent)

    @cached_property
    def root_channels(self) -> NDArray[np.intp]:
        """For each channel of a skeleton the root joint's channel of the same axis: (C,)."""
        return np.tile(np.arange(self.group) + self.root * self.group, self.groups)

    @cached_property
    def feature_order(self) -> NDArray[np.intp]:
        """Where each feature (G * F,) stands among all values (C,) followed by all motions (C,)."""
        return np.arange(2 * self.channels).reshape(2, self.groups, self.group).swapaxes(0, 1).reshape(-1)

    def to_json(self) -> dict[str, Any]:
        """Plain dict for JSON; `from_json` is its inverse."""
        return asdict(self)

    @staticmethod
    def from_json(entry: dict[str, Any]) -> "ModalitySpec":
        """Build a specification from its JSON form; raises DataError if a field is missing or unknown."""
        try:
            fields = dict(entry)
            for name in ("joints", "parents"):
                fields[name] = tuple(fields.get(name, ()))
            return ModalitySpec(**fields)
        except TypeError as problem:
            raise DataError(f"modality description {entry!r}: {problem}; see docs/own-data.md") from None


@dataclass(frozen=True)
class WindowSpec:
    """How recordings become windows.

    Attributes:
        kind: "clip" (a pre-cut clip is stretched over one window by normalised time) or
            "sliding" (fixed rates by timestamp, a window every `hop` steps).
        steps: S, patches per window.
        step_s: seconds per step; for "clip" the nominal value used when such a model runs on a live stream.
        hop: steps between two windows of a sliding window.
    """

    kind: str
    steps: int
    step_s: float
    hop: int = 1

    def __post_init__(self) -> None:
        """Refuse an unusable window."""
        if self.kind not in ("clip", "sliding"):
            raise DataError(f"window kind {self.kind!r}: expected 'clip' or 'sliding'")
        if self.steps <= 0 or self.hop <= 0 or not self.step_s > 0:
            raise DataError(f"window of {self.steps} steps, hop {self.hop}, step {self.step_s} s: all must be above 0")

    @property
    def length_s(self) -> float:
        """Seconds a window covers."""
        return self.steps * self.step_s


KINECT_JOINTS = (
    "head", "shoulder_centre", "spine", "hip_centre",
    "left_shoulder", "left_elbow", "left_wrist", "left_hand",
    "right_shoulder", "right_elbow", "right_wrist", "right_hand",
    "left_hip", "left_knee", "left_ankle", "left_foot",
    "right_hip", "right_knee", "right_ankle", "right_foot",
)  # fmt: skip
KINECT_PARENTS = (1, 2, 3, 3, 1, 4, 5, 6, 1, 8, 9, 10, 3, 12, 13, 14, 3, 16, 17, 18)
