"""Columns of CSV files are found by name, whatever their order; times and separators are recognised."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehar.data.recordings.check import survey
from edgehar.data.recordings.folder import load
from edgehar.data.recordings.header_row import channel_names, column_order, is_time_name, layout_problem
from edgehar.data.recordings.problem import errors
from edgehar.signals.modality import ModalitySpec

WATCH = ModalitySpec("watch", 3, "m/s2", 20, 2)
TIMES = [
    "time", "Time_s", "timestamp", "seconds_elapsed", "time (s)", "Timestamp (ms)", "sysTime", "epoch", "date",
    "elapsed", "time_unix_nano", "Time since start in ms", "UTC", "sensor_timestamp",
]  # fmt: skip


@pytest.mark.parametrize("name", TIMES)
def test_a_column_named_like_a_time_is_no_channel(name: str) -> None:
    assert is_time_name(name)
    problem = layout_problem(f"{name},x,y,z", WATCH)
    assert problem.startswith(f"first column {name!r}: expected time_s, in seconds; rename it")
    seven = ModalitySpec("watch", 4, "m/s2", 20, 2, group=1)  # whoever counts the time among the channels
    assert layout_problem(f"{name},x,y,z", seven).startswith(f"first column {name!r}: expected time_s")
    assert "is a time" in layout_problem(f"x,y,{name}", WATCH)


@pytest.mark.parametrize("name", ["ax", "lifetime_x", "temp", "heart_rate", "step_time", "gyro_s", "s1", "ms_x"])
def test_other_names_are_channels(name: str) -> None:
    assert not is_time_name(name)
    assert layout_problem(f"time_s,{name},b,c", WATCH) == ""


def test_a_short_name_is_a_time_where_there_is_a_column_too_many() -> None:
    assert "expected time_s" in layout_problem("t,x,y,z", WATCH)
    assert layout_problem("t", ModalitySpec("oven", 1, "K", 1, 1, group=1)) == ""


def test_a_name_twice_and_separators() -> None:
    assert "'x' appears 2 times" in layout_problem("time_s,x,y,x", WATCH)
    assert "separated by ';'; expected ',' and decimals with '.'" in layout_problem("time_s;x;y;z", WATCH)
    assert "separated by tabs" in layout_problem("time_s\tx\ty\tz", WATCH)


NAMES = st.lists(st.text("abcxyz_ ", min_size=1, max_size=6).map(str.strip).filter(bool), min_size=1, max_size=6)
UNIQUE = NAMES.filter(lambda names: len({name.lower() for name in names}) == len(names))


@given(names=UNIQUE, seed=st.integers(0, 99), upper=st.booleans())
def test_names_in_any_order_are_mapped(names: list[str], seed: int, upper: bool) -> None:
    order = np.random.default_rng(seed).permutation(len(names)).tolist()
    found = tuple(names[column].upper() if upper else names[column] for column in order)
    positions, message = column_order(found, tuple(names))
    assert message == ""
    assert positions is not None
    assert [found[position].lower() for position in positions] == [name.lower() for name in names]


@pytest.mark.parametrize(
    ("found", "readable"),
    [
        (("a", "b", "c"), True),  # named otherwise altogether
        (("acc_x", "acc_y", "acc_z"), True),
        (("Z", "Y", "X"), True),  # the same names
        (("acc_z", "acc_y", "acc_x"), False),  # other names that tell another order
        (("y", "x", "w"), False),  # some names at other places
    ],
)
def test_names_that_differ(found: tuple[str, ...], readable: bool) -> None:
    positions, message = column_order(found, ("x", "y", "z"))
    assert (positions is not None) == readable
    assert bool(message) == (set(map(str.lower, found)) != {"x", "y", "z"})


def test_the_channels_of_a_header() -> None:
    assert channel_names('time_s,"x",y , z,valid') == ("x", "y", "z")
    assert channel_names("x,,z") == ()
    assert channel_names("x,y,x") == ()


def write_folder(root: Path, headers: dict[str, str], **sensor: object) -> None:
    """Recordings of one still watch, whose values are those of its channels' names."""
    values = {"x": "0.1", "y": "0.2", "z": "9.8"}
    watch = {"name": "watch", "channels": 3, "unit": "m/s2", "rate_hz": 20} | sensor
    header = {"format": "edgehar-recordings", "format_version": 2, "name": "o", "kind": "continuous", "labels": ["a"],
              "window": {"steps": 4, "step_s": 0.1}, "modalities": [watch]}  # fmt: skip
    (root / "watch").mkdir()
    (root / "recordings.json").write_text(json.dumps(header))
    rows = "".join(f"{name},p,1,a\n" for name in headers)
    (root / "index.csv").write_text(f"recording,subject,trial,label\n{rows}")
    for name, columns in headers.items():
        row = ",".join(values.get(column, "7") for column in columns.split(","))
        text = "".join(f"{time / 20},{row}\n" for time in range(40))
        (root / "watch" / f"{name}.csv").write_text(f"time_s,{columns}\n{text}")


def test_files_of_one_sensor_with_columns_in_another_order_are_read_alike(tmp_path: Path) -> None:
    write_folder(tmp_path, {"r1": "x,y,z", "r2": "z,y,x", "r3": "y,z,x"})
    dataset = load(tmp_path)
    assert dataset.info.modalities[0].columns == ("x", "y", "z")
    for clip in dataset.clips:
        np.testing.assert_allclose(clip.signals["watch"][0], [0.1, 0.2, 9.8], rtol=1e-6)


def test_columns_of_the_declaration_count(tmp_path: Path) -> None:
    write_folder(tmp_path, {"r1": "x,y,z"}, columns=["z", "x", "y"])
    np.testing.assert_allclose(load(tmp_path).clips[0].signals["watch"][0], [9.8, 0.1, 0.2], rtol=1e-6)


def test_other_names_are_a_warning_and_another_order_an_error(tmp_path: Path) -> None:
    write_folder(tmp_path, {"r1": "x,y,z", "r2": "a,b,c", "r3": "acc_y,acc_x,acc_z"})
    dataset, problems = survey(tmp_path)
    assert dataset is None
    named = {problem.file.rpartition("/")[2]: problem for problem in problems if "columns" in problem.message}
    assert set(named) == {"r2.csv", "r3.csv"}
    assert named["r2.csv"].is_warning
    assert errors(problems) == [named["r3.csv"]]
