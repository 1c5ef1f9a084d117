"""Pretraining on shards: resumed after a kill, on two processes, mixed with folders, and leaks."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from edgehar.cli import main
from edgehar.data import recordings
from edgehar.data.registry import DataOptions
from edgehar.data.splits import Split
from edgehar.errors import ConfigError
from edgehar.teacher.pretraining.sources import Draws, ShardOptions, check_unseen, load_sources
from edgehar.teacher.training.batches import update_generator
from edgehar.teacher.training.checkpoint import load_checkpoint
from tests.edgehar.data.shards.packed import CLIPS, CONTINUOUS, dataset, packed

CPU = torch.device("cpu")
PRETRAIN = ("pretrain", "--preset", "tiny", "--batch", "4", "--memory-mb", "0.2", "--save-every-s", "0")

SCRIPT = """
import json, sys
from pathlib import Path
import torch
from torch import distributed
from edgehar.data.registry import DataOptions
from edgehar.teacher.augmentation.geometric import AugmentConfig
from edgehar.teacher.network.masking import MaskingConfig
from edgehar.teacher.network.model import PRESETS, TeacherConfig
from edgehar.teacher.pretrain import pretrain_loss
from edgehar.teacher.pretraining.model import ObjectiveConfig, Pretraining
from edgehar.teacher.pretraining.sources import Draws, ShardOptions, load_sources
from edgehar.teacher.pretraining.universal import Universal
from edgehar.teacher.training.loop import TrainConfig, train
from edgehar.teacher.training.processes import ProcessGroup

class Fixed(Pretraining):  # batch normalisation would see half of a batch
    def train(self, mode=True):
        return super().train(False)

