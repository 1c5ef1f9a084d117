"""Recordings of hours in bounded memory, and recordings whose clock is coarser than their sampling."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgehar
from edgehar.data.recordings.csv_file import read_csv
from edgehar.deploy.live import run
from edgehar.deploy.recognizer import BATCH_STEPS, Recognizer
from edgehar.signals.clip import Clip
from edgehar.signals.modality import ModalitySpec
from edgehar.signals.windows import cut
from tests.deploy.tiny_package import write_tiny_package

WATCH = ModalitySpec("watch", 6, "m/s2 and rad/s", 50.0, 5)
STEPS, HOP = 16, 16
MEASURED_RUN = """
import re, sys
from pathlib import Path
from edgehar.cli import main
code = main(sys.argv[1:])
status = Path("/proc/self/status").read_text()
print("peak", re.search(r"VmHWM:\\s*(\\d+) kB", status)[1], file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def watch_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("watch") / "package"
    write_tiny_package(path, "sliding", (WATCH,), ("walk", "rest"), STEPS, 0.1, HOP)
    return path


@pytest.fixture(scope="module")
def watch_recognizer(watch_package: Path) -> Recognizer:
    return edgehar.load(watch_package)


def samples(hours: float) -> Any:
    return np.random.default_rng(0).standard_normal((int(hours * 3600 * WATCH.rate_hz), 6), np.float32)


def write_csv(path: Path, values: Any) -> None:
    with path.open("w") as file:
        file.write("time_s,ax,ay,az,gx,gy,gz\n")
        cells = np.char.mod("%.9g", values.astype(np.float64))
        file.writelines(f"{row / WATCH.rate_hz:.2f},{','.join(cells[row])}\n" for row in range(len(values)))


def whole_at_once(recognizer: Recognizer, values: Any) -> tuple[Any, list[float]]:
    """Probabilities and ends of all windows, cut at once."""
    times_s = {"watch": np.arange(len(values)) / WATCH.rate_hz}
    clip = Clip("r", "", "", {"watch": values}, {"watch": np.isfinite(values).all(axis=1)}, times_s=times_s)
    windows = cut([clip], recognizer.manifest.info, recognizer.manifest.normalisation)
    usable = windows.take(np.flatnonzero(windows.valid["watch"].any(axis=1)))
    return recognizer.probabilities(recognizer.predict_prepared(usable)), usable.end_s.tolist()


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="peak memory is read from /proc")
@pytest.mark.parametrize(("ending", "hours", "limit_mb"), [(".npy", 8, 200), (".csv", 4, 150)])
def test_hours_need_little_memory(
    watch_package: Path, tmp_path: Path, ending: str, hours: int, limit_mb: float
) -> None:
    path, rows = tmp_path / f"night{ending}", int(hours * 3600 * WATCH.rate_hz)
    if ending == ".npy":
        np.save(path, samples(hours))
    else:
        minute = "".join(",".join(f"{value:.2f}" for value in row) + "\n" for row in samples(1 / 60).tolist())
        path.write_text("ax,ay,az,gx,gy,gz\n" + 60 * hours * minute)
    command = [sys.executable, "-c", MEASURED_RUN, "run", str(watch_package), "--input", f"watch={path}"]
    with (tmp_path / "lines").open("wb") as lines:
        done = subprocess.run(command, stdout=lines, stderr=subprocess.PIPE, check=True, text=True)
    count = len((tmp_path / "lines").read_bytes().splitlines())
    steps = int((rows - 1) / WATCH.rate_hz / 0.1 + 1e-9)
    assert count == (steps - STEPS) // HOP + 1
    assert int(done.stderr.split("peak")[-1]) < 1000 * limit_mb


@pytest.mark.parametrize("ending", [".npy", ".csv"])
def test_lines_of_blocks_equal_those_of_the_whole(
    watch_package: Path, watch_recognizer: Recognizer, tmp_path: Path, capsys: Any, ending: str
) -> None:
    values = samples(0.4)
    values[2000:9000] = np.nan  # windows without a usable step are left out, across the bounds of batches
    assert len(values) / 5 > 2 * BATCH_STEPS / (STEPS // HOP)
    path = tmp_path / f"part{ending}"
    known = np.isfinite(values).all(axis=1)
    if ending == ".npy":
        np.save(path, np.where(known[:, None], values, 0))
        np.save(tmp_path / "part.valid.npy", known)
    else:
        write_csv(path, values)
        kept = [line for line in path.read_text().splitlines() if "nan" not in line]
        path.write_text("\n".join(kept) + "\n")
    assert run.main([str(watch_package), "--input", f"watch={path}"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    probabilities, ends_s = whole_at_once(watch_recognizer, values)
    np.testing.assert_array_equal([one["end_s"] for one in lines], np.round(ends_s, 6))
    found = [list(one["probabilities"].values()) for one in lines]
    np.testing.assert_array_equal(found, np.round(probabilities.astype(np.float64), 6))


def test_arrays_of_any_kind_give_the_same_predictions(watch_recognizer: Recognizer, tmp_path: Path) -> None:
    values = samples(0.5)
    values[5] = np.nan
    np.save(tmp_path / "a.npy", values)
    expected = [one.probabilities for one in watch_recognizer.predict_windows({"watch": values.astype(np.float64)})]
    for given in (values, np.load(tmp_path / "a.npy", mmap_mode="r"), np.ma.masked_invalid(values)):
        found = [one.probabilities for one in watch_recognizer.iter_windows({"watch": given})]
        np.testing.assert_array_equal(found, expected)
    assert np.isnan(values[5]).all()


@pytest.mark.parametrize("coarse", ["packets", "seconds", "hundredths", "twice"])
def test_a_coarse_clock_gives_the_predictions_of_true_times(watch_recognizer: Recognizer, coarse: str) -> None:
    values = samples(0.005).astype(np.float64).cumsum(axis=0) / 10  # 18 s
    true_s = np.arange(len(values)) / WATCH.rate_hz
    stamps = {
        "packets": true_s[np.arange(len(true_s)) // 16 * 16],
        "seconds": np.floor(true_s),
        "hundredths": true_s,
        "twice": np.repeat(true_s, 2),
    }[coarse]
    if coarse == "hundredths":  # at four times the rate, so that two samples share each hundredth
        values, stamps = np.repeat(values, 4, axis=0), np.floor(np.arange(4 * len(values)) / 200 * 100 + 1e-6) / 100
        values += np.random.default_rng(1).normal(0, 1e-6, values.shape)
        true_s = np.arange(len(values)) / 200
    given = np.repeat(values, 2, axis=0) if coarse == "twice" else values
    expected = watch_recognizer.predict_windows({"watch": values}, {"watch": true_s})
    found = watch_recognizer.predict_windows({"watch": given}, {"watch": stamps})
    assert len(found) == len(expected) > 5
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=2e-3)


def test_own_recordings_are_spread_when_they_are_read(tmp_path: Path) -> None:
    values = samples(0.01)
    rows = [f"{row // 50},{','.join(map(str, value))}" for row, value in enumerate(values.tolist())]
    (tmp_path / "r.csv").write_text("time_s,ax,ay,az,gx,gy,gz\n" + "\n".join(rows) + "\n")
    signal, _ = read_csv(tmp_path / "r.csv", WATCH)
    assert signal is not None
    assert signal.times_s is not None
    np.testing.assert_allclose(signal.times_s, np.arange(len(values)) / 50, atol=1e-9)
    np.testing.assert_array_equal(signal.values, values)
