"""The teacher network: shapes, missing modalities, masking, size."""

from typing import Any

import pytest
import torch
from bodies import CLASSES, SPECS, STEPS, windows

from edgehar.errors import ConfigError
from edgehar.teacher.network.convolutions import convolutions_of
from edgehar.teacher.network.layers import count_parameters
from edgehar.teacher.network.masking import MaskingConfig, visible_grids
from edgehar.teacher.network.model import PRESETS, Teacher, TeacherConfig


def tiny_teacher() -> Teacher:
    torch.manual_seed(0)
    return Teacher(TeacherConfig(**PRESETS["tiny"]), SPECS, STEPS, CLASSES).eval()


def test_output_shapes():
    features, valid = windows(3)
    output = tiny_teacher()(features, valid)
    assert output.logits.shape == (3, CLASSES)
    assert {name: logits.shape for name, logits in output.modality_logits.items()} == {
        "skeleton": (3, CLASSES),
        "inertial": (3, CLASSES),
    }
    assert output.steps.shape == (3, STEPS, 48)


@pytest.mark.parametrize("lost", ["skeleton", "inertial"])
def test_invalid_modality_does_not_affect_the_logits(lost: str):
    teacher = tiny_teacher()
    features, valid = windows()
    valid = valid | {lost: torch.zeros_like(valid[lost])}
    logits = teacher(features, valid).logits
    other = teacher(features | {lost: torch.randn_like(features[lost])}, valid).logits
    torch.testing.assert_close(logits, other, rtol=0, atol=0)
    assert not torch.equal(logits, teacher(*windows()).logits)


def test_hidden_tokens_do_not_affect_the_encoder():
    teacher = tiny_teacher()
    features, valid = windows()
    generator = torch.Generator().manual_seed(1)
    visible = visible_grids(features, SPECS, MaskingConfig(), generator)
    scrambled = {}
    for spec in SPECS:
        hidden = visible[spec.name].hidden(STEPS, spec.groups)  # (B, S, G)
        noise = torch.randn_like(features[spec.name])
        scrambled[spec.name] = torch.where(hidden[:, :, None, :, None], noise, features[spec.name])
    _, encoded, _ = teacher.encode(features, valid, visible)
    _, other, _ = teacher.encode(scrambled, valid, visible)
    for spec in SPECS:
        assert encoded[spec.name].shape[1] == STEPS // 2
        torch.testing.assert_close(encoded[spec.name], other[spec.name], rtol=0, atol=0)


@torch.no_grad()
def test_full_grid_equals_no_grid_without_convolutions_over_steps():
    teacher = tiny_teacher()
    for layer in convolutions_of(teacher.step_convolutions):
        layer.convolution.weight.zero_()
        assert layer.convolution.bias is not None
        layer.convolution.bias.zero_()
    features, valid = windows()
    full = visible_grids(features, SPECS, MaskingConfig(joint_ratio=0.0, step_ratio=0.0), torch.Generator())
    _, encoded, _ = teacher.encode(features, valid)
    _, gridded, _ = teacher.encode(features, valid, full)
    for spec in SPECS:
        torch.testing.assert_close(encoded[spec.name], gridded[spec.name])


def test_parameter_counts_of_the_presets():
    large = Teacher(TeacherConfig(**PRESETS["large"]), SPECS, 16, 27)
    assert count_parameters(large) > 20_000_000
    base = Teacher(TeacherConfig(**PRESETS["base"]), SPECS, 16, 27)
    assert 500_000 < count_parameters(base) < 3_370_000


@pytest.mark.parametrize(
    ("sizes", "named"),
    [
        ({"dim": 30}, "--dim 30, --heads 4"),
        ({"joint_dim": 30}, "--joint-dim 30, --joint-heads 4"),
        ({"heads": 0}, "--heads 0"),
        ({"head_dim": 0}, "--head-dim 0"),
        ({"time_blocks": -1}, "--time-blocks -1"),
        ({"fusion_tokens": 0}, "--fusion-tokens 0"),
        ({"drop_path": 1.0}, r"--drop-path 1\.0"),
    ],
)
def test_invalid_size_is_refused_by_name(sizes: dict[str, Any], named: str):
    with pytest.raises(ConfigError, match=named):
        TeacherConfig(**sizes)


def test_head_width_of_a_pruned_teacher_need_not_divide_the_channels():
    assert TeacherConfig(dim=30, heads=4, head_dim=8).head_dim == 8
