"""How well predicted segments match the true ones: segmental F1 at several overlaps, edit score, false alarms.

Segmental F1 (F1@k): C. Lea, M. D. Flynn, R. Vidal, A. Reiter, G. D. Hager, "Temporal Convolutional Networks for Action
Segmentation and Detection", CVPR 2017 (arXiv 1611.05267). A predicted segment is a true positive if its intersection
over union with the true segment of its label that it matches best is at least k %, and no predicted segment before it
took that one; every other predicted segment is a false positive, every true segment that none took a false negative.
The edit score is the other one of that paper. Counts are summed over recordings and edit scores averaged, as in
Y. Abu Farha, J. Gall, "MS-TCN: Multi-Stage Temporal Convolutional Network for Action Segmentation", CVPR 2019.

Time without a true label is cut out of a recording before anything is compared: it is neither right nor wrong.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgehar.errors import DataError
from edgehar.signals.clip import Segment

IOU_PERCENTS = (10, 25, 50)
"""Intersection over union, in %, from which on a segment is found."""
TOUCHING_S = 1e-6
"""Segments closer than this touch; no sensor resolves less."""
SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True)
class Compared:
    """True and predicted segments of one recording, on a time axis without unlabelled time.

    Attributes:
        truth: in order of time, not overlapping.
        predicted: in order of time.
        labelled_s: how much of the recording is labelled.
    """

    truth: tuple[Segment, ...]
    predicted: tuple[Segment, ...]
    labelled_s: float


def joined(segments: Iterable[Segment]) -> list[Segment]:
    """Segments in order of time; those that touch and have one label are one, as no label per sample tells them apart.

    Raises DataError if two of them overlap.
    """
    found: list[Segment] = []
    for segment in sorted(segments, key=lambda one: one.start_s):
        last = found[-1] if found else None
        if last is not None and segment.start_s < last.end_s - TOUCHING_S:
            raise DataError(
                f"segments from {last.start_s:g} to {last.end_s:g} s and from {segment.start_s:g} s overlap; expected "
                "one label at a time; correct the labels of the recording"
            )
        if last is not None and last.label == segment.label and segment.start_s <= last.end_s + TOUCHING_S:
            found[-1] = Segment(last.start_s, segment.end_s, last.label)
        else:
            found.append(segment)
    return found


def compare(truth: Iterable[Segment], predicted: Iterable[Segment]) -> Compared:
    """Cut unlabelled time out of both; predicted segments that lie in it altogether are gone.

    Raises DataError if true segments overlap.
    """
    known = joined(truth)
    edges_s = np.asarray([edge for one in known for edge in (one.start_s, one.end_s)], np.float64)
    lengths_s = np.asarray([length for one in known for length in (one.end_s - one.start_s, 0.0)], np.float64)
    labelled_s = np.cumsum(lengths_s) - lengths_s  # before each edge

    def cut(segments: Iterable[Segment]) -> tuple[Segment, ...]:
        found: list[Segment] = []
        for one in segments:
            start_s, end_s = np.interp([one.start_s, one.end_s], edges_s, labelled_s).tolist()
            if end_s - start_s > TOUCHING_S:
                found.append(Segment(start_s, end_s, one.label))
        return tuple(found)

    if not known:
        return Compared((), (), 0.0)
    said = sorted(predicted, key=lambda one: one.start_s)
    return Compared(cut(known), cut(said), float(lengths_s.sum()))


def overlap_s(one: Segment, other: Segment) -> float:
    """Seconds that two segments share."""
    return max(min(one.end_s, other.end_s) - max(one.start_s, other.start_s), 0.0)


def intersection_over_union(one: Segment, other: Segment) -> float:
    """Shared time over the time of both together, 0 to 1."""
    shared_s = overlap_s(one, other)
    return shared_s / (one.end_s - one.start_s + other.end_s - other.start_s - shared_s)


def found_segments(compared: Compared, least_overlap: float) -> list[int | None]:
    """For each predicted segment the place of the true one that it finds, or None if it is a false positive."""
    found: list[int | None] = []
    for segment in compared.predicted:
        overlaps = [
            intersection_over_union(segment, true) if true.label == segment.label else 0.0 for true in compared.truth
        ]
        best = max(range(len(overlaps)), key=overlaps.__getitem__)
        found.append(best if overlaps[best] >= least_overlap and best not in found else None)
    return found


def edit_score(truth: Sequence[int], predicted: Sequence[int]) -> float:
    """Levenshtein distance of two sequences of labels, normalised by the longer one: 1 if equal, 0 at worst."""
    row = list(range(len(predicted) + 1))
    for place, label in enumerate(truth, 1):
        before, row = row, [place]
        for column, said in enumerate(predicted, 1):
            row.append(min(before[column] + 1, row[column - 1] + 1, before[column - 1] + (said != label)))
    return 1 - row[-1] / max(len(truth), len(predicted), 1)


def false_alarms(compared: Compared) -> int:
    """Predicted segments of a label of which they share no time with a true segment."""
    return sum(
        not any(true.label == one.label and overlap_s(one, true) > 0 for true in compared.truth)
        for one in compared.predicted
    )


def _f1(found: int, predicted: int, true: int) -> dict[str, Any]:
    """Counts and their F1; 0 where nothing is true and nothing predicted."""
    return {
        "true_positives": found,
        "false_positives": predicted - found,
        "false_negatives": true - found,
        "f1": 2 * found / (predicted + true) if predicted + true else 0.0,
    }


def segment_scores(recordings: Sequence[Compared], labels: tuple[str, ...]) -> dict[str, Any]:
    """Score recordings together.

    Args:
        recordings: those with labelled time count.
        labels: names of the classes.

    Returns:
        Plain numbers for JSON: recordings, labelled_s, true and predicted (segments), f1_10, f1_25 and f1_50
        {true_positives, false_positives, false_negatives, f1}, edit, time_accuracy (share of the labelled time that
        has the right label), false_alarms and false_alarms_per_hour (of labelled time), and per_label {name: f1_50}.

    Raises DataError if nothing is labelled.
    """
    known = [one for one in recordings if one.truth]
    if not known:
        raise DataError("no recording has a labelled segment; expected at least one; choose other subjects or data")
    labelled_s = sum(one.labelled_s for one in known)
    right_s = sum(
        overlap_s(said, true)
        for one in known
        for said in one.predicted
        for true in one.truth
        if said.label == true.label
    )
    alarms = sum(map(false_alarms, known))
    scores: dict[str, Any] = {
        "recordings": len(known),
        "labelled_s": labelled_s,
        "true": sum(len(one.truth) for one in known),
        "predicted": sum(len(one.predicted) for one in known),
    }
    hits: list[list[bool]] = []
    for percent in IOU_PERCENTS:
        hits = [[place is not None for place in found_segments(one, percent / 100)] for one in known]
        scores[f"f1_{percent}"] = _f1(sum(map(sum, hits)), scores["predicted"], scores["true"])
    per_label = {  # at the last, the largest overlap
        name: _f1(
            sum(
                hit
                for one, some in zip(known, hits, strict=True)
                for said, hit in zip(one.predicted, some, strict=True)
                if said.label == label
            ),
            sum(said.label == label for one in known for said in one.predicted),
            sum(true.label == label for one in known for true in one.truth),
        )
        for label, name in enumerate(labels)
    }
    edits = [edit_score([true.label for true in one.truth], [said.label for said in one.predicted]) for one in known]
    return scores | {
        "edit": float(np.mean(edits)),
        "time_accuracy": right_s / labelled_s,
        "false_alarms": alarms,
        "false_alarms_per_hour": alarms / labelled_s * SECONDS_PER_HOUR,
        "per_label": per_label,
    }
