"""Tests of `edgehar.load` and `Recognizer`: any subset of sensors, invalid inputs, parity with the network."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgehar
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import ConfigError, DataError, PackageError
from edgehar.package.folder import EdgePackage, amend_package
from edgehar.signals.clip import Clip
from edgehar.signals.windows import cut
from tests.deploy.tiny_package import INERTIAL, SKELETON, write_tiny_package


def recording(seconds: float = 2.0, seed: int = 0) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    return {
        spec.name: generator.standard_normal((int(seconds * spec.rate_hz), spec.channels)).cumsum(0) / 10
        for spec in (SKELETON, INERTIAL)
    }


@pytest.fixture(scope="module")
def clip_recognizer(clip_package: Path) -> Recognizer:
    return edgehar.load(clip_package)


@pytest.fixture(scope="module")
def sliding_recognizer(sliding_package: Path) -> Recognizer:
    return edgehar.load(sliding_package)


def test_graphs_equal_the_network(tmp_path: Path) -> None:
    _, network = write_tiny_package(tmp_path / "package")
    recognizer = edgehar.load(tmp_path / "package")
    arrays = recognizer.package.arrays("parity.npz")
    token = recognizer.encode(arrays, arrays["valid"])
    np.testing.assert_allclose(token, network.encoder(arrays, arrays["valid"]), atol=1e-5)
    np.testing.assert_allclose(recognizer.classify(arrays["tokens"]), network.head(arrays["tokens"]), atol=1e-4)


def test_clip_gives_one_prediction_with_normalised_probabilities(clip_recognizer: Recognizer) -> None:
    prediction = clip_recognizer.predict(recording())
    assert prediction.label in clip_recognizer.manifest.labels
    assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert prediction.score == pytest.approx(prediction.probabilities.max())
    assert len(clip_recognizer.predict_windows(recording())) == 1


def test_skeleton_as_joints_equals_flat_skeleton(clip_recognizer: Recognizer) -> None:
    signals = recording()
    flat = clip_recognizer.predict(signals)
    joints = clip_recognizer.predict(signals | {"skeleton": signals["skeleton"].reshape(-1, 20, 3)})
    np.testing.assert_array_equal(flat.probabilities, joints.probabilities)


@pytest.mark.parametrize("sensor", ["skeleton", "inertial"])
def test_lost_sensor_equals_missing_sensor(clip_recognizer: Recognizer, sensor: str) -> None:
    signals = recording()
    alone = clip_recognizer.predict({sensor: signals[sensor]})
    other = next(name for name in signals if name != sensor)
    lost = clip_recognizer.predict({sensor: signals[sensor], other: np.full_like(signals[other], np.nan)})
    np.testing.assert_array_equal(alone.probabilities, lost.probabilities)
    both = clip_recognizer.predict(signals)
    assert np.abs(both.probabilities - alone.probabilities).max() > 1e-3


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e38, -1e300, None])
def test_unusable_value_marks_only_its_sample_as_lost(clip_recognizer: Recognizer, bad: Any) -> None:
    signals = recording()
    rows = signals["inertial"].tolist()
    rows[10][2] = bad
    marked = signals["inertial"].copy()
    marked[10] = np.nan
    found = clip_recognizer.predict(signals | {"inertial": rows})
    expected = clip_recognizer.predict(signals | {"inertial": marked})
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)
    assert np.isfinite(found.probabilities).all()


@pytest.mark.parametrize(
    "signals",
    [
        {},
        {"gyroscope": np.zeros((10, 3))},
        {"inertial": np.zeros((10, 5))},
        {"inertial": np.zeros((0, 6))},
        {"inertial": np.zeros(6)},
        {"inertial": np.zeros((6, 10))},
        {"inertial": np.zeros((2, 10, 6))},
        {"inertial": np.full((10, 6), np.nan)},
        {"inertial": [[1, 2, 3, 4, 5, 6], [1, 2]]},
        {"inertial": "text"},
        {"inertial": [["a"] * 6]},
        {"inertial": None},
        {"inertial": {"a": 1}},
        {"inertial": [[10**400] * 6]},
    ],
    ids=lambda signals: str(signals)[:40],
)
def test_unusable_signals_are_rejected(clip_recognizer: Recognizer, signals: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        clip_recognizer.predict(signals)


def test_long_recording_gives_one_window_per_hop(sliding_recognizer: Recognizer) -> None:
    windows = sliding_recognizer.predict_windows(recording(3.0))
    step_s = sliding_recognizer.manifest.window.step_s
    np.testing.assert_allclose(np.diff([window.start_s for window in windows]), 2 * step_s)
    assert windows[0].start_s == 0
    assert windows[0].end_s == pytest.approx(6 * step_s)
    mean = sliding_recognizer.predict(recording(3.0))
    np.testing.assert_allclose(mean.probabilities, np.mean([one.probabilities for one in windows], 0), atol=1e-6)
    assert (mean.start_s, mean.end_s) == (windows[0].start_s, windows[-1].end_s)


def test_offset_times_give_the_predictions_of_nominal_times(sliding_recognizer: Recognizer) -> None:
    signals = recording(3.0)
    times = {spec.name: 1.7e9 + np.arange(len(signals[spec.name])) / spec.rate_hz for spec in (SKELETON, INERTIAL)}
    nominal, given = sliding_recognizer.predict_windows(signals), sliding_recognizer.predict_windows(signals, times)
    assert [window.start_s for window in given] == pytest.approx([1.7e9 + window.start_s for window in nominal])
    for one, other in zip(nominal, given, strict=True):
        np.testing.assert_allclose(
            one.probabilities, other.probabilities, atol=1e-3
        )  # float64 resolves microseconds at 1.7e9 s


def test_windows_without_usable_steps_are_skipped(sliding_recognizer: Recognizer) -> None:
    signals = recording(6.0)
    for spec in (SKELETON, INERTIAL):
        signals[spec.name][int(2 * spec.rate_hz) : int(4.5 * spec.rate_hz)] = np.nan
    windows = sliding_recognizer.predict_windows(signals)
    assert not any(window.start_s > 2.2 and window.end_s < 4.3 for window in windows)
    assert any(window.end_s <= 2.0 for window in windows)
    assert any(window.start_s >= 4.5 for window in windows)


@pytest.mark.parametrize(
    "times",
    [
        {"inertial": np.arange(99) / 50},
        {"inertial": -np.arange(100) / 50},
        {"inertial": np.full(100, np.nan)},
        {"inertial": ["now"] * 100},
        {},
        {"skeleton": np.arange(100) / 50},
    ],
    ids=["too few", "backwards", "not finite", "text", "none", "of another sensor"],
)
def test_unusable_times_are_rejected(sliding_recognizer: Recognizer, times: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        sliding_recognizer.predict({"inertial": recording()["inertial"]}, times)


@pytest.mark.parametrize("gap_s", [1e4, 1e9])
def test_times_with_a_clock_jump_are_rejected(sliding_recognizer: Recognizer, gap_s: float) -> None:
    signals = recording(4.0)
    times_s = {name: np.linspace(0, 4, len(values)) for name, values in signals.items()}
    for jumped in (
        {"inertial": times_s["inertial"] + gap_s * (times_s["inertial"] > 2)},
        {"inertial": times_s["inertial"] + gap_s},
    ):
        with pytest.raises(DataError, match="times span"):
            sliding_recognizer.predict_windows(signals, times_s | jumped)


def test_regular_times_of_a_clip_give_the_prediction_of_nominal_times(clip_recognizer: Recognizer) -> None:
    signals = recording()
    last_s = (len(signals["skeleton"]) - 1) / SKELETON.rate_hz
    times = {name: 100 + np.linspace(0, last_s, len(values)) for name, values in signals.items()}
    # The motions per second of the faster sensor differ by less than a sample.
    signals["inertial"], times["inertial"] = signals["inertial"][:98], 100 + np.arange(98) / INERTIAL.rate_hz
    nominal, timed = clip_recognizer.predict(signals), clip_recognizer.predict(signals, times)
    assert (timed.start_s, timed.end_s) == pytest.approx((100, 100 + last_s))
    np.testing.assert_allclose(timed.probabilities, nominal.probabilities, atol=0.02)
    alone = {"skeleton": signals["skeleton"]}
    one, other = clip_recognizer.predict(alone), clip_recognizer.predict(alone, {"skeleton": times["skeleton"]})
    np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-4)


def test_times_of_a_clip_keep_a_gap_in_its_place(clip_recognizer: Recognizer) -> None:
    values = recording()["inertial"]
    times = np.arange(100) / INERTIAL.rate_hz
    kept = np.r_[0:20, 80:100]
    masked = values.copy()
    masked[20:80] = np.nan
    expected = clip_recognizer.predict({"inertial": masked})
    found = clip_recognizer.predict({"inertial": values[kept]}, {"inertial": times[kept]})
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-4)
    assert (found.start_s, found.end_s) == pytest.approx((0, 1.98))
    squeezed = clip_recognizer.predict({"inertial": values[kept]})
    assert np.abs(squeezed.probabilities - expected.probabilities).max() > 1e-3


def test_a_sensor_without_times_spans_the_clip(clip_recognizer: Recognizer) -> None:
    signals = recording()
    times = {name: np.linspace(3, 5, len(values)) for name, values in signals.items()}
    both = clip_recognizer.predict(signals, times)
    one = clip_recognizer.predict(signals, {"skeleton": times["skeleton"]})
    np.testing.assert_allclose(one.probabilities, both.probabilities, atol=1e-4)


def test_times_of_an_absent_sensor_are_rejected(clip_recognizer: Recognizer) -> None:
    with pytest.raises(DataError, match="times_s"):
        clip_recognizer.predict({"inertial": np.zeros((10, 6))}, {"skeleton": np.arange(10)})


def test_recording_shorter_than_a_window_is_rejected(sliding_recognizer: Recognizer) -> None:
    with pytest.raises(DataError, match="longer recordings"):
        sliding_recognizer.predict(recording(0.4))


def test_batched_windows_equal_single_windows(sliding_recognizer: Recognizer) -> None:
    signals = {name: values.astype(np.float32) for name, values in recording(8.0).items()}
    clip = Clip(
        "long",
        "s1",
        "1",
        signals,
        {name: np.ones(len(values), bool) for name, values in signals.items()},
        times_s={spec.name: np.arange(len(signals[spec.name])) / spec.rate_hz for spec in (SKELETON, INERTIAL)},
    )
    windows = cut([clip], sliding_recognizer.manifest.info, sliding_recognizer.manifest.normalisation)
    together = sliding_recognizer.predict_prepared(windows)
    for index in range(len(windows)):
        alone = sliding_recognizer.predict_prepared(windows.take(np.asarray([index])))
        np.testing.assert_allclose(together[index], alone[0], atol=1e-5)


def test_int8_is_the_default_after_quantisation(int8_package: Path) -> None:
    int8, fp32 = edgehar.load(int8_package), edgehar.load(int8_package, "fp32")
    assert int8.precision == "int8"
    difference = np.abs(int8.predict(recording()).probabilities - fp32.predict(recording()).probabilities)
    assert 0 < difference.max() < 0.1


def test_providers_are_reported_and_checked(clip_package: Path) -> None:
    assert edgehar.load(clip_package).providers == ("CPUExecutionProvider",)
    with pytest.warns(RuntimeWarning, match="provider CUDAExecutionProvider"):
        recognizer = edgehar.load(clip_package, providers=["CUDAExecutionProvider", "CPUExecutionProvider"])
    assert recognizer.providers == ("CPUExecutionProvider",)
    with pytest.raises(ConfigError, match="provider Abacus"):
        edgehar.load(clip_package, providers=["Abacus"])
    with pytest.raises(ConfigError, match="threads"):
        edgehar.load(clip_package, threads=0)
    with pytest.raises(PackageError, match="'int4'"):
        edgehar.load(clip_package, "int4")


@pytest.mark.parametrize("content", [b"", b"text", None], ids=["empty", "text", "other interface"])
def test_invalid_graph_with_valid_checksum_is_rejected(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "package"
    write_tiny_package(path)
    amend_package(path, {"encoder.fp32.onnx": content or (path / "head.fp32.onnx")})
    EdgePackage.open(path)
    with pytest.raises(PackageError):
        edgehar.load(path)
