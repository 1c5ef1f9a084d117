"""Segment metrics: segmental F1, edit score, time accuracy and false alarms."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehar.errors import DataError
from edgehar.metrics.segments import IOU_PERCENTS, align_segments, edit_score, merge_touching, segment_scores
from edgehar.signals.clip import Segment

LABELS = ("a", "b", "c")


def spans(*rows: tuple[float, float, int]) -> list[Segment]:
    return [Segment(*row) for row in rows]


def f1s(truth: list[Segment], predicted: list[Segment]) -> list[float]:
    scores = segment_scores([align_segments(truth, predicted)], LABELS)
    return [scores[f"f1_{percent}"]["f1"] for percent in IOU_PERCENTS]


@st.composite
def whole_seconds(draw: st.DrawFn) -> list[Segment]:
    """Consecutive segments of whole seconds, with or without gaps."""
    found: list[Segment] = []
    at = 0
    for _ in range(draw(st.integers(1, 8))):
        at += draw(st.sampled_from([0, 0, 0, 2]))
        length = draw(st.integers(1, 6))
        found.append(Segment(float(at), float(at + length), draw(st.integers(0, 2))))
        at += length
    return found


def per_second(segments: list[Segment]) -> np.ndarray:
    label = np.full(100, -1)
    for one in segments:
        label[int(one.start_s) : int(one.end_s)] = one.label
    return label


def test_a_shifted_boundary_reduces_the_time_accuracy_only() -> None:
    truth, predicted = spans((0, 10, 0), (10, 20, 1)), spans((0, 9, 0), (9, 20, 1))
    assert f1s(truth, predicted) == [1, 1, 1]
    scores = segment_scores([align_segments(truth, predicted)], LABELS)
    assert (scores["edit"], scores["time_accuracy"], scores["false_alarms"]) == (1, 0.95, 0)


def test_a_fragmented_segment_matches_once() -> None:
    truth, predicted = spans((0, 10, 0)), spans((0, 4, 0), (4, 5, 1), (5, 10, 0))
    scores = segment_scores([align_segments(truth, predicted)], LABELS)
    assert scores["f1_10"] == {"true_positives": 1, "false_positives": 2, "false_negatives": 0, "f1": 0.5}
    assert scores["f1_50"]["true_positives"] == 1
    assert scores["edit"] == pytest.approx(1 / 3)
    assert scores["false_alarms"] == 1
    assert scores["false_alarms_per_hour"] == 360


def test_overlap_decides_the_thresholds_of_a_match() -> None:
    assert f1s(spans((0, 10, 0)), spans((0, 3, 0))) == [1, 1, 0]
    assert f1s(spans((0, 10, 0)), spans((0, 2, 0))) == [1, 0, 0]
    assert f1s(spans((0, 10, 0)), spans((0, 10, 1))) == [0, 0, 0]
    assert f1s(spans((0, 10, 0)), []) == [0, 0, 0]


def test_unlabelled_time_does_not_count() -> None:
    truth = spans((2, 6, 0), (8, 12, 1))
    predicted = spans((0, 7, 0), (7, 7.5, 2), (7.5, 20, 1))
    scores = segment_scores([align_segments(truth, predicted)], LABELS)
    assert f1s(truth, predicted) == [1, 1, 1]
    assert (scores["labelled_s"], scores["predicted"], scores["time_accuracy"]) == (8, 2, 1)


def test_one_prediction_across_a_gap_matches_one_of_two() -> None:
    compared = align_segments(spans((0, 4, 0), (6, 10, 0)), spans((0, 10, 0)))
    assert segment_scores([compared], LABELS)["f1_50"] == {
        "true_positives": 1,
        "false_positives": 0,
        "false_negatives": 1,
        "f1": pytest.approx(2 / 3),
    }


def test_touching_segments_of_one_label_are_merged() -> None:
    assert merge_touching(spans((4, 6, 0), (0, 4, 0), (6, 7, 1))) == spans((0, 6, 0), (6, 7, 1))


def test_overlapping_true_segments_are_refused() -> None:
    with pytest.raises(DataError, match="from 0 to 5 s and from 4 s"):
        align_segments(spans((0, 5, 0), (4, 6, 1)), [])


def test_recordings_without_labels_are_refused() -> None:
    with pytest.raises(DataError, match="labelled segment"):
        segment_scores([align_segments([], spans((0, 1, 0)))], LABELS)


@pytest.mark.parametrize(
    ("truth", "predicted", "expected"),
    [([0, 1, 2], [0, 1, 2], 1.0), ([0, 1], [], 0.0), ([0, 1, 0], [0, 0], 2 / 3), ([0], [1, 2], 0.0), ([], [], 1.0)],
)
def test_edit_score_of_small_examples(truth: list[int], predicted: list[int], expected: float) -> None:
    assert edit_score(truth, predicted) == pytest.approx(expected)


def test_counts_are_summed_and_edit_scores_averaged() -> None:
    good = align_segments(spans((0, 10, 0)), spans((0, 10, 0)))
    bad = align_segments(spans((0, 10, 1), (10, 30, 0)), spans((0, 30, 2)))
    scores = segment_scores([good, bad, align_segments([], [])], LABELS)
    assert (scores["recordings"], scores["true"], scores["predicted"], scores["labelled_s"]) == (2, 3, 2, 40)
    assert scores["f1_10"]["f1"] == pytest.approx(2 / 5)
    assert scores["edit"] == 0.5
    assert scores["time_accuracy"] == 0.25
    assert scores["per_label"]["a"]["false_negatives"] == 1
    assert json.loads(json.dumps(scores)) == scores


@given(whole_seconds())
def test_perfect_predictions_have_perfect_scores(truth: list[Segment]) -> None:
    assert f1s(truth, merge_touching(truth)) == [1, 1, 1]
    scores = segment_scores([align_segments(truth, merge_touching(truth))], LABELS)
    assert (scores["edit"], scores["time_accuracy"], scores["false_alarms"]) == (1, pytest.approx(1), 0)


@given(whole_seconds(), whole_seconds())
def test_time_accuracy_is_the_share_of_correct_seconds(truth: list[Segment], predicted: list[Segment]) -> None:
    actual, found = per_second(truth), per_second(predicted)
    scores = segment_scores([align_segments(truth, predicted)], LABELS)
    assert scores["time_accuracy"] == pytest.approx((actual == found)[actual >= 0].mean())


@given(whole_seconds(), whole_seconds())
def test_a_higher_threshold_matches_no_more_segments(truth: list[Segment], predicted: list[Segment]) -> None:
    assert f1s(truth, predicted) == sorted(f1s(truth, predicted), reverse=True)
