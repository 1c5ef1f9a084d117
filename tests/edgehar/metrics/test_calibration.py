"""Temperature scaling, calibration error, threshold, AUROC, and validation of a stored calibration."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehar.errors import DataError
from edgehar.metrics.calibration import (  # fmt: skip
    TemperatureScaling,
    auroc,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    softmax,
    threshold_for_coverage,
)

GOOD = TemperatureScaling(1.5, 0.4, 0.95, 12, ("s1", "s3"), 0.1, 0.05, 0.7, 0.6)


def sampled(scale: float, windows: int = 20_000) -> tuple[Any, Any]:
    """Labels drawn from softmax(logits), and the logits multiplied by `scale`."""
    generator = np.random.default_rng(0)
    logits = generator.standard_normal((windows, 6)) * 2
    label = (logits + generator.gumbel(size=logits.shape)).argmax(1)  # a draw from softmax(logits)
    return (scale * logits).astype(np.float32), label


@pytest.mark.parametrize("scale", [0.1, 0.5, 1.0, 3.0, 12.0])
def test_fit_recovers_the_scale_of_the_logits(scale: float) -> None:
    logits, label = sampled(scale)
    found = fit_temperature(logits, label)
    assert found == pytest.approx(scale, rel=0.03)
    assert expected_calibration_error(softmax(logits, found), label) < 0.015
    if scale != 1:
        assert expected_calibration_error(softmax(logits), label) > 0.05


def test_fitted_temperature_has_the_least_loss() -> None:
    logits, label = sampled(2.0, windows=500)
    found = fit_temperature(logits, label)
    least = negative_log_likelihood(logits, label, found)
    for other in np.geomspace(0.05, 20, 400):
        assert least <= negative_log_likelihood(logits, label, float(other)) + 1e-12


def test_degenerate_logits_give_a_bound_or_1() -> None:
    label = np.arange(4)
    assert fit_temperature(np.eye(4, dtype=np.float32), label) == pytest.approx(0.05)
    assert fit_temperature(-np.eye(4, dtype=np.float32), label) == pytest.approx(20)
    assert fit_temperature(np.zeros((4, 4), np.float32), label) == 1.0


def test_likelihood_is_that_of_the_true_class() -> None:
    logits = np.log(np.asarray([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]))
    found = negative_log_likelihood(logits, np.asarray([0, 1]))
    assert found == pytest.approx(-(math.log(0.5) + math.log(0.1)) / 2)
    sharp = negative_log_likelihood(logits, np.asarray([0, 1]), 0.5)
    assert sharp == pytest.approx(-(math.log(0.25 / 0.375) + math.log(0.01 / 0.66)) / 2)
    far = np.asarray([[0.0, 1e30]], np.float32)
    assert negative_log_likelihood(far, np.asarray([1])) == 0


def pairs(*top: float) -> Any:
    return np.asarray([[value, 1 - value] for value in top], np.float64)


def test_calibration_error_of_small_examples() -> None:
    zeros = np.zeros(4, np.int64)
    assert expected_calibration_error(pairs(1.0, 1.0, 1.0, 1.0), zeros) == 0
    assert expected_calibration_error(pairs(1.0, 1.0, 1.0, 1.0), zeros + 1) == 1
    # One bin: three of four correct at 0.9.
    assert expected_calibration_error(pairs(0.9, 0.9, 0.9, 0.9), np.asarray([0, 0, 0, 1])) == pytest.approx(0.15)
    # Two bins: 0.6 always wrong, 0.9 always correct; in one bin they would partly cancel.
    mixed = pairs(0.6, 0.6, 0.9, 0.9)
    assert expected_calibration_error(mixed, np.asarray([1, 1, 0, 0])) == pytest.approx((0.6 + 0.1) / 2)
    assert expected_calibration_error(mixed, np.asarray([1, 1, 0, 0]), bins=1) == pytest.approx(0.25)


def test_a_bin_includes_its_upper_edge() -> None:
    # With four bins 0.75 is in the third, together with 0.7, and not in the fourth, with 0.8.
    label = np.asarray([1, 0, 0])
    third = abs(0 - 0.75 + 1 - 0.7)
    assert expected_calibration_error(pairs(0.75, 0.7, 0.8), label, bins=4) == pytest.approx((third + 0.2) / 3)


@given(st.lists(st.integers(0, 8), min_size=1, max_size=30), st.lists(st.integers(0, 8), min_size=1, max_size=30))
def test_auroc_is_the_share_of_ordered_pairs(known: list[int], unknown: list[int]) -> None:
    right = sum((high > low) + (high == low) / 2 for low in known for high in unknown)
    found = auroc(np.asarray(known, np.float64) / 7, np.asarray(unknown, np.float64) / 7)
    assert found == pytest.approx(right / (len(known) * len(unknown)))
    mirrored = auroc(np.asarray(unknown, np.float64) / 7, np.asarray(known, np.float64) / 7)
    assert found + mirrored == pytest.approx(1)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=40), st.floats(0.001, 1))
def test_threshold_is_the_highest_with_the_coverage(tenths: list[int], coverage: float) -> None:
    score = np.asarray(tenths, np.float32) / np.float32(10)
    found = threshold_for_coverage(score, coverage)
    assert found in score.tolist()
    assert (score >= found).mean() >= coverage - 1e-9
    assert all((score >= higher).mean() < coverage for higher in score if higher > found)


def test_ties_at_the_threshold() -> None:
    score = np.asarray([0.9, 0.5, 0.5, 0.5, 0.1])
    assert threshold_for_coverage(score, 0.2) == 0.9
    assert threshold_for_coverage(score, 0.3) == 0.5
    assert threshold_for_coverage(score, 0.8) == 0.5
    assert threshold_for_coverage(score, 0.81) == 0.1
    # 0.07 * 100 exceeds 7 by rounding
    assert threshold_for_coverage(np.arange(1, 101) / 100, 0.07) == 0.94


def test_softmax_divides_by_the_temperature() -> None:
    logits = np.asarray([[1.0, 3.0, -2.0], [1000.0, 0.0, 0.0]], np.float32)
    expected = np.exp(logits[0] / 2) / np.exp(logits[0] / 2).sum()
    np.testing.assert_allclose(softmax(logits, 2.0)[0], expected, rtol=1e-6)
    assert softmax(logits, 0.05)[1].tolist() == [1, 0, 0]
    assert softmax(logits, 2.0).dtype == np.float32


@pytest.mark.parametrize(
    ("logits", "label"),
    [
        (np.zeros((0, 3)), np.zeros(0, np.int64)),
        (np.zeros((3, 1)), np.zeros(3, np.int64)),
        (np.zeros(3), np.zeros(3, np.int64)),
        (np.zeros((3, 2)), np.zeros(2, np.int64)),
        (np.zeros((3, 2)), np.full(3, 2)),
        (np.zeros((3, 2)), np.full(3, -1)),
        (np.full((3, 2), np.nan), np.zeros(3, np.int64)),
    ],
)
def test_invalid_logits_are_refused(logits: Any, label: Any) -> None:
    for function in (fit_temperature, negative_log_likelihood, expected_calibration_error):
        with pytest.raises(DataError):
            function(logits, label)


def test_scores_and_shares_out_of_range_are_refused() -> None:
    some = np.asarray([0.5, 0.6])
    for score, coverage in ((some, 0.0), (some, 1.1), (some, math.nan), (some[:0], 0.5), (some * np.nan, 0.5)):
        with pytest.raises(DataError, match="coverage "):
            threshold_for_coverage(score, coverage)
    for known, unknown in ((some[:0], some), (some, some[:0]), (some, some * np.nan)):
        with pytest.raises(DataError, match="negative and "):
            auroc(known, unknown)
    with pytest.raises(DataError, match="0 bins"):
        expected_calibration_error(pairs(0.5), np.zeros(1, np.int64), bins=0)


def test_json_round_trip() -> None:
    for one in (GOOD, TemperatureScaling(1.0, None, None, 2, ("a",), 0, 1, 0, 3)):
        assert TemperatureScaling.from_json(json.loads(json.dumps(one.to_json()))) == one


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0},
        {"temperature": -1.0},
        {"temperature": "1"},
        {"temperature": None},
        {"temperature": True},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"temperature": 10**400},
        {"temperature": 1e-300},
        {"threshold": None},
        {"threshold": 0.0},
        {"threshold": 1.5},
        {"threshold": math.nan},
        {"coverage": None},
        {"coverage": 0},
        {"coverage": 2},
        {"windows": 1},
        {"windows": 12.0},
        {"windows": True},
        {"windows": "12"},
        {"subjects": []},
        {"subjects": "s1"},
        {"subjects": ["s1", "s1"]},
        {"subjects": ["s1", 3]},
        {"subjects": [""]},
        {"subjects": {"s1": 1}},
        {"subjects": [f"s{number}" for number in range(13)]},
        {"ece_before": -0.1},
        {"ece_after": 1.1},
        {"ece_after": None},
        {"nll_before": -1},
        {"nll_after": math.inf},
        {"colour": "red"},
    ],
    ids=str,
)
def test_invalid_calibrations_are_refused_in_one_line(change: dict[str, Any]) -> None:
    with pytest.raises(DataError) as refused:
        TemperatureScaling.from_json(GOOD.to_json() | change)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("entry", [None, [], "x", 1, {}, {"temperature": 1.0}])
def test_other_json_values_are_refused(entry: Any) -> None:
    with pytest.raises(DataError):
        TemperatureScaling.from_json(entry)
