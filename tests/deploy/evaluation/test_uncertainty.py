"""Calibrated packages: temperature, threshold, calibration scores and detection of unknown activities."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgehar
from edgehar import StreamRecognizer
from edgehar.data import recordings
from edgehar.data.registry import exclude_activities
from edgehar.deploy.evaluation import evaluate
from edgehar.deploy.live import run
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import ConfigError, DataError
from edgehar.metrics.calibration import expected_calibration_error
from edgehar.signals.clip import Clip, Dataset, Segment
from tests.deploy.streams import random_clip, sample_by_sample, steady, streamed
from tests.deploy.tiny_package import LABELS, PROVENANCE, calibrated, write_tiny_package


@pytest.fixture
def package(tmp_path: Path) -> Path:
    write_tiny_package(tmp_path / "package", provenance=PROVENANCE)
    return tmp_path / "package"


def test_calibrated_clip(package: Path, tmp_path: Path) -> None:
    plain = edgehar.load(package)
    soft = calibrated(package, tmp_path / "soft", None)
    clips = [random_clip(f"c{seed}", "s1", seed, None) for seed in range(12)]
    raw = [plain.predict_clip(clip)[0] for clip in clips]
    predictions = [soft.predict_clip(clip)[0] for clip in clips]
    for one, other in zip(raw, predictions, strict=True):
        expected = one.probabilities.astype(np.float64) ** (1 / 2.5)  # softmax(logits / 2.5), from softmax(logits)
        np.testing.assert_allclose(other.probabilities, expected / expected.sum(), rtol=1e-3, atol=1e-5)
        assert one.label == other.label
    # The score of one of them: this one and those above get a label.
    threshold = float(np.sort([one.score for one in predictions])[6])
    careful = calibrated(package, tmp_path / "careful", threshold)
    for clip, one in zip(clips, predictions, strict=True):
        found = careful.predict_clip(clip)[0]
        assert found.label == (one.label if one.score >= threshold else "unknown")
        assert found.score == one.score
        assert careful.manifest.labels[int(found.probabilities.argmax())] == one.label
        assert careful.predict(clip.signals, clip.times_s).label == found.label
    assert sum(careful.predict_clip(clip)[0].label == "unknown" for clip in clips) == 6


@pytest.fixture(scope="module")
def careful_stream(sliding_package: Path, tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    """A sliding package whose threshold rejects about half of the windows of `steady(6.0, seed=3)`."""
    path = tmp_path_factory.mktemp("calibrated")
    soft = calibrated(sliding_package, path / "soft", None)
    recording = steady(6.0, seed=3)
    scores = sorted(one.score for one in soft.predict_windows(recording.signals, recording.times_s))
    middle = len(scores) // 2
    # Half-way between two scores, so that rounding does not matter.
    return calibrated(sliding_package, path / "careful", (scores[middle - 1] + scores[middle]) / 2)


def test_clip_and_stream_have_the_same_unknown_windows(careful_stream: Recognizer) -> None:
    recording = steady(6.0, seed=3)
    expected = careful_stream.predict_windows(recording.signals, recording.times_s)
    found = streamed(StreamRecognizer(careful_stream, start_s=0.0), sample_by_sample(recording))
    assert [one.label for one in found] == [one.label for one in expected]
    assert {"unknown"} < {one.label for one in found}
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)


def test_threshold_applies_after_margin_and_smoothing(careful_stream: Recognizer) -> None:
    recording = steady(6.0, seed=3)
    plain = streamed(StreamRecognizer(careful_stream, start_s=0.0), sample_by_sample(recording))
    held = streamed(StreamRecognizer(careful_stream, start_s=0.0, margin=2.0), sample_by_sample(recording))
    index = int(plain[0].probabilities.argmax())
    assert [one.score for one in held] == pytest.approx([float(one.probabilities[index]) for one in plain])
    threshold = careful_stream.manifest.calibration
    assert threshold is not None
    assert threshold.threshold is not None
    assert [one.label == "unknown" for one in held] == [one.score < threshold.threshold for one in held]
    assert {one.label for one in held} <= {careful_stream.manifest.labels[index], "unknown"}
    smooth = streamed(StreamRecognizer(careful_stream, start_s=0.0, smoothing=0.8), sample_by_sample(recording))
    assert [one.label == "unknown" for one in smooth] == [one.score < threshold.threshold for one in smooth]


def test_unknown_in_the_output(package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calibrated(package, tmp_path / "careful", 1.0)
    np.save(tmp_path / "inertial.npy", random_clip("c", "s1", 0, None).signals["inertial"])
    capsys.readouterr()
    assert run.main([str(tmp_path / "careful"), "--input", f"inertial={tmp_path / 'inertial.npy'}"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["label"] == "unknown"
    assert tuple(line["probabilities"]) == LABELS
    assert line["score"] == max(line["probabilities"].values())


def wider_dataset(recognizer: Recognizer, wrong: int = 2) -> Dataset:
    """Clips with the labels that the package predicts, except for `wrong` of s2, and two of "jump" by each subject."""
    info = replace(recognizer.manifest.info, labels=("jump", *recognizer.manifest.labels))
    clips: list[Clip] = []
    for subject in ("s1", "s2", "s3", "s4"):
        for take in range(6):
            clip = replace(random_clip(f"{subject}_{take}", subject, 10 * int(subject[1]) + take, None), times_s={})
            best = int(recognizer.predict_clip(clip)[0].probabilities.argmax())
            label = (best + (subject == "s2" and take < wrong)) % len(recognizer.manifest.labels)
            clips.append(replace(clip, label=1 + label if take < 4 else 0))
    return Dataset(info, tuple(clips))


def test_calibration_scores(package: Path, tmp_path: Path) -> None:
    plain = edgehar.load(package)
    dataset = exclude_activities(wider_dataset(plain), ("jump",))
    result = evaluate.evaluate(plain, dataset, "odd-even")
    assert result["temperature"] == 1
    assert not {"coverage", "selective_accuracy", "unknown"} & set(result)
    clips = [clip for clip in dataset.clips if clip.subject in ("s2", "s4")]
    probabilities = np.stack([plain.predict_clip(clip)[0].probabilities for clip in clips])
    label = np.asarray([clip.label for clip in clips])
    assert result["ece"] == pytest.approx(expected_calibration_error(probabilities, label), abs=1e-6)
    true = probabilities[np.arange(len(label)), label]
    assert result["nll"] == pytest.approx(-np.log(true.astype(np.float64)).mean(), rel=1e-3)
    # A threshold between the third and the fourth score of eight.
    soft = calibrated(package, tmp_path / "soft", None)
    scores = sorted(soft.predict_clip(clip)[0].score for clip in clips)
    threshold = (scores[2] + scores[3]) / 2
    careful = calibrated(package, tmp_path / "careful", threshold)
    found = evaluate.evaluate(careful, dataset, "odd-even")
    assert (found["correct"], found["total"]) == (result["correct"], result["total"]) == (6, 8)
    assert found["temperature"] == 2.5
    assert found["coverage"] == 5 / 8
    labelled = [row for row in found["predictions"] if row["score"] >= threshold]
    right = sum(row["label"] == row["predicted"] for row in labelled)
    assert found["selective_accuracy"] == pytest.approx(right / 5)
    assert "62.50%" in evaluate.summary(found)
    silent = calibrated(package, tmp_path / "silent", 1.0, temperature=20)
    nothing = evaluate.evaluate(silent, dataset, "odd-even")
    assert (nothing["coverage"], nothing["selective_accuracy"]) == (0, None)
    assert "0.00%" in evaluate.summary(nothing)


def test_unknown_activities_are_excluded_or_detected(package: Path) -> None:
    recognizer = edgehar.load(package)
    dataset = wider_dataset(recognizer)
    result = evaluate.evaluate(recognizer, dataset, "odd-even")
    assert (result["correct"], result["total"], result["without"]) == (6, 8, ["jump"])
    narrow = evaluate.evaluate(recognizer, exclude_activities(dataset, ("jump",)), "odd-even")
    assert narrow == result | {"without": []}
    found = evaluate.evaluate(recognizer, dataset, "odd-even", unknown=True)
    measured = found.pop("unknown")
    assert found == result
    assert measured.pop("auroc") == pytest.approx(auroc_by_pairs(recognizer, dataset))
    assert measured == {"activities": ["jump"], "known_windows": 8, "unknown_windows": 4}
    assert "AUROC" in evaluate.summary(found | {"unknown": measured | {"auroc": 0.5}})


def auroc_by_pairs(recognizer: Recognizer, dataset: Dataset) -> float:
    scores: dict[bool, list[float]] = {True: [], False: []}
    for clip in dataset.clips:
        if clip.subject in ("s2", "s4"):
            scores[clip.label == 0].append(recognizer.predict_clip(clip)[0].score)
    return float(np.mean([low < high for low in scores[True] for high in scores[False]]))


def test_unknown_segments_are_detected(sliding_package: Path) -> None:
    recognizer = edgehar.load(sliding_package)
    info = replace(recognizer.manifest.info, labels=(*LABELS, "jump"))
    clips = tuple(
        replace(random_clip(subject, subject, place, None), segments=(Segment(0, 0.9, 2), Segment(0.9, 1.9, 5)))
        for place, subject in enumerate(("s1", "s2"))
    )
    found = evaluate.evaluate(recognizer, Dataset(info, clips), "odd-even", unknown=True)
    starts = [one.start_s for one in recognizer.predict_clip(clips[1])]
    length_s = recognizer.manifest.window.length_s
    assert found["unknown"]["unknown_windows"] == sum(0.9 < start_s + length_s / 2 <= 1.9 for start_s in starts)
    assert found["total"] == found["unknown"]["known_windows"] > 0
    assert found["per_class"]["throw"]["total"] == found["total"]


def test_missing_unknown_activities_and_other_labels_are_rejected(package: Path) -> None:
    recognizer = edgehar.load(package)
    dataset = wider_dataset(recognizer)
    with pytest.raises(ConfigError, match="--unknown"):
        evaluate.evaluate(recognizer, exclude_activities(dataset, ("jump",)), "odd-even", unknown=True)
    known_only = replace(dataset, clips=tuple(clip for clip in dataset.clips if clip.label != 0))
    with pytest.raises(DataError, match=r"--unknown.*jump"):
        evaluate.evaluate(recognizer, known_only, "loso:s2", unknown=True)
    lacking = replace(dataset, info=replace(dataset.info, labels=("jump", "run", *LABELS[1:])))
    with pytest.raises(DataError, match="labels"):
        evaluate.evaluate(recognizer, lacking, "odd-even")
    turned = replace(dataset, info=replace(dataset.info, labels=("jump", *LABELS[::-1])))
    with pytest.raises(DataError, match="labels"):
        evaluate.evaluate(recognizer, turned, "odd-even")


def test_unknown_and_faults_options(package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recordings.write(wider_dataset(edgehar.load(package)), tmp_path / "recordings")
    arguments = [str(package), "--data", str(tmp_path / "recordings")]
    assert evaluate.main([*arguments, "--unknown", "--faults"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["unknown"]["unknown_windows"] == 4
    assert result["faults"]["scenarios"][0]["correct"] == result["correct"] == 6
