import numpy as np
import pytest
import torch

from edgehar.errors import ConfigError
from edgehar.signals.windows import Windows, cut, fit_normalisation
from edgehar.simulation.dataset import SimulatorConfig, simulate
from edgehar.student.baselines.minirocket import minirocket, stacked


@pytest.fixture(scope="module")
def windows() -> Windows:
    dataset = simulate(SimulatorConfig(subjects=4, trials=2, activities=("wave", "squat", "walk", "throw")))
    return cut(dataset.clips, dataset.info, fit_normalisation(dataset, ("s1", "s3")))


def test_signals_of_all_sensors_are_interpolated_to_one_grid(windows: Windows) -> None:
    signals = stacked(windows)
    lengths = {name: array.shape[1] * array.shape[2] for name, array in windows.features.items()}
    channels = {name: array.shape[3] * array.shape[4] for name, array in windows.features.items()}
    assert signals.shape == (len(windows), sum(channels.values()), max(lengths.values()))
    first = next(iter(windows.features))
    frames = windows.features[first].reshape(len(windows), lengths[first], -1)
    np.testing.assert_allclose(signals[:, : channels[first], 0], frames[:, 0], rtol=1e-6)
    np.testing.assert_allclose(signals[:, : channels[first], -1], frames[:, -1], rtol=1e-6)
    interpolated = np.interp(
        np.linspace(0, lengths[first] - 1, signals.shape[2]), np.arange(lengths[first]), frames[0, :, 0]
    )
    np.testing.assert_allclose(signals[0, 0], interpolated, atol=1e-5)


def test_minirocket_is_deterministic_and_fitted_to_training_windows_only(windows: Windows) -> None:
    pytest.importorskip("aeon", reason="MiniRocket needs the baselines extra")
    train, test = windows.of_subjects(("s1", "s3")), windows.of_subjects(("s2", "s4"))
    result = minirocket(train, test, 4, 84, 100, 0)
    assert (minirocket(train, test, 4, 84, 100, 0).values == result.values).all()
    assert (minirocket(train, test.take(np.arange(5)), 4, 84, 100, 0).values == result.values[:5]).all()
    assert (result.values.argmax(1) == test.label).mean() > 0.4  # chance is 0.25


def test_too_few_kernels_are_refused(windows: Windows) -> None:
    with pytest.raises(ConfigError, match="--kernels 5: expected 84"):
        minirocket(windows, windows, 4, 5, 100, 0)


def test_minirocket_does_not_change_the_number_of_torch_threads(windows: Windows) -> None:
    pytest.importorskip("aeon", reason="MiniRocket needs the baselines extra")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        minirocket(windows, windows, 4, 84, 100, 0)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
