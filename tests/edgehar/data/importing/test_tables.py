"""Tables of any program: separators, units of time, options, labels that change, and what is said about the rest."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehar.data.importing.assemble import rounded_rate
from edgehar.data.importing.clock import seconds
from edgehar.data.importing.table import numbers, read_table
from edgehar.errors import DataError
from edgehar.signals.sampling_rate import sampling_rate_hz
from tests.edgehar.data.importing.conftest import Importer
from tests.edgehar.data.importing.logger_files import csv_text, samples

TIMES_S, VALUES = samples()
SIX = np.hstack([VALUES, samples(seed=5)[1]])


@pytest.mark.parametrize(
    ("separator", "decimal", "start"),
    [
        (";", ",", "\ufeff"),
        ("\t", ".", ""),
        (",", ".", "# comment of the program\n\n"),
        (" ", ".", ""),
        ("\t", ",", ""),
    ],
    ids=["semicolons", "tabs", "comment", "blanks", "tabs-and-decimal-commas"],
)
def test_separators_and_decimal_commas(separator: str, decimal: str, start: str, imported: Importer) -> None:
    header = separator.join(["seconds_elapsed", "az", "ay", "ax"])
    times = [f"{t:.2f}".replace(".", decimal) for t in TIMES_S]
    found = imported({"r1.txt": start + csv_text(header, list(times), VALUES[:, ::-1], separator, decimal)})
    np.testing.assert_allclose(found.clip("r1").signals["accelerometer"], VALUES, atol=1e-4)
    np.testing.assert_allclose(found.clip("r1").times_s["accelerometer"], TIMES_S, atol=1e-8)


def test_quoted_decimal_commas_between_commas(imported: Importer) -> None:
    rows = [",".join(f'"{v:.4f}"'.replace(".", ",") for v in (t, *row)) for t, row in zip(TIMES_S, VALUES, strict=True)]
    found = imported({"r1.csv": "\n".join(['"Time (s)","acc_x","acc_y","acc_z"', *rows])})
    np.testing.assert_allclose(found.clip("r1").signals["accelerometer"], VALUES, atol=1e-4)


def test_options_name_time_columns_and_label_of_one_sensor(imported: Importer) -> None:
    labels = ["walk"] * 80 + [""] * 20 + ["sit"] * 100
    rows = "\n".join(
        f"{1000 * t:.0f},{','.join(f'{v:.4f}' for v in row)},{label},7"
        for t, row, label in zip(TIMES_S, SIX, labels, strict=True)
    )
    text = f"clock,u1,u2,u3,v1,v2,v3,what,battery\n{rows}\n"
    options = ("--time", "clock", "--unit-of-time", "ms", "--columns", "v1,v2,v3,u1,u2,u3", "--label", "what")
    found = imported({"r1.csv": text}, *options)
    (clip,) = found.dataset.clips
    np.testing.assert_allclose(clip.signals["sensor"], SIX[:, [3, 4, 5, 0, 1, 2]], atol=1e-4)
    assert found.dataset.info.modalities[0].columns == ("v1", "v2", "v3", "u1", "u2", "u3")
    spans = [(span.start_s, span.end_s, found.dataset.info.labels[span.label]) for span in clip.segments]
    assert spans == [(0.0, 1.6, "walk"), (2.0, 3.98, "sit")]
    assert clip.label is None


def test_one_label_throughout_is_the_recordings_label(imported: Importer) -> None:
    text = (
        csv_text("time_s,ax,ay,az,activity", list(TIMES_S), VALUES)
        .replace("\n", ",run\n")
        .replace("activity,run", "activity")
    )
    found = imported({"r1.csv": text})
    assert [found.dataset.info.labels[clip.label or 0] for clip in found.dataset.clips] == ["run"]
    assert found.dataset.clips[0].segments == ()


def test_rows_of_several_people_without_a_header(imported: Importer) -> None:
    """The raw file of WISDM: person, activity, nanoseconds since the start of the phone, x, y, z; and a semicolon."""
    lines = [
        f"{person},{label},{49105962326000 + round(1e9 * (t + 10 * person))},{x},{y},{z};"
        for person, label in ((33, "Jogging"), (17, "Sitting"))
        for t, (x, y, z) in zip(TIMES_S, VALUES.tolist(), strict=True)
    ]
    options = ("--time", "3", "--columns", "4,5,6", "--label", "2", "--subject", "1")
    found = imported({"raw.txt": "\n".join(lines)}, *options)
    assert [(clip.name, clip.subject) for clip in found.dataset.clips] == [("raw_1", "33"), ("raw_2", "17")]
    assert found.dataset.info.labels == ("Jogging", "Sitting")
    np.testing.assert_allclose(found.clip("raw_2").signals["sensor"], VALUES, atol=1e-4)
    assert "read as ns" in found.printed


def test_files_of_one_sensor_each_are_joined(imported: Importer) -> None:
    files: dict[str, str | bytes] = {}
    for sensor, values in (("acc", VALUES), ("gyro", SIX[:, 3:])):
        files[f"s1/sit down_2_{sensor}.csv"] = csv_text(
            "timestamp_ms,x,y,z", [round(1000 * t) for t in TIMES_S], values
        )
    found = imported(files, "--names", "{subject}/{label}_{trial}")
    (clip,) = found.dataset.clips
    assert (clip.subject, clip.trial, found.dataset.info.labels) == ("s1", "2", ("sit down",))
    np.testing.assert_allclose(clip.signals["gyroscope"], SIX[:, 3:], atol=1e-4)
    np.testing.assert_allclose(clip.signals["accelerometer"], VALUES, atol=1e-4)


def test_sensor_named_in_the_pattern(imported: Importer) -> None:
    files: dict[str, str | bytes] = {
        f"{place}-bob-1.csv": csv_text("t,x,y,z", list(TIMES_S), VALUES + shift)
        for place, shift in (("wrist", 0), ("hip", 1))
    }
    found = imported(files, "--names", "{sensor}-{subject}-{trial}")
    (clip,) = found.dataset.clips
    assert set(clip.signals) == {"wrist", "hip"}
    np.testing.assert_allclose(clip.signals["hip"], VALUES + 1, atol=1e-4)


def test_without_times_a_rate_is_needed(imported: Importer, refused: Callable[..., str]) -> None:
    rows = "\n".join(",".join(f"{v:.4f}" for v in row) for row in VALUES)
    text = f"ax,ay,az\n{rows}\n"
    assert "no column of times among ax, ay, az; name it with --time, or give --rate" in refused({"r1.csv": text})
    found = imported({"r1.csv": text}, "--rate", "25")
    assert found.dataset.info.modalities[0].rate_hz == 25
    np.testing.assert_allclose(found.clip("r1").times_s["accelerometer"], np.arange(200) / 25)


def test_lines_that_cannot_be_used_are_named(imported: Importer) -> None:
    lines = csv_text("time_s,ax,ay,az", list(TIMES_S), VALUES).splitlines()
    lines[11] = lines[11].rpartition(",")[0] + ",overflow"
    lines[21] = "," + lines[21].partition(",")[2]
    lines[31], lines[32] = lines[32], lines[31]
    lines[41] = lines[41].rpartition(",")[0] + ","
    found = imported({"r1.csv": "\n".join(lines), "notes.csv": "who,what\nann,nothing\n"})
    clip = found.clip("r1")
    kept = np.delete(np.arange(200), [10, 20, 40])
    np.testing.assert_allclose(clip.signals["accelerometer"], VALUES[kept], atol=1e-4)
    np.testing.assert_allclose(clip.times_s["accelerometer"], TIMES_S[kept], atol=1e-8)
    assert "r1.csv:12 ('overflow'; 1 in all): column 'az' is not a number; its rows left out" in found.printed
    assert "r1.csv:22 (1 in all): rows without a time" in found.printed
    assert "rows out of order" in found.printed
    assert "notes.csv: no row of numbers" in found.printed


def test_a_restarted_clock_begins_another_recording(imported: Importer) -> None:
    twice = csv_text("time_s,ax,ay,az", [*TIMES_S, *TIMES_S], np.vstack([VALUES, VALUES + 1]))
    found = imported({"r1.csv": twice})
    np.testing.assert_allclose(found.clip("r1_2").signals["accelerometer"], VALUES + 1, atol=1e-4)
    assert "read as several recordings" in found.printed


def test_another_rate_and_other_clocks_are_named(imported: Importer) -> None:
    slow_s, slow = samples(150, 20.0, 7)
    files: dict[str, str | bytes] = {f"r{n}.csv": csv_text("time_s,ax,ay,az", list(TIMES_S), VALUES) for n in range(3)}
    files["r9.csv"] = csv_text("time_s,ax,ay,az", list(slow_s), slow)
    files["r0_gyro.csv"] = csv_text("time_s,x,y,z", list(TIMES_S + 50_000), VALUES)
    found = imported(files)
    assert "r9.csv (20 Hz): accelerometer: keeps its own times; rate_hz is 50" in found.printed
    assert set(found.clip("r0").signals) == {"accelerometer"}
    assert "expected one clock; left out" in found.printed


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        ({"a.mat": "x", "b.png": "y"}, (), "1 .mat, 1 .png; expected files of a known format: .csv"),
        ({"a.bvh": "x", "b.skeleton": "y"}, (), "expected one format; choose with --format ntu or bvh"),
        ({"a.csv": "t,x,y,z\n"}, (), "no row of numbers"),
        ({"a.csv": "t,x,y,z\n1,2,3,4\n"}, ("--columns", "x,q"), "--columns q: no such column; the columns are t, x"),
        ({"a.csv": "t,x,y,z\n1,2,3,4\n"}, ("--together",), "--together: not used for table"),
        ({"a.csv": "t,x,y,z\n1,2,3,4\n"}, ("--names", "{subject}{label}"), "with a character between them"),
        ({"a.csv": "t,x,y,z\n" + "\n".join(f"{n},1,2,3" for n in range(99))}, (), "give --unit-of-time"),
        ({"a.csv": "time_s,x,y,z\n" + "\n".join(f"{40 * n},1,2,3" for n in range(99))}, (), "--unit-of-time"),
        ({"recordings.json": "{}"}, (), "already in edgehar's own format"),
    ],
    ids=["unknown", "several", "empty", "columns", "together", "names", "ambiguous-unit", "wrong-unit", "own"],
)  # fmt: skip
def test_refusals_say_what_was_found(
    files: dict[str, str], options: tuple[str, ...], message: str, refused: Callable[..., str]
) -> None:
    assert message in refused(files, *options)


@pytest.mark.parametrize(
    ("name", "cells", "expected"),
    [
        ("time", ["1714550400.0", "1714550400.02", "1714550400.04"], "s since 1970"),
        ("time", ["1714550400000", "1714550400020", "1714550400040"], "ms since 1970"),
        ("timestamp", ["1714550400000000", "1714550400020000", "1714550400040000"], "us since 1970"),
        ("timestamp", ["1714550400000000000", "1714550400020000000", "1714550400040000000"], "ns since 1970"),
        ("t", ["0", "0.02", "0.04"], "s, from the interval"),
        ("t", ["7", "27", "47"], "ms, from the interval"),
        ("t", ["5000", "25000", "45000"], "us, from the interval"),
        ("t", ["120000000000000", "120000020000000", "120000040000000"], "ns, from the interval"),
        ("Time (ms)", ["0", "20", "40"], ""),
        ("date", ["2024-05-01 23:59:59.98", "2024-05-02 00:00:00.000", "2024-05-02T00:00:00.020Z"], "dates"),
        ("date", ["1.5.2024 08:00:00,10", "1.5.2024 08:00:00,12", "1.5.2024 08:00:00,14"], "dates"),
        ("date", ["05/01/24 11:59:59.98 AM", "05/01/24 12:00:00.00 PM", "05/01/24 12:00:00.02 PM"], "dates"),
        ("time", ["23:59:59:980", "00:00:00:000", "00:00:00:020"], "times of day"),
    ],
)  # fmt: skip
def test_times_are_recognised_and_said(name: str, cells: list[str], expected: str) -> None:
    times_s, how = seconds(name, tuple(cells), None)
    np.testing.assert_allclose(np.diff(times_s), 0.02, atol=1e-6)
    assert how.startswith(expected)


@given(
    st.lists(st.tuples(*[st.floats(-1e6, 1e6, allow_nan=False)] * 4), min_size=3, max_size=20),
    st.sampled_from([(",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ","), ("|", ".")]),
    st.booleans(),
)
def test_any_numbers_come_back(rows: list[tuple[float, ...]], style: tuple[str, str], header: bool) -> None:
    separator, decimal = style
    lines = [separator.join(f"{value:.6f}".replace(".", decimal) for value in row) for row in rows]
    table = read_table("\n".join([separator.join("abcd")] * header + lines))
    assert table.names == (tuple("abcd") if header else ("1", "2", "3", "4"))
    read = np.stack([numbers(cells)[0] for cells in table.cells], 1)
    np.testing.assert_allclose(read, np.array(rows), atol=1e-6)


def test_a_column_of_words_is_no_time() -> None:
    with pytest.raises(DataError, match="expected numbers or dates"):
        seconds("time", ("morning", "noon"), None)


def test_files_whose_name_does_not_match_are_left_out(imported: Importer) -> None:
    text = csv_text("time_s,ax,ay,az", list(TIMES_S), VALUES)
    found = imported({"ann_walk_1.csv": text, "try.csv": text}, "--names", "{subject}_{label}_{trial}")
    assert [clip.subject for clip in found.dataset.clips] == ["ann"]
    assert "try: the name does not match --names; left out" in found.printed


def test_a_device_with_two_sensors_named_in_the_pattern(imported: Importer) -> None:
    text = csv_text("timestamp_ms,acc_x,acc_y,acc_z,gyr_x,gyr_y,gyr_z", [round(1000 * t) for t in TIMES_S], SIX)
    found = imported({"ann_1_watch.csv": text, "ann_1_phone.csv": text}, "--names", "{subject}_{trial}_{sensor}")
    (clip,) = found.dataset.clips
    assert set(clip.signals) == {
        "watch_accelerometer", "watch_gyroscope", "phone_accelerometer", "phone_gyroscope",
    }  # fmt: skip
    np.testing.assert_allclose(clip.signals["phone_gyroscope"], SIX[:, 3:], atol=1e-4)


@given(st.integers(0, 2**16), st.sampled_from([20.0, 50.0, 100.0, 128.0]), st.sampled_from([1e-3, 1e-6]))
def test_rates_are_measured_through_rounding_pauses_and_repetitions(seed: int, rate_hz: float, clock_s: float) -> None:
    random = np.random.default_rng(seed)
    times_s = np.delete(np.arange(2000) / rate_hz, slice(700, 900)) + random.normal(0, 0.05 / rate_hz, 1800)
    times_s = np.repeat(np.sort((times_s / clock_s).round() * clock_s), random.choice([1, 2], 1800, p=[0.95, 0.05]))
    assert rounded_rate(sampling_rate_hz(times_s) or 0) == pytest.approx(rate_hz, rel=0.011)


def test_clips_are_cut_from_a_column_of_labels(imported: Importer) -> None:
    labels = ["walk"] * 80 + [""] * 20 + ["sit"] * 60 + ["Walk"] * 40
    lines = csv_text("time_s,ax,ay,az", list(TIMES_S), VALUES).splitlines()
    lines = [lines[0] + ",label", *(f"{line},{label}" for line, label in zip(lines[1:], labels, strict=True))]
    found = imported({"r1.csv": "\n".join(lines)}, "--kind", "clips")
    names = [(clip.name, found.dataset.info.labels[clip.label or 0]) for clip in found.dataset.clips]
    assert names == [("r1_1", "walk"), ("r1_2", "sit"), ("r1_3", "Walk")]
    np.testing.assert_allclose(found.clip("r1_2").signals["accelerometer"], VALUES[100:160], atol=1e-4)
    assert "differ in capital letters only" in found.printed


def test_labels_end_with_the_samples_and_infinity_is_no_number(imported: Importer) -> None:
    lines = csv_text("time_s,ax,ay,az,activity", list(TIMES_S), VALUES).splitlines()
    lines = [lines[0], *(f"{line},walk" if n < 100 else f"{line},run" for n, line in enumerate(lines[1:]))]
    lines[1] = "0.0,inf,1,2,walk"
    lines[-1] = "3.98,,,,run"
    found = imported({"r1.csv": "\n".join(lines), "r2.csv": "time_s,ax,ay,az\n0.0,1,2,3\n"})
    (clip,) = found.dataset.clips
    assert len(clip.signals["accelerometer"]) == 198
    assert [(span.start_s, span.end_s) for span in clip.segments] == [(0.0, 1.98), (1.98, 3.94)]
    assert "r2.csv: accelerometer: a single time" in found.printed


def test_single_wrong_times_and_a_clock_that_was_set(imported: Importer) -> None:
    times = [0.0, *TIMES_S[1:100], *(TIMES_S[100:] + 5000)]
    times[50], times[60], times[-1] = 99_999_999_999.0, 0.01, 1e12
    found = imported({"r1.csv": csv_text("time_s,ax,ay,az", list(times), VALUES)})
    np.testing.assert_allclose(
        found.clip("r1_1").signals["accelerometer"], np.delete(VALUES[:100], [50, 60], 0), atol=1e-4
    )
    np.testing.assert_allclose(found.clip("r1_2").signals["accelerometer"], VALUES[100:199], atol=1e-4)
    assert "r1.csv:52 (2 in all): rows without a time, or with one far from those around it" in found.printed
    assert "read as several recordings" in found.printed
