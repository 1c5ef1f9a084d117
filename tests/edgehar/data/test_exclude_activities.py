"""Excluded activities: no clip, segment, valid sample or label remains; the option reaches every stage."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgehar.data import recordings
from edgehar.data.registry import DataOptions, exclude_activities, load
from edgehar.errors import DataError
from edgehar.experiments.pipeline import PipelineOptions, plan
from edgehar.experiments.stage import data_settings
from edgehar.signals.clip import Clip, Dataset, DatasetInfo, Segment
from edgehar.signals.modality import ModalitySpec, WindowSpec
from edgehar.signals.preprocess import Normalisation
from edgehar.signals.windows import cut

WATCH = ModalitySpec("watch", 3, "g", 20, 1)
LABELS = ("wave", "clap", "walk", "sit")


def signal(samples: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((samples, 3)).astype(np.float32)


def clips() -> Dataset:
    made = tuple(
        Clip(f"{subject}_{label}", subject, "1", {"watch": signal(8)}, {"watch": np.ones(8, bool)}, label)
        for subject in ("s1", "s2", "s3", "s4")
        for label in (*range(len(LABELS)), None)
    )
    return Dataset(DatasetInfo("mine", (WATCH,), LABELS, WindowSpec("clip", 4, 0.1)), made)


def continuous() -> Dataset:
    """Four seconds: one of each activity."""
    times_s = np.arange(81) / 20
    segments = tuple(Segment(float(label), label + 1.0, label) for label in range(4))
    clip = Clip("r", "s1", "1", {"watch": signal(81)}, {"watch": times_s != 0.5}, None, {"watch": times_s}, segments)
    return Dataset(DatasetInfo("mine", (WATCH,), LABELS, WindowSpec("sliding", 10, 0.05)), (clip,))


def test_clips_are_removed_and_the_other_labels_renumbered() -> None:
    dataset = clips()
    assert exclude_activities(dataset, ()) is dataset
    found = exclude_activities(dataset, ("sit", "clap"))
    assert found.info.labels == ("wave", "walk")
    names = {clip.name: None if clip.label is None else found.info.labels[clip.label] for clip in found.clips}
    assert names == {
        f"s{subject}_{label}": None if label is None else LABELS[label]
        for subject in range(1, 5)
        for label in (0, 2, None)
    }
    assert found.info.caveats == ("Left out altogether: clap, sit.",)
    assert dataset.info.caveats == ()


def test_segments_are_removed_and_their_samples_are_not_valid() -> None:
    dataset = continuous()
    found = exclude_activities(dataset, ("clap",))
    (clip,) = found.clips
    assert clip.segments == (Segment(0, 1, 0), Segment(2, 3, 1), Segment(3, 4, 2))
    times_s = clip.times_s["watch"]
    expected = (times_s != 0.5) & ~((times_s >= 1) & (times_s < 2))
    np.testing.assert_array_equal(clip.valid["watch"], expected)
    assert dataset.clips[0].valid["watch"].sum() == 80
    windows = cut(found.clips, found.info, Normalisation.identity((WATCH,)))
    within = (windows.start_s >= 1) & (windows.end_s <= 2)
    assert within.any()
    assert (windows.label[within] == -1).all()
    inner = (windows.start_s >= 1.05) & (windows.end_s <= 1.9)  # interpolation may reach the edges
    assert not windows.valid["watch"][inner].any()
    assert set(windows.label[~within].tolist()) == {-1, 0, 1, 2}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("fly",), "activity fly: .*wave, clap, walk, sit"),
        (("clap", "fly", "run"), "fly, run"),
        (("wave", "clap", "walk"), "1 of 4 activities"),
        (LABELS, "0 of 4 activities"),
    ],
)
def test_unknown_or_too_many_activities_are_refused(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        exclude_activities(clips(), names)


def test_the_option_changes_the_data_set_and_the_fingerprint(tmp_path: Path) -> None:
    recordings.write(replace(clips(), clips=clips().clips[:4]), tmp_path / "mine")
    whole = DataOptions(str(tmp_path / "mine"))
    less = replace(whole, without=("clap", "wave"))
    assert [clip.name for clip in less.load().clips] == ["s1_2", "s1_3"]
    assert less.load().info.labels == ("walk", "sit")
    assert whole.load().info == load(whole.data).info
    assert whole.fingerprint() != less.fingerprint() == replace(less, without=("wave", "clap")).fingerprint()
    with pytest.raises(DataError, match="fly"):
        replace(whole, without=("fly",)).load()


def test_a_pipeline_passes_the_option_to_its_first_training_only() -> None:
    options = DataOptions("recorded", root="there", split="odd-even", modalities=("watch",), without=("clap", "sit"))
    for chosen in (options, replace(options, split=None, modalities=()), replace(options, modalities=())):
        assert data_settings(chosen)["without"] == ("clap", "sit")
        stages = {stage.name: stage for stage in plan(PipelineOptions("run", data=chosen), ())}
        assert stages["finetune"].settings["without"] == ("clap", "sit")
        assert "without" not in stages["distill"].settings
        scoring = [stage for name, stage in stages.items() if name.startswith("evaluate")]
        assert len(scoring) == 3
        for stage in scoring:
            # these verbs read the activities from the package
            assert (stage.settings["data"], stage.settings["root"]) == ("recorded", "there")
            assert not {"without", "split", "modalities"} & set(stage.settings)
    assert "without" not in data_settings(replace(options, without=()))
