"""Options of fine-tuning, and what it takes over from pretraining."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from bodies import CLASSES, SPECS, STEPS, checkpoint_of, student, windows
from torch.func import functional_call

from edgehar.config import build
from edgehar.data import recordings
from edgehar.errors import ConfigError
from edgehar.signals.modality import WindowSpec
from edgehar.simulation.dataset import SimulatorConfig, simulate
from edgehar.student.network.rebuild import rebuild_teacher
from edgehar.teacher import finetune, pretrain
from edgehar.teacher.finetune import LabelConfig, load_pretrained
from edgehar.teacher.network.convolutions import add_norms, convolutions_of
from edgehar.teacher.network.model import PRESETS, Teacher, TeacherConfig
from edgehar.teacher.pretraining.model import Batch, ObjectiveConfig, Pretraining
from edgehar.teacher.pretraining.universal import Universal
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


def test_fine_tuning_starts_with_the_function_that_was_pretrained():
    torch.manual_seed(0)
    config = replace(TeacherConfig(**PRESETS["tiny"]), drop_path=0.0)
    universal = Universal(config)
    with torch.no_grad():
        for name, tensor in universal.named_parameters():
            if ".norm." in name:  # of the convolutions, too: their scales and shifts are learnt
                tensor.uniform_(-1, 1)
    features, valid = windows()
    pretraining = Pretraining(universal, ObjectiveConfig(masked=0), [CLASSES]).train()
    batch = Batch(0, SPECS, STEPS, 0.1, [], features, valid, torch.eye(CLASSES)[[0] * len(valid["skeleton"])])
    named = {f"teacher.{name}": tensor for name, tensor in universal.weights_for(SPECS, STEPS, 0.1).items()}
    ((_, expected),) = functional_call(pretraining.encoder(SPECS, STEPS), named, (batch,))
    teacher = Teacher(config, SPECS, STEPS, CLASSES)
    add_norms(teacher)
    before = replace(checkpoint_of(student("tiny")), kind="pretrained", weights=universal.state_dict())
    load_pretrained(teacher, before, WindowSpec("clip", STEPS, 0.1))
    found = teacher.train().pool(*teacher.encode(features, valid))
    for name, pooled in expected.items():
        torch.testing.assert_close(found[name], pooled)


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
