"""A pruning that was killed goes on only with the weights and the recordings that it began with."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from bodies import CLASSES, SPECS, STEPS, student
from torch import Tensor

from edgehar.data import recordings
from edgehar.signals.clip import DatasetInfo
from edgehar.signals.modality import WindowSpec
from edgehar.signals.preprocess import Normalisation
from edgehar.simulation.dataset import SimulatorConfig, simulate
from edgehar.student.network.model import PRESETS, StudentNetwork, StudentConfig
from edgehar.teacher.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

INFO = DatasetInfo("test", SPECS, tuple("abcde")[:CLASSES], WindowSpec("clip", STEPS, 0.1))
SOON = ("--preset", "tiny", "--batch", "4", "--save-every-s", "0.001")


def command(checkpoint: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "edgehar.cli", "prune", str(checkpoint), "--out", str(out), *SOON, *more]


def pruned(checkpoint: Path, out: Path, *more: str) -> dict[str, Tensor]:
    done = subprocess.run(command(checkpoint, out, *more), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return load_checkpoint(out, ("pruned",)).weights


def kill_in_recovery(checkpoint: Path, out: Path, *more: str) -> None:
    victim = subprocess.Popen(command(checkpoint, out, *more), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (out.parent / f".{out.name}.progress").is_file():
        assert victim.poll() is None
        time.sleep(0.01)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    assert not out.exists()


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_other_weights_in_the_same_folder_are_pruned_afresh(tmp_path: Path):
    weights = student("tiny").state_dict()
    given = Checkpoint(
        "student", PRESETS["tiny"], INFO, Normalisation.identity(SPECS), {}, [], {"options": {}}, weights
    )  # fmt: skip
    save_checkpoint(tmp_path / "student", given)
    more = ("--source", "noise", "--updates", "120")
    kill_in_recovery(tmp_path / "student", tmp_path / "out", *more)
    # The classifier decides nothing about which units go.
    changed = weights | {"head.classifier.bias": weights["head.classifier.bias"].flip(0)}
    save_checkpoint(tmp_path / "student", replace(given, weights=changed))
    resumed = pruned(tmp_path / "student", tmp_path / "out", *more)
    assert same(resumed, pruned(tmp_path / "student", tmp_path / "fresh", *more))


def test_other_recordings_in_the_same_folder_are_shown_afresh(tmp_path: Path):
    data = simulate(SimulatorConfig(subjects=3, trials=2, activities=("walk", "wave", "squat")))
    recordings.write(data, tmp_path / "data")
    info = data.info
    torch.manual_seed(0)
    network = StudentNetwork(StudentConfig(**PRESETS["tiny"]), info.modalities, info.window.steps, len(info.labels))
    about = {
        "data": str(tmp_path / "data"), "root": None, "modalities": [spec.name for spec in info.modalities],
        "without": [], "split": "list:s1,s2:s3",
    }  # fmt: skip
    given = Checkpoint(
        "student", PRESETS["tiny"], info, Normalisation.identity(info.modalities), about, [], {"options": {}},
        network.state_dict(),
    )  # fmt: skip
    save_checkpoint(tmp_path / "student", given)
    more = ("--source", "recordings", "--updates", "120")
    kill_in_recovery(tmp_path / "student", tmp_path / "out", *more)
    shutil.rmtree(tmp_path / "data")
    other = simulate(SimulatorConfig(subjects=3, trials=2, activities=("walk", "wave", "squat"), seed=7))
    recordings.write(other, tmp_path / "data")
    resumed = pruned(tmp_path / "student", tmp_path / "out", *more)
    assert same(resumed, pruned(tmp_path / "student", tmp_path / "fresh", *more))
