"""Faulty copies of training windows keep rows, labels and shapes, and differ from the sound ones."""

import numpy as np
import pytest
import torch

from edgehar.data.registry import DataOptions
from edgehar.errors import ConfigError
from edgehar.teacher.augmentation.sensor_faults import FaultConfig, FaultyWindows, faulty_windows
from edgehar.teacher.training.stage import load_stage_data

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pool() -> FaultyWindows:
    data = load_stage_data(DataOptions("simulated", modalities=("skeleton", "wrist")))
    return faulty_windows(data, FaultConfig(2, 0.5), 0, CPU)


def test_rows_stay_what_they_were(pool: FaultyWindows) -> None:
    rows = np.arange(len(pool.clean))
    features, valid, label = pool.rows(rows, torch.Generator().manual_seed(1))
    clean, sound_valid, sound_label = pool.clean.rows(rows)
    assert torch.equal(label, sound_label)
    same = torch.stack([(features[name] == clean[name]).flatten(1).all(1) for name in clean]).all(0)
    # Half the rows are sound, and a copy may be spared by chance.
    assert 0.45 < float(same.float().mean()) < 0.65
    assert any((valid[name] != sound_valid[name]).any() for name in valid)
    assert all(torch.isfinite(tokens).all() for tokens in features.values())


def test_without_copies_everything_is_sound(pool: FaultyWindows) -> None:
    alone = FaultyWindows(pool.clean, [], 0.5)
    rows = np.arange(10)
    features, _, _ = alone.rows(rows, torch.Generator().manual_seed(1))
    assert all(torch.equal(tokens, pool.clean.features[name][:10]) for name, tokens in features.items())


@pytest.mark.parametrize(("copies", "share"), [(-1, 0.5), (2, 1.2)])
def test_numbers_out_of_range_are_refused(copies: int, share: float) -> None:
    with pytest.raises(ConfigError, match="expected a whole number from 0"):
        FaultConfig(copies, share)
