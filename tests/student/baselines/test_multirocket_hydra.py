import numpy as np
import pytest
import torch

from edgehar.signals.windows import Windows, cut, fit_normalisation
from edgehar.simulation.dataset import SimulatorConfig, simulate
from edgehar.student.baselines.minirocket import stacked
from edgehar.student.baselines.multirocket_hydra import RocketConfig, multirocket_hydra

SMALL = RocketConfig(multirocket_kernels=84, hydra_groups=2)


@pytest.fixture(scope="module")
def windows() -> Windows:
    pytest.importorskip("aeon", reason="MultiRocket-Hydra needs the baselines extra")
    dataset = simulate(SimulatorConfig(subjects=4, trials=2, activities=("wave", "squat", "walk", "throw")))
    return cut(dataset.clips, dataset.info, fit_normalisation(dataset, ("s1", "s3")))


def test_equals_the_classifier_of_aeon(windows: Windows) -> None:
    from aeon.classification.convolution_based import MultiRocketHydraClassifier

    train, test = windows.of_subjects(("s1", "s3")), windows.of_subjects(("s2", "s4"))
    threads = torch.get_num_threads()
    result = multirocket_hydra(train, test, 4, RocketConfig(hydra_groups=2), 0)
    assert torch.get_num_threads() == threads
    reference = MultiRocketHydraClassifier(n_groups=2, random_state=0)
    try:
        reference.fit(stacked(train), train.label)
        expected = reference.predict(stacked(test))
    finally:
        torch.set_num_threads(threads)
    assert (result.values.argmax(axis=1) == expected).all()


def test_fits_to_training_windows_only_and_to_as_many_as_allowed(windows: Windows) -> None:
    train, test = windows.of_subjects(("s1", "s3")), windows.of_subjects(("s2", "s4"))
    result = multirocket_hydra(train, test, 4, SMALL, 0)
    alone = multirocket_hydra(train, test.take(np.arange(5)), 4, SMALL, 0)
    np.testing.assert_allclose(alone.values, result.values[:5], atol=1e-4)
    assert result.fitted_windows == len(train) == 16
    few = RocketConfig(multirocket_kernels=84, hydra_groups=2, max_windows=8)
    assert multirocket_hydra(train, test, 4, few, 0).fitted_windows == 8
