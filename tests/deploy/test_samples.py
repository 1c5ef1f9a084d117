"""Which samples are usable, by either way to find out."""

import numpy as np
import pytest

from edgehar.deploy.samples import MAX_VALUE, are_usable, are_usable_numbers, as_times
from edgehar.errors import DataError


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.0, -0.0, MAX_VALUE, -MAX_VALUE, 1.1e9, -1.1e9, 1e30, np.nan, np.inf, -np.inf])
def test_both_checks_agree(value: float, dtype: type[np.float32 | np.float64]) -> None:
    for place in range(6):
        rows = np.arange(6, dtype=dtype).reshape(2, 3)
        rows[divmod(place, 3)] = value
        expected = abs(value) <= MAX_VALUE
        for given in (rows, np.asfortranarray(rows), rows[::-1]):
            assert are_usable(given) is are_usable_numbers(given) is expected


def test_times_of_several_columns_are_not_read_as_one() -> None:
    assert as_times([[0.0], [0.1]], 2, "wrist").tolist() == [0.0, 0.1]
    with pytest.raises(DataError, match=r"shape \(2, 2\); expected one time per sample, \(4,\)"):
        as_times([[0.0, 0.1], [0.2, 0.3]], 4, "wrist")
