"""Recordings whose gravity points elsewhere than that of the others: a sensor worn the other way."""

from collections.abc import Sequence

import numpy as np

from edgehar.data.recordings.problem import Problem
from edgehar.data.recordings.suspicions.recorded import Recorded, group_text, of_group
from edgehar.data.recordings.suspicions.triaxial import Doubles, gravity_direction
from edgehar.signals.modality import ModalitySpec

MIN_PEERS, MIN_PEOPLE = 3, 3
"""Others that a recording is compared with; with the fewest people two are enough."""
RECORDING_DEG = 75.0
"""Angle from the others' mean that is suspicious."""
PEERS_DEG, AGREEING = 30.0, 0.98
"""The others agree if this share is within this angle of their mean."""
MAX_RARE, MAX_RARE_SHARE = 3, 0.02
"""If more recordings of a label deviate, people may do it in several postures."""
STEADY_DEG = 30.0
"""Largest angle between the halves of a recording that is compared: others change their posture."""


def _unit(vectors: Doubles) -> Doubles:
    """Unit vector (3,) of the componentwise median of (N, 3), which a few outliers do not move."""
    middle = np.median(vectors, axis=0)
    return middle / max(float(np.linalg.norm(middle)), 1e-9)


def _angles_deg(vectors: Doubles, other: Doubles) -> Doubles:
    """Angles (N,) between unit vectors (N, 3) and one (3,)."""
    return np.degrees(np.arccos(np.clip(vectors @ other, -1, 1)))


def _apart_deg(own: Doubles, peers: Doubles, few: int) -> float | None:
    """Angle between a direction (3,) and those of peers (N, 3), or None if these are too few or do not agree."""
    if len(peers) < few:
        return None
    middle = _unit(peers)
    ordered = np.sort(_angles_deg(peers, middle))
    if ordered[min(int(AGREEING * len(ordered)), len(ordered) - 1)] > PEERS_DEG:
        return None
    return float(_angles_deg(own[None], middle)[0])


def _steady_direction(vectors: Doubles) -> Doubles | None:
    whole, half = gravity_direction(vectors), len(vectors) // 2
    before, after = gravity_direction(vectors[:half]), gravity_direction(vectors[half:])
    if whole is None or before is None or after is None or _angles_deg(before[None], after)[0] > STEADY_DEG:
        return None
    return whole


def elsewhere(spec: ModalitySpec, group: int, recorded: Sequence[Recorded]) -> list[Problem]:
    """Compare the direction of gravity between recordings of the same label."""
    by_label: dict[int | None, list[tuple[Recorded, Doubles]]] = {}
    for each in recorded:
        direction = _steady_direction(of_group(each.blocks, spec, group))
        if direction is not None:
            by_label.setdefault(each.label, []).append((each, direction))
    few = MIN_PEERS if len({each.subject for each in recorded}) > MIN_PEOPLE else MIN_PEERS - 1
    problems: list[Problem] = []
    for known in by_label.values():
        found: list[Problem] = []
        for each, direction in known:
            others = [(other, vector) for other, vector in known if other is not each]
            own = [vector for other, vector in others if other.subject == each.subject]
            peers = own if len(own) >= MIN_PEERS else [vector for _, vector in others]
            angle = _apart_deg(direction, np.array(peers).reshape(-1, 3), few)
            if angle is not None and angle > RECORDING_DEG:
                message = (
                    f"{group_text(spec, group)}: gravity points {angle:.0f} degrees away from that of the like "
                    "recordings; another posture, a sensor worn the other way, or exchanged axes?"
                )
                found.append(each.warning(message))
        if len(found) <= max(MAX_RARE, MAX_RARE_SHARE * len(known)):
            problems += found
    return problems
