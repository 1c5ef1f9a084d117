"""`edgehar run` on recordings and live streams."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgehar
from edgehar.deploy.live import run
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.stream.segments import Segmenter
from edgehar.errors import ConfigError, DataError
from edgehar.signals.modality import ModalitySpec
from tests.deploy.running import LONG_S, ROOT, lines_of, probabilities, run_stream, running
from tests.deploy.streams import Recording, sample_by_sample, steady
from tests.deploy.tiny_package import INERTIAL, LABELS, SKELETON, write_tiny_package


def test_stream_equals_recording(sliding_package: Path, recognizer: Recognizer) -> None:
    recording = steady(2.0)
    code, found, log = run_stream(sliding_package, [*lines_of(recording), b"\n", b"\n"])
    assert code == 0
    assert log == ["edgehar: skeleton: 61 samples, all used", "edgehar: inertial: 101 samples, all used"]
    expected = recognizer.predict_windows(recording.signals, recording.times_s)
    np.testing.assert_allclose(probabilities(found), [one.probabilities for one in expected], atol=1e-5)
    first = json.loads(found[0])
    assert set(first) == {"start_s", "end_s", "label", "score", "probabilities"}
    assert tuple(first["probabilities"]) == recognizer.manifest.labels
    assert first["label"] == expected[0].label


def test_invalid_line_ends_the_run(sliding_package: Path) -> None:
    code, output, log = run_stream(sliding_package, [*lines_of(steady(1.0)), b"oops"])
    assert code == 2
    assert len(output) > 0
    assert len(log) == 1
    assert "line 83: not JSON" in log[0]


def test_activities_instead_of_predictions(sliding_package: Path, recognizer: Recognizer) -> None:
    recording = steady(4.0)
    result = run_stream(sliding_package, lines_of(recording), "--activities", "0.2")
    assert result.code == 0
    found = [json.loads(line) for line in result.output]
    segmenter = Segmenter(0.2)
    stream = edgehar.StreamRecognizer(recognizer)
    predictions = [one for push in sample_by_sample(recording) for one in stream.push(*push)] + stream.flush()
    expected = segmenter.push(predictions) + segmenter.flush()
    assert expected
    assert [(one["activity"], one["start_s"], one["end_s"]) for one in found] == [
        (one.label, pytest.approx(one.start_s, abs=1e-5), pytest.approx(one.end_s, abs=1e-5)) for one in expected
    ]


def write_csv(path: Path, values: Any, times: Any = None) -> None:
    columns = [f"c{channel}" for channel in range(values.shape[1])]
    table = values if times is None else np.column_stack([times, values])
    header = ",".join(columns if times is None else ["time_s", *columns])
    np.savetxt(path, table, delimiter=",", header=header, comments="", fmt="%.9g")


def test_recording_in_files(
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


def test_predictions_do_not_overwrite_what_is_read(sliding_package: Path, tmp_path: Path) -> None:
    recording = steady(2.0)
    file = tmp_path / "i.csv"
    write_csv(file, recording.signals["inertial"], recording.times_s["inertial"])
    before = file.read_bytes(), (sliding_package / "manifest.json").read_bytes()
    for target, message in ((file, "is, or lies within"), (sliding_package / "manifest.json", "inside the package")):
        with pytest.raises(ConfigError, match=message):
            run.main([str(sliding_package), "--input", f"inertial={file}", "--to", str(target)])
    assert before == (file.read_bytes(), (sliding_package / "manifest.json").read_bytes())


def test_columns_of_a_file_are_mapped_by_name(tmp_path: Path, capsys: Any) -> None:
    watch = ModalitySpec("watch", 3, "g", 50, 4, columns=("ax", "ay", "az"))
    write_tiny_package(tmp_path / "package", kind="sliding", specs=(watch,))
    recognizer = edgehar.load(tmp_path / "package")
    values = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    expected = [one.probabilities for one in recognizer.predict_windows({"watch": values})]
    for header, order in (
        ("ax,ay,az", [0, 1, 2]),
        ("az,ax,ay", [2, 0, 1]),
        ("AZ,AY,AX", [2, 1, 0]),
        ("a,b,c", [0, 1, 2]),
    ):
        np.savetxt(tmp_path / "w.csv", values[:, order], delimiter=",", header=header, comments="", fmt="%.9g")
        assert run.main([str(tmp_path / "package"), "--input", f"watch={tmp_path / 'w.csv'}"]) == 0
        captured = capsys.readouterr()
        np.testing.assert_allclose(probabilities(captured.out.splitlines()), expected, atol=1e-4)
        assert ("other names" in captured.err) == (header == "a,b,c")
    np.savetxt(tmp_path / "w.csv", values, delimiter=",", header="z,y,x", comments="")
    with pytest.raises(DataError, match="columns z,y,x; expected ax,ay,az"):
        run.main([str(tmp_path / "package"), "--input", f"watch={tmp_path / 'w.csv'}"])


def test_clip_package_uses_timestamps(clip_package: Path, tmp_path: Path, capsys: Any) -> None:
    recording = steady(2.0)
    values, times_s = recording.signals["inertial"], recording.times_s["inertial"]
    kept = np.r_[0 : len(times_s) // 4, len(times_s) // 2 : len(times_s)]
    write_csv(tmp_path / "gap.csv", values[kept], times_s[kept])
    assert run.main([str(clip_package), "--input", f"inertial={tmp_path / 'gap.csv'}"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    expected = edgehar.load(clip_package).predict({"inertial": values[kept]}, {"inertial": times_s[kept]})
    assert (json.loads(line)["start_s"], json.loads(line)["end_s"]) == (times_s[0], round(float(times_s[-1]), 6))
    np.testing.assert_allclose(probabilities([line]), [expected.probabilities], atol=1e-4)


def test_sensor_given_twice_is_rejected(sliding_package: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "i.npy", np.zeros((100, 6)))
    entry = f"inertial={tmp_path / 'i.npy'}"
    with pytest.raises(ConfigError, match=r"--input .*inertial.* twice"):
        run.main([str(sliding_package), "--input", f"{entry},{entry}"])


def test_invalid_sources_are_rejected(sliding_package: Path, tmp_path: Path) -> None:
    package = str(sliding_package)
    (tmp_path / "bad.csv").write_text("a,b,c,d,e,f\n1,2,3,4,5,x\n")
    (tmp_path / "note.txt").write_text("hello")
    rejected: list[tuple[list[str], type[Exception], str]] = [
        ([], ConfigError, "no source"),
        (["--stdin", "--input", "inertial=a.csv"], ConfigError, "--input and --stdin"),
        (["--data", "utd-mhad"], ConfigError, "--clip"),
        (["--replay", "utd-mhad"], ConfigError, "--clip"),
        (["--stdin", "--clip", "x"], ConfigError, "--clip"),
        (["--stdin", "--listen", "127.0.0.1:1"], ConfigError, "--stdin and --listen"),
        (["--stdin", "--root", str(tmp_path)], ConfigError, "--root with --stdin"),
        (["--stdin", "--once"], ConfigError, "--once with --stdin"),
        (["--stdin", "--speed", "2"], ConfigError, "--speed with --stdin"),
        (["--input", "inertial=a.csv", "--live"], ConfigError, "--live with --input"),
        (["--input", "inertial=a.csv", "--skip-bad"], ConfigError, "--skip-bad with --input"),
        (["--input", "inertial=a.csv", "--modalities", "inertial"], ConfigError, "--modalities with --input"),
        (["--data", "lab", "--clip", "x", "--modalities", "inertial"], ConfigError, "--modalities with --data"),
        (["--data", "lab", "--clip", "x", "--smoothing", "0.5"], ConfigError, "--smoothing with --data"),
        (["--data", "lab", "--clip", "x", "--margin", "0.5"], ConfigError, "--margin with --data"),
        (["--data", "lab", "--clip", "x", "--lateness-s", "2"], ConfigError, "--lateness-s with --data"),
        (["--data", "lab", "--clip", "x", "--reorder-s", "0.1"], ConfigError, "--reorder-s with --data"),
        (["--input", "inertial=a.csv", "--threads", "1025"], ConfigError, "--threads 1025"),
        (["--replay", str(tmp_path), "--clip", "x", "--speed", "0"], ConfigError, "--speed 0"),
        (["--replay", str(tmp_path), "--clip", "x", "--speed", "nan"], ConfigError, "--speed nan"),
        (["--replay", str(tmp_path), "--clip", "x"], DataError, str(tmp_path)),
        (["--listen", "7000"], ConfigError, "HOST:PORT"),
        (["--connect", "127.0.0.1:0"], ConfigError, "HOST:PORT"),
        (["--mqtt", "broker/topic"], ConfigError, "mqtt://"),
        (["--input", "inertial"], ConfigError, "MODALITY=FILE"),
        (["--input", "radar=a.csv"], DataError, "radar"),
        (["--input", f"inertial={tmp_path / 'note.txt'}"], DataError, "note.txt"),
        (["--input", f"inertial={tmp_path / 'missing.csv'}"], DataError, "missing.csv"),
        (["--input", f"inertial={tmp_path / 'bad.csv'}"], DataError, r"bad.csv:2: column 6 is 'x'"),
        (["--data", str(tmp_path), "--clip", "x"], DataError, str(tmp_path)),
    ]
    for options, kind, message in rejected:
        with pytest.raises(kind, match=message):
            run.main([package, *options])


def write_recordings(folder: Path, seconds: float = 2.0) -> Recording:
    """A data set with a continuous recording of both sensors, and one without the skeleton."""
    recording = steady(seconds)
    window = {"steps": 6, "step_s": 0.08, "hop": 2}
    header = {"format": "edgehar-recordings", "format_version": 1, "name": "lab", "kind": "continuous"}
    header |= {"window": window, "modalities": [INERTIAL.to_json(), SKELETON.to_json()], "labels": list(LABELS)}
    for name in ("inertial", "skeleton"):
        (folder / name).mkdir()
    (folder / "recordings.json").write_text(json.dumps(header))
    (folder / "index.csv").write_text("recording,subject,trial,label\nboth,s1,1,\nwrist,s2,1,\n")
    for name in ("both", "wrist"):
        values = np.asarray(recording.signals["inertial"], np.float32)
        write_csv(folder / "inertial" / f"{name}.csv", values, recording.times_s["inertial"])
    np.save(folder / "skeleton" / "both.npy", recording.signals["skeleton"].reshape(-1, 20, 3))
    np.save(folder / "skeleton" / "both.times.npy", recording.times_s["skeleton"])
    return recording


@pytest.mark.parametrize("source", [["--data"], ["--speed", "inf", "--replay"]], ids=["data", "replay"])
def test_recordings_of_other_sensors_are_rejected(
    sliding_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], source: list[str]
) -> None:
    write_recordings(tmp_path)
    options = [*source, str(tmp_path)]
    header = json.loads((tmp_path / "recordings.json").read_text())

    def rename(**changes: Any) -> list[str]:
        others = [header["modalities"][0] | changes, *header["modalities"][1:]]
        (tmp_path / "recordings.json").write_text(json.dumps(header | {"modalities": others}))
        return [str(sliding_package), *options, "--clip", "wrist"]

    with pytest.raises(DataError, match="inertial has 6 channels in m/s2 and rad/s"):
        run.main(rename(unit="m/s2 and rad/s"))
    (tmp_path / "inertial").rename(tmp_path / "ankle")
    with pytest.raises(DataError, match="recorded with ankle"):
        run.main(rename(name="ankle"))
    both = [*rename(name="ankle")[:-1], "both"]
    assert run.main(both) == 0
    assert "ankle is not used" in capsys.readouterr().err


INTERRUPTED = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore SIGINT
sys.meta_path.insert(0, Interrupt())
from edgehar.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("edgehar.entry", "interrupted"),
        ("argparse", "interrupted"),
        ("edgehar.verbs", "interrupted"),
        ("numpy.linalg", "interrupted"),
        ("onnxruntime.capi.onnxruntime_pybind11_state", "interrupted"),
        ("cryptography.exceptions", "interrupted after 0 lines"),
    ],
)
def test_interrupt_while_a_package_is_opened_gives_one_line(sliding_package: Path, module: str, message: str) -> None:
    words = ["run", str(sliding_package), "--stdin", "--key", "maker.public.pem"]
    process = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, module, *words], capture_output=True, check=False, cwd=ROOT, input=b""
    )
    assert process.returncode == 130
    assert process.stderr.decode().strip() == f"edgehar: {message}"


def test_replay_equals_recording(
    sliding_package: Path, recognizer: Recognizer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = write_recordings(tmp_path)
    wrist = {"inertial": recording.signals["inertial"]}, {"inertial": recording.times_s["inertial"]}
    expected = {
        "both": recognizer.predict_windows(recording.signals, recording.times_s),
        "wrist": recognizer.predict_windows(*wrist),
    }
    for clip, windows in expected.items():
        for speed in ("inf", "20"):
            options = ["--replay", str(tmp_path), "--clip", clip, "--speed", speed]
            assert run.main([str(sliding_package), *options]) == 0
            found = capsys.readouterr()
            assert found.err.count("samples, all used") == found.err.count("\n") == (2 if clip == "both" else 1)
            np.testing.assert_allclose(
                probabilities(found.out.splitlines()), [one.probabilities for one in windows], atol=1e-5
            )
    only = ["--replay", str(tmp_path), "--clip", "both", "--speed", "inf", "--modalities", "inertial"]
    assert run.main([str(sliding_package), *only]) == 0
    found = probabilities(capsys.readouterr().out.splitlines())
    np.testing.assert_allclose(found, [one.probabilities for one in expected["wrist"]], atol=1e-5)
    with pytest.raises(DataError, match="wrist: recorded with inertial"):
        run.main([str(sliding_package), "--replay", str(tmp_path), "--clip", "wrist", "--modalities", "skeleton"])


def test_signal_ends_a_replay(sliding_package: Path, tmp_path: Path) -> None:
    write_recordings(tmp_path, seconds=6.0)
    options = ("--replay", str(tmp_path), "--clip", "both", "--speed", "2")
    with running(sliding_package, *options) as program:
        program.output.count(1)
        program.end()
        assert program.code() == 0
        assert len(program.output.all()) < 30  # of 35
        assert all(line.endswith(b" samples, all used\n") for line in program.log.all())


def test_closed_output_ends_the_run(sliding_package: Path, tmp_path: Path) -> None:
    write_recordings(tmp_path)
    options = ("--replay", str(tmp_path), "--clip", "both", "--speed", "20")
    command = [sys.executable, "-m", "edgehar", "run", str(sliding_package), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(LONG_S) == 0
        assert process.stderr.read() == b""
