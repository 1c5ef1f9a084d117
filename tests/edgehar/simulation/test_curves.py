"""Curves of the movements."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgehar.simulation.curves import keyframe_curves


@settings(max_examples=40)
@given(st.lists(st.floats(-100, 100), min_size=2, max_size=7))
def test_keyframe_curves_reach_their_targets_without_overshoot(targets: list[float]) -> None:
    times = tuple(np.linspace(0, 1, len(targets)))
    curve = keyframe_curves(np.linspace(-0.5, 1.5, 301), times, angle=tuple(targets))["angle"]
    at_targets = keyframe_curves(np.asarray(times), times, angle=tuple(targets))["angle"]
    np.testing.assert_allclose(at_targets, targets, atol=1e-9)
    assert curve.min() >= min(targets) - 1e-9
    assert curve.max() <= max(targets) + 1e-9
    assert curve[0] == pytest.approx(targets[0])
    assert curve[-1] == pytest.approx(targets[-1])
