"""Faulty copies of training windows have the same rows and labels as the clean ones."""

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


def test_faulty_windows_have_the_same_labels_and_about_half_are_clean(pool: FaultyWindows) -> None:
    rows = np.arange(len(pool.clean))
    features, valid, label = pool.rows(rows, torch.Generator().manual_seed(1))
    clean, clean_valid, clean_label = pool.clean.rows(rows)
    assert torch.equal(label, clean_label)
    same = torch.stack([(features[name] == clean[name]).flatten(1).all(1) for name in clean]).all(0)
    # Half of the rows are clean, and a faulty copy may equal the clean window by chance.
    assert 0.45 < float(same.float().mean()) < 0.65
    assert any((valid[name] != clean_valid[name]).any() for name in valid)
    assert all(torch.isfinite(tokens).all() for tokens in features.values())


def test_without_copies_all_windows_are_clean(pool: FaultyWindows) -> None:
    without_copies = FaultyWindows(pool.clean, [], 0.5)
    rows = np.arange(10)
    features, _, _ = without_copies.rows(rows, torch.Generator().manual_seed(1))
    assert all(torch.equal(tokens, pool.clean.features[name][:10]) for name, tokens in features.items())


@pytest.mark.parametrize(
    ("copies", "share", "named"), [(-1, 0.5, "--faulty-copies -1"), (2, 1.2, r"--faulty-share 1\.2")]
)
def test_values_out_of_range_are_refused(copies: int, share: float, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        FaultConfig(copies, share)
