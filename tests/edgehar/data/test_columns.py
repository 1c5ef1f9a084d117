"""Recordings whose channels are in another order than a model's are put into its order by name."""

import numpy as np
import pytest

from edgehar.data.columns import in_order_of
from edgehar.errors import DataError
from edgehar.signals.clip import Clip, Dataset, DatasetInfo
from edgehar.signals.modality import ModalitySpec, WindowSpec


def dataset(*columns: str) -> Dataset:
    spec = ModalitySpec("watch", 3, "g", 10, 1, columns=columns)
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    clip = Clip("r", "p", "1", {"watch": values}, {"watch": np.ones(4, bool)})
    return Dataset(DatasetInfo("mine", (spec,), ("a", "b"), WindowSpec("clip", 2, 0.1)), (clip,))


def test_channels_are_put_in_order() -> None:
    found = in_order_of(dataset("z", "y", "x"), dataset("x", "y", "z").info.modalities)
    np.testing.assert_array_equal(found.clips[0].signals["watch"][0], [2, 1, 0])
    assert found.info.modalities[0].columns == ("x", "y", "z")


@pytest.mark.parametrize("columns", [(), ("x", "y", "z"), ("a", "b", "c")])
def test_nothing_is_changed_without_another_order(columns: tuple[str, ...]) -> None:
    recordings = dataset(*columns)
    assert in_order_of(recordings, dataset("x", "y", "z").info.modalities) is recordings
    assert in_order_of(recordings, dataset().info.modalities) is recordings


def test_an_order_that_cannot_be_told_is_refused() -> None:
    with pytest.raises(DataError, match="watch: columns acc_z,acc_y,acc_x; expected x,y,z"):
        in_order_of(dataset("acc_z", "acc_y", "acc_x"), dataset("x", "y", "z").info.modalities)
