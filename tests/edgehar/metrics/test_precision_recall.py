"""Average precision."""

import numpy as np
import pytest

from edgehar.errors import DataError
from edgehar.metrics.precision_recall import average_precision


def test_precision_is_averaged_over_the_gains_in_recall() -> None:
    scores, truth = np.array([0.9, 0.8, 0.7, 0.1]), np.array([True, False, True, False])
    assert average_precision(scores, truth) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(-scores, truth) == pytest.approx((1 / 2 + 2 / 4) / 2)


def test_equal_scores_share_a_threshold() -> None:
    truth = np.array([True, False, False, False])
    assert average_precision(np.zeros(4), truth) == 0.25
    assert average_precision(np.array([1.0, 1.0, 0.0, 0.0]), truth) == 0.5


@pytest.mark.parametrize(
    ("scores", "truth"),
    [(np.zeros(2), np.zeros(2, bool)), (np.zeros(2), np.ones(3, bool)), (np.array([np.nan, 1]), np.ones(2, bool))],
    ids=["nothing true", "another length", "not finite"],
)
def test_unusable_input_is_an_error(scores: np.ndarray, truth: np.ndarray) -> None:
    with pytest.raises(DataError):
        average_precision(scores, truth)
