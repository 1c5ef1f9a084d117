"""A killed pruning resumes only with the weights and the recordings it was started with."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch
from bodies import checkpoint_of, student
from torch import Tensor

from edgehar.data import recordings
from edgehar.signals.preprocess import Normalisation
from edgehar.simulation.dataset import SimulatorConfig, simulate
from edgehar.student import prune
from edgehar.student.network.model import PRESETS, StudentConfig, StudentNetwork
from edgehar.teacher.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

WORDS = ("--preset", "tiny", "--batch", "4", "--save-every-s", "0.001", "--updates", "60")


def pruned(checkpoint: Path, out: Path, *more: str) -> dict[str, Tensor]:
    assert prune.main([str(checkpoint), "--out", str(out), *WORDS, *more]) == 0
    return load_checkpoint(out, ("pruned",)).weights


def kill_in_recovery(checkpoint: Path, out: Path, *more: str) -> None:
    command = [sys.executable, "-m", "edgehar", "prune", str(checkpoint), "--out", str(out), *WORDS, *more]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (out.parent / f".{out.name}.progress").is_file():
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not out.exists()


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_changed_weights_restart_the_recovery(tmp_path: Path):
    checkpoint = checkpoint_of(student("tiny"))
    save_checkpoint(tmp_path / "student", checkpoint)
    kill_in_recovery(tmp_path / "student", tmp_path / "out", "--source", "noise")
    # The classifier's bias does not influence which units are removed.
    bias = checkpoint.weights["head.classifier.bias"].flip(0)
    save_checkpoint(
        tmp_path / "student", replace(checkpoint, weights=checkpoint.weights | {"head.classifier.bias": bias})
    )
    resumed = pruned(tmp_path / "student", tmp_path / "out", "--source", "noise")
    assert same(resumed, pruned(tmp_path / "student", tmp_path / "fresh", "--source", "noise"))


def test_changed_recordings_restart_the_recovery(tmp_path: Path):
    simulator = SimulatorConfig(subjects=3, trials=2, activities=("walk", "wave", "squat"))
    dataset = simulate(simulator)
    recordings.write(dataset, tmp_path / "data")
    info = dataset.info
    torch.manual_seed(0)
    network = StudentNetwork(StudentConfig(**PRESETS["tiny"]), info.modalities, info.window.steps, len(info.labels))
    data = {
        "data": str(tmp_path / "data"), "root": None, "modalities": [spec.name for spec in info.modalities],
        "without": [], "split": "list:s1,s2:s3",
    }  # fmt: skip
    checkpoint = Checkpoint(
        "student", asdict(network.config), info, Normalisation.identity(info.modalities), data, [], {"options": {}},
        network.state_dict(),
    )  # fmt: skip
    save_checkpoint(tmp_path / "student", checkpoint)
    kill_in_recovery(tmp_path / "student", tmp_path / "out", "--source", "recordings")
    shutil.rmtree(tmp_path / "data")
    recordings.write(simulate(replace(simulator, seed=7)), tmp_path / "data")
    resumed = pruned(tmp_path / "student", tmp_path / "out", "--source", "recordings")
    assert same(resumed, pruned(tmp_path / "student", tmp_path / "fresh", "--source", "recordings"))