processes = ProcessGroup.from_environment()
sources, _ = load_sources(DataOptions(sys.argv[1]), ShardOptions(0.2), 0, processes.device)
count = len(sources[0].windows)
config = TrainConfig(updates=-(-count // 16), batch=16)
torch.manual_seed(0)
model = Fixed(Universal(TeacherConfig(**PRESETS["tiny"])), ObjectiveConfig(), [2])
draws = Draws.of(sources, 0, config.steps)
loss_of = pretrain_loss(sources, draws, ObjectiveConfig(), MaskingConfig(), AugmentConfig(), 16, processes)
losses, seen = [], []
def watched(network, update, generator):
    loss = loss_of(network, update, generator)
    own = processes.shard(sources[0].windows.batch(int(update[0]), 16, generator)[0]["watch"])
    seen.extend(window.numpy().tobytes().hex() for window in own)
    losses.append(loss.detach())
    return loss
train(model, watched, count, config, 0, processes, "test", rows_of=lambda update: torch.tensor([update]).numpy())
losses = torch.stack(losses)
if processes.world > 1:
    distributed.all_reduce(losses)
    distributed.destroy_process_group()
result = {"losses": (losses / processes.world).tolist(), "seen": seen, "count": count}
Path(f"{sys.argv[2]}{processes.rank}").write_text(json.dumps(result))
"""


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Shards without gaps: a recording of each of 4 people."""
    return packed(tmp_path_factory.mktemp("shards"), dataset(CONTINUOUS, each=1, gaps=False)).name


def test_killed_within_an_epoch_it_resumes_to_identical_weights(shards: str, tmp_path: Path):
    updates = 16
    words = [*PRETRAIN, "--data", shards, "--updates", str(updates)]
    (source,), _ = load_sources(DataOptions(shards), ShardOptions(), 0, CPU)
    assert updates * 4 < len(source.windows)
    assert main([*words, "--out", str(tmp_path / "whole")]) == 0
    command = [sys.executable, "-m", "edgehar", *words, "--out", str(tmp_path / "killed")]
    victim = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    progress = tmp_path / ".killed.progress"
    while not progress.is_file() and victim.poll() is None:
        time.sleep(0.01)
    os.kill(victim.pid, signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    with safe_open(progress, framework="pt") as opened:
        assert 0 < int(opened.metadata()["update"]) < updates
    assert main([*words, "--out", str(tmp_path / "killed")]) == 0
    one, other = ((tmp_path / name / "weights.safetensors").read_bytes() for name in ("whole", "killed"))
    assert one == other


def test_two_processes_see_every_window_once_and_have_the_losses_of_one(shards: str, tmp_path: Path):
    script = tmp_path / "training.py"
    script.write_text(SCRIPT)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    # Another test may take the port that torchrun found free before it listens there: it then restarts.
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "2"]
    for words, out in (([], "single"), (launch, "both")):
        command = [sys.executable, *words, str(script), shards, str(tmp_path / out)]
        done = subprocess.run(command, capture_output=True, env=environment)
        assert done.returncode == 0, done.stderr.decode()[-4000:]
    single, first, second = (json.loads((tmp_path / name).read_text()) for name in ("single0", "both0", "both1"))
    count = single["count"]
    # An epoch ends within the last batch, which is complete.
    assert len(single["seen"]) == len(first["seen"]) + len(second["seen"]) == -(-count // 16) * 16
    pairs = [window for both in zip(first["seen"], second["seen"], strict=True) for window in both]
    assert pairs == single["seen"]
    assert len(set(pairs[:count])) == count
    assert first["losses"] == pytest.approx(single["losses"], abs=1e-5)


def test_people_in_shards_must_not_be_tested(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = packed(tmp_path, dataset(CONTINUOUS), split="list:s1,s2:s3")
    recordings.write(dataset(CLIPS, name="other"), tmp_path / "other")
    words = [*PRETRAIN, "--updates", "3", "--data", f"{folder.name},{tmp_path / 'other'}", "--split", "list:s1:s2"]
    assert main([*words, "--out", str(tmp_path / "weights")]) == 0
    stored = load_checkpoint(tmp_path / "weights", ("pretrained",)).data
    assert [source["train_subjects"] for source in stored["sources"]] == [["s1", "s2"], ["s1"]]
    assert stored["frame_rate"] == 50
    (tmp_path / "mine").rename(tmp_path / "elsewhere")  # shards come from anywhere: the name counts
    words = ["finetune", "--preset", "tiny", "--pretrained", str(tmp_path / "weights"), "--split", "list:s3,s4:s2"]
    capsys.readouterr()
    assert main([*words, "--data", str(tmp_path / "elsewhere"), "--out", str(tmp_path / "teacher")]) == 2
    assert "tests on subject s2 of mine, which pretraining has seen" in capsys.readouterr().err
    for name, tested in (("mine", "s3"), ("another", "s2")):
        check_unseen(stored["sources"], DataOptions("elsewhere"), name, Split("split", ("s1",), (tested,)))


def test_options_that_shards_cannot_follow_are_refused(shards: str):
    with pytest.raises(ConfigError, match="--split: has no effect on shards"):
        load_sources(DataOptions(shards, split="odd-even"), ShardOptions(), 0, CPU)
    with pytest.raises(ConfigError, match="packed for 50 frames per second, expected 25; omit --frame-rate"):
        load_sources(DataOptions(shards, frame_rate=25), ShardOptions(), 0, CPU)
    with pytest.raises(ConfigError, match="raise --memory-mb"):
        load_sources(DataOptions(shards), ShardOptions(0.01), 0, CPU)


def test_draws_count_the_updates_of_each_data_set(tmp_path: Path):
    folder = packed(tmp_path, dataset(CONTINUOUS), dataset(CLIPS, name="other"))
    sources, _ = load_sources(DataOptions(folder.name), ShardOptions(), 0, CPU)
    draws = Draws.of(sources, 5, 40)
    taken = [draws.source(update_generator(5, update)) for update in range(40)]
    assert draws.number.tolist() == [taken[:update].count(taken[update]) for update in range(40)]
    assert set(taken) == {0, 1}
