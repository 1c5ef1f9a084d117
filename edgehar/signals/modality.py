"""Declarations of sensors and windows; a new sensor is a new `ModalitySpec`, not a subclass."""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError

RESERVED_TENSOR_NAMES = ("valid", "token", "tokens", "logits")
"""Inputs and outputs of the exported graphs, which no modality may have as its name."""

OPTIONAL_FIELDS = ("columns", "lost_joints", "mirror", "kind", "site")
"""Fields that the JSON form omits when they are empty, so that descriptions without them stay the same."""

SIGNAL_KINDS = ("position", "velocity", "acceleration", "angular rate", "magnetic field", "other")
"""What a group of channels may measure; an acceleration includes gravity."""

NO_MIRROR = "none"
"""`mirror` of a sensor that is never reflected."""

MAX_TRUSTED_PAUSE_S = 60.0
"""Timestamps may span this many seconds, however few samples there are."""
MAX_TIME_RATIO = 100.0
"""Further seconds by timestamp that each second at the nominal rate may span."""


@dataclass(frozen=True)
class ModalitySpec:
    """Declaration of one sensor: what models and preprocessing depend on.

    Attributes:
        name: key of the modality in every dict ("skeleton", "inertial", "watch", ...).
        channels: values per sample as recorded, C = groups * group.
        unit: unit of the channels, for display ("m", "g and deg/s").
        rate_hz: nominal sampling rate; the grid rate for sliding windows.
        patch: frames of this modality in one step of the window.
        group: channels of one group (3: xyz of one joint, or one triaxial sensor).
        joints: names of the joints of a skeleton, otherwise empty.
        parents: index of each joint's parent; the root joint is its own parent.
        vertical: axis of a skeleton that is parallel to gravity (0, 1 or 2).
        columns: names of the channels, by which CSV files are read; empty if unknown.
        lost_joints: whether joints of a skeleton may be lost (NaN in all channels of the joint) one by one.
        mirror: axis of a triaxial sensor that is reversed when it is worn on the other side of the body, "x", "y" or
            "z"; "none" if the sensor is never mirrored; empty if unknown. A skeleton has "none" or nothing.
        kind: what each group measures, or one for all groups, of `SIGNAL_KINDS`; empty: follows from unit and names.
        site: where each group is on the body ("left wrist"), or one for all; empty: follows from the sensor's name. A
            skeleton has neither: its groups are the positions of its joints.
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
    columns: tuple[str, ...] = ()
    lost_joints: bool = False
    mirror: str = ""
    kind: tuple[str, ...] = ()
    site: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise DataError for an inconsistent declaration."""
        if not self.name.isidentifier():
            raise DataError(f"modality name {self.name!r}: expected letters, digits and '_'; rename it")
        if self.name in RESERVED_TENSOR_NAMES:
            raise DataError(f"modality name {self.name!r}: reserved for an input or output of the graphs; rename it")
        if self.channels <= 0 or self.group <= 0 or self.channels % self.group:
            raise DataError(
                f"modality {self.name}: {self.channels} channels in groups of {self.group}; "
                "expected a positive multiple; set group to a divisor of channels"
            )
        if self.patch <= 0 or not self.rate_hz > 0:
            raise DataError(
                f"modality {self.name}: patch {self.patch}, rate {self.rate_hz} Hz; expected numbers above 0"
            )
        if self.joints and (
            self.group not in (2, 3) or len(self.joints) != self.groups or len(self.parents) != self.groups
        ):
            raise DataError(
                f"modality {self.name}: {len(self.joints)} joints and {len(self.parents)} parents for "
                f"{self.channels} channels in groups of {self.group}; expected one of each per 3 channels of a "
                "skeleton, or per 2 with group 2"
            )
        valid_axis = not self.joints or 0 <= self.vertical < self.group
        if any(not 0 <= parent < len(self.joints) for parent in self.parents) or not valid_axis:
            raise DataError(
                f"modality {self.name}: parents {self.parents}, vertical {self.vertical}; expected joint indices and "
                f"an axis from 0 to {self.group - 1}"
            )
        if self.columns and (len(self.columns) != self.channels or len(set(self.columns)) != self.channels):
            raise DataError(
                f"modality {self.name}: columns {', '.join(self.columns)}; expected {self.channels} different names, "
                "one for each channel"
            )
        if self.lost_joints and not self.joints:
            raise DataError(f"modality {self.name}: lost_joints without joints; expected a skeleton; remove it")
        axes = () if self.is_skeleton or self.group != 3 else ("x", "y", "z")
        if self.mirror not in ("", NO_MIRROR, *axes):
            kind = "a skeleton" if self.is_skeleton else f"groups of {self.group}"
            expected = ", ".join(map(repr, (*axes, NO_MIRROR)))
            raise DataError(
                f"modality {self.name}: mirror is {self.mirror!r}; expected {expected} for {kind}; correct or omit it"
            )
        for field, found in (("kind", self.kind), ("site", self.site)):
            if self.is_skeleton and found:
                raise DataError(f"modality {self.name}: {field} of a skeleton; its joints' names say it; remove it")
            if len(found) not in (0, 1, self.groups):
                raise DataError(
                    f"modality {self.name}: {field} has {len(found)} entries; expected one, or one for each of the "
                    f"{self.groups} groups of {self.group} channels"
                )
        wrong = [kind for kind in self.kind if kind not in SIGNAL_KINDS]
        if wrong:
            raise DataError(
                f"modality {self.name}: kind is {', '.join(map(repr, wrong))}; expected {', '.join(SIGNAL_KINDS)}"
            )

    @property
    def groups(self) -> int:
        """G: joints of a skeleton, or sensors of an inertial unit."""
        return self.channels // self.group

    def max_span_s(self, samples: int) -> float:
        """Longest plausible time span of so many samples; a longer one means that the times are not in seconds."""
        return MAX_TRUSTED_PAUSE_S + MAX_TIME_RATIO * samples / self.rate_hz

    @property
    def features(self) -> int:
        """F: value and rate of change of each channel of a group, see `edgehar.signals.preprocess`."""
        return 2 * self.group

    @property
    def is_skeleton(self) -> bool:
        """Whether the groups are joints of a body."""
        return bool(self.joints)

    @property
    def is_picture(self) -> bool:
        """Whether this is a 2-D skeleton, joints in a picture, whose scale and place mean nothing."""
        return self.is_skeleton and self.group == 2

    @cached_property
    def root(self) -> int:
        """Index of the joint that is its own parent."""
        return next(joint for joint, parent in enumerate(self.parents) if joint == parent)

    @cached_property
    def root_channels(self) -> NDArray[np.intp]:
        """Index of the root joint's channel of the same axis, for each channel of a skeleton: (C,)."""
        return np.tile(np.arange(self.group) + self.root * self.group, self.groups)

    @cached_property
    def feature_order(self) -> NDArray[np.intp]:
        """Index of each feature (G * F,) in all values (C,) followed by all rates of change (C,)."""
        return np.arange(2 * self.channels).reshape(2, self.groups, self.group).swapaxes(0, 1).reshape(-1)

    def to_json(self) -> dict[str, Any]:
        """Plain dict for JSON; `from_json` is its inverse."""
        entry = asdict(self)
        for name in OPTIONAL_FIELDS:
            if not entry[name]:
                del entry[name]
        return entry

    @staticmethod
    def from_json(entry: dict[str, Any]) -> "ModalitySpec":
        """A specification from its JSON form; raises DataError for a missing or unexpected field."""
        try:
            fields = dict(entry)
            for name in ("joints", "parents", "columns", "kind", "site"):
                value = fields.get(name, ())
                fields[name] = (value,) if isinstance(value, str) else tuple(value)
            return ModalitySpec(**fields)
        except TypeError as problem:
            raise DataError(f"modality description {entry!r}: {problem}; see docs/own-data.md") from None


