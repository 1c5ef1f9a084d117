"""The fused form of the student has the outputs of the trained network."""

import pytest
import torch
from bodies import INERTIAL, STEPS, STUDENT_SHAPES, random_steps, random_student, smaller

from edgehar.student.network.fused import FusedEncoder, FusedHead
from edgehar.student.network.model import StudentNetwork


def assert_equal_outputs(network: StudentNetwork) -> None:
    inputs = random_steps(network)
    with torch.no_grad():
        tokens = network.encoder(dict(zip(network.encoder.names, inputs, strict=False)), inputs[-1])
        fused_tokens = FusedEncoder(network.encoder)(*inputs)
        torch.testing.assert_close(fused_tokens, tokens, atol=1e-5, rtol=1e-5)
        by_window = tokens.reshape(-1, STEPS, tokens.shape[1])
        torch.testing.assert_close(FusedHead(network.head)(by_window), network.head(by_window), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", STUDENT_SHAPES)
def test_fused_network_has_the_same_outputs(shape: str):
    assert_equal_outputs(random_student(shape))


@pytest.mark.parametrize("width", [False, True])
@pytest.mark.parametrize("share", [0.3, 0.75])
def test_fused_pruned_network_has_the_same_outputs(share: float, width: bool):
    assert_equal_outputs(smaller(random_student("base"), share, width)[0].eval())


def test_fused_network_of_one_sensor_has_the_same_outputs():
    assert_equal_outputs(random_student("base", (INERTIAL,)))


def test_features_of_a_missing_sensor_have_no_effect():
    network = random_student("tiny")
    skeleton, inertial, valid = random_steps(network)
    valid[:, 0] = 0
    fused = FusedEncoder(network.encoder)
    assert torch.equal(fused(skeleton, inertial, valid), fused(torch.randn_like(skeleton), inertial, valid))


def test_fusing_does_not_change_the_student():
    network = random_student("tiny")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    FusedEncoder(network.encoder)
    FusedHead(network.head)
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
