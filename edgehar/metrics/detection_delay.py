"""How long after an activity has begun a stream says so.

What counts is when the answer came out, not which time it is about. An answer *takes up* a label if the answer before
it named another one, or none. The true segment of that label which covers most of the answer's window is then
*detected*: in time if the answer came out before the segment ended, late if it came out afterwards. So what is still
being said of the walk before a turn does not detect the walk after it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgehar.metrics.segments import joined, overlap_s
from edgehar.signals.clip import Segment

IN_TIME, LATE, CARRIED_OVER, NEVER = "in_time", "late", "carried_over", "never"


@dataclass(frozen=True)
class Answer:
    """What a stream said of one window, and when.

    Attributes:
        said_s: time of the newest sample that the stream had by then, on the recording's clock.
        start_s: start of the window.
        end_s: its end.
        label: class that was named, or None for "unknown".
    """

    said_s: float
    start_s: float
    end_s: float
    label: int | None


@dataclass(frozen=True)
class Detection:
    """What became of one true segment.

    Attributes:
        segment: the true one.
        kind: in_time, late, carried_over (an answer about it named its label, which was being said before already) or
            never.
        delay_s: from its start to the answer that detected it, or None.
    """

    segment: Segment
    kind: str
    delay_s: float | None = None


def detections(truth: Iterable[Segment], answers: Sequence[Answer]) -> list[Detection]:
    """What became of each true segment of one recording, in order of time; answers come in the order they came out."""
    known = joined(truth)
    taken_up: dict[int, Answer] = {}  # place of the segment -> first answer that took up its label
    named: set[int] = set()
    before: Answer | None = None
    for answer in answers:
        window = Segment(answer.start_s, answer.end_s, -1)
        shared_s = [overlap_s(one, window) if one.label == answer.label else 0.0 for one in known]
        place = max(range(len(known)), key=shared_s.__getitem__, default=None)
        fresh = before is None or before.label != answer.label or answer.start_s > before.end_s
        before = answer
        if place is None or not shared_s[place]:
            continue
        named.add(place)
        if fresh:
            taken_up.setdefault(place, answer)
    found: list[Detection] = []
    for place, segment in enumerate(known):
        answer = taken_up.get(place)
        if answer is None:
            found.append(Detection(segment, CARRIED_OVER if place in named else NEVER))
        else:
            kind = IN_TIME if answer.said_s < segment.end_s else LATE
            found.append(Detection(segment, kind, answer.said_s - segment.start_s))
    return found


def _summary(found: Sequence[Detection]) -> dict[str, Any]:
    delays_s = [one.delay_s for one in found if one.delay_s is not None]
    seen = [
        min(one.delay_s / (one.segment.end_s - one.segment.start_s), 1.0) for one in found if one.delay_s is not None
    ]
    median_s, p90_s = np.percentile(delays_s, [50, 90]).tolist() if delays_s else (None, None)
    counts = {kind: sum(one.kind == kind for one in found) for kind in (IN_TIME, LATE, CARRIED_OVER, NEVER)}
    return {
        "segments": len(found),
        **counts,
        "never_share": counts[NEVER] / len(found) if found else None,
        "median_s": median_s,
        "p90_s": p90_s,
        "median_seen_share": float(np.median(seen)) if seen else None,
    }


def delay_scores(found: Sequence[Detection], labels: tuple[str, ...]) -> dict[str, Any]:
    """Counts and delays of all detections together.

    Returns:
        Plain numbers for JSON: segments, in_time, late, carried_over, never and never_share; median_s and p90_s of the
        delays of those in time or late; median_seen_share, how much of such a segment was over when it was detected;
        None where there is nothing to count; and the same per_label.
    """
    per_label = {
        name: _summary([one for one in found if one.segment.label == label]) for label, name in enumerate(labels)
    }
    return _summary(found) | {"per_label": per_label}