@dataclass(frozen=True)
class WindowSpec:
    """Declaration of the windows that recordings are cut into.

    Attributes:
        kind: "clip" (a pre-cut clip is stretched to one window, by its timestamps or else by normalised time) or
            "sliding" (fixed rates by timestamp, a window every `hop` steps).
        steps: S, patches per window.
        step_s: seconds per step; for "clip" the nominal value, used on a live stream.
        hop: steps between two sliding windows.
    """

    kind: str
    steps: int
    step_s: float
    hop: int = 1

    def __post_init__(self) -> None:
        """Raise DataError for an unusable window."""
        if self.kind not in ("clip", "sliding"):
            raise DataError(f"window kind {self.kind!r}: expected 'clip' or 'sliding'")
        if self.steps <= 0 or self.hop <= 0 or not self.step_s > 0:
            raise DataError(
                f"window of {self.steps} steps, hop {self.hop}, step {self.step_s} s: expected numbers above 0"
            )

    @property
    def length_s(self) -> float:
        """Duration of a window in seconds."""
        return self.steps * self.step_s


KINECT_JOINTS = (
    "head", "shoulder_centre", "spine", "hip_centre",
    "left_shoulder", "left_elbow", "left_wrist", "left_hand",
    "right_shoulder", "right_elbow", "right_wrist", "right_hand",
    "left_hip", "left_knee", "left_ankle", "left_foot",
    "right_hip", "right_knee", "right_ankle", "right_foot",
)  # fmt: skip
KINECT_PARENTS = (1, 2, 3, 3, 1, 4, 5, 6, 1, 8, 9, 10, 3, 12, 13, 14, 3, 16, 17, 18)
