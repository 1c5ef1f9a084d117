"""Detection delay of a stream.

The delay runs to the time at which a label is emitted, not to the window it is about. A label that differs from the
previously emitted one *detects* the true segment of that label that overlaps its window most: in time if it is emitted
before the end of the segment, late otherwise. A label that continues from an earlier segment detects nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgehar.metrics.segments import merge_touching, overlap_s
from edgehar.signals.clip import Segment

IN_TIME, LATE, CARRIED_OVER, NEVER = "in_time", "late", "carried_over", "never"


@dataclass(frozen=True)
class EmittedLabel:
    """The label that a stream emitted for a window, and the time of emission.

    Attributes:
        emitted_s: time of the newest sample at the emission, on the recording's clock.
        start_s: start of the window.
        end_s: end of the window.
        label: index of the class, or None for "unknown".
    """

    emitted_s: float
    start_s: float
    end_s: float
    label: int | None


@dataclass(frozen=True)
class Detection:
    """Whether and when a true segment was detected.

    Attributes:
        segment: the true segment.
        kind: in_time, late, carried_over (its label was emitted, but continued from before the segment) or never.
        delay_s: seconds from its start to the emission that detected it, or None.
    """

    segment: Segment
    kind: str
    delay_s: float | None = None


def detections(truth: Iterable[Segment], emitted: Sequence[EmittedLabel]) -> list[Detection]:
    """The detection of each true segment of a recording, in order of time; labels are in order of emission."""
    segments = merge_touching(truth)
    detected_by: dict[int, EmittedLabel] = {}  # index of the segment -> first new label that detects it
    covered: set[int] = set()
    previous: EmittedLabel | None = None
    for one in emitted:
        window = Segment(one.start_s, one.end_s, -1)
        shared_s = [overlap_s(segment, window) if segment.label == one.label else 0.0 for segment in segments]
        index = max(range(len(segments)), key=shared_s.__getitem__, default=None)
        is_new = previous is None or previous.label != one.label or one.start_s > previous.end_s
        previous = one
        if index is None or not shared_s[index]:
            continue
        covered.add(index)
        if is_new:
            detected_by.setdefault(index, one)
    found: list[Detection] = []
    for index, segment in enumerate(segments):
        one = detected_by.get(index)
        if one is None:
            found.append(Detection(segment, CARRIED_OVER if index in covered else NEVER))
        else:
            kind = IN_TIME if one.emitted_s < segment.end_s else LATE
            found.append(Detection(segment, kind, one.emitted_s - segment.start_s))
    return found


def _summary(found: Sequence[Detection]) -> dict[str, Any]:
    delays_s = [one.delay_s for one in found if one.delay_s is not None]
    seen_shares = [
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
        "median_seen_share": float(np.median(seen_shares)) if seen_shares else None,
    }


def delay_scores(found: Sequence[Detection], labels: tuple[str, ...]) -> dict[str, Any]:
    """Counts and delays of detections, over all labels and per label.

    Returns:
        Values for JSON: segments, in_time, late, carried_over, never and never_share; median_s and p90_s of the delays
        in time or late; median_seen_share, the share of such a segment before its detection; None without such
        segments; and the same per_label.
    """
    per_label = {
        name: _summary([one for one in found if one.segment.label == label]) for label, name in enumerate(labels)
    }
    return _summary(found) | {"per_label": per_label}
