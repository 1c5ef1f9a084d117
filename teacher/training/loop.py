"""One training loop for every stage: AdamW, cosine rate, averaged weights, resumable, one process or several.

An update's rows and random numbers follow from the seed and the update's number alone (`training.batches`), so a run
that was killed goes on from its last save and ends with the same weights as one that was not.
"""

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from edgehar.checks import check_seed
from edgehar.config import option
from edgehar.errors import ConfigError
from edgehar.files.atomic import atomic_file, digest_of
from edgehar.teacher.training.batches import batch_rows, update_generator

History = list[dict[str, float]]


@dataclass(frozen=True)
class TrainConfig:
    """How a network is trained."""

    updates: int = option(1500, "optimiser steps")
    update_share: float = option(1.0, "share of these steps to do, for a quick look")
    batch: int = option(32, "windows per update, over all processes")
    learning_rate: float = option(1e-3, "peak learning rate")
    weight_decay: float = option(0.05, "decoupled weight decay")
    warmup: float = option(0.1, "share of the updates in which the rate rises")
    ema_decay: float = option(0.995, "decay of the exponential moving average of the weights, which is kept")
    clip_norm: float = option(1.0, "largest gradient norm")
    bf16: bool = option(False, "compute in bfloat16")
    compile: bool = option(False, "compile the network (pays on a GPU)")
    save_every_s: float = option(20.0, "seconds between two saves for resuming")

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        positive = {
            "updates": self.updates,
            "update-share": self.update_share,
            "batch": self.batch,
            "learning-rate": self.learning_rate,
            "clip-norm": self.clip_norm,
        }
        for name, value in positive.items():
            if not 0 < value < math.inf:
                raise ConfigError(f"--{name} {value}: expected a number above 0")
        if not 0 <= self.save_every_s < math.inf:
            raise ConfigError(f"--save-every-s {self.save_every_s}: expected 0 or more")
        if not 0 <= self.ema_decay < 1 or not 0 <= self.warmup <= 1 or not 0 <= self.weight_decay < math.inf:
            raise ConfigError(
                f"--ema-decay {self.ema_decay}, --warmup {self.warmup}, --weight-decay {self.weight_decay}: "
                "expected 0 to below 1, 0 to 1, and 0 or more"
            )

    @property
    def steps(self) -> int:
        """Optimiser steps that are really done."""
        return round(self.updates * self.update_share)


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that train together (one, unless started by torchrun)."""

    rank: int
    world: int
    device: torch.device

    @staticmethod
    def from_environment() -> "ProcessGroup":
        """Join the group torchrun started, if any; NCCL on GPUs, gloo on CPUs."""
        world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
        cuda = torch.cuda.is_available()
        local = int(os.environ.get("LOCAL_RANK", "0"))
        device = torch.device("cuda", local) if cuda else torch.device("cpu")
        if cuda:
            torch.cuda.set_device(device)
        if world > 1 and not distributed.is_initialized():
            distributed.init_process_group("nccl" if cuda else "gloo")
        return ProcessGroup(rank, world, device)

    def shard(self, tensor: Tensor) -> Tensor:
        """This process's part of a whole batch; random numbers were drawn for the whole of it."""
        return tensor[self.rank :: self.world]

    def shard_all(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """`share` for every tensor of a dict."""
        return {name: self.shard(tensor) for name, tensor in tensors.items()}


@dataclass(frozen=True)
class EarlyStopping:
    """Early stopping on what is not trained on.

    Attributes:
        harm: of the averaged weights; less is better.
        patience: updates after the best point of the training curve at which training stops.
    """

    loss: Callable[[nn.Module], float]
    patience: float

    def measure(self, model: nn.Module, average: dict[str, Tensor], processes: ProcessGroup) -> float:
        """The harm with these weights, the same for every process; the model is as it was afterwards."""
        weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        model.load_state_dict(average)
        model.eval()
        with torch.no_grad():
            found = torch.tensor(self.loss(model), device=processes.device)
        model.load_state_dict(weights)
        model.train()
        if processes.world > 1:
            distributed.broadcast(found, 0)
        return float(found)

    def should_stop(self, history: History) -> bool:
        """Whether the best point lies `patience` updates back."""
        best = min(history, key=lambda point: point["held_out"], default=None)
        return best is not None and history[-1]["update"] - best["update"] >= self.patience


def learning_rate_at(update: int, config: TrainConfig) -> float:
    """Linear rise over the warm-up, then half a cosine down to zero."""
    rise = max(1, round(config.steps * config.warmup))
    if update < rise:
        return config.learning_rate * (update + 1) / rise
    share = (update - rise) / max(1, config.steps - rise)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


def _optimiser(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW (arXiv 1711.05101) that decays matrices only, not biases, norms or embeddings of one axis."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=True)


def _save_progress(
    path: Path, key: str, update: int, history: History, model: nn.Module, average: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
) -> None:  # fmt: skip
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in average.items()}
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": tensor for name, tensor in state.items()}
    metadata = {"key": key, "update": str(update), "history": json.dumps(history)}
    with atomic_file(path) as temporary:
        # Written by Python itself, so that a full disk is the OSError that it is everywhere else.
        temporary.write_bytes(save({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, metadata))


def _load_progress(
    path: Path, key: str, model: nn.Module, average: dict[str, Tensor], optimiser: torch.optim.Optimizer
) -> tuple[int, History]:
    """Restore a save of the same training; (0, []) if there is none."""
    if not path.is_file():
        return 0, []
    try:
        with safe_open(path, framework="pt") as opened:
            metadata = opened.metadata()
            if metadata.get("key") != key:
                return 0, []
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError:
        return 0, []
    model.load_state_dict({name[6:]: tensor for name, tensor in tensors.items() if name.startswith("model.")})
    average.update({name[8:]: tensor for name, tensor in tensors.items() if name.startswith("average.")})
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimiser."):
            _, number, entry = name.split(".", 2)
            state.setdefault(int(number), {})[entry] = tensor
    whole = optimiser.state_dict()
    optimiser.load_state_dict({"state": state, "param_groups": whole["param_groups"]})
    return int(metadata["update"]), json.loads(metadata["history"])


def train(
    model: nn.Module,
    loss_of: Callable[[nn.Module, NDArray[np.intp], torch.Generator], Tensor],
    count: int,
    config: TrainConfig,
    seed: int,
    processes: ProcessGroup,
    what: str,
    progress: Path | None = None,
    key: object = None,
    early_stopping: EarlyStopping | None = None,
) -> History:
    """Train `model` in place; in the end it holds the averaged weights.

    Args:
        model: on the processes's device.
        loss_of: mean loss of this process's part of a batch, given the (wrapped) model, the rows of the whole
            batch and the update's generator.
        count: N, rows to draw from.
        config: lengths and rates.
        seed: reproduces the run.
        processes: processes that train together.
        what: name on the progress bar.
        progress: file for resuming; None for runs too short to save.
        key: what else the result depends on; a save with another key is not resumed.
        early_stopping: what may stop the training early.

    Returns:
        Points of the training curve: update, mean loss since the point before, and what `early_stopping` measured.
    """
    if config.steps <= 0 or config.batch < processes.world:
        raise ConfigError(
            f"{what}: --updates {config.updates}, --update-share {config.update_share}, --batch {config.batch}: found "
            f"{config.steps} updates of {config.batch} windows; expected 1 update or more, of {processes.world} or more"
        )
    check_seed(seed)
    optimiser = _optimiser(model, config)
    average = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    identity = digest_of([str(config), seed, count, processes.world, key])
    start, history = (0, []) if progress is None else _load_progress(progress, identity, model, average, optimiser)
    wrapped: nn.Module = DistributedDataParallel(model) if processes.world > 1 else model
    if config.compile:
        wrapped = torch.compile(wrapped)  # type: ignore[assignment]
    model.train()
    stride = max(1, config.steps // 60)
    # The running mean since the last point is part of the curve: a resumed run draws the same one.
    recent: list[float] = []
    saved_s = time.monotonic()
    bar = tqdm(
        range(start, config.steps), desc=what, initial=start, total=config.steps, unit="update",
        disable=processes.rank != 0, mininterval=1.0, dynamic_ncols=True,
    )  # fmt: skip
    for update in bar:
        if early_stopping is not None and early_stopping.should_stop(history):
            break
        generator = update_generator(seed, update)
        torch.manual_seed(seed * 1_000_003 + update * 10_007 + processes.rank)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate_at(update, config)
        rows = batch_rows(count, config.batch, update, seed)
        with torch.autocast(processes.device.type, torch.bfloat16, enabled=config.bf16):
            loss = loss_of(wrapped, rows, generator)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimiser.step()
        # The average forgets faster at first, so that short runs are not held at their initial weights.
        decay = min(config.ema_decay, (1 + update) / (10 + update))
        with torch.no_grad():
            for name, tensor in model.state_dict().items():
                average[name].lerp_(tensor, 1 - decay) if tensor.is_floating_point() else average[name].copy_(tensor)
        recent.append(float(loss.detach()))
        if not math.isfinite(recent[-1]):
            raise ConfigError(f"{what}: the loss is {recent[-1]} at update {update + 1}; lower --learning-rate")
        if (update + 1) % stride == 0 or update + 1 == config.steps:
            history.append({"update": update + 1, "loss": sum(recent) / len(recent)})
            recent.clear()
            if early_stopping is not None:
                history[-1]["held_out"] = early_stopping.measure(model, average, processes)
            bar.set_postfix(loss=f"{history[-1]['loss']:.3f}", refresh=False)
            if progress is not None and processes.rank == 0 and time.monotonic() - saved_s > config.save_every_s:
                _save_progress(progress, identity, update + 1, history, model, average, optimiser)
                saved_s = time.monotonic()
    if progress is not None and processes.rank == 0:
        _save_progress(progress, identity, config.steps, history, model, average, optimiser)
    model.load_state_dict(average)
    model.eval()
    return history
