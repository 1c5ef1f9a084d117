"""The pipeline on a small simulated data set in edgehar's own format: results, resuming, refusals."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from edgehar.data import recordings
from edgehar.simulation.dataset import SimulatorConfig, simulate
from tests.edgehar.experiments.in_process import Finished, edgehar

SHORT = ["--preset", "tiny", "--update-share", "0.1", "--split", "list:s1,s3:s2"]


@pytest.fixture(scope="module")
def own_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own") / "data"
    config = SimulatorConfig(subjects=3, trials=2, activities=("walk", "wave", "squat", "clap"))
    recordings.write(simulate(config), folder)
    return folder


def words_of(data: Path, out: Path) -> list[str]:
    return ["pipeline", "--data", str(data), "--out", str(out), *SHORT]


def pipeline(data: Path, out: Path, *more: str) -> Finished:
    return edgehar(*words_of(data, out), *more)


def process_of(data: Path, out: Path, *more: str) -> list[str]:
    """The command line of a run in another process."""
    return [sys.executable, "-m", "edgehar", *words_of(data, out), *more]


@pytest.fixture(scope="module")
def uninterrupted(own_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run up to pruning without an interruption."""
    out = tmp_path_factory.mktemp("runs") / "uninterrupted"
    done = pipeline(own_data, out, "--until", "prune")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "stopped after prune" in done.stdout
    return out


def errors(stderr: str) -> list[str]:
    """The lines of an error; the recordings have one warning: s1 is left-handed, alone among three people."""
    return [line for line in stderr.splitlines() if ": warning: " not in line]


def results(run: Path) -> dict[str, Any]:
    return json.loads((run / "results.json").read_text())


def test_finished_stages_are_skipped_and_a_damaged_product_is_written_again(own_data: Path, uninterrupted: Path):
    before = {path: path.stat().st_mtime_ns for path in uninterrupted.rglob("weights.safetensors")}
    done = pipeline(own_data, uninterrupted, "--until", "prune")
    assert done.stdout.count("(done before)") == 4
    assert before == {path: path.stat().st_mtime_ns for path in uninterrupted.rglob("weights.safetensors")}
    weights = uninterrupted / "pruned" / "weights.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-8])
    done = pipeline(own_data, uninterrupted, "--until", "prune")
    assert done.stdout.count("(done before)") == 3
    assert weights.read_bytes() == good


def test_run_killed_in_two_stages_resumes_to_identical_weights(own_data: Path, uninterrupted: Path, tmp_path: Path):
    out = tmp_path / "killed"
    command = process_of(own_data, out, "--until", "prune")
    for stage in ("teacher", "student"):
        with (tmp_path / "log").open("w") as log:
            victim = subprocess.Popen(command, stdout=log, stderr=log)
        while not (out / f".{stage}.lock").exists():
            assert victim.poll() is None
            time.sleep(0.01)
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        assert not (out / stage).exists()
    done = pipeline(own_data, out, "--until", "prune")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("(done before)") == 2
    for name in ("teacher", "student", "pruned"):
        one, other = (load_file(run / name / "weights.safetensors") for run in (out, uninterrupted))
        assert one.keys() == other.keys()
        assert all((one[key] == other[key]).all() for key in one)


