from dataclasses import replace

import pytest
import torch
from bodies import CLASSES, INERTIAL, SPECS, STEPS, windows

from edgehar.data.public.utd_mhad import INFO
from edgehar.student.network.model import MOST_PARAMETERS, PRESETS, STEMS, StudentConfig, StudentNetwork, sized
from edgehar.teacher.network.layers import count_macs, count_parameters


def tiny_student() -> StudentNetwork:
    torch.manual_seed(0)
    student = StudentNetwork(StudentConfig(**PRESETS["tiny"]), SPECS, STEPS, CLASSES).eval()
    for entry in student.encoder.missing.values():
        torch.nn.init.normal_(entry)
    return student


def test_student_is_small_and_a_hop_costs_at_most_a_quarter_of_a_window():
    sizes = INFO.modalities, INFO.window.steps, len(INFO.labels)
    student = StudentNetwork(sized(StudentConfig(), *sizes), *sizes)
    assert count_parameters(student) <= 100_000
    step = {spec.name: torch.zeros(1, spec.patch * spec.groups * spec.features) for spec in INFO.modalities}
    encoder = count_macs(student.encoder, step, torch.ones(1, 2))
    head = count_macs(student.head, torch.zeros(1, INFO.window.steps, student.config.token))
    assert encoder + head <= 0.25 * (INFO.window.steps * encoder + head)


@pytest.mark.parametrize("sensors", [1, 2, 4, 8, 12])
def test_default_stem_is_the_widest_that_most_parameters_allow(sensors: int):
    sizes = tuple(replace(INERTIAL, name=f"sensor{index}") for index in range(sensors)), 16, 20

    def parameters(stem: int) -> int:
        return count_parameters(StudentNetwork(StudentConfig(stem=stem), *sizes))

    fitting = [stem for stem in STEMS if parameters(stem) <= MOST_PARAMETERS]
    assert sized(StudentConfig(), *sizes).stem == max(fitting)
    assert sized(StudentConfig(stem=50), *sizes).stem == 50


def test_token_depends_on_its_step_only():
    encoder = tiny_student().encoder
    features, _ = windows(1)
    flat = {name: tensor.flatten(2)[0] for name, tensor in features.items()}  # (S, P*G*F)
    valid = torch.ones(STEPS, 2)
    batched = encoder(flat, valid)
    single = torch.cat([encoder({n: t[s : s + 1] for n, t in flat.items()}, valid[:1]) for s in range(STEPS)])
    torch.testing.assert_close(batched, single, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("lost", ["skeleton", "inertial"])
def test_features_of_a_missing_modality_have_no_effect(lost: str):
    student = tiny_student()
    features, valid = windows()
    valid = valid | {lost: torch.zeros_like(valid[lost])}
    logits = student(features, valid).logits
    assert torch.equal(logits, student(features | {lost: torch.randn_like(features[lost])}, valid).logits)
    assert not torch.equal(logits, student(*windows()).logits)


def test_logits_are_finite_and_constant_without_any_modality():
    student = tiny_student()
    features, valid = windows()
    missing = {name: torch.zeros_like(flags) for name, flags in valid.items()}
    logits = student(features, missing).logits
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(logits[0], logits[1])
