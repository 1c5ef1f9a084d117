"""A delay runs from the start of an activity to the answer that first took its label up."""

import json

import pytest

from edgehar.metrics.detection_delay import Answer, delay_scores, detections
from edgehar.signals.clip import Segment

WALK, TURN = 0, 1
LABELS = ("walk", "turn")
TRUTH = [Segment(0.0, 4.0, WALK), Segment(4.0, 6.0, TURN), Segment(6.0, 12.0, WALK)]


def every_second(*labels: int | None) -> list[Answer]:
    """Answers about windows of 2 s, a second apart, each half a second after its window."""
    return [Answer(end_s + 0.5, end_s - 2.0, end_s, label) for end_s, label in enumerate(labels, 2)]


def told(answers: list[Answer]) -> list[tuple[str, float | None]]:
    return [(one.kind, one.delay_s) for one in detections(TRUTH, answers)]


def test_what_is_still_said_of_the_walk_before_does_not_detect_the_walk_after_a_turn() -> None:
    # windows end at 2, 3, ... 10; the turn is named at 6.5, when the second walk has begun already
    answers = every_second(WALK, WALK, WALK, WALK, TURN, TURN, WALK, WALK, WALK)
    assert told(answers) == [("in_time", 2.5), ("late", 2.5), ("in_time", 2.5)]


def test_a_turn_that_is_missed_leaves_the_next_walk_carried_over() -> None:
    assert told(every_second(*[WALK] * 9)) == [("in_time", 2.5), ("never", None), ("carried_over", None)]


def test_unknown_takes_up_nothing_and_ends_what_was_said() -> None:
    answers = every_second(WALK, WALK, WALK, None, None, None, None, WALK)
    assert told(answers) == [("in_time", 2.5), ("never", None), ("in_time", 3.5)]


def test_a_pause_ends_what_was_said() -> None:
    answers = [*every_second(WALK)[:1], Answer(9.0, 6.5, 8.5, WALK)]
    assert told(answers) == [("in_time", 2.5), ("never", None), ("in_time", 3.0)]


def test_a_wrong_answer_detects_nothing() -> None:
    assert told(every_second(TURN)) == [("never", None)] * 3
    assert told([]) == [("never", None)] * 3


def test_scores_count_every_segment_once() -> None:
    found = detections(TRUTH, every_second(WALK, WALK, WALK, WALK, TURN, TURN, WALK))
    scores = delay_scores(found, LABELS)
    assert scores["segments"] == scores["in_time"] + scores["late"] + scores["carried_over"] + scores["never"] == 3
    assert (scores["median_s"], scores["p90_s"], scores["never_share"]) == (2.5, 2.5, 0)
    assert scores["per_label"]["turn"]["late"] == 1
    assert scores["per_label"]["turn"]["median_seen_share"] == 1
    assert scores["per_label"]["walk"]["median_seen_share"] == pytest.approx((2.5 / 4 + 2.5 / 6) / 2)
    assert json.loads(json.dumps(scores)) == scores


def test_nothing_detected_has_no_delay() -> None:
    scores = delay_scores(detections(TRUTH, []), LABELS)
    assert (scores["median_s"], scores["p90_s"], scores["median_seen_share"]) == (None, None, None)
    assert scores["never_share"] == 1
