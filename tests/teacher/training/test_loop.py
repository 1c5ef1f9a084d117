"""The training loop: resuming, data-parallel training, schedule, options."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import nn

from edgehar.errors import ConfigError
from edgehar.teacher.training.batches import batch_rows, update_generator
from edgehar.teacher.training.loop import TrainConfig, learning_rate_at, train
from edgehar.teacher.training.processes import ProcessGroup

SINGLE = ProcessGroup(0, 1, torch.device("cpu"))

SCRIPT = """
import json, os, sys
from pathlib import Path
import torch
from torch import distributed
from edgehar.teacher.training.loop import TrainConfig, train
from edgehar.teacher.training.processes import ProcessGroup

def main(out, progress, updates, pause_s):
    import time
    processes = ProcessGroup.from_environment()
    torch.manual_seed(3)
    model = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.GELU(), torch.nn.Linear(16, 3))
    model.register_parameter("unused", torch.nn.Parameter(torch.ones(1)))  # as the classifiers in pretraining
    inputs = torch.randn(40, 6, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(40) % 3
    def loss_of(network, rows, generator):
        time.sleep(pause_s)
        index = torch.as_tensor(rows)
        noisy = inputs[index] + 0.1 * torch.randn(len(index), 6, generator=generator)
        return torch.nn.functional.cross_entropy(network(processes.shard(noisy)), processes.shard(labels[index]))
    config = TrainConfig(updates=updates, batch=8, save_every_s=0.0)
    history = train(model, loss_of, 40, config, 5, processes, "test", Path(progress) if progress else None)
    if processes.world > 1:
        losses = torch.tensor([point["loss"] for point in history])
        distributed.all_reduce(losses)
        losses /= processes.world
        for point, loss in zip(history, losses.tolist()): point["loss"] = loss
    if processes.rank == 0:
        weights = {name: tensor.tolist() for name, tensor in model.state_dict().items()}
        Path(out).write_text(json.dumps({"history": history, "weights": weights}))
    if processes.world > 1:
        distributed.destroy_process_group()

main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "training.py"
    path.write_text(SCRIPT)
    return path


def run_script(script: Path, *arguments: str) -> dict[str, Any]:
    out = script.parent / "out.json"
    subprocess.run([sys.executable, str(script), str(out), *arguments], check=True, capture_output=True)
    return json.loads(out.read_text())


def test_killed_training_resumes_to_identical_weights(script: Path):
    uninterrupted = run_script(script, "", "80", "0")
    progress = script.parent / "progress"
    victim = subprocess.Popen(
        [sys.executable, str(script), str(script.parent / "never.json"), str(progress), "80", "0.02"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not progress.is_file() and victim.poll() is None:
        time.sleep(0.01)
    os.kill(victim.pid, signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    assert not (script.parent / "never.json").exists()
    assert run_script(script, str(progress), "80", "0") == uninterrupted


def test_two_processes_have_the_losses_of_one(script: Path):
    single = run_script(script, "", "20", "0")
    out = script.parent / "two.json"
    # Another test may take the port that torchrun found free before it listens there: it then restarts.
    launch = ["--standalone", "--nproc-per-node", "2", "--max-restarts", "2"]
    command = [sys.executable, "-m", "torch.distributed.run", *launch]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    both = subprocess.run([*command, str(script), str(out), "", "20", "0"], capture_output=True, env=environment)
    assert both.returncode == 0, both.stderr.decode()[-4000:]
    together = json.loads(out.read_text())
    for one, two in zip(single["history"], together["history"], strict=True):
        assert two["loss"] == pytest.approx(one["loss"], abs=1e-6)
    for name, weights in single["weights"].items():
        torch.testing.assert_close(torch.tensor(together["weights"][name]), torch.tensor(weights), atol=1e-5, rtol=1e-4)


def test_progress_of_another_training_is_ignored(tmp_path: Path):
    progress = tmp_path / "progress"

    def train_once(seed: int) -> list[float]:
        torch.manual_seed(0)
        model = nn.Linear(2, 2)
        data = torch.eye(2).repeat(8, 1)

        def loss_of(network: nn.Module, rows: object, generator: torch.Generator) -> torch.Tensor:
            return network(data[torch.as_tensor(rows)] + torch.randn(4, 2, generator=generator)).square().mean()

        config = TrainConfig(updates=6, batch=4, save_every_s=0.0)
        return [point["loss"] for point in train(model, loss_of, 16, config, seed, SINGLE, "t", progress)]

    first = train_once(0)
    assert progress.is_file()
    assert len(train_once(1)) == len(first)
    assert train_once(1) != first


def test_epoch_contains_every_window_once():
    rows = [row for update in range(5) for row in batch_rows(40, 8, update, seed=2).tolist()]
    assert sorted(rows) == list(range(40))
    assert batch_rows(40, 8, 5, seed=2).tolist() != rows[:8]
    assert len(batch_rows(3, 8, 0, seed=0)) == 3


def test_update_generator_depends_on_seed_and_update():
    assert torch.equal(torch.rand(3, generator=update_generator(1, 2)), torch.rand(3, generator=update_generator(1, 2)))
    assert not torch.equal(
        torch.rand(3, generator=update_generator(1, 2)), torch.rand(3, generator=update_generator(2, 1))
    )


def test_learning_rate_warms_up_and_decays_to_zero():
    config = TrainConfig(updates=100, warmup=0.1, learning_rate=1.0)
    rates = [learning_rate_at(update, config) for update in range(100)]
    assert max(rates) == rates[9] == 1.0
    assert rates[:10] == sorted(rates[:10])
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[-1] < 0.001


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("updates", (0, -1)),
        ("update_share", (0.0, -1.0, float("inf"))),
        ("batch", (0,)),
        ("learning_rate", (0.0, float("nan"))),
        ("weight_decay", (-0.1, float("inf"))),
        ("warmup", (-0.1, 1.1)),
        ("ema_decay", (-0.1, 1.0)),
        ("clip_norm", (0.0,)),
        ("save_every_s", (-1.0,)),
    ],
)
def test_value_out_of_range_is_refused_by_name(option: str, values: tuple[float, ...]):
    for value in values:
        with pytest.raises(ConfigError, match=f"--{option.replace('_', '-')} {value}"):
            TrainConfig(**cast(dict[str, Any], {option: value}))


def test_limits_that_are_included():
    TrainConfig(updates=1, batch=1, weight_decay=0.0, warmup=1.0, ema_decay=0.0, save_every_s=0.0)
    TrainConfig(update_share=3.0, warmup=0.0)


def test_training_without_an_update_is_refused():
    short = TrainConfig(updates=4, update_share=0.1)
    with pytest.raises(ConfigError, match=r"--updates 4, --update-share 0\.1, --batch 32"):
        train(nn.Linear(1, 1), lambda *_: torch.zeros(()), 4, short, 0, SINGLE, "t")


def test_loss_that_is_not_finite_is_an_error():
    model = nn.Linear(1, 1)
    with pytest.raises(ConfigError, match="nan at update 1"):
        train(model, lambda *_: model.weight.sum() * float("nan"), 4, TrainConfig(updates=3), 0, SINGLE, "t")


def test_training_in_bfloat16_reduces_the_loss():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.GELU(), nn.Linear(16, 4))
    inputs = torch.eye(4).repeat(8, 1)
    dtypes: list[torch.dtype] = []

    def loss_of(network: nn.Module, rows: Any, generator: torch.Generator) -> torch.Tensor:
        logits = network(inputs[torch.as_tensor(rows)])
        dtypes.append(logits.dtype)
        return nn.functional.cross_entropy(logits.float(), torch.as_tensor(rows) % 4)

    config = TrainConfig(updates=60, batch=16, learning_rate=0.02, ema_decay=0.9, bf16=True)
    history = train(model, loss_of, 32, config, 0, SINGLE, "t")
    assert set(dtypes) == {torch.bfloat16}
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    assert model[0].weight.dtype == torch.float32
