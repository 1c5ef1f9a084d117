import pytest
import torch
from bodies import CLASSES, SPECS, STEPS, windows

from edgehar.data.utd_mhad import INFO
from edgehar.student.network.model import PRESETS, StudentNetwork, StudentConfig
from edgehar.teacher.network.layers import count_macs, count_parameters


def tiny_student() -> StudentNetwork:
    torch.manual_seed(0)
    student = StudentNetwork(StudentConfig(**PRESETS["tiny"]), SPECS, STEPS, CLASSES).eval()
    for entry in student.encoder.missing.values():
        torch.nn.init.normal_(entry)
    return student


def test_the_student_is_small_and_a_hop_costs_a_quarter_of_a_window():
    student = StudentNetwork(StudentConfig(), INFO.modalities, INFO.window.steps, len(INFO.labels))
    assert count_parameters(student) <= 100_000
    step = {spec.name: torch.zeros(1, spec.patch * spec.groups * spec.features) for spec in INFO.modalities}
    encoder = count_macs(student.encoder, step, torch.ones(1, 2))
    head = count_macs(student.head, torch.zeros(1, INFO.window.steps, student.config.token))
    assert encoder + head <= 0.25 * (INFO.window.steps * encoder + head)


def test_a_token_needs_nothing_outside_its_step():
    encoder = tiny_student().encoder
    features, _ = windows(1)
    flat = {name: tensor.flatten(2)[0] for name, tensor in features.items()}  # (S, P*G*F)
    there = torch.ones(STEPS, 2)
    together = encoder(flat, there)
    alone = torch.cat([encoder({n: t[s : s + 1] for n, t in flat.items()}, there[:1]) for s in range(STEPS)])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("lost", ["skeleton", "inertial"])
def test_what_is_marked_missing_cannot_change_the_answer(lost: str):
    student = tiny_student()
    features, valid = windows()
    valid = valid | {lost: torch.zeros_like(valid[lost])}
    answer = student(features, valid).logits
    assert torch.equal(answer, student(features | {lost: torch.randn_like(features[lost])}, valid).logits)
    assert not torch.equal(answer, student(*windows()).logits)


def test_neither_modality_still_gives_an_answer():
    student = tiny_student()
    features, valid = windows()
    nothing = {name: torch.zeros_like(flags) for name, flags in valid.items()}
    logits = student(features, nothing).logits
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(logits[0], logits[1])
