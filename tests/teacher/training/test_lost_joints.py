"""Joints that are lost in the recordings reach every training; a checkpoint without them takes no such recordings."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgehar.data import recordings
from edgehar.errors import CheckpointError
from edgehar.signals.clip import Clip, Dataset, DatasetInfo
from edgehar.signals.modality import ModalitySpec, WindowSpec
from edgehar.student import distill
from edgehar.student.network.rebuild import network_of
from edgehar.teacher import finetune
from edgehar.teacher.training.checkpoint import load_checkpoint

BODY = ModalitySpec("body", 8, "px", 20, 1, 2, ("hip", "neck", "hand", "foot"), (0, 0, 1, 0))


def data_set(lost: bool) -> Dataset:
    """Four people who move one of two limbs; one recording lacks the foot."""
    generator = np.random.default_rng(0)
    clips: list[Clip] = []
    for subject in range(1, 5):
        for label in range(2):
            joints = np.array([[50, 50], [50, 20], [70, 30], [50, 90]]) + generator.normal(size=(16, 4, 2))
            joints[:, 2 + label, 0] += 20 * np.sin(np.arange(16))
            if lost and subject == label == 1:
                joints[:, 3] = np.nan
            values = joints.reshape(16, 8).astype(np.float32)
            clips.append(
                Clip(f"s{subject}_{label}", f"s{subject}", "1", {"body": values}, {"body": np.ones(16, bool)}, label)
            )
    return Dataset(DatasetInfo("mine", (BODY,), ("wave", "kick"), WindowSpec("clip", 4, 0.2)), tuple(clips))


def test_trainings_with_lost_joints(tmp_path: Path) -> None:
    for name in ("whole", "lost"):
        recordings.write(data_set(name == "lost"), tmp_path / name)
        words = ["--data", str(tmp_path / name), "--split", "odd-even", "--preset", "tiny", "--updates", "2"]
        assert finetune.main([*words, "--out", str(tmp_path / f"teacher-{name}")]) == 0
    spec = load_checkpoint(tmp_path / "teacher-lost", ("teacher",)).info.modalities[0]
    assert spec == replace(BODY, lost_joints=True, columns=spec.columns)
    words = ["--preset", "tiny", "--updates", "2", "--faulty-copies", "1", "--out", str(tmp_path / "student")]
    assert distill.main([*words, "--teacher", str(tmp_path / "teacher-lost")]) == 0
    student = network_of(load_checkpoint(tmp_path / "student", ("student",)))
    assert student.state_dict()["encoder.stem.body.layers.0.convolution.weight"].shape[1] == BODY.groups * (4 + 1)
    with pytest.raises(CheckpointError, match=r"found body .*joints may be lost"):
        distill.main([*words, "--teacher", str(tmp_path / "teacher-whole"), "--data", str(tmp_path / "lost")])
