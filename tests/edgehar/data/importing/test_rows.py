"""Rows and columns of tables that mix sensors and people, lack cells, or are in an unusual order."""

from collections.abc import Callable

import numpy as np
import pytest

from edgehar.data.importing.table import read_table
from tests.edgehar.data.importing.conftest import Importer
from tests.edgehar.data.importing.logger_files import csv_text, samples

TIMES_S, VALUES = samples()
GYROSCOPE = samples(seed=5)[1]


def rows_of(times: list[str], values: np.ndarray, *texts: str) -> list[str]:
    """A time, texts and values in each row."""
    return [",".join([t, *texts, *(f"{v:.4f}" for v in row)]) for t, row in zip(times, values, strict=True)]


def interleaved(first: list[str], second: list[str]) -> list[str]:
    return [line for pair in zip(first, second, strict=True) for line in pair]


@pytest.mark.parametrize(
    ("header", "names", "sensors", "unit_s"),
    [
        ("timestamp,sensor,x,y,z", ("ACC", "GYR"), ("accelerometer", "gyroscope"), 1.0),
        ("timestamp,stream,x,y,z", ("Accelerometer", "Gyroscope"), ("accelerometer", "gyroscope"), 1e-3),
        ("timestamp,sensor_id,x,y,z", ("1", "4"), ("sensor_1", "sensor_4"), 1.0),
        ("timestamp,device,x,y,z", ("left", "right"), ("left", "right"), 1.0),
    ],
    ids=["sensor", "known-sensors", "numbers", "devices"],
)
@pytest.mark.parametrize("is_interleaved", [True, False], ids=["interleaved", "one-after-the-other"])
def test_rows_of_several_sensors_are_told_apart(
    header: str,
    names: tuple[str, str],
    sensors: tuple[str, str],
    unit_s: float,
    is_interleaved: bool,
    imported: Importer,
) -> None:
    first = rows_of([f"{t / unit_s:.3f}" for t in TIMES_S], VALUES, names[0])
    second = rows_of([f"{(t + 0.004) / unit_s:.3f}" for t in TIMES_S], GYROSCOPE, names[1])
    lines = interleaved(first, second) if is_interleaved or "device" in header else first + second
    found = imported({"ann_walk_1.csv": "\n".join([header, *lines])})
    (clip,) = found.dataset.clips
    assert {spec.name: spec.rate_hz for spec in found.dataset.info.modalities} == dict.fromkeys(sensors, 50)
    np.testing.assert_allclose(clip.signals[sensors[0]], VALUES, atol=1e-4)
    np.testing.assert_allclose(clip.signals[sensors[1]], GYROSCOPE, atol=1e-4)
    np.testing.assert_allclose(clip.times_s[sensors[1]], TIMES_S + 0.004, atol=1e-6)
    assert f"column {header.split(',')[1]!r} read as the sensor of each row: {', '.join(sensors)}" in found.printed
    assert "columns not imported" not in found.printed


def test_rows_of_sensors_with_labels_people_and_one_value(imported: Importer) -> None:
    lines: list[str] = []
    for person, shift in (("ann", 0.0), ("bob", 1.0)):
        times = [f"{1000 * t:.0f}" for t in TIMES_S]
        lines += interleaved(
            rows_of(times, VALUES + shift, "Acc", person, "walk"), rows_of(times, GYROSCOPE, "Gyro", person, "walk")
        )
        lines += [f"{1000 * n},HeartRate,{person},walk,{60 + n + shift:g},," for n in range(4)]
    lines.append("4000,,bob,walk,1,2,3")
    found = imported({"all.csv": "\n".join(["time,type,user,label,x,y,z", *lines])})
    assert [(clip.name, clip.subject) for clip in found.dataset.clips] == [("all_1", "ann"), ("all_2", "bob")]
    assert all(clip.label == 0 for clip in found.dataset.clips)
    np.testing.assert_allclose(found.clip("all_2").signals["accelerometer"], VALUES + 1, atol=1e-4)
    np.testing.assert_allclose(found.clip("all_2").signals["heart_rate"][:, 0], 61 + np.arange(4))
    assert "column 'user' read as subject; choose another with --subject" in found.printed
    assert f"all.csv:{len(lines) + 1} (1 in all): rows without a sensor; left out" in found.printed


