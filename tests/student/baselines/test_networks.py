import pytest
import torch
from bodies import CLASSES, SPECS, STEPS, windows
from torch import nn

from edgehar.data.utd_mhad import INFO as UTD_MHAD
from edgehar.student.baselines.networks import Lstm, LstmConfig, Tcn, TcnConfig, count_window_macs
from edgehar.teacher.network.layers import count_parameters


def networks() -> list[nn.Module]:
    return [Lstm(LstmConfig(), SPECS, CLASSES), Tcn(TcnConfig(), SPECS, CLASSES)]


@pytest.mark.parametrize(
    "network", [Lstm(LstmConfig(), UTD_MHAD.modalities, 27), Tcn(TcnConfig(), UTD_MHAD.modalities, 27)]
)
def test_network_has_as_many_parameters_as_the_student(network: nn.Module) -> None:
    assert count_parameters(network) == pytest.approx(100_000, rel=0.05)


def test_multiply_adds_are_the_sum_over_the_layers() -> None:
    config = LstmConfig(lstm_stem=8, lstm_units=6, lstm_layers=2)
    stem = sum(spec.patch * spec.groups * spec.features for spec in SPECS) * 8
    recurrent = 4 * 6 * (8 + 6) + 4 * 6 * (6 + 6)
    expected = STEPS * (stem + recurrent) + 6 * CLASSES
    assert count_window_macs(Lstm(config, SPECS, CLASSES), SPECS, STEPS) == expected


@pytest.mark.parametrize("network", networks())
def test_features_of_a_missing_sensor_have_no_effect(network: nn.Module) -> None:
    network.eval()
    features, valid = windows()
    valid["inertial"] = torch.zeros_like(valid["inertial"])
    changed = features | {"inertial": features["inertial"] * 100}
    with torch.no_grad():
        torch.testing.assert_close(network(features, valid).logits, network(changed, valid).logits)


@pytest.mark.parametrize("network", networks())
def test_logits_depend_on_the_order_of_steps(network: nn.Module) -> None:
    network.eval()
    features, valid = windows()
    reversed_features = {name: tensor.flip(1) for name, tensor in features.items()}
    with torch.no_grad():
        assert not torch.allclose(network(features, valid).logits, network(reversed_features, valid).logits, atol=1e-4)
