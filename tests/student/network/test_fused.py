from typing import Any

import pytest
import torch
from bodies import CLASSES, INERTIAL, SPECS, STEPS, smaller, windows
from torch import Tensor

from edgehar.signals.modality import ModalitySpec
from edgehar.student.network.fused import FusedEncoder, FusedHead
from edgehar.student.network.model import PRESETS, StudentNetwork, StudentConfig

SHAPES: dict[str, dict[str, Any]] = {
    **PRESETS,
    "deep": {"stem": 9, "width": 21, "encoder_blocks": 3, "hidden": 17, "token": 18, "heads": 3, "head_blocks": 3},
    "one head": {"token": 10, "heads": 1, "head_hidden": 7},
}


def student(shape: str, specs: tuple[ModalitySpec, ...] = SPECS) -> StudentNetwork:
    """A network in which nothing is 0 or 1 any more, as after training."""
    torch.manual_seed(0)
    network = StudentNetwork(StudentConfig(**SHAPES[shape]), specs, STEPS, CLASSES).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return network


def inputs_of(network: StudentNetwork) -> list[Tensor]:
    """Random steps of every modality, and every way in which sensors may be missing."""
    features, _ = windows(4)
    flat = [features[name].flatten(2).flatten(0, 1) for name in network.encoder.names]  # (N, P*G*F) each
    return [*flat, torch.randint(2, (len(flat[0]), len(flat))).float()]


def assert_same(network: StudentNetwork) -> None:
    inputs = inputs_of(network)
    with torch.no_grad():
        tokens = network.encoder(dict(zip(network.encoder.names, inputs, strict=False)), inputs[-1])
        found = FusedEncoder(network.encoder)(*inputs)
        torch.testing.assert_close(found, tokens, atol=1e-5, rtol=1e-5)
        by_window = tokens.reshape(-1, STEPS, tokens.shape[1])
        torch.testing.assert_close(FusedHead(network.head)(by_window), network.head(by_window), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_fewer_nodes_give_the_same_answers(shape: str):
    assert_same(student(shape))


@pytest.mark.parametrize("width", [False, True])
@pytest.mark.parametrize("share", [0.3, 0.75])
def test_so_they_do_of_a_pruned_network(share: float, width: bool):
    assert_same(smaller(student("base"), share, width)[0].eval())


def test_one_sensor_is_enough():
    assert_same(student("base", (INERTIAL,)))


def test_what_a_missing_sensor_sends_changes_nothing():
    network = student("tiny")
    skeleton, inertial, valid = inputs_of(network)
    valid[:, 0] = 0
    simple = FusedEncoder(network.encoder)
    assert torch.equal(simple(skeleton, inertial, valid), simple(torch.randn_like(skeleton), inertial, valid))


def test_the_student_stays_as_it_was():
    network = student("tiny")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    FusedEncoder(network.encoder)
    FusedHead(network.head)
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
