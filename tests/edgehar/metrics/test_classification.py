"""Accuracy, counts by class and subject, macro F1 and the Wilson interval."""

import json

import numpy as np
import pytest

from edgehar.errors import DataError
from edgehar.metrics.classification import MAX_MATRIX_LABELS, score, wilson, without_tables

LABELS = ("sit", "walk", "jump")


def example() -> dict[str, object]:
    return score(np.asarray([0, 0, 1, 1]), np.asarray([0, 1, 1, 1]), np.asarray(["s2", "s10", "s2", "s10"]), LABELS)


def test_counts_by_class_subject_and_pair() -> None:
    result = example()
    assert (result["correct"], result["total"], result["accuracy"]) == (3, 4, 0.75)
    assert result["confusion"] == [[1, 1, 0], [0, 2, 0], [0, 0, 0]]
    assert result["per_subject"] == {"s2": {"correct": 2, "total": 2}, "s10": {"correct": 1, "total": 2}}
    assert result["per_class"] == {
        "sit": {"correct": 1, "total": 2},
        "walk": {"correct": 2, "total": 2},
        "jump": {"correct": 0, "total": 0},
    }


def test_subjects_are_in_natural_order() -> None:
    assert list(example()["per_subject"]) == ["s2", "s10"]  # type: ignore[call-overload]


def test_macro_f1_is_over_classes_that_occur() -> None:
    assert example()["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_result_is_json() -> None:
    assert json.loads(json.dumps(example())) == example()


def test_wilson_interval_of_a_published_example() -> None:
    # 81 of 263, a textbook example of the score interval: 0.2553 to 0.3662.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


@pytest.mark.parametrize(("correct", "total"), [(0, 10), (10, 10), (3.5, 7), (1, 1)])
def test_wilson_interval_contains_the_share(correct: float, total: int) -> None:
    low, high = wilson(correct, total)
    assert 0 <= low <= correct / total <= high <= 1


@pytest.mark.parametrize(("correct", "total"), [(1, 0), (-1, 3), (4, 3), (float("nan"), 3)])
def test_invalid_counts_are_refused(correct: float, total: int) -> None:
    with pytest.raises(DataError, match=f"{correct} correct of {total}"):
        wilson(correct, total)


@pytest.mark.parametrize(
    ("label", "predicted", "subject"),
    [([], [], []), ([0], [0, 1], ["a"]), ([-1], [0], ["a"]), ([0], [3], ["a"])],
)
def test_invalid_predictions_are_refused(label: list[int], predicted: list[int], subject: list[str]) -> None:
    with pytest.raises(DataError):
        score(np.asarray(label, np.int64), np.asarray(predicted, np.intp), np.asarray(subject), LABELS)


def test_many_classes_have_a_list_of_confused_pairs_and_no_matrix() -> None:
    labels = tuple(f"sign {number}" for number in range(MAX_MATRIX_LABELS + 1))
    truth, predicted = np.asarray([0, 0, 100, 7, 7]), np.asarray([100, 100, 100, 7, 3])
    found = score(truth, predicted, np.asarray(["s1"] * 5), labels)
    assert "confusion" not in found
    assert found["confused"] == [
        {"true": "sign 0", "predicted": "sign 100", "count": 2},
        {"true": "sign 7", "predicted": "sign 3", "count": 1},
    ]
    fewer = score(truth % 100, predicted % 100, np.asarray(["s1"] * 5), labels[:-1])
    assert np.asarray(fewer["confusion"]).shape == (100, 100)
    assert set(found) - set(without_tables(found, labels)) == {"confused", "per_class"}
    assert without_tables(fewer, labels[:-1]) == fewer
