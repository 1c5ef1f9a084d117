"""Segment metrics: segmental F1 at several overlaps, edit score and false alarms.

Segmental F1 (F1@k): C. Lea, M. D. Flynn, R. Vidal, A. Reiter, G. D. Hager, "Temporal Convolutional Networks for Action
Segmentation and Detection", CVPR 2017 (arXiv 1611.05267). A predicted segment is a true positive if its intersection
over union with the best matching true segment of its label is at least k %, and no earlier predicted segment matched
that one; other predicted segments are false positives, unmatched true segments false negatives. The edit score is from
the same paper. Counts are summed over recordings and edit scores averaged, as in
Y. Abu Farha, J. Gall, "MS-TCN: Multi-Stage Temporal Convolutional Network for Action Segmentation", CVPR 2019.

Unlabelled time is removed from a recording before the comparison and does not count.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgehar.errors import DataError
from edgehar.signals.clip import Segment

IOU_PERCENTS = (10, 25, 50)
"""Thresholds of the intersection over union, in %."""
TOUCHING_S = 1e-6
"""Segments closer than this touch; it is below the resolution of any sensor."""
SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True)
class AlignedSegments:
    """True and predicted segments of a recording, on a time axis without unlabelled time.

    Attributes:
        truth: in order of time, not overlapping.
        predicted: in order of time.
        labelled_s: labelled seconds of the recording.
    """

    truth: tuple[Segment, ...]
    predicted: tuple[Segment, ...]
    labelled_s: float


def merge_touching(segments: Iterable[Segment]) -> list[Segment]:
    """Segments in order of time; touching segments with the same label are merged, as labels per sample would be.

    Raises DataError if segments overlap.
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


def align_segments(truth: Iterable[Segment], predicted: Iterable[Segment]) -> AlignedSegments:
    """Remove unlabelled time from both; predicted segments entirely within it are removed.

    Raises DataError if true segments overlap.
    """
    labelled = merge_touching(truth)
    edges_s = np.asarray([edge for one in labelled for edge in (one.start_s, one.end_s)], np.float64)
    lengths_s = np.asarray([length for one in labelled for length in (one.end_s - one.start_s, 0.0)], np.float64)
    labelled_s = np.cumsum(lengths_s) - lengths_s  # before each edge

    def without_unlabelled(segments: Iterable[Segment]) -> tuple[Segment, ...]:
        found: list[Segment] = []
        for one in segments:
            start_s, end_s = np.interp([one.start_s, one.end_s], edges_s, labelled_s).tolist()
            if end_s - start_s > TOUCHING_S:
                found.append(Segment(start_s, end_s, one.label))
        return tuple(found)

    if not labelled:
        return AlignedSegments((), (), 0.0)
    ordered = sorted(predicted, key=lambda one: one.start_s)
    return AlignedSegments(without_unlabelled(labelled), without_unlabelled(ordered), float(lengths_s.sum()))


def overlap_s(one: Segment, other: Segment) -> float:
    """Overlap of two segments in seconds."""
    return max(min(one.end_s, other.end_s) - max(one.start_s, other.start_s), 0.0)


def intersection_over_union(one: Segment, other: Segment) -> float:
    """Overlap of two segments divided by their union, 0 to 1."""
    shared_s = overlap_s(one, other)
    return shared_s / (one.end_s - one.start_s + other.end_s - other.start_s - shared_s)


def match_segments(aligned: AlignedSegments, least_overlap: float) -> list[int | None]:
    """Index of the true segment that each predicted segment matches, or None for a false positive."""
    found: list[int | None] = []
    for segment in aligned.predicted:
        overlaps = [
            intersection_over_union(segment, true) if true.label == segment.label else 0.0 for true in aligned.truth
        ]
        best = max(range(len(overlaps)), key=overlaps.__getitem__)
        found.append(best if overlaps[best] >= least_overlap and best not in found else None)
    return found


def edit_score(truth: Sequence[int], predicted: Sequence[int]) -> float:
    """1 minus the Levenshtein distance of two label sequences, normalised by the longer one: 1 if equal, 0 at worst."""
    row = list(range(len(predicted) + 1))
    for index, label in enumerate(truth, 1):
        previous, row = row, [index]
        for column, other in enumerate(predicted, 1):
            row.append(min(previous[column] + 1, row[column - 1] + 1, previous[column - 1] + (other != label)))
    return 1 - row[-1] / max(len(truth), len(predicted), 1)


def false_alarms(aligned: AlignedSegments) -> int:
    """Number of predicted segments that overlap no true segment of their label."""
    return sum(
        not any(true.label == one.label and overlap_s(one, true) > 0 for true in aligned.truth)
        for one in aligned.predicted
    )


def _f1(found: int, predicted: int, true: int) -> dict[str, Any]:
    """Counts and their F1, 0 without true and predicted segments."""
    return {
        "true_positives": found,
        "false_positives": predicted - found,
        "false_negatives": true - found,
        "f1": 2 * found / (predicted + true) if predicted + true else 0.0,
    }


def segment_scores(recordings: Sequence[AlignedSegments], labels: tuple[str, ...]) -> dict[str, Any]:
    """Segment metrics over several recordings.

    Args:
        recordings: recordings; those without labelled time are ignored.
        labels: names of the classes.

    Returns:
        Values for JSON: recordings, labelled_s, true and predicted (segments), f1_10, f1_25 and f1_50
        {true_positives, false_positives, false_negatives, f1}, edit, time_accuracy (share of the labelled time with
        the correct label), false_alarms and false_alarms_per_hour (of labelled time), and per_label {name: f1_50}.

    Raises DataError without labelled time.
    """
    labelled = [one for one in recordings if one.truth]
    if not labelled:
        raise DataError("no recording has a labelled segment; expected at least one; choose other subjects or data")
    labelled_s = sum(one.labelled_s for one in labelled)
    correct_s = sum(
        overlap_s(predicted, true)
        for one in labelled
        for predicted in one.predicted
        for true in one.truth
        if predicted.label == true.label
    )
    alarms = sum(map(false_alarms, labelled))
    scores: dict[str, Any] = {
        "recordings": len(labelled),
        "labelled_s": labelled_s,
        "true": sum(len(one.truth) for one in labelled),
        "predicted": sum(len(one.predicted) for one in labelled),
    }
    hits: list[list[bool]] = []
    for percent in IOU_PERCENTS:
        hits = [[index is not None for index in match_segments(one, percent / 100)] for one in labelled]
        scores[f"f1_{percent}"] = _f1(sum(map(sum, hits)), scores["predicted"], scores["true"])
    per_label = {  # at the last and largest overlap
        name: _f1(
            sum(
                hit
                for one, some in zip(labelled, hits, strict=True)
                for predicted, hit in zip(one.predicted, some, strict=True)
                if predicted.label == label
            ),
            sum(predicted.label == label for one in labelled for predicted in one.predicted),
            sum(true.label == label for one in labelled for true in one.truth),
        )
        for label, name in enumerate(labels)
    }
    edits = [
        edit_score([true.label for true in one.truth], [predicted.label for predicted in one.predicted])
        for one in labelled
    ]
    return scores | {
        "edit": float(np.mean(edits)),
        "time_accuracy": correct_s / labelled_s,
        "false_alarms": alarms,
        "false_alarms_per_hour": alarms / labelled_s * SECONDS_PER_HOUR,
        "per_label": per_label,
    }
