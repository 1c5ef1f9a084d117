"""Options of fine-tuning, and what it takes over from pretraining."""

from pathlib import Path

import pytest
import torch

from edgehar.config import build
from edgehar.data import recordings
from edgehar.errors import ConfigError
from edgehar.simulation.dataset import SimulatorConfig, simulate
from edgehar.student.network.rebuild import rebuild_teacher
from edgehar.teacher import finetune, pretrain
from edgehar.teacher.finetune import LabelConfig
from edgehar.teacher.network.convolutions import convolutions_of
from edgehar.teacher.training.checkpoint import load_checkpoint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("smoothing", 1.0),
        ("smoothing", -0.1),
        ("mixup", float("inf")),
        ("mixup", -1.0),
        ("auxiliary", float("nan")),
        ("auxiliary", -0.3),
    ],
)
def test_label_option_out_of_bounds_is_refused(name: str, value: float):
    with pytest.raises(ConfigError, match=f"--{name} {value}: expected a .*number from 0"):
        build(LabelConfig, {name: value})


def test_pretrained_convolutions_are_fine_tuned(tmp_path: Path):
    recordings.write(simulate(SimulatorConfig(subjects=3, trials=2, activities=("walk", "wave"))), tmp_path / "data")
    before, after = tmp_path / "pretrained", tmp_path / "teacher"
    words = ["--data", str(tmp_path / "data"), "--split", "list:s1,s2:s3", "--preset", "tiny", "--updates", "2"]
    assert pretrain.main([*words, "--kernel", "3", "--convolutions", "1", "--seed", "1", "--out", str(before)]) == 0
    words = ["--preset", "tiny", "--updates", "2", "--learning-rate", "1e-9", "--pretrained", str(before)]
    assert finetune.main([*words, "--out", str(after)]) == 0
    pretrained, teacher = load_checkpoint(before, ("pretrained",)), load_checkpoint(after, ("teacher",))
    assert teacher.network == pretrained.network
    name = "tokens.{}.convolutions.layers.0.convolution.weight"
    fine_tuned, before_it = (
        teacher.weights[name.format("skeleton")],
        pretrained.weights["shared." + name.format("body")],
    )
    # Folding a batch normalisation scales each unit's kernel.
    similarity = torch.cosine_similarity(fine_tuned.flatten(1), before_it.flatten(1))
    torch.testing.assert_close(similarity, torch.ones(len(similarity)))
    (first, *_) = convolutions_of(rebuild_teacher(teacher).tokens)
    assert first.convolution.kernel_size == (3,)
