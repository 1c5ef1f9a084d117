"""The robustness suite: the same windows in every scenario."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgehar
from edgehar.data import recordings
from edgehar.deploy.evaluation import evaluate
from edgehar.deploy.evaluation.robustness import robustness, summary
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import ConfigError, DataError, SplitError
from edgehar.signals.clip import Clip, Dataset
from edgehar.signals.modality import ModalitySpec
from tests.deploy.tiny_package import INERTIAL, SKELETON, write_tiny_package


def make_clip(recognizer: Recognizer, subject: str, take: int, steady: bool = False) -> Clip:
    """2.1 seconds of every sensor of the package; all ones if `steady`."""
    generator = np.random.default_rng([int(subject[1]), take])
    specs, sliding = recognizer.manifest.modalities, recognizer.manifest.window.kind == "sliding"
    signals = {
        spec.name: (generator.standard_normal((int(2.1 * spec.rate_hz), spec.channels)).cumsum(0) / 10).astype(
            np.float32
        )
        for spec in specs
    }
    if steady:
        signals = {name: np.ones_like(values) for name, values in signals.items()}
    times_s = {spec.name: np.arange(len(signals[spec.name])) / spec.rate_hz for spec in specs} if sliding else {}
    valid = {name: np.ones(len(values), bool) for name, values in signals.items()}
    return Clip(f"{subject}_{take}", subject, "1", signals, valid, 0, times_s)


def labelled_dataset(recognizer: Recognizer, wrong: int = 0, steady_training: bool = False) -> Dataset:
    """Clips with the label that the package predicts for their first window, except for `wrong` ones of s2."""
    clips: list[Clip] = []
    for subject in ("s1", "s2", "s3", "s4"):
        for take in range(6):
            clip = make_clip(recognizer, subject, take, steady_training and subject in ("s1", "s3"))
            label = recognizer.manifest.labels.index(recognizer.predict_clip(clip)[0].label)
            if subject == "s2" and take < wrong:
                label = (label + 1) % len(recognizer.manifest.labels)
            clips.append(replace(clip, label=label))
    return Dataset(recognizer.manifest.info, tuple(clips))


@pytest.fixture(scope="module")
def recognizer(clip_package: Path) -> Recognizer:
    return edgehar.load(clip_package)


def test_scenarios_are_averaged_by_category(recognizer: Recognizer) -> None:
    dataset = labelled_dataset(recognizer, wrong=3)
    result = robustness(recognizer, dataset, "odd-even")
    rows = result["scenarios"]
    assert len(rows) == 25
    assert {row["total"] for row in rows} == {12}
    assert all(row["accuracy"] == row["correct"] / row["total"] for row in rows)
    assert rows[0]["correct"] == evaluate.evaluate(recognizer, dataset, "odd-even")["correct"] == 9
    shifts = [row["accuracy"] for row in rows if " shift " in row["name"]]
    assert result["categories"]["shift"] == pytest.approx(np.mean(shifts))
    five = [result["categories"][name] for name in ("shift", "loss", "noise", "missing", "composite")]
    assert result["overall"] == pytest.approx(np.mean(five))
    assert json.loads(json.dumps(result)) == result


def test_faults_lower_the_accuracy(recognizer: Recognizer) -> None:
    result = robustness(recognizer, labelled_dataset(recognizer), "odd-even")
    assert result["categories"]["clean"] == 1
    assert result["overall"] < 1
    text = summary(result)
    worst = min(result["scenarios"], key=lambda row: row["accuracy"])
    assert worst["name"] in text
    assert f"{result['overall']:.2%}" in text


def test_seed_reproduces_the_result_without_changing_recordings(recognizer: Recognizer) -> None:
    dataset = labelled_dataset(recognizer)
    before = [clip.signals["skeleton"].copy() for clip in dataset.clips]
    first = robustness(recognizer, dataset, "odd-even", seed=5)
    assert first == robustness(recognizer, dataset, "odd-even", seed=5)
    assert first["seed"] == 5
    for clip, values in zip(dataset.clips, before, strict=True):
        np.testing.assert_array_equal(clip.signals["skeleton"], values)


def test_missing_sensor_equals_an_unused_one(recognizer: Recognizer) -> None:
    dataset = labelled_dataset(recognizer, wrong=2)
    rows = {row["name"]: row["correct"] for row in robustness(recognizer, dataset, "odd-even")["scenarios"]}
    for name, other in (("skeleton", "inertial"), ("inertial", "skeleton")):
        assert rows[f"missing {name}"] == evaluate.evaluate(recognizer, dataset, "odd-even", (other,))["correct"]


def test_without_sensors_one_class_is_predicted(recognizer: Recognizer) -> None:
    dataset = labelled_dataset(recognizer)
    rows = {row["name"]: row["correct"] for row in robustness(recognizer, dataset, "odd-even")["scenarios"]}
    labels = [clip.label for clip in dataset.clips if clip.subject in ("s2", "s4")]
    assert rows["missing both"] in {labels.count(label) for label in range(len(recognizer.manifest.labels))}


def test_noise_is_relative_to_the_training_subjects(recognizer: Recognizer) -> None:
    still = robustness(recognizer, labelled_dataset(recognizer, steady_training=True), "list:s1:s2,s4")
    noisy = robustness(recognizer, labelled_dataset(recognizer, steady_training=False), "list:s1:s2,s4")
    assert still["categories"]["noise"] == 1
    assert noisy["categories"]["noise"] < 1


@pytest.mark.parametrize("spec", [SKELETON, INERTIAL], ids=["skeleton", "inertial"])
def test_package_with_one_sensor(spec: ModalitySpec, tmp_path: Path) -> None:
    write_tiny_package(tmp_path / "package", specs=(spec,))
    recognizer = edgehar.load(tmp_path / "package")
    result = robustness(recognizer, labelled_dataset(recognizer), "odd-even")
    assert len(result["scenarios"]) == 13
    assert [row["name"] for row in result["scenarios"] if row["category"] == "missing"] == [
        f"missing {recognizer.manifest.modalities[0].name}"
    ]
    assert result["categories"]["clean"] == 1


def test_windows_of_continuous_recordings_are_the_same_in_all_scenarios(sliding_package: Path) -> None:
    recognizer = edgehar.load(sliding_package)
    dataset = labelled_dataset(recognizer)
    result = robustness(recognizer, dataset, "odd-even")
    plain = evaluate.evaluate(recognizer, dataset, "odd-even")
    assert plain["total"] > 12
    assert {row["total"] for row in result["scenarios"]} == {plain["total"]}
    assert result["scenarios"][0]["correct"] == plain["correct"]


def test_invalid_inputs_are_rejected(recognizer: Recognizer) -> None:
    dataset = labelled_dataset(recognizer)
    with pytest.raises(SplitError, match="split all"):
        robustness(recognizer, dataset, "all")
    with pytest.raises(DataError, match="inertial"):
        robustness(recognizer, replace(dataset, info=replace(dataset.info, modalities=(SKELETON,))), "odd-even")


def test_faults_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tiny_package(tmp_path / "package", provenance={"data": "elsewhere", "split": "odd-even"})
    recognizer = edgehar.load(tmp_path / "package")
    recordings.write(labelled_dataset(recognizer, wrong=1), tmp_path / "recordings")
    arguments = [str(tmp_path / "package"), "--data", str(tmp_path / "recordings")]
    assert evaluate.main(arguments) == 0
    plain = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert "faults" not in plain
    assert evaluate.main([*arguments, "--faults", "--json", str(tmp_path / "result.json")]) == 0
    *text, last = capsys.readouterr().out.splitlines()
    result = json.loads(last)
    assert result["faults"] == json.loads((tmp_path / "result.json").read_text())["faults"]
    assert result["faults"]["scenarios"][0]["correct"] == result["correct"] == plain["correct"]
    assert any(line.strip().startswith("overall") for line in text)
    with pytest.raises(ConfigError, match="--faults with --modalities"):
        evaluate.main([*arguments, "--faults", "--modalities", "inertial"])
