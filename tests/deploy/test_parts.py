"""Recordings read in parts give, bit for bit, the windows of the whole recording."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgehar
from edgehar.deploy import samples as deploy_samples
from edgehar.deploy.live import recording_input
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import DataError
from edgehar.signals.clip import Prediction
from edgehar.signals.modality import ModalitySpec
from tests.deploy.test_long_recordings import HOP, STEPS, WATCH
from tests.deploy.tiny_package import write_tiny_package

SLOW = ModalitySpec("slow", 3, "g", 10.0, 1)


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    path = tmp_path_factory.mktemp("both") / "package"
    write_tiny_package(path, "sliding", (WATCH, SLOW), ("walk", "rest"), STEPS, 0.1, HOP)
    return edgehar.load(path)


def recording(clock: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Five minutes with lost samples, a pause, a late start of one sensor and, if coarse, equal timestamps."""
    generator = np.random.default_rng(0)
    watch = generator.standard_normal((15_000, 6)).astype(np.float32)
    watch[3000:3400] = np.nan
    slow = generator.standard_normal((2000, 3))
    slow[::7] = 1e12
    times_s = {"watch": 5.0 + np.arange(15_000) / 50, "slow": 30.0 + np.arange(2000) / 10}
    times_s["watch"][9000:] += 60
    if clock == "packets":
        times_s["watch"] = times_s["watch"][np.arange(15_000) // 16 * 16]
    return {"watch": watch, "slow": slow}, times_s


def assert_equal(found: list[Prediction], expected: list[Prediction]) -> None:
    assert len(found) == len(expected) > 100
    assert [one.end_s for one in found] == [one.end_s for one in expected]
    rows, others = (np.stack([one.probabilities for one in predictions]) for predictions in (found, expected))
    np.testing.assert_array_equal(rows, others)


@pytest.mark.parametrize("clock", ["exact", "packets", "none"])
@pytest.mark.parametrize("rows", [16, 1000])
def test_parts_of_any_size_give_the_windows_of_the_whole(
    recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch, clock: str, rows: int
) -> None:
    signals, times_s = recording(clock)
    given = None if clock == "none" else times_s
    expected = recognizer.predict_windows(signals, given)
    monkeypatch.setattr(deploy_samples, "BLOCK_ROWS", rows)
    assert_equal(recognizer.predict_windows(signals, given), expected)


@pytest.mark.parametrize("change", ["decrease", "milliseconds", "lost", "channels"])
def test_invalid_parts_are_rejected_as_the_whole_is(
    recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    signals, times_s = recording("exact")
    match change:
        case "decrease":
            times_s["watch"][8000:] -= 50
        case "milliseconds":
            times_s["watch"] = times_s["watch"] * 1e6
        case "lost":
            signals = {name: np.full_like(values, np.nan) for name, values in signals.items()}
        case _:
            signals["watch"] = signals["watch"][:, :5]
    messages: list[str] = []
    for rows in (deploy_samples.BLOCK_ROWS, 1000):
        monkeypatch.setattr(deploy_samples, "BLOCK_ROWS", rows)
        with pytest.raises(DataError) as problem:
            recognizer.predict(signals, times_s)
        messages.append(str(problem.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("order", ["C", "F"])
def test_files_of_many_blocks_equal_arrays(recognizer: Recognizer, tmp_path: Path, order: Any) -> None:
    signals, times_s = recording("packets")
    values, times = np.tile(signals["watch"], (2, 1)), np.concatenate([times_s["watch"], times_s["watch"] + 400])
    known = np.logical_and.reduce(np.isfinite(values), axis=1)
    np.save(tmp_path / "w.npy", np.asarray(np.where(known[:, None], values, 0), order=order))
    np.save(tmp_path / "w.times.npy", times)
    np.save(tmp_path / "w.valid.npy", known)
    found = list(recording_input.predict_files(recognizer, (f"watch={tmp_path / 'w.npy'}",)))
    assert_equal(found, recognizer.predict_windows({"watch": values}, {"watch": times}))


def test_pipe_in_place_of_a_file_is_rejected(recognizer: Recognizer, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "w.csv")  # would block: a file is read twice
    with pytest.raises(DataError, match="pipe"):
        next(recording_input.predict_files(recognizer, (f"watch={tmp_path / 'w.csv'}",)))


def test_problem_of_a_late_block_is_named_before_any_prediction(recognizer: Recognizer, tmp_path: Path) -> None:
    path = tmp_path / "w.csv"
    rows = [f"{number / 50},1,2,3,4,5,6" for number in range(20_000)]
    rows[18_000] = "1,1,2,3,4,5,6"
    path.write_text("\n".join(["time_s,ax,ay,az,gx,gy,gz", *rows]) + "\n")
    with pytest.raises(DataError, match=rf"{path}:18002: time goes back"):
        next(recording_input.predict_files(recognizer, (f"watch={path}",)))
    rows[18_000] = "360,1,2,x,4,5,6"
    path.write_text("\n".join(["time_s,ax,ay,az,gx,gy,gz", *rows]) + "\n")
    with pytest.raises(DataError, match=rf"{path}:18002: column 4 is 'x'"):
        next(recording_input.predict_files(recognizer, (f"watch={path}",)))
