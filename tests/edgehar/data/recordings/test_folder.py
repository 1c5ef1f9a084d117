"""Folders of recordings: round trips as .npy and CSV, defaults, and data sets that cannot be written."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgehar.data import recordings
from edgehar.errors import DataError
from edgehar.signals.clip import Clip, Dataset, DatasetInfo, Segment
from edgehar.signals.modality import ModalitySpec, WindowSpec

WORDS = st.text("abcdeXYZ09äß ,\"'-", min_size=1, max_size=8).map(str.strip).filter(bool)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True)


@st.composite
def modalities(draw: st.DrawFn, name: str) -> ModalitySpec:
    rate_hz = draw(st.sampled_from([10.0, 30.0, 62.5]))
    patch = draw(st.integers(1, 12))
    if draw(st.booleans()):
        joints = draw(st.integers(1, 6))
        parents = tuple(draw(st.integers(0, max(joint - 1, 0))) for joint in range(joints))
        names = tuple(f"joint{joint}" for joint in range(joints))
        vertical = draw(st.integers(0, 2))
        return ModalitySpec(name, 3 * joints, "m", rate_hz, patch, 3, names, parents, vertical)
    group, groups = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    mirror = draw(st.sampled_from(["", "none", "x"] if group == 3 else ["", "none"]))
    unit = ", ".join(["g"] * groups) if mirror == "x" else draw(WORDS)
    return ModalitySpec(name, group * groups, unit, rate_hz, patch, group, mirror=mirror)


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    specs = tuple(draw(modalities(name)) for name in draw(st.lists(NAMES, min_size=1, max_size=3, unique=True)))
    specs = tuple(spec for spec in specs if spec.name != "segments") or (ModalitySpec("watch", 3, "g", 10, 1),)
    labels = tuple(draw(st.lists(WORDS, min_size=1, max_size=4, unique=True)))
    kind = draw(st.sampled_from(["clip", "sliding"]))
    window = WindowSpec(kind, draw(st.integers(1, 16)), draw(st.floats(0.0001, 0.0009)), draw(st.integers(1, 5)))
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    clips: list[Clip] = []
    for name in draw(st.lists(NAMES, min_size=1, max_size=4, unique=True)):
        present = draw(st.lists(st.sampled_from(specs), min_size=1, unique=True))
        signals, valid, times_s = {}, {}, {}
        for spec in [spec for spec in specs if spec in present]:
            samples = draw(st.integers(2, 9))
            signals[spec.name] = (
                random.standard_normal((samples, spec.channels)) * 10.0 ** random.integers(-30, 30)
            ).astype(np.float32)
            valid[spec.name] = random.random(samples) < draw(st.sampled_from([1.0, 0.5]))
            if kind == "sliding":
                times_s[spec.name] = (np.sort(random.random(samples)) + np.arange(samples)) / spec.rate_hz
        label = draw(st.sampled_from([None, 0])) if kind == "clip" else None
        segments = ()
        if kind == "sliding" and draw(st.booleans()):
            end_s = max(float(times[-1]) for times in times_s.values())
            segments = (Segment(0.0, end_s / 3, 0), Segment(end_s / 3, end_s / 2, len(labels) - 1))
        clips.append(Clip(name, draw(WORDS), draw(WORDS), signals, valid, label, times_s, segments))
    return Dataset(DatasetInfo(draw(WORDS), specs, labels, window, draw(WORDS), draw(WORDS)), tuple(clips))


def assert_same(left: Dataset, right: Dataset) -> None:
    unnamed = [replace(spec, columns=()) for spec in right.info.modalities]  # a CSV file names its channels
    assert left.info == replace(right.info, modalities=tuple(unnamed))
    assert len(left.clips) == len(right.clips)
    for before, after in zip(left.clips, right.clips, strict=True):
        for name in ("name", "subject", "trial", "label", "segments"):
            assert getattr(before, name) == getattr(after, name)
        for name in ("signals", "valid", "times_s"):
            assert list(getattr(before, name)) == list(getattr(after, name))
            for key, array in getattr(before, name).items():
                assert array.dtype == getattr(after, name)[key].dtype
                np.testing.assert_array_equal(array, getattr(after, name)[key])


@settings(max_examples=40, deadline=None)
@given(dataset=datasets(), as_csv=st.booleans())
def test_round_trip_is_exact(dataset: Dataset, as_csv: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "mine"
        recordings.write(dataset, root, as_csv)
        assert_same(dataset, recordings.load(root))


def write_folder(root: Path, header: dict[str, object], files: dict[str, str]) -> None:
    content = {"format": "edgehar-recordings", "format_version": 1, "name": "mine", "labels": ["wave", "rest"]} | header
    root.mkdir(exist_ok=True)
    (root / "recordings.json").write_text(json.dumps(content, indent=2))
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


WATCH = {"name": "watch", "channels": 3, "unit": "g", "rate_hz": 20}


def test_omitted_window_values_are_derived(tmp_path: Path) -> None:
    rows = "ax,ay,az\n" + "1,2,3\n" * 64
    write_folder(
        tmp_path,
        {"kind": "clips", "modalities": [WATCH]},
        {
            "index.csv": "recording,subject,trial,label\nr1,ann,,wave\nr2,bob,1,\n",
            "watch/r1.csv": rows,
            "watch/r2.csv": rows,
        },
    )
    dataset = recordings.load(tmp_path)
    assert dataset.info.window == WindowSpec("clip", 16, 0.2)  # 64 samples at 20 Hz in 16 steps
    assert dataset.info.modalities[0].patch == 4
    assert [clip.label for clip in dataset.clips] == [0, None]
    assert dataset.clips[0].times_s == {}


def test_continuous_recording_without_timestamps_uses_the_nominal_rate(tmp_path: Path) -> None:
    rows = "ax,ay,az\r\n" + "1,2,3\r\n" * 100
    write_folder(
        tmp_path,
        {"kind": "continuous", "modalities": [WATCH]},
        {
            "index.csv": "\ufeffrecording,subject,trial,label\r\nr1,ann,1,\r\n",
            "watch/r1.csv": rows,
            "segments/r1.csv": "start_s,end_s,label\n0,1.5,rest\n1.5,4.9,wave\n",
        },
    )
    dataset = recordings.load(tmp_path)
    clip = dataset.clips[0]
    assert dataset.info.window == WindowSpec("sliding", 16, 0.1531, 4)  # spans of 1.5 and 3.4 s
    assert dataset.info.modalities[0].patch == 3  # interpolated
    np.testing.assert_allclose(clip.times_s["watch"], np.arange(100) / 20)
    assert clip.segments == (Segment(0.0, 1.5, 1), Segment(1.5, 4.9, 0))


def test_rows_that_are_not_valid_may_be_empty(tmp_path: Path) -> None:
    write_folder(
        tmp_path,
        {"kind": "clips", "modalities": [WATCH]},
        {
            "index.csv": "recording,subject,trial,label\nr1,ann,1,wave\n",
            "watch/r1.csv": "ax,ay,az,valid\n1,2,3,1\n,,,0\n4,5,6,1\n",
        },
    )
    clip = recordings.load(tmp_path).clips[0]
    assert clip.valid["watch"].tolist() == [True, False, True]
    assert clip.signals["watch"].tolist() == [[1, 2, 3], [0, 0, 0], [4, 5, 6]]


def test_load_raises_the_first_problem_and_counts_the_others(tmp_path: Path) -> None:
    write_folder(
        tmp_path,
        {"kind": "clips", "modalities": [WATCH]},
        {"index.csv": "recording,subject,trial,label\nr1,ann,1,jump\nr2,,1,wave\n"},
    )
    with pytest.raises(DataError, match=r"index\.csv:2: label 'jump'; .*\(and 1 more") as caught:
        recordings.load(tmp_path)
    assert "\n" not in str(caught.value)


def clip_of(values: np.ndarray, **changes: Any) -> Dataset:
    fields: dict[str, Any] = {"name": "r1", "subject": "ann", "trial": "1"} | changes
    clip = Clip(**fields, signals={"watch": values.astype(np.float32)}, valid={"watch": np.ones(len(values), bool)})
    info = DatasetInfo("mine", (ModalitySpec("watch", 3, "g", 20, 1),), ("wave",), WindowSpec("clip", 4, 0.1))
    return Dataset(info, (clip,))


@pytest.mark.parametrize(
    ("dataset", "found"),
    [
        (clip_of(np.full((4, 3), np.nan)), "channel 1 "),
        (clip_of(np.zeros((4, 3)), name="../r1"), r"recording '\.\./r1'"),
        (clip_of(np.zeros((4, 3)), name="r1.times"), r"recording 'r1\.times'"),
        (clip_of(np.zeros((4, 3)), subject=" ann"), "subject ' ann'"),
        (clip_of(np.zeros((4, 3)), subject=""), "recording 'r1' has no subject"),
        (clip_of(np.zeros((1, 3))), "1 sample"),
    ],
)
def test_a_data_set_that_cannot_be_written_leaves_no_files(tmp_path: Path, dataset: Dataset, found: str) -> None:
    with pytest.raises(DataError, match=found):
        recordings.write(dataset, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(DataError, match=f"{tmp_path}: not empty"):
        recordings.write(clip_of(np.zeros((4, 3))), tmp_path)
    assert (tmp_path / "note.txt").read_text() == "mine"
