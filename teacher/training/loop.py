"""The training loop of every network: AdamW, cosine schedule, weight averaging, resuming, one process or several.

An update's rows and random numbers depend on the seed and the update only (`training.batches`), so an interrupted
training resumes from its progress file and ends with the weights of an uninterrupted one.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from edgehar.checks import check_seed
from edgehar.config import Options, option
from edgehar.errors import ConfigError
from edgehar.files.atomic import digest_of
from edgehar.teacher.training.batches import batch_rows, update_generator
from edgehar.teacher.training.processes import ProcessGroup
from edgehar.teacher.training.progress import History, load_progress, save_progress

LossOf = Callable[[nn.Module, NDArray[np.intp], torch.Generator], Tensor]
"""Mean loss of this process's shard of a batch, given the (wrapped) model, the batch's rows and its generator."""

RowsOf = Callable[[int], NDArray[np.intp]]
"""Rows of an update's batch, from the number of the update alone."""

RateOf = Callable[[str], float]
"""Learning rate of a parameter by its name, relative to the schedule."""


def equal_rates(_: str) -> float:
    """The same learning rate for every parameter."""
    return 1.0


@dataclass(frozen=True)
class TrainConfig(Options):
    """Training."""

    updates: int = option(1500, "optimiser steps", at_least=1)
    update_share: float = option(1.0, "share of these steps to run, for a trial run", above=0)
    batch: int = option(32, "windows per update, over all processes", at_least=1)
    learning_rate: float = option(1e-3, "peak learning rate", above=0)
    weight_decay: float = option(0.05, "decoupled weight decay", at_least=0)
    warmup: float = option(0.1, "share of the updates with a rising learning rate", at_least=0, at_most=1)
    ema_decay: float = option(
        0.995, "decay of the weights' exponential moving average, which is the result", at_least=0, below=1
    )
    clip_norm: float = option(1.0, "largest gradient norm", above=0)
    bf16: bool = option(False, "train in bfloat16 (autocast)")
    compile: bool = option(False, "compile the network (faster on a GPU)")
    save_every_s: float = option(20.0, "seconds between saves for resuming", at_least=0)

    @property
    def steps(self) -> int:
        """Optimiser steps to run."""
        return round(self.updates * self.update_share)


@dataclass(frozen=True)
class EarlyStopping:
    """Early stopping on a held-out loss.

    Attributes:
        loss: held-out loss of a network.
        patience: updates without improvement after which training stops.
    """

    loss: Callable[[nn.Module], float]
    patience: float

    def measure(self, model: nn.Module, average: dict[str, Tensor], processes: ProcessGroup) -> float:
        """Held-out loss with the averaged weights, equal in all processes; the model's own weights are restored."""
        weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        model.load_state_dict(average)
        model.eval()
        with torch.no_grad():
            loss = torch.tensor(self.loss(model), device=processes.device)
        model.load_state_dict(weights)
        model.train()
        if processes.world > 1:
            distributed.broadcast(loss, 0)
        return float(loss)

    def should_stop(self, history: History) -> bool:
        """Whether the best held-out loss is `patience` updates old."""
        best = min(history, key=lambda point: point["held_out"], default=None)
        return best is not None and history[-1]["update"] - best["update"] >= self.patience


def learning_rate_at(update: int, config: TrainConfig) -> float:
    """Learning rate: linear warm-up, then cosine decay to zero."""
    warmup = max(1, round(config.steps * config.warmup))
    if update < warmup:
        return config.learning_rate * (update + 1) / warmup
    share = (update - warmup) / max(1, config.steps - warmup)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


def _optimiser(model: nn.Module, config: TrainConfig, rate_of: RateOf) -> torch.optim.AdamW:
    """AdamW (arXiv 1711.05101); weight decay applies to matrices only, not to biases, norms and 1-D embeddings."""
    by_kind: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = config.weight_decay if parameter.dim() > 1 else 0.0
            by_kind.setdefault((rate_of(name), decay), []).append(parameter)
    groups = [
        {"params": parameters, "weight_decay": decay, "relative_rate": rate}
        for (rate, decay), parameters in by_kind.items()
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=True)


