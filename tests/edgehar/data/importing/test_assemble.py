"""Recordings of other rates, too short ones, and values that the written files cannot hold."""

import numpy as np

from tests.edgehar.data.importing.conftest import Importer
from tests.edgehar.data.importing.logger_files import csv_text, samples
from tests.edgehar.data.importing.test_bvh import motion

TIMES_S, VALUES = samples()


def test_a_recording_shorter_than_a_window_is_left_out_alone(imported: Importer) -> None:
    files: dict[str, str | bytes] = {f"{name}.bvh": motion(n, "0.033333") for name, n in (("a", 48), ("b", 49))}
    found = imported(files)
    assert [clip.name for clip in found.dataset.clips] == ["b"]
    assert "a.bvh: lasts less than a window of 1.6 s; left out" in found.printed


def test_a_recording_that_loses_its_longest_sensor_is_left_out_alone(imported: Importer) -> None:
    text = csv_text("time_s,ax,ay,az", list(TIMES_S), VALUES)
    short = csv_text("time_s,ax,ay,az", list(TIMES_S[:50]), VALUES[:50])
    fast_s = np.arange(150) * 4.0
    files: dict[str, str | bytes] = {"r1.csv": text, "r2_acc.csv": short, "r2_gyro.csv": csv_text(
        "time_s,x,y,z", list(fast_s), VALUES[:150])}  # fmt: skip
    files |= {f"r{n}_gyro.csv": csv_text("time_s,x,y,z", list(TIMES_S), VALUES) for n in (3, 4, 5)}
    found = imported(files)
    assert "r2" not in [clip.name for clip in found.dataset.clips]
    assert "r2_acc.csv: lasts less than a window" in found.printed


def test_a_signal_on_a_large_offset_is_named(imported: Importer) -> None:
    files: dict[str, str | bytes] = {
        "r1.csv": csv_text("time_s,ax,ay,az", list(TIMES_S), VALUES + np.array([1e7, 0, 0])),
        "r2.csv": csv_text("time_s,ax,ay,az", list(TIMES_S), np.append(VALUES[:, :2], 0 * VALUES[:, :1] + 2e7, 1)),
    }
    found = imported(files)
    assert "column 'x' loses its signal in single precision; subtract the offset" in found.printed
    assert "r1.csv (values near 1e+07 vary by 3" in found.printed
    assert "r2.csv (values" not in found.printed


def test_a_clock_of_whole_seconds_does_not_change_the_rate(imported: Importer) -> None:
    times_s, values = samples(500, 50.0)
    found = imported({"r1.csv": csv_text("time_s,ax,ay,az", list(np.floor(times_s + 0.4)), values)})
    assert found.dataset.info.modalities[0].rate_hz == 50
