"""The axis that is reversed when a sensor is worn on the other side is read, and wrong ones are reported."""

import json
from pathlib import Path

import pytest

from edgehar.data import recordings
from edgehar.data.recordings.check import check

WATCH = {"name": "watch", "channels": 3, "unit": "g", "rate_hz": 20}


def folder(root: Path, change: dict[str, object], columns: str = "a,b,c") -> Path:
    header = {"format": "edgehar-recordings", "format_version": 2, "name": "mine", "kind": "clips", "labels": ["wave"]}
    (root / "watch").mkdir()
    (root / "recordings.json").write_text(json.dumps(header | {"modalities": [WATCH | change]}))
    (root / "index.csv").write_text("recording,subject,trial,label\nr1,ann,1,wave\n")
    (root / "watch" / "r1.csv").write_text(f"{columns}\n1,2,3\n4,5,6\n")
    return root


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"mirror": 1}, "mirror is 1; expected text; correct it"),
        ({"mirror": "w"}, "mirror is 'w'; expected 'x', 'y', 'z', 'none' for groups of 3; correct or omit it"),
        ({"mirror": "x", "group": 1}, "mirror is 'x'; expected 'none' for groups of 1"),
        ({"mirror": "x", "joints": ["hip"], "parents": [0]}, "mirror is 'x'; expected 'none' for a skeleton"),
        ({"mirror": "x", "unit": "raw"}, "mirror 'x' with unit 'raw'; expected a unit that names accelerations"),
    ],
)
def test_a_wrong_axis_is_reported(change: dict[str, object], found: str, tmp_path: Path) -> None:
    problem = str(check(folder(tmp_path, change))[0])
    assert "recordings.json:" in problem
    assert found in problem


@pytest.mark.parametrize(("unit", "columns"), [("g", "a,b,c"), ("raw", "ax,ay,az")])
def test_the_axis_is_kept(unit: str, columns: str, tmp_path: Path) -> None:
    dataset = recordings.load(folder(tmp_path, {"unit": unit, "mirror": "x"}, columns))
    assert dataset.info.modalities[0].mirror == "x"
    recordings.write(dataset, tmp_path / "copy")
    assert recordings.load(tmp_path / "copy").info == dataset.info
