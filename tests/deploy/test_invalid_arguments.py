"""Tests of argument checks in the Python API."""

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import edgehar
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import ConfigError, DataError
from tests.deploy.test_recognizer import recording

RANDOM = recording()["inertial"]  # (100, 6)


@pytest.mark.parametrize("threads", [0, -1, 1025, 10**30, 2.0, True, "2", [1]], ids=repr)
def test_invalid_threads_are_rejected(clip_package: Path, threads: Any) -> None:
    with pytest.raises(ConfigError, match=rf"^threads {re.escape(repr(threads))}: "):
        edgehar.load(clip_package, threads=threads)


def test_numpy_integer_is_accepted_as_threads(clip_package: Path) -> None:
    recognizer: Any = edgehar.load(clip_package, threads=np.int64(2))  # type: ignore[arg-type]
    assert recognizer.predict({"inertial": RANDOM}).label in recognizer.manifest.labels


def test_text_as_list_of_names_is_rejected(clip_package: Path, recognizer: Recognizer) -> None:
    with pytest.raises(ConfigError, match="providers 'LiteRT'"):
        edgehar.load(clip_package, providers="LiteRT")
    with pytest.raises(ConfigError, match="modalities 'inertial'"):
        edgehar.StreamRecognizer(recognizer, modalities="inertial")
    for odd in (5, [5]):
        with pytest.raises(ConfigError, match=r"modalities .*5"):
            edgehar.StreamRecognizer(recognizer, modalities=odd)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["smoothing", "margin", "lateness_s", "reorder_s", "offsets_s"])
def test_stream_options_that_are_not_numbers_are_rejected(recognizer: Recognizer, name: str) -> None:
    given: Any = {name: "0.5"}
    with pytest.raises(ConfigError, match=name):
        edgehar.StreamRecognizer(recognizer, **given)


def test_masked_elements_are_lost(recognizer: Recognizer) -> None:
    mask = np.zeros(RANDOM.shape, bool)
    mask[20:23, 1] = True
    masked = np.ma.MaskedArray(np.where(mask, 1e6, RANDOM), mask)
    expected = recognizer.predict({"inertial": np.where(mask, np.nan, RANDOM)})
    for given in (masked, list(masked), masked.astype(np.float32)):
        found = recognizer.predict({"inertial": given})
        np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)
    times_s = np.arange(100) / 50
    expected_stream = edgehar.StreamRecognizer(recognizer, ["inertial"]).push(
        "inertial", np.where(mask, np.nan, RANDOM), times_s
    )
    found_stream = edgehar.StreamRecognizer(recognizer, ["inertial"]).push("inertial", masked, times_s)
    assert [one.label for one in found_stream] == [one.label for one in expected_stream] != []


def test_masked_arrays_that_another_thread_is_importing(
    recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    times_s = np.arange(len(RANDOM)) / 50
    expected = edgehar.StreamRecognizer(recognizer, ["inertial"]).push("inertial", RANDOM.tolist(), times_s)
    monkeypatch.setitem(sys.modules, "numpy.ma", ModuleType("numpy.ma"))  # as it is until the import has ended
    found = edgehar.StreamRecognizer(recognizer, ["inertial"]).push("inertial", RANDOM.tolist(), times_s)
    assert [one.score for one in found] == [one.score for one in expected] != []


def test_masked_times_are_rejected(recognizer: Recognizer) -> None:
    times_s = np.ma.MaskedArray(np.arange(100) / 50, np.arange(100) == 7)
    with pytest.raises(DataError, match=r"inertial: times .*finite"):
        recognizer.predict({"inertial": RANDOM}, {"inertial": times_s})


NOT_NUMBERS = {
    "texts": RANDOM.astype(str),
    "texts of Python": [["1.5"] * 6] * 100,
    "some texts": [["1.5", 1.5, 1.5, 1.5, 1.5, 1.5]] * 100,
    "objects": np.full((100, 6), object()),
    "truth values": np.ones((100, 6), bool),
    "dates": np.zeros((100, 6), "datetime64[ms]"),
    "durations": np.zeros((100, 6), "timedelta64[ms]"),
    "complex": RANDOM.astype(complex),
    "dict": {"x": RANDOM},
    "generator": (row for row in RANDOM),
    "None": None,
}


@pytest.mark.parametrize("kind", NOT_NUMBERS)
def test_samples_and_times_that_are_not_numbers_are_rejected(recognizer: Recognizer, kind: str) -> None:
    odd: Any = NOT_NUMBERS[kind]
    times_s = np.arange(100) / 50
    odd_times = odd[:, 0] if isinstance(odd, np.ndarray) else odd
    stream = edgehar.StreamRecognizer(recognizer, ["inertial"])
    with pytest.raises(DataError, match="inertial"):
        recognizer.predict({"inertial": odd})
    with pytest.raises(DataError, match="inertial"):
        recognizer.predict({"inertial": RANDOM}, {"inertial": odd_times})
    with pytest.raises(DataError, match="inertial"):
        stream.push("inertial", odd, times_s)
    with pytest.raises(DataError, match="inertial"):
        stream.push("inertial", RANDOM, odd_times)


@pytest.mark.parametrize("odd", [None, RANDOM, [RANDOM], "inertial", 5], ids=lambda odd: type(odd).__name__)
def test_signals_and_times_must_be_dicts(recognizer: Recognizer, odd: Any) -> None:
    with pytest.raises(DataError, match=r"^signals: "):
        recognizer.predict(odd)
    if odd is not None:
        with pytest.raises(DataError, match=r"^times_s: "):
            recognizer.predict({"inertial": RANDOM}, odd)


@pytest.mark.parametrize("odd", [None, 5, ["inertial"], b"inertial"], ids=repr)
def test_unknown_modality_is_rejected(recognizer: Recognizer, odd: Any) -> None:
    with pytest.raises(DataError, match="skeleton, inertial"):
        edgehar.StreamRecognizer(recognizer, ["inertial"]).push(odd, RANDOM, np.arange(100) / 50)
