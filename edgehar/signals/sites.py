"""Places on the body where a sensor is worn or a joint is, as coordinates of a standing person with hanging arms.

A place is written as words: a site of `SITES`, with "left" or "right" where it has a side ("left wrist",
"leftUpLeg", "r_ankle"). Joints of any skeleton are places by their names.
"""

import re
from typing import NamedTuple

from edgehar.signals.modality import ModalitySpec

SITES: dict[str, tuple[float, float, float]] = {
    "head": (0.0, 0.42, 0.02), "ear": (0.05, 0.41, 0.0), "eye": (0.02, 0.41, 0.06), "nose": (0.0, 0.4, 0.07),
    "neck": (0.0, 0.32, 0.0), "shoulder": (0.13, 0.29, 0.0), "chest": (0.0, 0.22, 0.07), "back": (0.0, 0.22, -0.07),
    "upper arm": (0.15, 0.19, 0.0), "elbow": (0.16, 0.1, 0.0), "forearm": (0.17, 0.02, 0.02),
    "wrist": (0.17, -0.05, 0.03), "hand": (0.17, -0.09, 0.04), "thumb": (0.15, -0.09, 0.06),
    "fingertips": (0.17, -0.15, 0.05), "spine": (0.0, 0.12, 0.0), "waist": (0.0, 0.05, 0.07),
    "lower back": (0.0, 0.05, -0.07), "pelvis": (0.0, 0.0, 0.0), "hip": (0.1, 0.0, 0.0), "pocket": (0.11, -0.05, 0.06),
    "thigh": (0.1, -0.12, 0.05), "knee": (0.1, -0.25, 0.03), "shin": (0.1, -0.37, 0.03), "ankle": (0.1, -0.49, 0.0),
    "heel": (0.1, -0.52, -0.04), "foot": (0.1, -0.52, 0.06), "toes": (0.1, -0.52, 0.1),
}  # fmt: skip
"""Site -> distance from the middle, height above the pelvis, distance to the front; in body heights. Heights after the
segment lengths in Winter, Biomechanics and Motor Control of Human Movement, figure 4.1 (ankle 0.039, knee 0.285, hip
0.53, wrist 0.485, elbow 0.63, shoulder 0.818 of the height); those it does not have lie between."""

UNKNOWN = "unknown"
_PATTERNS = {
    "fingertips": r"finger|pinky|(?<!foot )index|hand ?tip", "thumb": r"thumb", "toes": r"toe", "heel": r"heel",
    "nose": r"nose|mouth", "eye": r"\beyes?\b|glasses", "ear": r"\bears?\b|earbud|earphone",
    "forearm": r"fore ?arm|lower ?arm", "upper arm": r"upper ?arm|biceps|\barm\b",
    "lower back": r"lower ?back|lumbar|\bl5\b|sacrum",
    "neck": r"neck|shoulder ?(cent|mid)|spine ?shoulder", "shoulder": r"shoulder|collar|clavicle",
    "wrist": r"wrist|watch|bracelet", "hand": r"hand|palm|\bring\b", "elbow": r"elbow",
    "pelvis": r"pelvis|hip ?cent|mid ?hip|spine ?base|\broot\b|\bhips\b",
    "hip": r"hip|up ?leg", "waist": r"waist|belt|abdomen|belly|stomach", "pocket": r"pocket|trouser|phone",
    "thigh": r"thigh|upper ?leg|femur", "knee": r"knee|\bleg\b", "shin": r"shin|shank|calf|lower ?leg|tibia",
    "ankle": r"ankle", "foot": r"foot|feet|shoe|insole", "chest": r"chest|sternum|thorax|torso",
    "back": r"\bback\b|scapula", "spine": r"spine|trunk", "head": r"head|skull|cap\b|helmet",
}  # fmt: skip
"""Site -> pattern of the words that name it, tried in this order."""


class Place(NamedTuple):
    """A place on the body.

    Attributes:
        site: a name of `SITES`, or "unknown".
        side: 1 left, -1 right, 0 in the middle or not known.
    """

    site: str
    side: int = 0

    @property
    def is_known(self) -> bool:
        """Whether the site is known."""
        return self.site in SITES

    def __str__(self) -> str:
        """As declared: "left wrist"."""
        return f"{('', 'left ', 'right ')[self.side]}{self.site}"


def _words(text: str) -> str:
    """Lower-case words of a name in any style: "LeftUpLeg", "left_up_leg"."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    return re.sub(r"[\W_]+", " ", apart).lower().strip()


def place_of(name: str) -> Place:
    """The place that a name stands for; unknown if it names none."""
    words = _words(name)
    left, right = (re.search(rf"\b({side}|{side[0]})\b|^{side}", words) is not None for side in ("left", "right"))
    site = next((site for site, pattern in _PATTERNS.items() if re.search(pattern, words)), UNKNOWN)
    return Place(site, int(left) - int(right))


def places_of(spec: ModalitySpec) -> tuple[Place, ...]:
    """The place of each group: as declared, else by the joint's name, else by the sensor's name."""
    if spec.is_skeleton:
        return tuple(place_of(name) for name in spec.joints)
    names = spec.site or (spec.name,)
    return tuple(place_of(name) for name in (names * spec.groups if len(names) == 1 else names))
