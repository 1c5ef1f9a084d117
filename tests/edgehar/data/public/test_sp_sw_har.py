"""SP-SW-HAR: all executions load with their timestamps; an invalid line is named in the error."""

import time
from pathlib import Path

import numpy as np
import pytest

from edgehar.data.public import sp_sw_har
from edgehar.errors import DataError
from edgehar.signals.clip import Segment
from edgehar.signals.windows import cut, fit_normalisation

ROW = "1,2,3,4,5,6"


def write_file(root: Path, name: str, rows: list[tuple[int, str]]) -> Path:
    path = root / "DATA" / name.partition("_")[0] / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([sp_sw_har.HEADER, *(f"{ROW},{stamp},{label}" for stamp, label in rows)]) + "\n")
    return path


def test_loads_all_real_executions(data_root: Path) -> None:
    start_s = time.process_time()
    dataset = sp_sw_har.load(data_root)
    assert time.process_time() - start_s < 8
    assert len(dataset.clips) == 223
    assert len(dataset.subjects) == 23
    samples = sum(len(values) for clip in dataset.clips for values in clip.signals.values())
    assert samples == 521766
    for clip in dataset.clips:
        assert set(clip.signals) == {"phone", "watch"}
        assert min(times[0] for times in clip.times_s.values()) == 0
        assert clip.segments[0].start_s == 0
        assert clip.segments[-1].end_s == max(times[-1] for times in clip.times_s.values())
        ends = [segment.end_s for segment in clip.segments[:-1]]
        assert ends == [segment.start_s for segment in clip.segments[1:]]
    repeated = sum(int((np.diff(times) == 0).sum()) for clip in dataset.clips for times in clip.times_s.values())
    assert repeated == 23259
    windows = cut(dataset.clips[:5], dataset.info, fit_normalisation(dataset, dataset.subjects[:2]))
    assert len(windows.labelled()) == len(windows)
    assert windows.valid["watch"].mean() > 0.9


def test_times_segments_and_a_missing_sensor(tmp_path: Path) -> None:
    write_file(tmp_path, "s01_01_sp", [(1005, "WALKING"), (1015, "WALKING"), (1300, "TURNING")])
    write_file(tmp_path, "s01_01_sw", [(1010, "SEATED"), (1010, "SEATED"), (1100, "WALKING"), (1200, "TURNING")])
    write_file(tmp_path, "s02_03_sp", [(0, "WALKING"), (30, "TURNING"), (20, "WALKING")])
    first, second = sp_sw_har.load(tmp_path).clips
    assert (first.name, first.subject, first.trial) == ("s01_01", "s01", "01")
    np.testing.assert_allclose(first.times_s["phone"], [0, 0.010, 0.295])
    np.testing.assert_allclose(first.times_s["watch"], [0.005, 0.005, 0.095, 0.195])
    assert first.segments == (Segment(0.0, 0.095, 0), Segment(0.095, 0.195, 2), Segment(0.195, 0.295, 3))
    assert list(second.signals) == ["phone"]
    np.testing.assert_allclose(second.times_s["phone"], [0, 0.020, 0.030])  # sorted
    assert second.segments == (Segment(0.0, 0.03, 2),)


@pytest.mark.parametrize(
    ("line", "text", "found"),
    [
        (3, "1,2,3,4,5,6,1020", "7 columns; expected 8"),
        (4, "1,2,x,4,5,6,1030,SEATED", "'x'"),
        (2, "1,2,nan,4,5,6,1010,SEATED", "not finite"),
        (3, "1,2,3,4,5,6,1020,JUMPING", "label 'JUMPING'; expected SEATED"),
        (1, "a,b", "found the header 'a,b'"),
        (4, "1,2,3,4,5,6,9,SEATED", "-1011 ms"),
        (3, "1,2,3,4,5,6,1657533977810,SEATED", "timestamp .* ms"),
    ],
)
def test_an_invalid_line_is_named(tmp_path: Path, line: int, text: str, found: str) -> None:
    path = write_file(tmp_path, "s01_01_sw", [(1010, "SEATED"), (1020, "SEATED"), (1030, "SEATED")])
    lines = path.read_text().split("\n")
    lines[line - 1] = text
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=found) as caught:
        sp_sw_har.load(tmp_path)
    assert str(caught.value).startswith(f"{path}:{line}: ")


def test_wrong_folders_and_names(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="absent: no such folder"):
        sp_sw_har.load(tmp_path / "absent")
    with pytest.raises(DataError, match=f"{tmp_path}: no file"):
        sp_sw_har.load(tmp_path)
    path = write_file(tmp_path, "s01_01_sw", [(1, "SEATED")])
    path.with_name("s01_notes.csv").write_text("x")
    with pytest.raises(DataError, match=r"s01_notes\.csv"):
        sp_sw_har.load(tmp_path)
    path.with_name("s01_notes.csv").unlink()
    path.write_text(sp_sw_har.HEADER + "\n")
    with pytest.raises(DataError, match=r"s01_01_sw\.csv:1: no sample"):
        sp_sw_har.load(tmp_path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"s01_01_sw\.csv: "):
        sp_sw_har.load(tmp_path)