@pytest.mark.parametrize("header", ["ax,ay,az,hr", "hr,ax,ay,az"])
def test_a_sparse_column_is_a_sensor_of_its_own(header: str, imported: Importer) -> None:
    heart = [f"{70 + n}" if n % 10 == 0 else "NaN" for n in range(200)]
    lines = [
        ",".join([f"{t:.2f}", *([own] if header[0] == "h" else []), *(f"{v:.4f}" for v in row),
                  *([own] if header[0] == "a" else [])])
        for t, row, own in zip(TIMES_S, VALUES, heart, strict=True)
    ]  # fmt: skip
    found = imported({"r1.csv": "\n".join([f"time_s,{header}", *lines])}, "--columns", header)
    (clip,) = found.dataset.clips
    np.testing.assert_allclose(clip.signals["sensor"], VALUES, atol=1e-4)
    np.testing.assert_allclose(clip.signals["sensor_hr"][:, 0], 70 + np.arange(0, 200, 10))
    assert "r1.csv (20 of 200 rows): sensor: column 'hr' has values in other rows" in found.printed
    assert "imported as a sensor of its own, sensor_hr" in found.printed


def test_columns_that_are_filled_in_turn_are_two_sensors(imported: Importer) -> None:
    first = [f"{line},,," for line in rows_of([f"{t:.3f}" for t in TIMES_S], VALUES)]
    second = [
        f"{t + 0.01:.3f},,,,{','.join(f'{v:.4f}' for v in row)}" for t, row in zip(TIMES_S, GYROSCOPE, strict=True)
    ]
    text = "\n".join(["time_s,a,b,c,d,e,f", *interleaved(first, second)])
    found = imported({"r1.csv": text}, "--columns", "a,b,c,d,e,f")
    np.testing.assert_allclose(found.clip("r1").signals["sensor"], VALUES, atol=1e-4)
    np.testing.assert_allclose(found.clip("r1").signals["sensor_d"], GYROSCOPE, atol=1e-4)


def test_rows_that_lack_cells_or_have_too_many_are_counted(imported: Importer) -> None:
    lines = csv_text("time_s,ax,ay,az", list(TIMES_S), VALUES).splitlines()
    lines[11] = ",".join(lines[11].split(",")[:2])
    lines[12] = lines[12].split(",")[0]
    lines[21] += ",99"
    lines[31] += ","
    for n in range(50, 120):
        lines[n] = lines[n].rpartition(",")[0] + ","
    found = imported({"r1.csv": "\n".join(lines)})
    kept = np.delete(np.arange(200), [10, 11, 20, *range(49, 119)])
    np.testing.assert_allclose(found.clip("r1").signals["accelerometer"], VALUES[kept], atol=1e-4)
    assert "r1.csv:22 (1 in all): rows with more than 4 cells; left out" in found.printed
    assert "r1.csv:12 (71 of 199 rows): accelerometer: no value in column 'ay', 'az'; rows left out" in found.printed
    assert "r1.csv:13 (1 of 199 rows): rows without values; left out" in found.printed


def test_an_empty_column_is_named(imported: Importer) -> None:
    lines = csv_text("time_s,ax,ay,az", list(TIMES_S), VALUES).splitlines()
    lines = [lines[0], *(line.rpartition(",")[0] + "," for line in lines[1:])]
    found = imported({"r1.csv": "\n".join(lines)})
    np.testing.assert_allclose(found.clip("r1").signals["accelerometer"], VALUES[:, :2], atol=1e-4)
    assert "r1.csv: accelerometer: column 'az' is empty; left out" in found.printed


@pytest.mark.parametrize("stamp", ["seconds", "time of day"])
def test_a_table_with_the_newest_row_first_is_reversed(stamp: str, imported: Importer) -> None:
    times = [f"{t:.3f}" for t in TIMES_S]
    if stamp == "time of day":  # across midnight
        times = [f"{(23 if t < 2 else 0):02d}:{(59 if t < 2 else 0):02d}:{(t + 58) % 60:06.3f}" for t in TIMES_S]
    lines = csv_text("time,ax,ay,az", list(times), VALUES).splitlines()
    lines[10] = lines[10].rpartition(",")[0] + ",overflow"
    found = imported({"r1.csv": "\n".join([lines[0], *reversed(lines[1:])])})
    (clip,) = found.dataset.clips
    kept = np.delete(np.arange(200), 9)
    np.testing.assert_allclose(clip.signals["accelerometer"], VALUES[kept], atol=1e-4)
    np.testing.assert_allclose(clip.times_s["accelerometer"], TIMES_S[kept], atol=1e-6)
    assert "times decrease in column 'time': read from the last row to the first" in found.printed
    assert "r1.csv:192 ('overflow'; 1 in all)" in found.printed


