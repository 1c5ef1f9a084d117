"""`edgehar run` turns a recording or a live stream into JSON lines, and says which line is wrong."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import deploy
from deploy import run
from deploy.recognizer import Recognizer
from edgehar.errors import ConfigError, DataError
from tests.deploy.test_stream import Recording, sample_by_sample, steady

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def recognizer(sliding_package: Path) -> Recognizer:
    return deploy.load(sliding_package)


def lines_of(recording: Recording) -> list[str]:
    return [
        json.dumps({"modality": name, "time_s": list(times) if place % 2 else times[0], "samples": samples.tolist()})
        for place, (name, samples, times) in enumerate(sample_by_sample(recording))
    ]


def run_stream(package: Path, text: str | bytes, *options: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "edgehar.cli", "run", str(package), "--stdin", *options]
    data = text if isinstance(text, bytes) else text.encode()
    return subprocess.run(command, input=data, capture_output=True, check=False, cwd=ROOT)


def probabilities(lines: list[str]) -> list[list[float]]:
    return [list(json.loads(line)["probabilities"].values()) for line in lines]


def test_a_live_stream_says_what_the_recording_says(sliding_package: Path, recognizer: Recognizer) -> None:
    recording = steady(2.0)
    answer = run_stream(sliding_package, "\n".join([*lines_of(recording), "", ""]))
    assert (answer.returncode, answer.stderr) == (0, b"")
    found = answer.stdout.decode().splitlines()
    expected = recognizer.predict_windows(recording.signals, recording.times_s)
    np.testing.assert_allclose(probabilities(found), [one.probabilities for one in expected], atol=1e-5)
    first = json.loads(found[0])
    assert set(first) == {"start_s", "end_s", "label", "score", "probabilities"}
    assert tuple(first["probabilities"]) == recognizer.manifest.labels
    assert first["label"] == expected[0].label


BAD_LINES = [
    b"not json",
    b"[1, 2]",
    b"{}",
    b'{"modality": "inertial", "time_s": 9.0}',
    b'{"modality": "inertial", "time_s": 9.0, "samples": [[0,0,0,0,0,0]], "note": 1}',
    b'{"modality": 7, "time_s": 9.0, "samples": [[0,0,0,0,0,0]]}',
    b'{"modality": "radar", "time_s": 9.0, "samples": [[0,0,0,0,0,0]]}',
    b'{"modality": "inertial", "time_s": 9.0, "samples": [[0,0,0]]}',
    b'{"modality": "inertial", "time_s": 9.0, "samples": []}',
    b'{"modality": "inertial", "time_s": 9.0, "samples": {"a": 1}}',
    b'{"modality": "inertial", "time_s": "noon", "samples": [[0,0,0,0,0,0]]}',
    b'{"modality": "inertial", "time_s": null, "samples": [[0,0,0,0,0,0]]}',
    b'{"modality": "inertial", "time_s": [9.0, 9.1], "samples": [[0,0,0,0,0,0]]}',
    b'{"modality": "inertial", "time_s": -9.0, "samples": [[0,0,0,0,0,0]]}',
    b"\xff\xfe{}",
    b"[" * 100_000,
    b'{"modality": "inertial", "time_s": 1' + b"0" * 5000 + b', "samples": [[0,0,0,0,0,0]]}',
]


@pytest.mark.parametrize("bad", BAD_LINES, ids=lambda line: line[:60].decode("latin-1"))
def test_a_bad_line_is_named_or_skipped(recognizer: Recognizer, bad: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    recording = steady(1.5)
    good = [line.encode() for line in lines_of(recording)]
    lines = [*good[:40], bad, *good[40:]]
    with pytest.raises(DataError, match="line 41: "):
        list(run.stream_predictions(deploy.StreamRecognizer(recognizer), lines, skip_bad=False))
    found = list(run.stream_predictions(deploy.StreamRecognizer(recognizer), lines, skip_bad=True))
    said = capsys.readouterr().err
    assert said.startswith("edgehar: line 41: ")
    assert said.count("\n") == 1
    expected = recognizer.predict_windows(recording.signals, recording.times_s)
    np.testing.assert_allclose([one.probabilities for one in found], [one.probabilities for one in expected], atol=1e-5)


def test_the_command_ends_at_a_bad_line_after_what_it_knew(sliding_package: Path) -> None:
    answer = run_stream(sliding_package, "\n".join([*lines_of(steady(1.0)), "oops"]))
    assert answer.returncode == 2
    assert answer.stdout.count(b"\n") > 0
    assert answer.stderr.count(b"\n") == 1
    assert b"line 83: not JSON" in answer.stderr


def test_nan_and_null_are_lost_samples(recognizer: Recognizer) -> None:
    recording = steady(1.5)
    inertial = recording.signals["inertial"].copy()
    inertial[10] = np.nan
    lost = Recording(recording.signals | {"inertial": inertial}, recording.times_s)
    nan_lines = [line.encode() for line in lines_of(lost)]
    null_lines = [line.replace(b"NaN", b"null") for line in nan_lines]
    assert nan_lines != null_lines
    expected = recognizer.predict_windows(lost.signals, lost.times_s)
    for lines in (nan_lines, null_lines):
        found = list(run.stream_predictions(deploy.StreamRecognizer(recognizer), lines, skip_bad=False))
        np.testing.assert_allclose(
            [one.probabilities for one in found], [one.probabilities for one in expected], atol=1e-5
        )


def write_csv(path: Path, values: Any, times: Any = None) -> None:
    columns = [f"c{channel}" for channel in range(values.shape[1])]
    table = values if times is None else np.column_stack([times, values])
    header = ",".join(columns if times is None else ["time_s", *columns])
    np.savetxt(path, table, delimiter=",", header=header, comments="", fmt="%.9g")


def test_a_recording_in_files(
    sliding_package: Path, recognizer: Recognizer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = steady(2.0)
    write_csv(tmp_path / "i.csv", recording.signals["inertial"], recording.times_s["inertial"])
    np.save(tmp_path / "s.npy", recording.signals["skeleton"].reshape(-1, 20, 3))
    np.save(tmp_path / "s.times.npy", recording.times_s["skeleton"])
    inputs = f"inertial={tmp_path / 'i.csv'},skeleton={tmp_path / 's.npy'}"
    assert run.main([str(sliding_package), "--input", inputs]) == 0
    expected = recognizer.predict_windows(recording.signals, recording.times_s)
    found = probabilities(capsys.readouterr().out.splitlines())
    np.testing.assert_allclose(found, [one.probabilities for one in expected], atol=1e-4)


def test_a_clip_is_stretched_whatever_its_times(clip_package: Path, tmp_path: Path, capsys: Any) -> None:
    recording = steady(2.0)
    write_csv(tmp_path / "timed.csv", recording.signals["inertial"], recording.times_s["inertial"])
    write_csv(tmp_path / "plain.csv", recording.signals["inertial"])
    said: list[str] = []
    for name in ("timed.csv", "plain.csv"):
        assert run.main([str(clip_package), "--input", f"inertial={tmp_path / name}"]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert said[0].count("\n") == 1


def test_unusable_sources_are_refused(sliding_package: Path, tmp_path: Path) -> None:
    package = str(sliding_package)
    (tmp_path / "bad.csv").write_text("a,b,c,d,e,f\n1,2,3,4,5,x\n")
    (tmp_path / "note.txt").write_text("hello")
    refused: list[tuple[list[str], type[Exception], str]] = [
        ([], ConfigError, "expected one source"),
        (["--stdin", "--input", "inertial=a.csv"], ConfigError, "expected one source"),
        (["--data", "utd-mhad"], ConfigError, "belong together"),
        (["--input", "inertial"], ConfigError, "MODALITY=FILE"),
        (["--input", "radar=a.csv"], DataError, "radar"),
        (["--input", f"inertial={tmp_path / 'note.txt'}"], DataError, "convert it"),
        (["--input", f"inertial={tmp_path / 'missing.csv'}"], DataError, "missing.csv"),
        (["--input", f"inertial={tmp_path / 'bad.csv'}"], DataError, r"bad.csv:2: column 6 is 'x'"),
        (["--data", str(tmp_path), "--clip", "x"], DataError, "see docs/own-data.md"),
    ]
    for options, kind, message in refused:
        with pytest.raises(kind, match=message):
            run.main([package, *options])
