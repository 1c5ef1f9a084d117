"""Joining predictions to activities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehar.deploy.stream.segments import Activity, Segmenter
from edgehar.errors import ConfigError
from edgehar.signals.clip import UNKNOWN, Prediction

WINDOW_S, HOP_S = 2.0, 0.5


def predictions(labels: str, start_s: float = 0.0) -> list[Prediction]:
    """One per hop: w, s and j are labels, ? is unknown, and a blank is a window without a prediction."""
    names = {"w": "walk", "s": "sit", "j": "jog", "?": UNKNOWN}
    return [
        Prediction(
            names[letter],
            0.8,
            np.full(3, 1 / 3, np.float32),
            start_s + index * HOP_S,
            start_s + index * HOP_S + WINDOW_S,
        )
        for index, letter in enumerate(labels)
        if letter != " "
    ]


def spans(found: list[Activity]) -> list[tuple[str, float, float]]:
    return [(one.label, one.start_s, one.end_s) for one in found]


def segmented(labels: str, shortest_s: float = 0.0) -> list[Activity]:
    segmenter = Segmenter(shortest_s)
    return segmenter.push(predictions(labels)) + segmenter.flush()


def test_activity_changes_half_way_between_window_centres() -> None:
    assert spans(segmented("wwwwss")) == [("walk", 0.0, 2.75), ("sit", 2.75, 4.5)]
    assert spans(segmented("w")) == [("walk", 0.0, WINDOW_S)]
    assert segmented("") == []


def test_short_label_belongs_to_the_activity_before_it() -> None:
    assert [one[0] for one in spans(segmented("wwwwswwww"))] == ["walk", "sit", "walk"]
    assert spans(segmented("wwwwswwww", shortest_s=2.0)) == [("walk", 0.0, 6.0)]
    # A short label extends the activity before it, and is dropped at the end.
    assert spans(segmented("wwwwsjjjjjj", shortest_s=2.0)) == [("walk", 0.0, 3.25), ("jog", 3.25, 7.0)]
    assert spans(segmented("wwwws", shortest_s=2.0)) == [("walk", 0.0, 4.0)]


def test_unknown_time_belongs_to_no_activity() -> None:
    assert spans(segmented("ww??ss")) == [("walk", 0.0, 1.75), ("sit", 2.75, 4.5)]
    assert segmented("????") == []


def test_pause_ends_an_activity_with_its_last_window() -> None:
    assert spans(segmented("ww        ww")) == [("walk", 0.0, 2.5), ("walk", 5.0, 7.5)]


def test_activity_is_returned_once_the_next_one_lasted() -> None:
    segmenter = Segmenter(1.5)
    ended = [index for index, one in enumerate(predictions("wwwwssss")) if segmenter.push([one])]
    assert ended == [5]  # the first window that reaches 1.5 s beyond the change at 2.75 s ends at 4.5 s
    assert segmenter.current is not None
    assert segmenter.current.label == "sit"
    segmenter.flush()
    assert segmenter.current is None


@given(st.text("wsj? ", max_size=40), st.sampled_from([0.0, 1.0, 3.0]))
def test_activities_are_in_order_and_within_the_recording(labels: str, shortest_s: float) -> None:
    given_predictions = predictions(labels)
    found = segmented(labels, shortest_s)
    edges = [edge for one in found for edge in (one.start_s, one.end_s)]
    assert edges == sorted(edges)
    assert all(one.end_s > one.start_s and one.label != UNKNOWN for one in found)
    if found:
        assert given_predictions[0].start_s <= edges[0] <= edges[-1] <= given_predictions[-1].end_s


@pytest.mark.parametrize("shortest_s", [-1.0, float("inf"), float("nan")])
def test_invalid_duration_is_rejected(shortest_s: float) -> None:
    with pytest.raises(ConfigError, match="shortest_s"):
        Segmenter(shortest_s)
