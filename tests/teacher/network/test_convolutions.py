"""Convolutions over the frames of a patch: what they are invariant to, their length, and their batch normalisation."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from bodies import INERTIAL, random_student, small_teacher, trained_norms, windows

from edgehar.errors import ConfigError
from edgehar.student.network.model import StudentConfig
from edgehar.teacher.augmentation.geometric import rotation
from edgehar.teacher.network.convolutions import PatchConvolutions, fold_norms, magnitudes
from edgehar.teacher.network.model import TeacherConfig


@pytest.mark.parametrize("network", [random_student("convolutions"), small_teacher()], ids=["student", "teacher"])
def test_folded_norms_give_the_same_outputs(network: Any):
    names = list(network.state_dict())
    trained_norms(network)
    expected = network(*windows(4)).logits
    fold_norms(network)
    assert list(network.state_dict()) == names
    torch.testing.assert_close(network(*windows(4)).logits, expected, atol=1e-5, rtol=1e-5)


def test_magnitudes_do_not_depend_on_the_orientation():
    frames = windows(4)[0]["inertial"].flatten(0, 1).flatten(2)  # (N, P, G*F)
    turned = (frames.unflatten(2, (-1, 3)) @ rotation(torch.tensor([[0.3, -2.0, 1.1]]))[0]).flatten(2)
    torch.testing.assert_close(magnitudes(turned, INERTIAL), magnitudes(frames, INERTIAL), atol=1e-4, rtol=1e-4)


def test_maximum_over_the_patch_does_not_depend_on_where_a_movement_is():
    layers = PatchConvolutions(INERTIAL, 4, 1, 3)
    frames = torch.zeros(2, INERTIAL.patch, INERTIAL.groups * INERTIAL.features)
    frames[0, 2], frames[1, 3] = 1, 1
    one, later = layers(frames.flatten(1))
    torch.testing.assert_close(one, later)


@pytest.mark.parametrize("patch", [1, 2, 3])
def test_a_patch_may_be_shorter_than_the_kernel(patch: int):
    spec = replace(INERTIAL, patch=patch)
    layers = PatchConvolutions(spec, 4, 2, 7)
    features = torch.randn(2, patch * spec.groups * spec.features)
    before = layers(features)
    assert before.shape == (2, 8)
    with torch.no_grad():  # what lies beyond the patch reads zeros
        for layer in layers.typed_layers:
            weight = layer.convolution.weight
            weight[:, :, : 4 - patch] = weight[:, :, 3 + patch :] = 1
    torch.testing.assert_close(layers(features), before)


@pytest.mark.parametrize("config", [StudentConfig, TeacherConfig])
def test_an_even_kernel_is_an_error(config: type[StudentConfig] | type[TeacherConfig]):
    with pytest.raises(ConfigError, match="--kernel 4: expected an odd number"):
        config(kernel=4)
