"""The masked autoencoder: target and gradients."""

from dataclasses import replace

import pytest
import torch
from bodies import CLASSES, SPECS, STEPS, windows

from edgehar.teacher.network.masking import MaskingConfig, visible_grids
from edgehar.teacher.network.model import PRESETS, Teacher, TeacherConfig
from edgehar.teacher.pretrain import NOT_PRETRAINED
from edgehar.teacher.pretraining.autoencoder import MaskedAutoencoder, View, motion_target


def tiny_teacher() -> Teacher:
    torch.manual_seed(0)
    return Teacher(TeacherConfig(**PRESETS["tiny"]), SPECS, STEPS, CLASSES).eval()


def test_motion_target_is_normalised_per_token():
    features, _ = windows()
    target = motion_target(features["skeleton"], 3)
    assert target.shape == (3, STEPS, 20, 12)
    torch.testing.assert_close(target.mean(-1), torch.zeros(3, STEPS, 20), atol=1e-5, rtol=0)
    torch.testing.assert_close(target.var(-1, unbiased=False), torch.ones(3, STEPS, 20), atol=1e-3, rtol=0)


def view(count: int, seed: int) -> View:
    features, valid = windows(count)
    valid["inertial"][0] = False
    generator = torch.Generator().manual_seed(seed)
    visible = visible_grids(features, SPECS, MaskingConfig(), generator)
    return View(features, valid, visible)


@pytest.mark.parametrize("contrast", [0.0, 1.0])
def test_every_parameter_of_the_autoencoder_gets_a_gradient(contrast: float):
    model = MaskedAutoencoder(tiny_teacher(), STEPS, 16, contrast).train()
    model([view(8, 1), view(8, 2)]).backward()
    without = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    never = tuple(f"teacher.{name}" for name in NOT_PRETRAINED)
    unused = never if contrast else (*never, "teacher.norm", "teacher.modality_norm")
    assert all(name.startswith(unused) for name in without), without
    assert any(name.startswith("teacher.norm") for name in without) == (contrast == 0)


def test_lost_joint_is_no_target():
    torch.manual_seed(0)
    specs = (replace(SPECS[0], lost_joints=True),)
    model = MaskedAutoencoder(Teacher(TeacherConfig(**PRESETS["tiny"]), specs, STEPS, CLASSES), STEPS, 16)
    features, valid = windows(8)
    tokens = {"skeleton": features["skeleton"].clone()}
    tokens["skeleton"][:, :, :, 5] = 0
    visible = visible_grids(tokens, specs, MaskingConfig(), torch.Generator().manual_seed(1))
    shown = {"skeleton": valid["skeleton"]}
    model([View(tokens, shown, visible)] * 2).backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    by_joint = gradients["predict.skeleton.bias"].reshape(20, -1).abs().amax(1)
    assert torch.nonzero(by_joint == 0).flatten().tolist() == [5]
    assert gradients["teacher.tokens.skeleton.lost_group"].any()
