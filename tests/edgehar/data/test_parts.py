"""Long recordings cut into parts: no sample is lost or moved, and one session of one person can be split."""

from dataclasses import replace

import numpy as np
import pytest

from edgehar.data.parts import cut_into_parts
from edgehar.data.splits import make_split
from edgehar.errors import DataError, SplitError
from edgehar.signals.clip import Clip, Dataset, DatasetInfo, Segment
from edgehar.signals.modality import ModalitySpec, WindowSpec

SPECS = (ModalitySpec("watch", 3, "g", 50, 5), ModalitySpec("heart", 1, "bpm", 1, 1, group=1))


def _session(seconds: float, late_s: float = 0.0, kind: str = "sliding") -> Dataset:
    """One recording of a watch and a heart rate that starts later; labels change every 7 seconds."""
    times_s = {spec.name: np.arange(int(seconds * spec.rate_hz)) / spec.rate_hz for spec in SPECS}
    times_s["heart"] = times_s["heart"][times_s["heart"] >= late_s]
    signals = {
        spec.name: np.repeat(times_s[spec.name][:, None], spec.channels, axis=1).astype(np.float32) for spec in SPECS
    }
    valid = {name: np.arange(len(values)) % 11 > 0 for name, values in signals.items()}
    borders = np.arange(0, seconds, 7.0)
    spans = tuple(Segment(float(start), float(min(start + 7, seconds)), i % 2) for i, start in enumerate(borders))
    clip = Clip("r", "ann", "", signals, valid, None, times_s, spans)
    return Dataset(DatasetInfo("d", SPECS, ("a", "b"), WindowSpec(kind, 16, 0.1, 4)), (clip,))


@pytest.mark.parametrize("part_s", [5, 7.3, 20])
def test_parts_have_every_sample_at_its_time(part_s: float) -> None:
    whole = _session(60)
    parts = cut_into_parts(whole, part_s).clips
    assert len(parts) == int(59.98 / part_s)
    length_s = 59.98 / len(parts)
    for name, values in whole.clips[0].signals.items():
        np.testing.assert_array_equal(np.concatenate([part.signals[name] for part in parts]), values)
        times_s = np.concatenate([part.times_s[name] + number * length_s for number, part in enumerate(parts)])
        np.testing.assert_allclose(times_s, whole.clips[0].times_s[name], atol=1e-9)
        mask = np.concatenate([part.valid[name] for part in parts])
        np.testing.assert_array_equal(mask, whole.clips[0].valid[name])
    for label in (0, 1):
        seconds = [span.end_s - span.start_s for part in parts for span in part.segments if span.label == label]
        expected = [span.end_s - span.start_s for span in whole.clips[0].segments if span.label == label]
        assert sum(seconds) == pytest.approx(sum(expected))
    assert len({part.trial for part in parts}) == len(parts)


def test_sensor_that_starts_late_is_absent_from_the_first_parts() -> None:
    parts = cut_into_parts(_session(40, late_s=15), 10).clips
    assert ["heart" in part.signals for part in parts] == [False, True, True]
    assert parts[1].times_s["heart"][0] == pytest.approx(15 - 39.98 / 3)


def test_one_session_of_one_person_can_be_split() -> None:
    parts = cut_into_parts(_session(60), 10)
    split = make_split("trial:0of5", parts.clips)
    for side in (split.train_clips(parts.clips), split.test_clips(parts.clips)):
        assert {span.label for clip in side for span in clip.segments} == {0, 1}


def test_short_recording_stays_whole() -> None:
    whole = _session(9)
    assert cut_into_parts(whole, 5) == whole


def test_parts_shorter_than_a_window_and_clips_are_refused() -> None:
    with pytest.raises(DataError, match="at least a window"):
        cut_into_parts(_session(60), 1)
    with pytest.raises(DataError, match="pre-cut clips"):
        cut_into_parts(_session(60, kind="clip"), 5)


def test_the_cure_for_one_recording_per_label_works() -> None:
    whole = _session(20)
    halves = tuple(replace(whole.clips[0], name=name, label=label, segments=()) for label, name in enumerate("ab"))
    with pytest.raises(SplitError, match="--part-s 3 ") as refused:
        make_split("trial:0of5", halves)
    part_s = float(str(refused.value).split("--part-s ")[1].split()[0])
    parts = cut_into_parts(replace(whole, clips=halves), part_s)
    assert {clip.label for clip in make_split("trial:0of5", parts.clips).test_clips(parts.clips)} == {0, 1}
