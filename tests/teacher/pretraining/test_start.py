"""The start of fine-tuning: statistics and classifiers of the target, everything else as pretrained."""

from typing import Any

import torch
from bodies import CLASSES, SPECS, STEPS, windows

from edgehar.teacher.network.convolutions import add_norms, convolutions_of
from edgehar.teacher.network.model import PRESETS, Teacher, TeacherConfig
from edgehar.teacher.pretraining.start import fit_heads
from edgehar.teacher.training.batches import WindowTensors

HEADS = ("classifier", "modality_head")


def teacher_and_windows() -> tuple[Teacher, WindowTensors]:
    """A random teacher, and windows whose level tells their class."""
    torch.manual_seed(0)
    teacher = Teacher(TeacherConfig(**PRESETS["tiny"]), SPECS, STEPS, CLASSES)
    add_norms(teacher)
    features, valid = windows(12 * CLASSES)
    label = torch.arange(12 * CLASSES) % CLASSES
    features = {name: 0.3 * part + label[:, None, None, None, None] for name, part in features.items()}
    return teacher, WindowTensors(features, {name: torch.ones_like(part) for name, part in valid.items()}, label)


def test_classifiers_fit_and_nothing_else_is_trained():
    teacher, given = teacher_and_windows()
    before = {name: tensor.clone() for name, tensor in teacher.named_parameters()}
    fit_heads(teacher, given)
    changed = {name for name, tensor in teacher.named_parameters() if not torch.equal(tensor, before[name])}
    assert changed == {name for name in before if name.startswith(HEADS)}
    output = teacher.eval()(given.features, given.valid)
    for logits in (output.logits, *output.modality_logits.values()):
        assert (logits.argmax(1) == given.label).float().mean() > 0.9


def test_norms_have_the_statistics_of_the_windows():
    teacher, given = teacher_and_windows()
    fit_heads(teacher, given)
    first = convolutions_of(teacher.tokens[SPECS[0].name])[0]
    seen: list[torch.Tensor] = []

    def keep(_module: torch.nn.Module, _inputs: Any, output: Any) -> None:
        seen.append(output)

    first.convolution.register_forward_hook(keep)
    with torch.no_grad():
        teacher.eval()(given.features, given.valid)
    assert isinstance(first.norm, torch.nn.BatchNorm1d)
    assert first.norm.running_mean is not None
    torch.testing.assert_close(first.norm.running_mean, seen[0].mean((0, 2)))
    assert first.norm.momentum == 0.1


def test_a_sensor_without_a_window_keeps_its_classifier():
    teacher, given = teacher_and_windows()
    name = SPECS[1].name
    given.valid[name][:] = False
    own = f"modality_head.{name}.weight"
    before = teacher.state_dict()[own].clone()
    fit_heads(teacher, given)
    assert torch.equal(teacher.state_dict()[own], before)
    assert torch.isfinite(teacher.classifier.weight).all()
