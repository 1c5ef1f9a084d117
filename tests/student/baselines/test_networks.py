import pytest
import torch
from bodies import CLASSES, INERTIAL, SPECS, STEPS, windows
from torch import nn

from edgehar.data.public.utd_mhad import INFO as UTD_MHAD
from edgehar.errors import DataError
from edgehar.student.baselines.convolutional import DeepConvLstm, DeepConvLstmConfig, FrameGrid, TinierHar
from edgehar.student.baselines.networks import Lstm, LstmConfig, Tcn, TcnConfig, count_window_macs
from edgehar.teacher.network.layers import count_parameters


def networks() -> list[nn.Module]:
    return [
        Lstm(LstmConfig(), SPECS, CLASSES),
        Tcn(TcnConfig(), SPECS, CLASSES),
        DeepConvLstm(DeepConvLstmConfig(4, 8), SPECS, STEPS, CLASSES),
        TinierHar(SPECS, STEPS, CLASSES),
    ]


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


def test_sizes_are_those_of_the_papers() -> None:
    inertial = (INERTIAL,)
    deep = DeepConvLstm(DeepConvLstmConfig(), inertial, STEPS, CLASSES)
    convolutions = (1 * 5 + 1) * 64 + 3 * (64 * 5 + 1) * 64
    recurrent = 4 * 128 * (6 * 64 + 128 + 2) + 4 * 128 * (128 + 128 + 2)
    assert count_parameters(deep) == convolutions + recurrent + (128 + 1) * CLASSES
    assert count_parameters(TinierHar(inertial, STEPS, CLASSES)) == pytest.approx(7_500, rel=0.1)
    assert count_parameters(TinierHar(UTD_MHAD.modalities, 16, 27)) == pytest.approx(54_500, rel=0.05)


def test_windows_too_short_for_four_convolutions_are_refused() -> None:
    with pytest.raises(DataError, match="12 frames; expected 17"):
        DeepConvLstm(DeepConvLstmConfig(), (INERTIAL,), 2, CLASSES)


def test_sensors_are_interpolated_to_the_frames_of_the_finest() -> None:
    features, valid = windows()
    grid = FrameGrid(SPECS, STEPS)(features, valid)
    values = features["inertial"][..., :3].flatten(1, 2).flatten(2)  # (B, L, C)
    assert grid.shape == (len(values), 1, STEPS * 6, 66)
    torch.testing.assert_close(grid[:, 0, :, 60:], values)
    first = features["skeleton"][..., :3].flatten(1, 2).flatten(2)
    torch.testing.assert_close(grid[:, 0, [0, -1], :60], first[:, [0, -1]])