def test_second_run_into_the_same_folder_is_refused(own_data: Path, tmp_path: Path):
    out = tmp_path / "shared"
    first = subprocess.Popen(process_of(own_data, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not (tmp_path / ".shared.lock").exists():
            assert first.poll() is None
            time.sleep(0.01)
        while not (out / "config.json").exists():
            time.sleep(0.01)
        second = pipeline(own_data, out)
    finally:
        first.kill()
        first.wait()
    assert second.returncode == 2
    assert str(out) in second.stderr
    assert len(errors(second.stderr)) == 1


def test_own_recordings_of_one_sensor_pass_every_stage(own_data: Path, tmp_path: Path):
    out = tmp_path / "wrist"
    only = ["--modalities", "wrist", "--update-share", "0.05"]
    done = pipeline(own_data, out, *only)
    assert done.returncode == 0, done.stderr[-3000:]
    assert results(out)["dataset"]["modalities"] == ["wrist"]
    (left_handed,) = results(out)["dataset"]["people"]
    assert left_handed.startswith("wrist, channels 1 to 3: axes of person 's1' move against each other")
    chosen = {choice["name"]: choice for choice in results(out)["choices"]}
    assert {name: choice["value"] for name, choice in chosen.items()} == {
        "window": "16 steps of 0.172 s",
        "pretraining": "off",
        "style exchange": "on",
        "augmentation": "default",
    }
    assert "pretraining: off. 100 % of the training clips have a label" in done.stdout
    page = (out / "report.html").read_text()
    assert chosen["pretraining"]["reason"] in page
    assert page.count('alt="wrist, ') == 2  # acceleration and angular rate
    baseline, ours = (results(out)["evaluation"][name] for name in ("minirocket", "student-int8"))
    assert baseline["total"] == ours["total"]
    assert f"MiniRocket    {baseline['correct']:>5}/{baseline['total']}" in done.stdout
    assert f"{baseline['correct']} of {baseline['total']} windows against {ours['correct']} of" in page
    assert "Training has 2 people, fewer than 10" in page


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--data", "nowhere"], "nowhere"),
        (["--data", "utd-mhad", "--root", "nowhere"], "nowhere"),
        (["--split", "list:s1,s2:s2,s3"], "s2"),
        (["--modalities", "radar"], "radar"),
        (["--preset", "huge"], "huge"),
        (["--until", "tomorrow"], "tomorrow"),
        (["--bench-runs", "20"], "--bench-runs 20"),
        (["--update-share", "0"], "--update-share 0.0"),
        (["--seed", "-1"], "--seed -1"),
        (["--macs", "2"], "--macs 2.0"),
    ],
)
def test_impossible_options_give_one_line_and_no_checkpoint(
    arguments: list[str], named: str, own_data: Path, tmp_path: Path
):
    done = pipeline(own_data, tmp_path / "run", *arguments)
    assert done.returncode == 2
    assert named in done.stderr
    assert len(errors(done.stderr)) == 1
    assert not (tmp_path / "run" / "teacher").exists()


def test_without_the_extra_of_the_baseline_the_run_goes_on(own_data: Path, tmp_path: Path):
    (tmp_path / "aeon.py").write_text("raise ModuleNotFoundError('No module named aeon', name='aeon')")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    run = process_of(own_data, tmp_path / "run", "--until", "baseline-minirocket")
    done = subprocess.run(run, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = [line for line in done.stdout.splitlines() if "skipped" in line]
    assert line.startswith("stage baseline-minirocket skipped: this command needs aeon")
    assert line.endswith("pip install 'edgehar[baselines]'")
    assert errors(done.stderr) == []


@pytest.mark.skipif(os.geteuid() != 0 or not Path("/dev/shm").is_dir(), reason="needs root to mount a small disk")
def test_full_disk_gives_one_line_and_no_partial_checkpoint(own_data: Path, tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], check=False)
    if mounted.returncode != 0:
        pytest.skip("cannot mount a small disk here")
    try:
        done = pipeline(own_data, disk / "run")
        left = [path.name for path in (disk / "run").iterdir()]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert done.returncode == 2
    assert "No space left" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert "teacher" not in left


def test_requested_preset_is_used(uninterrupted: Path):
    assert json.loads((uninterrupted / "config.json").read_text())["preset"] == "tiny"
    facts = json.loads((uninterrupted / "teacher" / "checkpoint.json").read_text())
    assert facts["network"]["dim"] == 48


@pytest.mark.parametrize("verb", ["pretrain", "pipeline"])
def test_folder_that_is_no_run_is_never_overwritten(verb: str, own_data: Path):
    before = {path: path.read_bytes() for path in own_data.rglob("*") if path.is_file()}
    done = edgehar(verb, "--data", str(own_data), "--preset", "tiny", "--out", str(own_data))
    assert done.returncode == 2
    assert "--out" in done.stderr
    assert before == {path: path.read_bytes() for path in own_data.rglob("*") if path.is_file()}


def test_run_of_other_recordings_is_not_replaced(own_data: Path, uninterrupted: Path, tmp_path: Path):
    weights = (uninterrupted / "student" / "weights.safetensors").read_bytes()
    other = shutil.copytree(own_data, tmp_path / "other")
    done = pipeline(other, uninterrupted, "--until", "finetune")
    assert done.returncode == 2
    assert f"holds a run of {own_data.resolve()}; expected one of {other.resolve()}" in " ".join(done.stderr.split())
    assert (uninterrupted / "student" / "weights.safetensors").read_bytes() == weights
