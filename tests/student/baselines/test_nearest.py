from dataclasses import replace

import numpy as np
import pytest

from edgehar.data.splits import make_split
from edgehar.errors import DataError
from edgehar.signals.windows import Windows, cut, fit_normalisation
from edgehar.simulation.dataset import SimulatorConfig, simulate
from edgehar.student.baselines.nearest import nearest_neighbour, squared_distances


@pytest.fixture(scope="module")
def windows() -> Windows:
    dataset = simulate(SimulatorConfig(subjects=4, trials=2))
    split = make_split("odd-even", dataset.clips)
    return cut(dataset.clips, dataset.info, fit_normalisation(dataset, split.train))


def test_unseen_subjects_are_neither_trivial_nor_hopeless(windows: Windows) -> None:
    train, test = windows.of_subjects(("s1", "s3")), windows.of_subjects(("s2", "s4"))
    accuracy = (nearest_neighbour(train, test) == test.label).mean()
    assert 0.4 <= accuracy <= 0.9


def test_seen_subjects_are_easy(windows: Windows) -> None:
    first = np.array([name.endswith("_t1") for name in windows.clip])
    train, test = windows.take(first), windows.take(~first)
    assert (nearest_neighbour(train, test) == test.label).mean() > 0.8


def test_window_is_its_own_nearest_neighbour(windows: Windows) -> None:
    np.testing.assert_array_equal(nearest_neighbour(windows, windows), windows.label)


def test_distance_is_the_mean_squared_difference_of_steps_valid_in_both_windows(windows: Windows) -> None:
    one, other = windows.take(np.array([0])), windows.take(np.array([5]))
    wrist, thigh = one.valid["wrist"].copy(), other.valid["thigh"].copy()
    wrist[0, :5], thigh[0, 4:] = False, False
    features = {name: array.copy() for name, array in one.features.items()}
    features["wrist"][0, :5] = 0
    one = replace(one, features=features, valid=one.valid | {"wrist": wrist})
    features = {name: array.copy() for name, array in other.features.items()}
    features["thigh"][0, 4:] = 0
    other = replace(other, features=features, valid=other.valid | {"thigh": thigh})
    parts: list[np.ndarray] = []
    for name in one.features:
        both = one.valid[name][0] & other.valid[name][0]
        parts.append((one.features[name][0, both] - other.features[name][0, both]).ravel())
    expected = np.mean(np.concatenate(parts).astype(np.float64) ** 2)
    assert squared_distances(one, other)[0, 0] == pytest.approx(expected, rel=1e-6)


def test_window_without_common_valid_step_is_refused_by_clip(windows: Windows) -> None:
    blank = windows.take(np.array([3]))
    blank = replace(
        blank,
        features={name: np.zeros_like(array) for name, array in blank.features.items()},
        valid={name: np.zeros_like(array) for name, array in blank.valid.items()},
    )
    with pytest.raises(DataError, match=str(blank.clip[0])):
        nearest_neighbour(windows, blank)


def test_no_training_window_is_refused(windows: Windows) -> None:
    with pytest.raises(DataError, match="0 training windows"):
        nearest_neighbour(windows.take(np.zeros(len(windows), bool)), windows)
