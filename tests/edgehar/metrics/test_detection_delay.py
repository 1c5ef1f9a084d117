"""Detection delay: from the start of an activity to the first new emission of its label."""

import json

import pytest

from edgehar.metrics.detection_delay import EmittedLabel, delay_scores, detections
from edgehar.signals.clip import Segment

WALK, TURN = 0, 1
LABELS = ("walk", "turn")
TRUTH = [Segment(0.0, 4.0, WALK), Segment(4.0, 6.0, TURN), Segment(6.0, 12.0, WALK)]


def every_second(*labels: int | None) -> list[EmittedLabel]:
    """Labels of windows of 2 s, one per second, each emitted half a second after its window."""
    return [EmittedLabel(end_s + 0.5, end_s - 2.0, end_s, label) for end_s, label in enumerate(labels, 2)]


def kinds_and_delays(emitted: list[EmittedLabel]) -> list[tuple[str, float | None]]:
    return [(one.kind, one.delay_s) for one in detections(TRUTH, emitted)]


def test_a_continued_label_does_not_detect_the_next_segment() -> None:
    # windows end at 2, 3, ... 10; the turn is emitted at 6.5, after the start of the second walk
    emitted = every_second(WALK, WALK, WALK, WALK, TURN, TURN, WALK, WALK, WALK)
    assert kinds_and_delays(emitted) == [("in_time", 2.5), ("late", 2.5), ("in_time", 2.5)]


def test_after_a_missed_segment_the_next_one_is_carried_over() -> None:
    assert kinds_and_delays(every_second(*[WALK] * 9)) == [("in_time", 2.5), ("never", None), ("carried_over", None)]


def test_unknown_detects_nothing_and_ends_the_label() -> None:
    emitted = every_second(WALK, WALK, WALK, None, None, None, None, WALK)
    assert kinds_and_delays(emitted) == [("in_time", 2.5), ("never", None), ("in_time", 3.5)]


def test_a_gap_ends_the_label() -> None:
    emitted = [*every_second(WALK)[:1], EmittedLabel(9.0, 6.5, 8.5, WALK)]
    assert kinds_and_delays(emitted) == [("in_time", 2.5), ("never", None), ("in_time", 3.0)]


def test_a_wrong_label_detects_nothing() -> None:
    assert kinds_and_delays(every_second(TURN)) == [("never", None)] * 3
    assert kinds_and_delays([]) == [("never", None)] * 3


def test_scores_count_each_segment_once() -> None:
    found = detections(TRUTH, every_second(WALK, WALK, WALK, WALK, TURN, TURN, WALK))
    scores = delay_scores(found, LABELS)
    assert scores["segments"] == scores["in_time"] + scores["late"] + scores["carried_over"] + scores["never"] == 3
    assert (scores["median_s"], scores["p90_s"], scores["never_share"]) == (2.5, 2.5, 0)
    assert scores["per_label"]["turn"]["late"] == 1
    assert scores["per_label"]["turn"]["median_seen_share"] == 1
    assert scores["per_label"]["walk"]["median_seen_share"] == pytest.approx((2.5 / 4 + 2.5 / 6) / 2)
    assert json.loads(json.dumps(scores)) == scores


def test_without_detections_there_is_no_delay() -> None:
    scores = delay_scores(detections(TRUTH, []), LABELS)
    assert (scores["median_s"], scores["p90_s"], scores["median_seen_share"]) == (None, None, None)
    assert scores["never_share"] == 1
