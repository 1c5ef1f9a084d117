"""Excluded activities are stored in checkpoints and excluded by later stages."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgehar.data import recordings
from edgehar.data.registry import DataOptions
from edgehar.errors import CheckpointError
from edgehar.signals.clip import Clip, Dataset, DatasetInfo
from edgehar.signals.modality import ModalitySpec, WindowSpec
from edgehar.teacher.training.stage import inherit_data_options, load_stage_data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    spec = ModalitySpec("watch", 3, "g", 20, 1)
    random = np.random.default_rng(0)
    clips = tuple(
        Clip(f"s{subject}_{label}", f"s{subject}", "1", {"watch": random.standard_normal((8, 3)).astype(np.float32)},
             {"watch": np.ones(8, bool)}, label)
        for subject in range(1, 5)
        for label in range(4)
    )  # fmt: skip
    info = DatasetInfo("mine", (spec,), ("wave", "clap", "walk", "sit"), WindowSpec("clip", 4, 0.1))
    recordings.write(Dataset(info, clips), tmp_path / "mine")
    return tmp_path / "mine"


def test_later_stage_excludes_the_same_activities(folder: Path):
    options = DataOptions(str(folder), split="odd-even", without=("clap",))
    data = load_stage_data(options)
    assert data.dataset.info.labels == ("wave", "walk", "sit")
    assert sorted(data.train.label.tolist()) == sorted(data.test.label.tolist()) == [0, 0, 1, 1, 2, 2]
    assert not any(name.endswith("_1") for name in [*data.train.clip, *data.test.clip])
    assert data.options["without"] == ["clap"]
    for given in (DataOptions(), DataOptions(str(folder)), DataOptions(str(folder), without=("clap",))):
        inherited = inherit_data_options(given, data.options)
        assert inherited.without == ("clap",)
        assert load_stage_data(inherited, data.normalisation).train.label.tolist() == data.train.label.tolist()
    for other in (("wave",), ("clap", "wave")):
        with pytest.raises(CheckpointError, match=f"--without {','.join(other)}: .* without clap"):
            inherit_data_options(DataOptions(without=other), data.options)


def test_checkpoint_without_the_entry_excludes_nothing(folder: Path):
    stored: dict[str, Any] = load_stage_data(DataOptions(str(folder), split="odd-even")).options
    assert stored.pop("without") == []
    assert inherit_data_options(DataOptions(), stored).without == ()
    with pytest.raises(CheckpointError, match=r"--without clap: .* without none"):
        inherit_data_options(DataOptions(without=("clap",)), stored)
