"""The whole way on a small simulated data set in edgehar's own format, killed in the middle and resumed."""

import json
import os
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

SHORT = ["--preset", "tiny", "--update-share", "0.2", "--split", "list:s1,s3:s2"]


@pytest.fixture(scope="module")
def own_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own") / "data"
    config = SimulatorConfig(subjects=3, trials=3, activities=("walk", "wave", "squat", "clap"))
    recordings.write(simulate(config), folder)
    return folder


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "edgehar", *arguments]


def pipeline(data: Path, out: Path) -> list[str]:
    return command("pipeline", "--data", str(data), "--out", str(out), *SHORT)


def edgehar(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def undisturbed(own_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that went as far as pruning without a break."""
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    done = subprocess.run([*pipeline(own_data, out), "--until", "prune"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "stopped after prune" in done.stdout
    return out


def results(run: Path) -> dict[str, Any]:
    return json.loads((run / "results.json").read_text())


def test_a_run_leaves_results_a_page_and_two_packages(newcomer: Path):
    run = newcomer / "runs/quickstart"
    found = results(run)
    assert list(found["evaluation"]) == ["teacher", "student", "student-int8", "pruned", "pruned-int8"]
    for score in found["evaluation"].values():
        assert score["total"] == 4 * 14 * 4
        assert score["correct"] == sum(row[number] for number, row in enumerate(score["confusion"]))
    by_name = {stage["name"]: stage for stage in found["stages"]}
    assert by_name["export-pruned"]["macs"] <= 0.7 * by_name["export"]["macs"]
    assert by_name["pretrain"]["history"][-1]["loss"] < by_name["pretrain"]["history"][0]["loss"]
    for precision, stage in (("fp32", "export"), ("int8", "quantize")):
        graphs = [run / "package" / f"{part}.{precision}.onnx" for part in ("encoder", "head")]
        assert by_name[stage]["bytes"] == sum(path.stat().st_size for path in graphs)
    page = (run / "report.html").read_text()
    assert "draw_circle" in page
    assert "<img" in page
    assert {path.name for path in (run / "package").glob("*.onnx")} == {
        f"{part}.{precision}.onnx" for part in ("encoder", "head") for precision in ("fp32", "int8")
    }


def test_the_packages_count_is_the_one_in_results(newcomer: Path):
    run = newcomer / "runs/quickstart"
    done = edgehar("evaluate", str(run / "package"), "--precision", "int8")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    score = results(run)["evaluation"]["student-int8"]
    assert {key: said[key] for key in score} == score


def test_nothing_is_done_twice_and_a_harmed_product_is_made_again(own_data: Path, undisturbed: Path):
    again = [*pipeline(own_data, undisturbed), "--until", "prune"]
    before = {path: path.stat().st_mtime_ns for path in undisturbed.rglob("weights.safetensors")}
    done = subprocess.run(again, capture_output=True, text=True, check=True)
    assert done.stdout.count("(done before)") == 4
    assert before == {path: path.stat().st_mtime_ns for path in undisturbed.rglob("weights.safetensors")}
    weights = undisturbed / "pruned" / "weights.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-8])
    done = subprocess.run(again, capture_output=True, text=True, check=True)
    assert done.stdout.count("(done before)") == 3
    assert weights.read_bytes() == good


def test_a_run_killed_in_two_stages_ends_as_an_undisturbed_one(own_data: Path, undisturbed: Path, tmp_path: Path):
    out = tmp_path / "killed"
    command = [*pipeline(own_data, out), "--until", "prune"]
    for stage in ("teacher", "student"):
        with (tmp_path / "log").open("w") as log:
            victim = subprocess.Popen(command, stdout=log, stderr=log)
        while not (out / f".{stage}.lock").exists():
            assert victim.poll() is None
            time.sleep(0.01)
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        assert not (out / stage).exists()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("(done before)") == 2
    for name in ("teacher", "student", "pruned"):
        one, other = (load_file(run / name / "weights.safetensors") for run in (out, undisturbed))
        assert one.keys() == other.keys()
        assert all((one[key] == other[key]).all() for key in one)


def test_two_runs_into_one_folder_are_refused(own_data: Path, tmp_path: Path):
    out = tmp_path / "shared"
    first = subprocess.Popen(pipeline(own_data, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not (tmp_path / ".shared.lock").exists():
            assert first.poll() is None
            time.sleep(0.01)
        while not (out / "config.json").exists():
            time.sleep(0.01)
        second = subprocess.run(pipeline(own_data, out), capture_output=True, text=True, check=False)
    finally:
        first.kill()
        first.wait()
    assert second.returncode == 2
    assert "another run is writing here" in second.stderr
    assert len(second.stderr.strip().splitlines()) == 1


def test_own_recordings_of_one_sensor_go_all_the_way(own_data: Path, tmp_path: Path):
    out = tmp_path / "wrist"
    only = ["--modalities", "wrist", "--update-share", "0.05"]
    done = subprocess.run([*pipeline(own_data, out), *only], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert results(out)["dataset"]["modalities"] == ["wrist"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "nowhere"], "neither a known data set nor a folder"),
        (["--data", "utd-mhad", "--root", "nowhere"], "nowhere"),
        (["--split", "list:s1,s2:s2,s3"], "s2 is in training and test"),
        (["--modalities", "radar"], "radar"),
        (["--preset", "huge"], "huge"),
        (["--until", "tomorrow"], "tomorrow"),
        (["--bench-runs", "20"], "expected 500 or more"),
        (["--update-share", "0"], "--update-share 0.0: expected a number above 0"),
        (["--seed", "-1"], "--seed -1: expected 0 or more"),
        (["--macs", "2"], "--macs 2.0"),
    ],
)
def test_bad_options_are_one_line_and_nothing_is_left(arguments: list[str], said: str, own_data: Path, tmp_path: Path):
    done = subprocess.run(
        [*pipeline(own_data, tmp_path / "run"), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "pretrained").exists()


@pytest.mark.skipif(os.geteuid() != 0 or not Path("/dev/shm").is_dir(), reason="needs root to mount a small disk")
def test_a_full_disk_is_one_line_and_leaves_no_half_checkpoint(own_data: Path, tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], check=False)
    if mounted.returncode != 0:
        pytest.skip("cannot mount a small disk here")
    try:
        done = subprocess.run(pipeline(own_data, disk / "run"), capture_output=True, text=True, check=False)
        left = [path.name for path in (disk / "run").iterdir()]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert done.returncode == 2
    assert "No space left" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert "pretrained" not in left


def test_the_preset_asked_for_is_the_one_that_runs(undisturbed: Path):
    assert json.loads((undisturbed / "config.json").read_text())["preset"] == "tiny"
    facts = json.loads((undisturbed / "teacher" / "checkpoint.json").read_text())
    assert facts["network"]["dim"] == 48


@pytest.mark.parametrize("verb", ["pretrain", "pipeline"])
def test_what_is_no_result_is_never_replaced(verb: str, own_data: Path):
    before = {path: path.read_bytes() for path in own_data.rglob("*") if path.is_file()}
    done = edgehar(verb, "--data", str(own_data), "--preset", "tiny", "--out", str(own_data))
    assert done.returncode == 2
    assert "choose another" in done.stderr
    assert before == {path: path.read_bytes() for path in own_data.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["manifest.json", "parity.npz", "encoder.int8.onnx"])
def test_a_damaged_package_is_made_again(name: str, newcomer: Path):
    from edgehar.experiments.pipeline import is_done
    from edgehar.experiments.stage import plan

    run = Path("runs/quickstart")
    stages = {stage.name: stage for stage in plan(run, (), 0, 0.7, 500, ())}
    quantize = stages["quantize"]
    assert run / "package" / name in quantize.products
    assert quantize.amends == "export"
    record = newcomer / "runs/quickstart/stages/quantize.json"
    key = json.loads(record.read_text())["key"]
    here = Path.cwd()
    os.chdir(newcomer)
    harmed = newcomer / "runs/quickstart/package" / name
    good = harmed.read_bytes()
    try:
        assert is_done(record, key)
        harmed.write_bytes(good + b"x")
        assert not is_done(record, key)
    finally:
        harmed.write_bytes(good)
        os.chdir(here)
