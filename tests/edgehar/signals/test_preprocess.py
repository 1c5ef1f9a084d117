"""Scales of channels that never change in training."""

import numpy as np
import pytest

from edgehar.signals.clip import Clip, Dataset, DatasetInfo
from edgehar.signals.modality import ModalitySpec, WindowSpec
from edgehar.signals.windows import fit_normalisation

SPEC = ModalitySpec("watch", 9, "m/s2, rad/s and uT", 50, 5)


@pytest.mark.parametrize(
    ("constant", "expected"),
    [(0.0, (1, 1)), (-1e-9, (1, 1)), (45.0, (45, 1))],
    ids=["always zero", "rounding of zero", "always 45"],
)
def test_a_constant_group_is_not_magnified(constant: float, expected: tuple[float, float]) -> None:
    values = np.random.default_rng(0).normal(0, 2, (400, 9)).astype(np.float32)
    values[:, 6:] = constant
    clip = Clip("r", "p1", "1", {"watch": values}, {"watch": np.ones(400, bool)}, 0, {"watch": np.arange(400) / 50})
    dataset = Dataset(DatasetInfo("made", (SPEC,), ("a",), WindowSpec("sliding", 16, 0.1)), (clip,))
    scale = fit_normalisation(dataset, ["p1"]).scale["watch"]
    np.testing.assert_allclose(scale[2], expected, rtol=1e-6)
    np.testing.assert_allclose(scale[:2, 0], 2, rtol=0.1)
    assert (scale[:2, 1] > 50).all()
