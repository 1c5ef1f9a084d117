import numpy as np
import pytest

from edgehar.signals.windows import Windows
from edgehar.student.baselines.ridge import STRENGTHS, drawn_rows, fit_ridge


@pytest.mark.parametrize(("windows", "features", "classes"), [(40, 300, 4), (60, 20, 3), (50, 5000, 2)])
def test_equals_the_ridge_classifier_of_scikit_learn(windows: int, features: int, classes: int) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model", reason="the reference comes with the baselines extra")
    rng = np.random.default_rng(0)
    label = rng.integers(classes, size=2 * windows)
    signal = rng.normal(size=(classes, features))[label] + 3 * rng.normal(size=(2 * windows, features)) + 2
    train, test = signal[:windows].astype(np.float32), signal[windows:].astype(np.float32)
    reference = linear_model.RidgeClassifierCV(alphas=STRENGTHS).fit(train, label[:windows])
    ours = fit_ridge(train, label[:windows], classes)
    assert ours.strength == pytest.approx(reference.alpha_)
    expected = reference.decision_function(test)
    decided = ours.decide(test)
    np.testing.assert_allclose(decided[:, 1] if classes == 2 else decided, expected, atol=2e-4)


def test_class_without_training_windows_is_never_predicted() -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(2, size=30) * 2
    ridge = fit_ridge(rng.normal(size=(30, 8)).astype(np.float32), label, 4)
    values = ridge.decide(rng.normal(size=(50, 8)).astype(np.float32) * 10)
    np.testing.assert_allclose(values[:, [1, 3]], -1)
    assert set(values.argmax(axis=1)) <= {0, 2}


def test_draw_keeps_the_share_of_every_person_and_activity() -> None:
    label, subject = np.repeat([0, 1, 0, 1], [60, 20, 10, 10]), np.repeat(["s1", "s1", "s2", "s2"], [60, 20, 10, 10])
    empty = np.zeros(100)
    windows = Windows({}, {}, label, subject, subject, empty, empty)
    rows = drawn_rows(windows, 50, 0)
    drawn = {(who, what): 0 for who in ("s1", "s2") for what in (0, 1)}
    for row in rows:
        drawn[str(subject[row]), int(label[row])] += 1
    assert drawn == {("s1", 0): 30, ("s1", 1): 10, ("s2", 0): 5, ("s2", 1): 5}
    assert (drawn_rows(windows, 50, 0) == rows).all()
    assert (drawn_rows(windows, 50, 1) != rows).any()
    assert len(drawn_rows(windows, 100, 0)) == 100
