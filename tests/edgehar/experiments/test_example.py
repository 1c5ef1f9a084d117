"""The example recordings of a run: frames of a skeleton with any number of axes, or signals of every activity."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgehar.experiments.examples import MOST_ACTIVITIES, write_example, write_signals
from edgehar.experiments.recorded import training_facts
from edgehar.signals.clip import Clip, Dataset, DatasetInfo, Segment
from edgehar.signals.modality import ModalitySpec, WindowSpec

PREDICTION = {"clip": "c", "start_s": 0.0, "end_s": 0.4, "label": "a", "predicted": "b", "score": 0.5}


def _dataset(axes: int, valid: list[bool], timed: bool) -> Dataset:
    spec = ModalitySpec(
        "body", 3 * axes, "m", 10, 1, group=axes, joints=("hip", "neck", "head"), parents=(0, 0, 1), vertical=1
    )
    values = np.arange(len(valid) * 3 * axes, dtype=np.float32).reshape(len(valid), -1)
    times_s = {"body": np.arange(len(valid)) / 10} if timed else {}
    clip = Clip("c", "ann", "1", {"body": values}, {"body": np.array(valid)}, 0, times_s)
    return Dataset(DatasetInfo("d", (spec,), ("a", "b"), WindowSpec("clip", 4, 0.1)), (clip,))


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("timed", [False, True])
def test_valid_frames_are_stored_with_their_axes(tmp_path: Path, axes: int, timed: bool) -> None:
    dataset = _dataset(axes, [True, False, True, True, True, True, True], timed)
    assert write_example(tmp_path, dataset, [PREDICTION])["file"] == "example.npz"
    with np.load(tmp_path / "example.npz") as arrays:
        stored = arrays["frames"]
    kept = [0, 2, 3, 4] if timed else [0, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(stored, dataset.clips[0].signals["body"].reshape(-1, 3, axes)[kept])


def test_recording_without_a_valid_frame_is_no_example(tmp_path: Path) -> None:
    assert write_example(tmp_path, _dataset(2, [False] * 5, timed=True), [PREDICTION]) == {}


WATCH = ModalitySpec("watch", 6, "g and rad/s", 10, 1)


def _signals(amplitudes: list[float], label: int = 0, samples: int = 40) -> list[Clip]:
    wave = np.sin(np.arange(samples))[:, None] * np.ones(6)
    return [
        Clip(f"r{label}-{amplitude:g}", "ann", "1", {"watch": (amplitude * wave).astype(np.float32)},
             {"watch": np.ones(samples, bool)}, label)
        for amplitude in amplitudes
    ]  # fmt: skip


def _watched(clips: list[Clip], labels: int = 2, kind: str = "clip") -> Dataset:
    names = tuple(f"activity {number}" for number in range(labels))
    return Dataset(DatasetInfo("d", (WATCH,), names, WindowSpec(kind, 4, 0.1)), tuple(clips))


def test_the_recording_of_median_energy_stands_for_its_activity(tmp_path: Path) -> None:
    dataset = _watched([*_signals([9, 1, 3]), *_signals([5], label=1)])
    found = write_signals(tmp_path, dataset)
    assert [(one["label"], one["recording"]) for one in found["activities"]] == [
        ("activity 0", "r0-3"),
        ("activity 1", "r1-5"),
    ]
    assert found["sensors"] == [{"name": "watch", "unit": "g and rad/s", "group": 3, "columns": []}]
    with np.load(tmp_path / "signals.npz") as arrays:
        np.testing.assert_array_equal(arrays["0.watch.values"], dataset.clips[2].signals["watch"])
        np.testing.assert_allclose(arrays["0.watch.times_s"], np.arange(40) / 10)


@pytest.mark.parametrize(("samples", "first"), [(1000, 475), (150, 0)])
def test_long_recordings_show_their_middle_and_short_ones_their_event(tmp_path: Path, samples: int, first: int) -> None:
    (clip,) = _signals([1], samples=samples)
    clip.signals["watch"][7] = 50
    clip.valid["watch"][10] = False
    write_signals(tmp_path, _watched([clip]))
    with np.load(tmp_path / "signals.npz") as arrays:
        values, times_s = arrays["0.watch.values"], arrays["0.watch.times_s"]
    assert len(values) in (50, 51)
    assert times_s[0] == pytest.approx(0, abs=0.11)
    np.testing.assert_array_equal(values[15], clip.signals["watch"][first + 15])
    assert np.isnan(values[10]).all() == (first == 0)


def test_activities_of_a_continuous_recording_are_its_spans(tmp_path: Path) -> None:
    (clip,) = _signals([1], samples=100)
    clip.times_s["watch"] = np.arange(100) / 10
    segments = (Segment(2.0, 4.0, 1),)
    dataset = _watched([replace(clip, label=None, segments=segments)], kind="sliding")
    assert [one["label"] for one in write_signals(tmp_path, dataset)["activities"]] == ["activity 1"]
    with np.load(tmp_path / "signals.npz") as arrays:
        np.testing.assert_array_equal(arrays["0.watch.values"], clip.signals["watch"][20:41])


def test_some_of_many_activities_are_shown_and_none_beside_a_skeleton(tmp_path: Path) -> None:
    clips = [clip for label in range(30) for clip in _signals([1], label)]
    shown = [one["label"] for one in write_signals(tmp_path, _watched(clips, 30))["activities"]]
    assert (len(shown), shown[0], shown[-1]) == (MOST_ACTIVITIES, "activity 0", "activity 29")
    assert write_signals(tmp_path, _dataset(3, [True] * 5, timed=False)) == {}


def test_facts_of_the_training_count_what_was_recorded() -> None:
    (short,) = _signals([2], samples=5)
    unlabelled = replace(_signals([7])[0], label=None, signals={}, valid={})
    clips = [*_signals([1, 3]), short, replace(unlabelled, signals={"other": np.ones((40, 3), np.float32)})]
    other = ModalitySpec("other", 3, "g", 10, 1)
    dataset = _watched(clips)
    facts = training_facts(clips, replace(dataset.info, modalities=(WATCH, other)))
    assert (facts["people"], facts["recordings"], facts["unlabelled_share"]) == (1, 4, 0.25)
    assert facts["short"] == 1
    assert facts["sensors"] == {"watch": 3, "other": 1}
    assert facts["labels"]["activity 0"] == {"recordings": 3, "seconds": 8.5, "people": 1}
    assert facts["labels"]["activity 1"] == {"recordings": 0, "seconds": 0.0, "people": 0}
