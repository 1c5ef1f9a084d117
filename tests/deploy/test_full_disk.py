"""Results are printed before a full disk is reported; nothing incomplete is left behind."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import edgehar
from edgehar.data import recordings
from tests.deploy.evaluation.test_evaluate import labelled_dataset
from tests.deploy.packaging.test_calibrate import save
from tests.deploy.running import ROOT
from tests.deploy.tiny_package import INERTIAL, PROVENANCE, write_tiny_package

LIMITED = """
import contextlib, io, json, resource, sys
from edgehar.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))  # of a file; pipes have no limit
results = []
for command in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = main(command)
    results.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(results))
"""


def on_a_full_disk(*commands: list[str]) -> list[tuple[int, str, str]]:
    """Exit code, output and errors of commands in a process that cannot write more than 64 bytes to a file."""
    command = [sys.executable, "-c", LIMITED, json.dumps(commands)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return [(code, out, err) for code, out, err in json.loads(done.stdout)]


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"}


def test_results_are_printed_before_they_are_stored(tmp_path: Path, clip_package: Path) -> None:
    package, data, result = tmp_path / "package", tmp_path / "data", str(tmp_path / "result.json")
    write_tiny_package(package, specs=(INERTIAL,), steps=2, provenance=PROVENANCE)
    recordings.write(labelled_dataset(edgehar.load(clip_package), wrong=1), data)
    logits = save(tmp_path / "logits.npz", modalities=["inertial"])
    before = content(tmp_path)
    bench = ["bench", str(package), "--sustain-s", "0.01", "--cold-starts", "1", "--json", result]
    scored = ["evaluate", str(clip_package), "--data", str(data), "--split", "all", "--json", result]
    tuning = ["bench", str(package), "--tune", "--runs", "100", "--providers", "CPUExecutionProvider"]
    calibration = ["calibrate", str(package), "--out-of-fold", str(logits)]
    paths = [result, result, str(package.with_name("package.tuned.json")), str(package)]
    found = on_a_full_disk(bench, scored, tuning, calibration)
    for (code, out, err), path in zip(found, paths, strict=True):
        assert (code, err.count("\n")) == (2, 1)
        assert err.startswith(f"edgehar: {path}: File too large")
        assert isinstance(json.loads(out.splitlines()[-1]), dict)
    assert content(tmp_path) == before


def test_files_that_are_no_results(tmp_path: Path, sliding_package: Path) -> None:
    pytest.importorskip("cryptography", reason="signatures need the sign extra")
    clip = tmp_path / "inertial.csv"
    clip.write_text("ax,ay,az,gx,gy,gz\n" + "1,2,3,4,5,6\n" * 200)
    lines = tmp_path / "lines.jsonl"
    keygen, run = on_a_full_disk(
        ["package", "keygen", "--out", str(tmp_path / "maker")],
        ["run", str(sliding_package), "--input", f"inertial={clip}", "--to", f"{lines},stdout"],
    )
    assert (keygen[0], run[0]) == (2, 2)
    assert keygen[2].startswith(f"edgehar: {tmp_path / 'maker.private.pem'}: ")
    assert not list(tmp_path.glob("maker*"))
    assert run[1].count("\n") > 5
    assert run[2].splitlines()[-1].startswith(f"edgehar: {lines}: ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full, the device that is always full")
@pytest.mark.parametrize("target", ["/dev/full", None])
def test_standard_output_that_takes_nothing(clip_package: Path, target: Any) -> None:
    command = f'"{sys.executable}" -m edgehar.cli verify "{clip_package}" {">" + target if target else ">&-"}'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == (2 if target else 0)
    expected = ["edgehar: standard output: No space left on device; free disk space or choose another folder"]
    assert done.stderr.splitlines() == (expected if target else [])
