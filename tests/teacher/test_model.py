import pytest
import torch
from bodies import CLASSES, SPECS, STEPS, windows

from edgehar.teacher.network.layers import Block, count_macs, count_parameters
from edgehar.teacher.network.masking import MaskingConfig, visible_grids
from edgehar.teacher.network.model import PRESETS, Teacher, TeacherConfig
from edgehar.teacher.pretraining.autoencoder import MaskedAutoencoder, View, motion_target


def tiny_teacher() -> Teacher:
    torch.manual_seed(0)
    return Teacher(TeacherConfig(**PRESETS["tiny"]), SPECS, STEPS, CLASSES).eval()


def test_shapes_of_what_the_teacher_says():
    features, valid = windows(3)
    output = tiny_teacher()(features, valid)
    assert output.logits.shape == (3, CLASSES)
    assert {name: logits.shape for name, logits in output.modality_logits.items()} == {
        "skeleton": (3, CLASSES),
        "inertial": (3, CLASSES),
    }
    assert output.steps.shape == (3, STEPS, 48)


@pytest.mark.parametrize("lost", ["skeleton", "inertial"])
def test_what_is_marked_missing_cannot_change_the_answer(lost: str):
    teacher = tiny_teacher()
    features, valid = windows()
    valid = valid | {lost: torch.zeros_like(valid[lost])}
    answer = teacher(features, valid).logits
    other = teacher(features | {lost: torch.randn_like(features[lost])}, valid).logits
    torch.testing.assert_close(answer, other, rtol=0, atol=0)
    assert not torch.equal(answer, teacher(*windows()).logits)


def test_the_encoder_cannot_see_what_masking_hides():
    teacher = tiny_teacher()
    features, valid = windows()
    generator = torch.Generator().manual_seed(1)
    visible = visible_grids(features, SPECS, MaskingConfig(), generator)
    scrambled = {}
    for spec in SPECS:
        hidden = visible[spec.name].hidden(STEPS, spec.groups)  # (B, S, G)
        noise = torch.randn_like(features[spec.name])
        scrambled[spec.name] = torch.where(hidden[:, :, None, :, None], noise, features[spec.name])
    _, together, _ = teacher.encode(features, valid, visible)
    _, other, _ = teacher.encode(scrambled, valid, visible)
    for spec in SPECS:
        assert together[spec.name].shape[1] == STEPS // 2
        torch.testing.assert_close(together[spec.name], other[spec.name], rtol=0, atol=0)


def test_seeing_everything_is_the_same_with_and_without_a_grid():
    teacher = tiny_teacher()
    features, valid = windows()
    everything = visible_grids(features, SPECS, MaskingConfig(joint_ratio=0.0, step_ratio=0.0), torch.Generator())
    _, together, _ = teacher.encode(features, valid)
    _, gridded, _ = teacher.encode(features, valid, everything)
    for spec in SPECS:
        torch.testing.assert_close(together[spec.name], gridded[spec.name])


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
def test_every_parameter_of_the_masked_autoencoder_learns(contrast: float):
    model = MaskedAutoencoder(tiny_teacher(), STEPS, 16, contrast).train()
    model([view(8, 1), view(8, 2)]).backward()
    without = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    heads = ("teacher.classifier", "teacher.modality_head")
    unused = heads if contrast else (*heads, "teacher.norm", "teacher.modality_norm")
    assert all(name.startswith(unused) for name in without), without
    assert any(name.startswith("teacher.norm") for name in without) == (contrast == 0)


def test_large_preset_is_a_large_model_and_base_is_not():
    large = Teacher(TeacherConfig(**PRESETS["large"]), SPECS, 16, 27)
    assert count_parameters(large) > 20_000_000
    base = Teacher(TeacherConfig(**PRESETS["base"]), SPECS, 16, 27)
    assert 500_000 < count_parameters(base) < 3_370_000


def test_multiply_adds_of_a_block_are_those_worked_out_by_hand():
    dim, hidden, tokens = 16, 32, 10
    linear = tokens * (3 * dim * dim + dim * dim + 2 * dim * hidden)
    attention = 2 * tokens * tokens * dim
    assert count_macs(Block(dim, 4, hidden), torch.zeros(1, tokens, dim)) == linear + attention
