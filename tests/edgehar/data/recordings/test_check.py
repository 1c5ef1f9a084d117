"""The check of a folder of recordings lists every problem with its line."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgehar.data.recordings.check import check, survey
from edgehar.data.recordings.folder import load
from edgehar.data.recordings.problem import errors
from edgehar.errors import DataError

WATCH = {"name": "watch", "channels": 3, "unit": "g", "rate_hz": 20}
HEADER = {
    "format": "edgehar-recordings",
    "format_version": 1,
    "name": "mine",
    "kind": "clips",
    "modalities": [WATCH],
    "labels": ["wave", "rest"],
}
INDEX = "recording,subject,trial,label\n"
ROWS = "ax,ay,az\n1,2,3\n4,5,6\n"


def write_folder(root: Path, files: dict[str, str], **header: object) -> Path:
    (root / "recordings.json").write_text(json.dumps(HEADER | header, indent=2))
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def found_in(root: Path) -> list[str]:
    return [str(problem).removeprefix(str(root) + "/") for problem in errors(check(root))]


def assert_problems(root: Path, expected: list[str]) -> None:
    """Compare file, line and found value of each problem; "..." stands for any text."""
    found = found_in(root)
    assert len(found) == len(expected), found
    for problem, pattern in zip(found, expected, strict=True):
        assert re.match(re.escape(pattern).replace(re.escape("..."), ".*?"), problem), (problem, pattern)


def test_a_valid_folder_has_no_problem(tmp_path: Path) -> None:
    files = {"index.csv": INDEX + "r1,ann,1,wave\n", "watch/r1.csv": ROWS, "README.md": "notes", "watch/.DS_Store": ""}
    assert found_in(write_folder(tmp_path, files)) == []


def test_every_problem_is_listed_with_its_line(tmp_path: Path) -> None:
    index = "r1,ann,1,wave\nr2,,1,jump\nr1,ann,2,rest\n../r3,bob,1,wave\nr4,bob,1\nr5,bob,1,\nr6,bob,2,rest\n"
    rows = "time_s,ax,ay,az\n0,1,2,3\n0.1,1,2\n0.2,1,x,3\n0.3,1,2,3,4\n"
    values = "time_s,ax,ay,az\n0,1,2,nan\n0.2,1,,3\n0.1,inf,2,3\n0.3,1,2,1e99\n"
    files = {
        "index.csv": INDEX + index,
        "watch/r1.csv": rows,
        "watch/r6.csv": values,
        "watch/r9.csv": ROWS,
        "watch/note.xlsx": "",
        "phone/r1.csv": ROWS,
    }
    expected = [
        "index.csv:6: 3 columns",
        "index.csv:3: recording 'r2'... subject",
        "index.csv:3: label 'jump'",
        "index.csv:4: recording 'r1'... line 2",
        "index.csv:5: recording '../r3'",
        "phone: ",
        "watch/note.xlsx: ... index.csv",
        "watch/r9.csv: ... index.csv",
        "watch/r1.csv:3: 3 columns",
        "watch/r1.csv:4: column 3 ... 'x'",
        "watch/r1.csv:5: 5 columns",
        "index.csv:7: recording 'r5'... watch/r5.csv",
        "watch/r6.csv:2: channel 3 ",
        "watch/r6.csv:3: channel 2 ",
        "watch/r6.csv:4: channel 1 ... inf",
        "watch/r6.csv:5: channel 3 ... 1e+99",
        "watch/r6.csv:4: ... 0.2 to 0.1 s",
    ]
    assert_problems(write_folder(tmp_path, files), expected)


@pytest.mark.parametrize(
    ("csv", "found"),
    [
        ("1,2,3\n4,5,6\n", "1: numbers in the first row; expected a header"),
        ("ax,ay\n1,2\n", "1: 2 columns in the header; expected 3 channels"),
        ("ax;ay;az\n1,0;2;3\n", "1: columns are separated by ';'; expected ',' and decimals with '.'"),
        ("ax\tay\taz\n1\t2\t3\n", "1: columns are separated by tabs"),
        ("timestamp,ax,ay,az\n0,1,2,3\n", "1: first column 'timestamp': expected time_s, in seconds"),
        ("t,ax,ay,az\n0,1,2,3\n", "1: first column 't': expected time_s, in seconds"),
        ("seconds_elapsed,ay,az\n0,1,2\n", "1: first column 'seconds_elapsed': expected time_s"),
        ("ax,ay,Time (ms)\n0,1,2\n", "1: column 3 'Time (ms)' is a time"),
        ("ax,ay,ax\n0,1,2\n", "1: column name 'ax' appears 2 times"),
        ("ax,ay,az\n", "1: no sample"),
        ("", "1: 1 columns in the header"),
        ("ax,ay,az\n1,2,3\n", " 1 sample; expected 2 or more"),
        ("ax,ay,az\n1,2,3\n1;2;3\n", "3: 1 columns; expected 3 as in the header; separate columns by ','"),
        ("ax,ay,az,valid\n1,2,3,1\n1,2,3,2\n", "3: valid is 2.0"),
        ("time_s,ax,ay,az\n1700000000,1,2,3\n1700000001,1,2,3\n", "2: time starts at 1700000000.0 s"),
        ("time_s,ax,ay,az\n0,1,2,3\n5000,1,2,3\n", "2: 2 samples over 5000 s at rate_hz 20"),
        ("time_s,ax,ay,az\n-1,1,2,3\n0,1,2,3\n", "2: time starts at -1.0 s"),
        ("time_s,ax,ay,az\n,1,2,3\n0,1,2,3\n", "2: time_s is nan"),
        ("ax,time_s,ay\n1,2,3\n4,5,6\n", "1: expected time_s"),
    ],
)
def test_signal_files(tmp_path: Path, csv: str, found: str) -> None:
    root = write_folder(tmp_path, {"index.csv": INDEX + "r1,ann,1,wave\n", "watch/r1.csv": csv})
    assert found_in(root)[0].startswith(f"watch/r1.csv:{found}")


def test_a_blank_line_between_rows_is_a_row_of_one_column(tmp_path: Path) -> None:
    root = write_folder(tmp_path, {"index.csv": INDEX + "r1,ann,1,wave\n", "watch/r1.csv": "a,b,c\n1,2,3\n\n4,5,6\n\n"})
    assert found_in(root)[0].startswith("watch/r1.csv:3: 1 columns; expected 3")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"colour": 1}, "unknown key 'colour'"),
        ({"format_version": 3}, "format 'edgehar-recordings' version 3; expected"),
        ({"kind": "video"}, "kind 'video'; expected clips or continuous"),
        ({"labels": ["wave", "wave"]}, "labels ['wave', 'wave']"),
        ({"labels": "wave"}, "labels 'wave'"),
        ({"name": 3}, "name is 3; expected text"),
        ({"window": {"step": 1}}, "unknown key 'step'"),
        ({"window": {"steps": 0}}, "steps is 0"),
        ({"window": 4}, "window 4"),
        ({"modalities": []}, "modalities []"),
        ({"modalities": ["watch"]}, "found 'watch'; expected an object"),
        ({"modalities": [WATCH, WATCH]}, "declared 2 times"),
        ({"modalities": [WATCH | {"channels": "3"}]}, "channels is '3'; expected a whole number"),
        ({"modalities": [WATCH | {"channels": 4}]}, "4 channels in groups of 3"),
        ({"modalities": [WATCH | {"rate_hz": float("nan")}]}, "rate_hz is nan"),
        ({"modalities": [WATCH | {"rate": 20}]}, "unknown key 'rate'"),
        ({"modalities": [{"name": "watch"}]}, "no key 'channels'"),
        ({"modalities": [WATCH | {"name": "segments"}]}, "modality 'segments'"),
        ({"modalities": [WATCH | {"name": "../x"}]}, "modality name '../x'"),
        ({"modalities": [WATCH | {"joints": ["a"], "parents": [3]}]}, "parents (3,)"),
        ({"modalities": [WATCH | {"channels": 6, "joints": ["a", "b"], "parents": [1, 0]}]}, "0 joints are their own"),
        (
            {"modalities": [WATCH | {"channels": 9, "joints": ["a", "b", "c"], "parents": [0, 2, 1]}]},
            "joint 'b'",
        ),
    ],
)
def test_header(tmp_path: Path, change: dict[str, object], found: str) -> None:
    problems = found_in(
        write_folder(tmp_path, {"index.csv": INDEX + "r1,ann,1,wave\n", "watch/r1.csv": ROWS}, **change)
    )
    assert found in problems[0]
    assert problems[0].startswith("recordings.json:")


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"format": }', "[" * 100_000])
def test_damaged_header(tmp_path: Path, text: str) -> None:
    (tmp_path / "recordings.json").write_text(text)
    assert len(check(tmp_path)) == 1
    with pytest.raises(DataError, match=r"recordings\.json:1: "):
        load(tmp_path)


def test_header_problems_have_their_line(tmp_path: Path) -> None:
    write_folder(tmp_path, {}, colour="red")
    line = (tmp_path / "recordings.json").read_text().split("\n").index('  "colour": "red"') + 1
    assert found_in(tmp_path)[0].startswith(f"recordings.json:{line}: ")


def test_missing_folder_header_and_index(tmp_path: Path) -> None:
    assert "no such folder" in str(check(tmp_path / "absent")[0])
    assert "recordings.json: cannot be read" in str(check(tmp_path)[0])
    write_folder(tmp_path, {"watch/r1.csv": ROWS})
    assert [problem.split(" (")[0] for problem in found_in(tmp_path)] == ["index.csv: cannot be read"]
    write_folder(tmp_path, {"index.csv": "name,who\nr1,ann\n"})
    assert found_in(tmp_path)[0].startswith("index.csv:1: header 'name,who'; expected recording,subject,trial,label")
    write_folder(tmp_path, {"index.csv": INDEX})
    assert found_in(tmp_path)[0].startswith("index.csv:1: no recording")


def test_segments(tmp_path: Path) -> None:
    rows = "ax,ay,az\n" + "1,2,3\n" * 100
    files = {
        "index.csv": INDEX + "r1,ann,1,\nr2,ann,2,wave\nr3,bob,1,\n",
        "watch/r1.csv": rows,
        "watch/r2.csv": rows,
        "watch/r3.csv": "ax,ay,az\n1,2,3\n4,5,6\n",
        "segments/r1.csv": "start_s,end_s,label\n2,3,wave\n0,2.5,rest\n3,9,rest\n1,x,rest\n4,3,rest\n3,4,jump\n",
        "segments/r2.csv": "start_s,end_s,label\n0,1,wave\n",
        "segments/r9.csv": "start_s,end_s,label\n",
    }
    expected = [
        "segments/r9.csv: ... index.csv",
        "segments/r1.csv:5: start '1', end 'x'",
        "segments/r1.csv:6: from 4.0 to 3.0 s",
        "segments/r1.csv:7: label 'jump'",
        "segments/r1.csv:2: ... 2.0 s...line 3...2.5 s",
        "index.csv:3: recording 'r2'...r2.csv",
        "segments/r1.csv:4: ... 9.0 s...4.950 s",
        "index.csv:4: recording 'r3'... 0.05 s...1.6 s",
    ]
    assert_problems(write_folder(tmp_path, files, kind="continuous"), expected)


def test_clips_have_no_segments(tmp_path: Path) -> None:
    files = {"index.csv": INDEX + "r1,ann,1,wave\n", "watch/r1.csv": ROWS, "segments/r1.csv": ""}
    assert found_in(write_folder(tmp_path, files))[0].startswith("segments: ")


def test_npy(tmp_path: Path) -> None:
    root = write_folder(tmp_path, {"index.csv": INDEX + "r1,ann,1,wave\n"})
    (root / "watch").mkdir()
    path = root / "watch" / "r1.npy"
    np.save(path, np.zeros((4, 5)))
    assert found_in(root)[0].startswith("watch/r1.npy: shape (4, 5); expected (samples, 3)")
    np.save(path, np.array(["a"]))
    assert found_in(root)[0].startswith("watch/r1.npy: contains str")
    np.save(path, np.array([{}], object), allow_pickle=True)
    assert found_in(root)[0].startswith("watch/r1.npy: cannot be read")
    path.write_bytes(b"\x93NUMPY\x01\x00")
    assert found_in(root)[0].startswith("watch/r1.npy: cannot be read")
    values = np.zeros((4, 3))
    values[2, 1] = np.nan
    np.save(path, values)
    assert found_in(root)[0].startswith("watch/r1.npy: sample 2: channel 2 ")
    np.save(path.with_name("r1.valid.npy"), np.array([True, True, False, True]))
    assert found_in(root) == []
    np.save(path.with_name("r1.times.npy"), np.arange(3.0))
    assert found_in(root)[0].startswith("watch/r1.times.npy: times has shape (3,), the samples (4, 3)")
    np.save(path.with_name("r1.times.npy"), np.array([0.0, 2, 1, 3]))
    assert found_in(root)[0].startswith("watch/r1.npy: sample 2: time ")
    np.save(path.with_name("r1.times.npy"), np.arange(4.0))
    (root / "watch" / "r1.csv").write_text(ROWS)
    assert found_in(root)[0].startswith("watch/r1.csv: r1.npy ")


def test_a_skeleton_with_other_joints(tmp_path: Path) -> None:
    hand = {"name": "hand", "channels": 9, "unit": "mm", "rate_hz": 60, "vertical": 2}
    hand |= {"joints": ["tip", "middle", "wrist"], "parents": [1, 2, 2]}
    root = write_folder(tmp_path, {"index.csv": INDEX + "r1,ann,1,wave\n"}, modalities=[hand])
    (root / "hand").mkdir()
    joints = np.arange(4 * 9, dtype="f8").reshape(4, 3, 3)  # (T, G, 3)
    np.save(root / "hand" / "r1.npy", joints)
    dataset, problems = survey(root)
    assert errors(problems) == []
    assert dataset is not None
    assert dataset.info.modalities[0].root == 2
    np.testing.assert_array_equal(dataset.clips[0].signals["hand"], joints.reshape(4, 9))


def test_the_example_in_the_documentation_is_valid(tmp_path: Path) -> None:
    text = (Path(__file__).parents[4] / "docs" / "own-data.md").read_text(encoding="utf-8")
    header = next(block for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL) if "edgehar-recordings" in block)
    tables = re.findall(r"```csv\n(.*?)```", text, re.DOTALL)
    index, watch, segments = (
        next(table for table in tables if table.startswith(first)) for first in ("recording,", "time_s,", "start_s,")
    )
    (tmp_path / "recordings.json").write_text(header)
    (tmp_path / "index.csv").write_text(index)
    rows = watch + "".join(f"{row / 20:.2f},0.2,9.7,0.2,0.01,0.01,0\n" for row in range(2, 50))  # the rest of it
    for name, content in (("watch/r1.csv", rows), ("watch/r2.csv", rows), ("segments/r1.csv", segments)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert found_in(tmp_path) == []
    dataset = load(tmp_path)
    assert [clip.name for clip in dataset.clips] == ["r1", "r2"]
    assert dataset.info.modalities[0].columns == ("ax", "ay", "az", "gx", "gy", "gz")


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["recordings.json", "index.csv", "watch/r1.csv", "segments/r1.csv"]),
    position=st.integers(0, 400),
    text=st.sampled_from(["", '"', ",", "\n", "\x00", "9", "-", "e9", "null", "{", "[]", "\ufeff", "nan", "99999"]),
)
def test_a_damaged_file_gives_problems_and_no_exception(tmp_path: Path, name: str, position: int, text: str) -> None:
    files = {
        "index.csv": INDEX + "r1,ann,1,\n",
        "watch/r1.csv": "time_s,a,b,c\n" + "".join(f"{row / 20},1,2,3\n" for row in range(60)),
        "segments/r1.csv": "start_s,end_s,label\n0,1,wave\n1,2,rest\n",
    }
    skeleton = WATCH | {"joints": ["a"], "parents": [0], "patch": 2, "group": 3, "vertical": 0}
    window = {"steps": 4, "step_s": 0.1, "hop": 1}
    root = write_folder(tmp_path, files, kind="continuous", modalities=[skeleton], window=window)
    whole = (root / name).read_text(encoding="utf-8")
    at = position % len(whole)
    (root / name).write_text(whole[:at] + text + whole[at + 1 :], encoding="utf-8")
    dataset, problems = survey(root)
    assert (dataset is None) == bool(errors(problems))
