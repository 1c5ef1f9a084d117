"""`edgehar evaluate`: scores of the labelled windows of the test subjects."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import edgehar
from edgehar.data.public import utd_mhad
from edgehar.deploy.bench import benchmark
from edgehar.deploy.evaluation import evaluate, stream_evaluate
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import ConfigError, DataError, SplitError
from edgehar.signals.clip import Clip, Dataset, Segment
from tests.deploy.streams import random_clip
from tests.deploy.tiny_package import INERTIAL, SKELETON, write_tiny_package


def labelled_dataset(recognizer: Recognizer, wrong: int) -> Dataset:
    """Clips of four subjects with the labels that the package predicts, except for the first `wrong` ones of s2."""
    clips: list[Clip] = []
    for subject in ("s1", "s2", "s3", "s4"):
        for take in range(4):
            clip = random_clip(f"{subject}_{take}", subject, 10 * int(subject[1]) + take, None)
            label = recognizer.manifest.labels.index(recognizer.predict_clip(clip)[0].label)
            if subject == "s2" and take < wrong:
                label = (label + 1) % len(recognizer.manifest.labels)
            clips.append(replace(clip, label=label))
    return Dataset(recognizer.manifest.info, tuple(clips))


@pytest.fixture(scope="module")
def recognizer(clip_package: Path) -> Recognizer:
    return edgehar.load(clip_package)


def test_correct_windows_of_test_subjects_are_counted(recognizer: Recognizer) -> None:
    result = evaluate.evaluate(recognizer, labelled_dataset(recognizer, wrong=3), "odd-even")
    assert (result["correct"], result["total"]) == (5, 8)
    assert result["per_subject"] == {"s2": {"correct": 1, "total": 4}, "s4": {"correct": 4, "total": 4}}
    assert result["wilson95"][0] < 5 / 8 < result["wilson95"][1]
    everyone = evaluate.evaluate(recognizer, labelled_dataset(recognizer, wrong=3), "all")
    assert (everyone["correct"], everyone["total"]) == (13, 16)
    assert "5 of 8 " in evaluate.summary(result)


def test_unused_sensor_counts_as_missing(recognizer: Recognizer) -> None:
    dataset = labelled_dataset(recognizer, wrong=0)
    without = Dataset(
        dataset.info,
        tuple(
            replace(
                clip, signals={"inertial": clip.signals["inertial"]}, times_s={"inertial": clip.times_s["inertial"]}
            )
            for clip in dataset.clips
        ),
    )
    result = evaluate.evaluate(recognizer, dataset, "odd-even", ("inertial",))
    assert result == evaluate.evaluate(recognizer, without, "odd-even", ("inertial",))
    assert result["modalities"] == ["inertial"]
    assert result["correct"] < 8


def test_unlabelled_windows_are_not_scored(sliding_package: Path) -> None:
    recognizer = edgehar.load(sliding_package)
    clip = replace(random_clip("long", "s2", 1, None), segments=(Segment(0.0, 1.0, 2),))
    other = replace(random_clip("other", "s1", 2, None), segments=(Segment(0.0, 1.0, 2),))
    result = evaluate.evaluate(recognizer, Dataset(recognizer.manifest.info, (clip, other)), "odd-even")
    windows = recognizer.predict_clip(clip)
    assert result["total"] == sum(window.end_s <= 1.25 for window in windows)
    assert result["per_class"]["throw"]["total"] == result["total"]


def test_data_of_another_kind_is_rejected(recognizer: Recognizer) -> None:
    dataset = labelled_dataset(recognizer, wrong=0)
    with pytest.raises(DataError, match="labels"):
        evaluate.evaluate(recognizer, replace(dataset, info=replace(dataset.info, labels=("a", "b"))), "all")
    slow = replace(dataset.info, modalities=(SKELETON, replace(INERTIAL, rate_hz=10.0)))
    with pytest.raises(DataError, match=r"inertial has .* at 10 Hz"):
        evaluate.evaluate(recognizer, replace(dataset, info=slow), "all")
    with pytest.raises(DataError, match="radar"):
        evaluate.evaluate(recognizer, dataset, "all", ("radar",))
    with pytest.raises(SplitError, match="s9"):
        evaluate.evaluate(recognizer, dataset, "loso:s9")


@pytest.mark.parametrize(("data", "split"), [(None, "loso:s1"), ("{}", "all")])
def test_training_subjects_are_rejected(data: str | None, split: str, tmp_path: Path) -> None:
    provenance = {"train_subjects": ["s1", "s3"], "test_subjects": ["s2", "s4"]}
    write_tiny_package(tmp_path / "package", provenance=provenance | {"data": data})
    package = edgehar.load(tmp_path / "package")
    own = package.manifest.info.name
    write_tiny_package(tmp_path / "package", provenance=provenance | {"data": data and data.format(own)})
    package = edgehar.load(tmp_path / "package")
    dataset = labelled_dataset(package, wrong=0)
    with pytest.raises(DataError, match=r"subject s1.* trained"):
        evaluate.evaluate(package, dataset, split)
    assert evaluate.evaluate(package, dataset, "odd-even")["total"] == 8
    others = replace(dataset, info=replace(dataset.info, name="others"))
    if data is not None:  # the provenance names another data set
        assert evaluate.evaluate(package, others, split)["total"] == 16


def test_continuous_recordings_are_no_clips(recognizer: Recognizer) -> None:
    dataset = labelled_dataset(recognizer, wrong=0)
    continuous = replace(dataset.info, window=replace(dataset.info.window, kind="sliding"))
    with pytest.raises(DataError, match="continuous recordings; the package classifies clips"):
        evaluate.evaluate(recognizer, replace(dataset, info=continuous), "odd-even")


def test_result_within_the_package_is_rejected(clip_package: Path) -> None:
    manifest = clip_package / "manifest.json"
    before = manifest.read_bytes()
    for command in (evaluate.main, benchmark.main, stream_evaluate.main):
        with pytest.raises(ConfigError, match="--json"):
            command([str(clip_package), "--json", str(manifest)])
    assert manifest.read_bytes() == before


def test_package_without_data_needs_options(tmp_path: Path) -> None:
    write_tiny_package(tmp_path / "package", provenance={"seed": 1})
    with pytest.raises(ConfigError, match="--data and --split"):
        evaluate.main([str(tmp_path / "package")])


def test_real_clips(data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = utd_mhad.INFO
    package = tmp_path / "package"
    write_tiny_package(
        package,
        specs=info.modalities,
        labels=info.labels,
        steps=info.window.steps,
        step_s=info.window.step_s,
        provenance={"data": "utd-mhad", "split": "odd-even"},
    )
    capsys.readouterr()
    assert evaluate.main([str(package), "--root", str(data_root), "--json", str(tmp_path / "result.json")]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    written = json.loads((tmp_path / "result.json").read_text())
    predictions = written.pop("predictions")
    assert result == written
    assert result["total"] == len(predictions) == 430
    assert result["correct"] == sum(entry["label"] == entry["predicted"] for entry in predictions)
    assert set(result["per_subject"]) == {"s2", "s4", "s6", "s8"}
