"""`edgehar explain` and `edgehar.explain`: the window that is explained, the files written, and unusable input."""

import json
import re
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import edgehar
from edgehar import cli
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import ConfigError, DataError
from edgehar.explanation.probe import log_odds
from edgehar.explanation.result import describe
from tests.deploy.streams import steady
from tests.deploy.tiny_package import LABELS, calibrated

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "package_v1"


@pytest.fixture
def files(tmp_path: Path) -> str:
    """Two quiet seconds of both sensors, as the value of --input."""
    entries: list[str] = []
    for name, values in steady(2.0).signals.items():
        np.save(tmp_path / f"{name}.npy", np.asarray(values, np.float32))
        entries.append(f"{name}={tmp_path / name}.npy")
    return ",".join(entries)


def explained(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The JSON document that the command prints."""
    assert cli.main(["explain", *arguments]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def message_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of an error."""
    assert cli.main(["explain", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_command_writes_what_it_prints(
    clip_package: Path, files: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    why, picture = tmp_path / "why.json", tmp_path / "why.html"
    document = explained([str(clip_package), "--input", files, "--json", str(why), "--picture", str(picture)], capsys)
    assert json.loads(why.read_text()) == document
    assert document["label"] in LABELS
    assert len(document["steps"]) == 6
    assert {name: len(sensor["groups"]) for name, sensor in document["sensors"].items()} == {
        "skeleton": 20,
        "inertial": 2,
    }
    assert document["sensors"]["skeleton"]["groups"][0]["name"] == "head"
    page = picture.read_text(encoding="utf-8")
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawings) == 2  # the strip and the skeleton
    for drawing in drawings:
        assert next(ElementTree.fromstring(drawing).iter()).tag.endswith("svg")
    assert not re.search(r"<script|(?:src|href)=", page)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_steps_lose_the_evidence_that_a_prediction_without_them_lacks(recognizer: Recognizer) -> None:
    recording = steady(2.0)
    found = edgehar.explain(recognizer, recording.signals, recording.times_s, window=1)
    (windows,) = recognizer.windows_of(recording.signals, recording.times_s)
    one = windows.take(np.array([1]))
    index = LABELS.index(found.label)
    assert found.evidence == pytest.approx(log_odds(recognizer.predict_prepared(one), index)[0], abs=1e-4)
    for step in range(6):
        without = windows.take(np.array([1]))
        for valid in without.valid.values():
            valid[0, step] = False
        expected = found.evidence - log_odds(recognizer.predict_prepared(without), index)[0]
        assert found.saliency.step_evidence[step] == pytest.approx(expected, abs=1e-4)


def test_window_with_the_highest_score_is_explained(recognizer: Recognizer) -> None:
    recording = steady(2.0)
    predictions = recognizer.predict_windows(recording.signals, recording.times_s)
    assert len(predictions) > 3
    found = edgehar.explain(recognizer, recording.signals, recording.times_s)
    best = int(np.argmax([one.score for one in predictions]))
    assert (found.window, found.label) == (best, predictions[best].label)
    assert (found.start_s, found.end_s) == (predictions[best].start_s, predictions[best].end_s)
    walk = LABELS.index("walk")
    found = edgehar.explain(recognizer, recording.signals, recording.times_s, label="walk")
    assert found.window == int(np.argmax([one.probabilities[walk] for one in predictions]))
    assert found.probability == pytest.approx(max(one.probabilities[walk] for one in predictions), abs=1e-5)


def test_window_is_chosen_by_number_and_by_time(recognizer: Recognizer) -> None:
    recording = steady(2.0)
    later = {name: np.asarray(times) + 100 for name, times in recording.times_s.items()}
    predictions = recognizer.predict_windows(recording.signals, later)
    found = edgehar.explain(recognizer, recording.signals, later, window=2)
    assert (found.start_s, found.end_s) == (predictions[2].start_s, predictions[2].end_s)
    middle = (predictions[2].start_s + predictions[2].end_s) / 2
    assert edgehar.explain(recognizer, recording.signals, later, at_s=middle).window == 2


def test_missing_sensor_is_named(recognizer: Recognizer, capsys: pytest.CaptureFixture[str]) -> None:
    recording = steady(2.0)
    signals, times_s = ({"inertial": part["inertial"]} for part in (recording.signals, recording.times_s))
    found = edgehar.explain(recognizer, signals, times_s)
    assert found.missing == ("skeleton",)
    assert not found.saliency.groups["skeleton"].any()
    assert found.to_json()["missing"] == ["skeleton"]


def test_calibrated_package_explains_its_own_probability(clip_package: Path, tmp_path: Path) -> None:
    recognizer = calibrated(clip_package, tmp_path / "calibrated", threshold=0.9999)
    recording = steady(2.0)
    prediction = recognizer.predict(recording.signals, recording.times_s)
    found = edgehar.explain(recognizer, recording.signals, recording.times_s)
    assert (prediction.label, found.predicted) == ("unknown", "unknown")
    assert found.label == LABELS[int(prediction.probabilities.argmax())]
    assert found.probability == pytest.approx(prediction.score, abs=1e-5)
    assert found.evidence == pytest.approx(np.log(prediction.score / (1 - prediction.score)), abs=1e-3)


def test_frames_that_are_not_finite_are_missing(recognizer: Recognizer) -> None:
    recording = steady(2.0)
    inertial = np.array(recording.signals["inertial"], np.float64)
    inertial[: len(inertial) // 2] = np.nan
    found = edgehar.explain(recognizer, recording.signals | {"inertial": inertial}, recording.times_s, window=0)
    assert not found.valid["inertial"][:4].any()
    assert np.isfinite(json.loads(json.dumps(found.to_json()))["evidence"])


def test_rescaling_of_a_trained_size_takes_less_arithmetic_than_50_windows() -> None:
    recognizer = edgehar.load(GOLDEN)
    generator = np.random.default_rng(0)
    signals = {
        spec.name: generator.standard_normal((round(3 * spec.rate_hz), spec.channels)).astype(np.float32)
        for spec in recognizer.manifest.modalities
    }
    assert edgehar.explain(recognizer, signals, None).cost["windows_of_arithmetic"] < 50


def test_longer_recordings_than_a_batch_give_the_same_window(recognizer: Recognizer) -> None:
    recording = steady(150.0)  # more than one batch of 4096 steps
    batches = list(recognizer.windows_of(recording.signals, recording.times_s))
    assert len(batches) > 1
    last = sum(map(len, batches)) - 1
    found = edgehar.explain(recognizer, recording.signals, recording.times_s, window=last)
    assert (found.window, found.end_s) == (last, float(batches[-1].end_s[-1]))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--label", "fly"], "label 'fly': expected one that the network knows: wave, clap"),
        (["--window", "99"], "window 99: the recording has"),
        (["--window", "-1"], "--window -1"),
        (["--at", "77"], "time 77.0 s: in no window"),
        (["--at", "nan"], "time nan s: expected a finite"),
        (["--window", "0", "--at", "1"], "--window with --at"),
        (["--method", "magic"], "--method magic: expected one of tsr, occlusion"),
        (["--clip", "a"], "--clip: expected together with --data"),
    ],
)
def test_unusable_choice_gives_one_line(
    arguments: list[str], expected: str, sliding_package: Path, files: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert expected in message_of([str(sliding_package), "--input", files, *arguments], capsys)


def test_recording_is_required_once(sliding_package: Path, files: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no recording: expected one of" in message_of([str(sliding_package)], capsys)
    both = [str(sliding_package), "--input", files, "--data", "simulated", "--clip", "a"]
    assert "--input and --data" in message_of(both, capsys)


def test_recording_shorter_than_a_window_is_an_error(recognizer: Recognizer) -> None:
    recording = steady(0.2)
    with pytest.raises(DataError, match="shorter than a window"):
        edgehar.explain(recognizer, recording.signals, recording.times_s)


def test_recording_without_a_finite_sample_is_an_error(recognizer: Recognizer) -> None:
    recording = steady(2.0)
    nothing = {name: np.full_like(np.asarray(values, np.float64), np.nan) for name, values in recording.signals.items()}
    with pytest.raises(DataError, match="no usable sample"):
        edgehar.explain(recognizer, nothing, recording.times_s)


@pytest.mark.parametrize(
    "choice", [{"label": 3}, {"window": True}, {"window": 1.5}, {"method": "no"}, {"at_s": np.inf}, {"at_s": "1"}]
)
def test_unusable_arguments_are_errors(choice: dict[str, Any], recognizer: Recognizer) -> None:
    recording = steady(2.0)
    with pytest.raises(ConfigError):
        edgehar.explain(recognizer, recording.signals, recording.times_s, **choice)


def test_files_inside_the_package_are_refused(
    clip_package: Path, files: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = Path(shutil.copytree(clip_package, tmp_path / "package"))
    for option in ("--json", "--picture"):
        error = message_of([str(package), "--input", files, option, str(package / "why")], capsys)
        assert f"{option} {package / 'why'}: inside the package" in error


def test_what_is_read_is_not_overwritten(
    clip_package: Path, files: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = files.partition("=")[2].partition(",")[0]
    for option in ("--json", "--picture"):
        error = message_of([str(clip_package), "--input", files, option, recording], capsys)
        assert f"{option} {recording}: is, or lies within" in error
    same = str(tmp_path / "why")
    assert "--picture" in message_of([str(clip_package), "--input", files, "--json", same, "--picture", same], capsys)


def test_times_keep_their_origin(recognizer: Recognizer) -> None:
    recording, origin_s = steady(2.0), 1_790_123_456.0
    times_s = {name: times + origin_s for name, times in recording.times_s.items()}
    found = edgehar.explain(recognizer, recording.signals, times_s).to_json()
    first, last = found["steps"][0], found["steps"][-1]
    assert found["start_s"] >= origin_s
    assert found["end_s"] - found["start_s"] == pytest.approx(recognizer.manifest.window.length_s, abs=1e-4)
    assert [first["start_s"], last["end_s"]] == [found["start_s"], found["end_s"]]


def test_groups_that_are_still_anyway_have_no_share(recognizer: Recognizer) -> None:
    signals = {name: np.repeat(values[:1], len(values), axis=0) for name, values in steady(2.0).signals.items()}
    found = edgehar.explain(recognizer, signals, method="tsr")
    assert not any(array.any() for array in found.saliency.groups.values())
    assert "of the groups' importance" not in describe(found)