@torch.no_grad()
def _update_average(average: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    """One step of the exponential moving average, in place; integer buffers are copied."""
    for name, tensor in model.state_dict().items():
        average[name].lerp_(tensor, 1 - decay) if tensor.is_floating_point() else average[name].copy_(tensor)


def train(
    model: nn.Module,
    loss_of: LossOf,
    count: int,
    config: TrainConfig,
    seed: int,
    processes: ProcessGroup,
    title: str,
    progress: Path | None = None,
    key: object = None,
    early_stopping: EarlyStopping | None = None,
    rate_of: RateOf = equal_rates,
    rows_of: RowsOf | None = None,
) -> History:
    """Train `model` in place; it ends with the averaged weights.

    Args:
        model: the network, on the device of `processes`.
        loss_of: the loss of a batch.
        count: N, rows to draw batches from.
        config: schedule and optimiser.
        seed: random seed.
        processes: the processes that train together.
        title: shown by the progress bar and in errors.
        progress: progress file for resuming, or None to save nothing.
        key: everything else the result depends on; a progress file with another key is ignored.
        early_stopping: held-out loss and patience, or None to run all updates.
        rate_of: relative learning rate of each parameter.
        rows_of: what the loss gets as rows; default: `batch_rows`.

    Returns:
        Points of the training curve: "update", mean "loss" since the previous point, and "held_out" loss with early
        stopping.

    Raises:
        ConfigError: no update to run, fewer windows per batch than processes, or a loss that is not finite.
    """
    if config.steps <= 0 or config.batch < processes.world:
        raise ConfigError(
            f"{title}: --updates {config.updates}, --update-share {config.update_share}, --batch {config.batch}: found "
            f"{config.steps} updates of {config.batch} windows; expected at least 1 update of {processes.world} windows"
        )
    check_seed(seed)
    optimiser = _optimiser(model, config, rate_of)
    average = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    identity = digest_of([str(config), seed, count, processes.world, key])
    start, history = (0, []) if progress is None else load_progress(progress, identity, model, average, optimiser)
    wrapped: nn.Module = model
    if processes.world > 1:  # pretraining, for example, does not use the classifiers
        wrapped = DistributedDataParallel(model, find_unused_parameters=True)
    if config.compile:
        wrapped = torch.compile(wrapped)  # type: ignore[assignment]
    model.train()
    stride = max(1, config.steps // 60)
    # Progress is saved at points of the curve only, so that a resumed run has the same running means.
    recent: list[float] = []
    saved_s = time.monotonic()
    bar = tqdm(
        range(start, config.steps), desc=title, initial=start, total=config.steps, unit="update",
        disable=processes.rank != 0, mininterval=1.0, dynamic_ncols=True,
    )  # fmt: skip
    for update in bar:
        if early_stopping is not None and early_stopping.should_stop(history):
            break
        generator = update_generator(seed, update)
        torch.manual_seed(seed * 1_000_003 + update * 10_007 + processes.rank)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate_at(update, config) * group["relative_rate"]
        rows = batch_rows(count, config.batch, update, seed) if rows_of is None else rows_of(update)
        with torch.autocast(processes.device.type, torch.bfloat16, enabled=config.bf16):
            loss = loss_of(wrapped, rows, generator)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimiser.step()
        # A lower decay at first keeps the average of a short run from staying at the initial weights.
        decay = min(config.ema_decay, (1 + update) / (10 + update))
        _update_average(average, model, decay)
        recent.append(float(loss.detach()))
        if not math.isfinite(recent[-1]):
            raise ConfigError(
                f"{title}: the loss is {recent[-1]} at update {update + 1}, expected a number; lower --learning-rate"
            )
        if (update + 1) % stride == 0 or update + 1 == config.steps:
            history.append({"update": update + 1, "loss": sum(recent) / len(recent)})
            recent.clear()
            if early_stopping is not None:
                history[-1]["held_out"] = early_stopping.measure(model, average, processes)
            bar.set_postfix(loss=f"{history[-1]['loss']:.3f}", refresh=False)
            if progress is not None and processes.rank == 0 and time.monotonic() - saved_s > config.save_every_s:
                save_progress(progress, identity, update + 1, history, model, average, optimiser)
                saved_s = time.monotonic()
    if progress is not None and processes.rank == 0:
        save_progress(progress, identity, config.steps, history, model, average, optimiser)
    model.load_state_dict(average)
    model.eval()
    return history
