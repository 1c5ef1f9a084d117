"""A labelled subset is stratified by class, with at least one window of each."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgehar.signals.windows import stratified


@given(st.lists(st.integers(0, 5), min_size=1, max_size=200), st.floats(0.01, 1.0), st.integers(0, 5))
def test_subset_is_stratified(labels: list[int], share: float, draw: int) -> None:
    label = np.asarray(labels, np.int64)
    rows = stratified(label, share, draw)
    assert len(set(rows.tolist())) == len(rows)
    classes, counts = np.unique(label, return_counts=True)
    selected = np.array([(label[rows] == name).sum() for name in classes])
    assert (selected >= 1).all()
    assert (selected <= np.maximum(np.ceil(share * counts), 1)).all()
    assert (selected >= np.floor(share * counts)).all()
    assert len(rows) >= min(round(share * len(label)), len(label))


def test_a_draw_is_reproducible_and_differs_from_others() -> None:
    label = np.repeat(np.arange(27), 16)
    first = stratified(label, 0.1, 0)
    assert len(first) == 43
    assert np.array_equal(first, stratified(label, 0.1, 0))
    assert not np.array_equal(first, stratified(label, 0.1, 1))
    assert np.array_equal(stratified(label, 1.0, 3), np.arange(len(label)))
