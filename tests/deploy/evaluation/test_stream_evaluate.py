"""`edgehar evaluate --stream`: a stream scores the same as the whole recording."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgehar
from edgehar import verbs
from edgehar.data.public import sp_sw_har
from edgehar.deploy.evaluation import evaluate
from edgehar.deploy.evaluation.replay import ReplayOptions, chunks, predicted_segments, replay
from edgehar.deploy.evaluation.stream_evaluate import evaluate_stream, summary
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import ConfigError, DataError
from edgehar.signals.clip import Clip, Dataset, Segment
from tests.deploy.streams import steady
from tests.deploy.tiny_package import write_tiny_package


def make_clip(recognizer: Recognizer, seed: int, seconds: float = 12.0) -> Clip:
    """A recording with the segments that the package predicts."""
    recording = steady(seconds, seed)
    signals = {name: values.astype(np.float32) for name, values in recording.signals.items()}
    valid = {name: np.ones(len(values), bool) for name, values in signals.items()}
    clip = Clip(f"r{seed}", f"s{seed}", "1", signals, valid, times_s=recording.times_s)
    return replace(
        clip, segments=tuple(predicted_segments(recognizer.predict_clip(clip), recognizer.manifest.labels, 0.0))
    )


@pytest.fixture(scope="module")
def clip(recognizer: Recognizer) -> Clip:
    return make_clip(recognizer, seed=1)


def test_stream_and_offline_agree(recognizer: Recognizer, clip: Clip) -> None:
    result = evaluate_stream(recognizer, [clip, make_clip(recognizer, seed=2)], ReplayOptions())
    assert result["agreement"]["largest_probability_difference"] < 1e-5
    assert result["agreement"]["unmatched_windows"] == 0
    assert result["agreement"]["same_label"] == result["agreement"]["windows"] > 100
    assert result["most_points"] < 1e-6
    assert result["percent"]["stream"]["f1_50"] == pytest.approx(100)
    assert result["percent"]["stream"]["edit"] == pytest.approx(100)
    assert result["segments"]["stream"]["false_alarms"] == 0
    assert [row["clip"] for row in result["recordings"]] == ["r1", "r2"]
    assert json.loads(json.dumps(result)) == result


def test_window_scores_equal_those_of_evaluate(recognizer: Recognizer, clip: Clip) -> None:
    shifted = replace(clip, segments=tuple(replace(one, label=(one.label + 1) % 5) for one in clip.segments[::2]))
    dataset = Dataset(recognizer.manifest.info, (shifted, replace(clip, subject="s2")))
    expected = evaluate.evaluate(recognizer, dataset, "all")
    result = evaluate_stream(recognizer, list(dataset.clips), ReplayOptions(chunk=3, seed=5))
    for kind in ("offline", "stream"):
        assert result["windows"][kind]["confusion"] == expected["confusion"]
        assert result["windows"][kind]["macro_f1"] == expected["macro_f1"]


def test_every_sample_is_pushed_once_after_it_was_recorded(clip: Clip) -> None:
    pushes = chunks(clip, 7, np.random.default_rng(0))
    for name, times_s in clip.times_s.items():
        own = [push for push in pushes if push.modality == name]
        assert [index for push in own for index in range(push.first, push.end)] == list(range(len(times_s)))
        assert all(push.arrives_s == times_s[push.end - 1] for push in own)
        assert {push.end - push.first for push in own[:-1]} == set(range(1, 8))
    assert [push.arrives_s for push in pushes] == sorted(push.arrives_s for push in pushes)


def test_larger_chunks_delay_the_predictions(recognizer: Recognizer, clip: Clip) -> None:
    waits: list[float] = []
    for most in (1, 20):
        timed = replay(recognizer, clip, ReplayOptions(chunk=most)).timed[:-5]  # without those of the flush
        assert all(one.emitted_s >= one.prediction.end_s for one in timed)
        waits.append(float(np.mean([one.emitted_s - one.prediction.end_s for one in timed])))
    assert waits[0] < 0.1 < waits[1]


def test_shortest_s_removes_short_activities(recognizer: Recognizer, clip: Clip) -> None:
    plain = evaluate_stream(recognizer, [clip], ReplayOptions())
    long = evaluate_stream(recognizer, [clip], ReplayOptions(shortest_s=2.0))
    for kind in ("offline", "stream"):
        assert long["segments"][kind]["predicted"] < plain["segments"][kind]["predicted"]
    assert long["agreement"] == plain["agreement"]


def test_smoothed_stream_may_differ(recognizer: Recognizer, clip: Clip) -> None:
    result = evaluate_stream(recognizer, [clip], ReplayOptions(smoothing=0.9))
    assert result["agreement"] is None
    assert result["most_points"] > 0
    assert result["segments"]["stream"]["predicted"] < result["segments"]["offline"]["predicted"]


def test_unlabelled_and_short_recordings_are_not_scored(recognizer: Recognizer, clip: Clip) -> None:
    unlabelled = replace(make_clip(recognizer, seed=3), name="unlabelled", segments=())
    short = {name: times[:3] for name, times in clip.times_s.items()}
    tiny = Clip(
        "tiny",
        "s9",
        "1",
        {name: clip.signals[name][:3] for name in short},
        {name: clip.valid[name][:3] for name in short},
        times_s=short,
        segments=(Segment(0.0, 0.1, 0),),
    )
    plain = evaluate_stream(recognizer, [clip], ReplayOptions())
    result = evaluate_stream(recognizer, [clip, unlabelled], ReplayOptions())
    for key in ("windows", "segments", "delay"):
        assert result[key] == plain[key]
    missed = evaluate_stream(recognizer, [clip, tiny], ReplayOptions())
    assert missed["delay"]["never"] == plain["delay"]["never"] + 1
    with pytest.raises(DataError, match="no labelled window"):
        evaluate_stream(recognizer, [unlabelled], ReplayOptions())


def test_recording_with_one_label_is_one_segment(recognizer: Recognizer, clip: Clip) -> None:
    whole = replace(clip, segments=(), label=0)
    assert evaluate_stream(recognizer, [whole], ReplayOptions())["segments"]["stream"]["true"] == 1


def test_invalid_package_and_options_are_rejected(clip_package: Path, recognizer: Recognizer, clip: Clip) -> None:
    with pytest.raises(ConfigError, match="sliding"):
        evaluate_stream(edgehar.load(clip_package), [clip], ReplayOptions())
    with pytest.raises(ConfigError, match="--chunk 0"):
        ReplayOptions(chunk=0)
    with pytest.raises(ConfigError, match="smoothing"):
        evaluate_stream(recognizer, [clip], ReplayOptions(smoothing=1.0))


def test_summary(recognizer: Recognizer, clip: Clip) -> None:
    inputs = {"data": "mine", "split": "all", "precision": "fp32", "modalities": ["skeleton"]}
    text = summary(inputs | evaluate_stream(recognizer, [clip], ReplayOptions()))
    assert "windows with equal labels" in text
    assert all(name in text for name in (*recognizer.manifest.labels, "f1_25", "false alarms", "never"))


def test_real_recordings(data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for execution in ("s01_01", "s01_02", "s02_01"):  # a few suffice
        for sensor in ("sp", "sw"):
            path = Path("DATA") / execution[:3] / f"{execution}_{sensor}.csv"
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).symlink_to((data_root / "sp-sw-har" / path).resolve())
    info = sp_sw_har.INFO
    package, file = tmp_path / "package", tmp_path / "result.json"
    write_tiny_package(
        package,
        info.window.kind,
        info.modalities,
        info.labels,
        info.window.steps,
        info.window.step_s,
        info.window.hop,
        provenance={"data": "sp-sw-har", "split": "loso:s01"},
    )
    capsys.readouterr()
    words = [str(package), "--stream", "--root", str(tmp_path), "--json", str(file)]
    assert verbs.call("evaluate", words) == 0
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    written = json.loads(file.read_text())
    rows = written.pop("recordings")
    assert printed == written
    assert printed["format"] == "edgehar-stream"
    assert [row["clip"] for row in rows] == ["s01_01", "s01_02"]
    assert sum(row["windows"] for row in rows) == printed["agreement"]["windows"]
    assert printed["agreement"]["largest_probability_difference"] < 1e-5
    assert str(tmp_path) not in printed["command"]
