"""`edgehar adapt`: learns from recordings without labels, and refuses what makes held-back answers worse."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import edgehar
from edgehar.deploy.learning import adapt, enrol, forget
from edgehar.deploy.personal import adaptation
from edgehar.deploy.personal.adaptation import Guard, check, learn_map
from edgehar.errors import DataError
from edgehar.metrics.calibration import softmax
from edgehar.package.folder import EdgePackage
from edgehar.package.personal import MAX_EXAMPLES, read_personal
from tests.deploy.learning.recorded import recording, words_of

CLASSES, WIDTH = 5, 24


def person(seed: int, windows: int, moved: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Weights, biases, windows of classes that are moved away from their weights, and their classes."""
    random = np.random.default_rng(seed)
    weight = random.standard_normal((CLASSES, WIDTH)).astype(np.float32)
    truth = np.arange(windows) % CLASSES
    features = weight[truth] + 0.5 * random.standard_normal((windows, WIDTH))
    return weight, np.zeros(CLASSES, np.float32), (features + moved * weight[0]).astype(np.float32), truth


def right(features: np.ndarray, truth: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> float:
    return float(((features @ weight.T + bias).argmax(1) == truth).mean())


def test_person_whose_features_are_moved_is_recognised_again() -> None:
    weight, bias, features, truth = person(0, 200, 1.2)
    scale, shift = learn_map(features, weight, bias)
    assert right(features * scale + shift, truth, weight, bias) > right(features, truth, weight, bias) + 0.1


def test_gradient_lowers_the_objective() -> None:
    weight, bias, features, _ = person(1, 100, 1.2)

    def objective(values: np.ndarray) -> float:
        answers = softmax(values @ weight.T + bias).astype(np.float64)
        mean = answers.mean(0)
        return float(-(answers * np.log(answers + 1e-9)).sum(1).mean() + (mean * np.log(mean + 1e-9)).sum())

    scale, shift = learn_map(features, weight, bias)
    assert objective(features * scale + shift) < objective(features) - 0.01


def test_guard_names_each_reason() -> None:
    assert Guard(0.96, 0.97, 5, 5, 2, 2).reason == ""
    assert "94.0% of the held-back answers stay the same" in Guard(0.94, 0.99, 5, 5, 2, 2).reason
    for agreement in (0.8, 0.96):  # without a sign of a gain it is refused, too
        assert "stay the same when steps are lost, 96.0% before" in Guard(0.96, agreement, 5, 5, 2, 2).reason
    assert "3 different held-back answers, 5 before" in Guard(0.96, 0.97, 5, 3, 2, 2).reason
    assert "1 labelled recordings right, 2 before" in Guard(0.96, 0.97, 5, 5, 2, 1).reason


def test_guard_counts_the_labelled_examples_that_are_right() -> None:
    weight, bias, features, truth = person(2, 60, 0.0)
    wrong = (truth + 1) % CLASSES
    guard = check(features, features[:, None], features[:10], wrong[:10], weight, bias)
    assert guard.agreement == guard.agreement_before == 1
    assert guard.examples_before == guard.examples == 0
    assert (
        check(features, features[:, None], features[:10], truth[:10], weight, bias).examples_before == 20
    )  # in both halves


@pytest.fixture
def long(tmp_path: Path) -> str:
    """A continuous recording of 20 s."""
    return words_of(tmp_path, recording(0, 20.0))


def test_adaptation_is_refused_or_written_and_undone(
    tmp_path: Path, sliding_package: Path, long: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adaptation, "LEAST_AGREEMENT", 0.0)  # an untrained network is unsure
    out, codes = tmp_path / "anna.json", list[int]()
    while codes[-1:] != [0]:  # draws of lost steps decide; an untrained network is refused most often
        codes.append(adapt.main([str(sliding_package), "--input", long, "--out", str(out), "--seed", str(len(codes))]))
        assert out.exists() is (codes[-1] == 0)
        assert len(codes) < 60
    assert set(codes) == {0, 1}
    learnt = read_personal(out, EdgePackage.open(sliding_package).manifest).adaptation
    assert learnt is not None
    assert learnt.recordings == 1
    recorded = recording(1)
    plain, adapted = (edgehar.load(sliding_package, personal=file) for file in (None, out))
    before, after = (one.predict(recorded.signals).probabilities for one in (plain, adapted))
    assert np.abs(before - after).max() > 0
    forget.main([str(out), "--package", str(sliding_package), "--adaptation"])
    assert not out.exists()


def test_few_windows_are_named(tmp_path: Path, clip_package: Path) -> None:
    words = words_of(tmp_path, recording(0))
    with pytest.raises(DataError, match="1 windows of 1 recordings; expected 20 or more"):
        adapt.main([str(clip_package), "--input", words, "--out", str(tmp_path / "a.json")])


def test_many_recordings_need_bounded_memory(tmp_path: Path, clip_package: Path) -> None:
    words = words_of(tmp_path, recording(0))
    sensor, other = words.split(",")
    samples = np.load(other.partition("=")[2])
    listed: list[str] = []
    for index in range(150):
        path = tmp_path / f"{index}.npy"
        np.save(path, samples + index / 100)
        listed.append(f"{sensor},inertial={path}")
    tracemalloc.start()
    adapt.main([str(clip_package), "--input", *listed, "--out", str(tmp_path / "a.json")])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_more_recordings_than_a_file_holds_are_refused_before_one_is_read(tmp_path: Path, clip_package: Path) -> None:
    listed = [f"skeleton={index}.npy" for index in range(1000)]
    with pytest.raises(DataError, match=f"1000 recordings.*expected {MAX_EXAMPLES} at most"):
        enrol.main([str(clip_package), "--label", "x", "--input", *listed, "--out", str(tmp_path / "b.json")])
    assert not (tmp_path / "b.json").exists()