def test_columns_of_people_and_trials_are_found(imported: Importer) -> None:
    lines = ["time_s,ax,ay,az,Participant,session"]
    for person, session in (("ann", "1"), ("ann", "2"), ("bob", "1")):
        lines += [f"{line},{person},{session}" for line in csv_text("", list(TIMES_S), VALUES).splitlines() if line]
    text = "\n".join(lines)
    found = imported({"r.csv": text})
    people = [(clip.subject, clip.trial) for clip in found.dataset.clips]
    assert people == [("ann", "1"), ("ann", "2"), ("bob", "1")]
    assert "column 'Participant' read as subject; choose another with --subject" in found.printed
    assert "column 'session' read as trial; choose another with --trial" in found.printed


def test_people_of_the_pattern_count_before_a_column(imported: Importer) -> None:
    lines = csv_text("time_s,ax,ay,az,user", list(TIMES_S), VALUES).splitlines()
    found = imported(
        {"ann_walk.csv": "\n".join([lines[0], *(f"{line},phone7" for line in lines[1:])])},
        "--names", "{subject}_{label}",
    )  # fmt: skip
    assert [clip.subject for clip in found.dataset.clips] == ["ann"]
    assert "columns not imported: user" in found.printed


def test_of_columns_with_equal_names_the_first_are_imported(imported: Importer) -> None:
    text = csv_text("time_s,x,y,z,x,y,z", list(TIMES_S), np.hstack([VALUES, GYROSCOPE]))
    found = imported({"r1.csv": text})
    np.testing.assert_allclose(found.clip("r1").signals["sensor"], VALUES, atol=1e-4)
    said = "columns 'x', 'y', 'z' twice: number 2, 3, 4 imported; choose the others with --columns 5,6,7"
    assert said in found.printed


def test_the_other_columns_with_equal_names_are_chosen_by_number(imported: Importer) -> None:
    text = csv_text("time_s,x,y,z,x,y,z", list(TIMES_S), np.hstack([VALUES, GYROSCOPE]))
    found = imported({"r1.csv": text}, "--columns", "5,6,7")
    np.testing.assert_allclose(found.clip("r1").signals["sensor"], GYROSCOPE, atol=1e-4)


@pytest.mark.parametrize("name", ["w", "a", "lin"])
def test_a_short_name_of_a_file_is_no_sensor(name: str, imported: Importer) -> None:
    found = imported({f"{name}.txt": csv_text("time_s,x,y,z", list(TIMES_S), VALUES)})
    assert [(clip.name, list(clip.signals)) for clip in found.dataset.clips] == [(name, ["sensor"])]


def test_a_single_column_is_named(refused: Callable[..., str]) -> None:
    message = refused({"r1.csv": "x\n" + "\n".join(f"{v:.4f}" for v in VALUES[:, 0])})
    assert "r1.csv: a single column; expected a column of times and those of a sensor" in message


def test_the_cause_comes_before_what_was_assumed(refused: Callable[..., str]) -> None:
    text = csv_text("time,ax,ay,user", list(TIMES_S), VALUES[:, :2]).replace("\n", ",ann\n").replace("user,ann", "user")
    message = refused({"r1.csv": text})
    assert "no recording could be imported: r1.csv: no x, y and z column among time, ax, ay, user" in message


def test_the_usual_number_of_cells_counts() -> None:
    table = read_table("t,x,y\n0,1\n1,2,3\n2,3,4\n3,4,5\n4,5,6,7\n5,6,7\n")
    assert table.names == ("t", "x", "y")
    assert table.cells[2][:] == ("", "3", "4", "5", "7")
    assert (table.lines.tolist(), table.left_out) == ([2, 3, 4, 5, 7], (6,))
