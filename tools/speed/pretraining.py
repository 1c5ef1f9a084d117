"""Pretraining on shards: windows and tokens per second of one core, beside a plain PyTorch loop of the same network.

    edgehar data pack --data DATA/shoulder-exercises --split all --out SHARDS
    python tools/speed/pretraining.py SHARDS --preset base

`edgehar` are updates of `edgehar pretrain` (reading, augmentation, masking, network, clipping, AdamW, average of the
weights); after every few of them, `plain` are the forward and backward passes and AdamW alone, on the same batches,
which lie ready in memory. One process, one thread, all by CPU time, so that other programs count less. Then an epoch is
read without training, and the arithmetic of a window is counted. Prints the figures and writes
docs/results/scale/NAME.json.
"""

import copy
import json
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from edgehar.command_line import Parser
from edgehar.config import Options, option, positional
from edgehar.data.registry import DataOptions
from edgehar.deploy.runtime.device import device_facts
from edgehar.entry import guarded
from edgehar.errors import DataError
from edgehar.files.atomic import write_json
from edgehar.provenance import portable, resident_mb, stamp
from edgehar.teacher.augmentation.geometric import AugmentConfig
from edgehar.teacher.network.layers import count_parameters
from edgehar.teacher.network.masking import MaskingConfig
from edgehar.teacher.network.model import PRESETS, TeacherConfig
from edgehar.teacher.pretrain import pretrain_loss
from edgehar.teacher.pretraining.model import Batch, ObjectiveConfig, Pretraining
from edgehar.teacher.pretraining.sources import Draws, ShardOptions, load_sources
from edgehar.teacher.pretraining.universal import Universal
from edgehar.teacher.training.loop import TrainConfig, train
from edgehar.teacher.training.processes import ProcessGroup

FORMAT = "edgehar-pretraining-speed"
RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results" / "scale"


@dataclass(frozen=True)
class SpeedConfig(Options):
    """Throughput."""

    shards: str = positional("folder of shards of one data set")
    preset: str = option("base", "size of the network", choices=tuple(PRESETS))
    batch: int = option(64, "windows per update", at_least=2)
    rounds: int = option(8, "rounds, of which the first is not counted", at_least=2)
    updates: int = option(5, "updates in a round, and as many of the plain loop after them", at_least=1)
    memory_mb: float = option(64.0, "as in edgehar pretrain", above=0)
    json: str | None = option(None, "file for the result; default: docs/results/scale/NAME.json")


PARSER = Parser(SpeedConfig, "python tools/speed/pretraining.py", __doc__ or "")


class Recorded(nn.Module):
    """The network, which keeps the batches that it is given."""

    def __init__(self, model: Pretraining) -> None:
        """Record nothing yet."""
        super().__init__()
        self.model, self.batches = model, list[Batch]()

    def forward(self, batch: Batch) -> Tensor:
        """The loss."""
        self.batches.append(batch)
        return self.model(batch)


class PlainLoop:
    """Forward, backward and AdamW on batches that lie ready."""

    def __init__(self, model: Pretraining) -> None:
        """Train a copy of the network."""
        self.model = copy.deepcopy(model).train()
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=1e-4, fused=True)

    def run(self, batches: list[Batch]) -> float:
        """CPU seconds of this thread."""
        before = time.thread_time()
        for batch in batches:
            self.optimiser.zero_grad(set_to_none=True)
            self.model(batch).backward()
            self.optimiser.step()
        return time.thread_time() - before


def measure(options: SpeedConfig, processes: ProcessGroup) -> dict[str, Any]:
    """Windows per CPU second of each loop, and the arithmetic of a window."""
    shards = ShardOptions(options.memory_mb)
    sources, _ = load_sources(DataOptions(options.shards), shards, 0, processes.device)
    if len(sources) != 1:
        raise DataError(f"{options.shards}: found {len(sources)} data sets, expected shards of one")
    (source,), updates = sources, options.updates * options.rounds + 1  # the last one ends a round
    torch.manual_seed(0)
    objectives = ObjectiveConfig()
    model = Pretraining(Universal(TeacherConfig(**PRESETS[options.preset])), objectives, [len(source.info.labels)])
    plain, recorded = PlainLoop(model), Recorded(model)
    draws = Draws.of(sources, 0, updates)
    last: list[Batch] = []
    augmentation = AugmentConfig(mounting_deg=30.0)
    loss_of = pretrain_loss(sources, draws, objectives, MaskingConfig(), augmentation, options.batch, processes)
    own_s: list[float] = []
    plain_s: list[float] = []
    begun_s = time.process_time()

    def timed(network: nn.Module, update: NDArray[Any], generator: torch.Generator) -> Tensor:
        nonlocal begun_s
        if len(recorded.batches) == options.updates:
            own_s.append(time.process_time() - begun_s)
            before = time.process_time()
            plain_s.append(plain.run(recorded.batches))
            own_s[-1] += max(time.process_time() - before - plain_s[-1], 0.0)  # shards read meanwhile
            last[:] = recorded.batches
            recorded.batches.clear()
            begun_s = time.process_time()
        return loss_of(network, update, generator)

    config = TrainConfig(updates=updates, batch=options.batch)
    count = len(source.windows)
    train(recorded, timed, count, config, 0, processes, "edgehar", rows_of=lambda update: np.asarray([update]))
    with FlopCounterMode(display=False) as counter:
        plain.run(last)
    counted = len(last) * options.batch
    sources, _ = load_sources(DataOptions(options.shards), shards, 1, processes.device)
    before = time.process_time()
    reads = count // options.batch
    for number in range(reads):
        sources[0].windows.batch(number, options.batch, torch.Generator())
    read_s = time.process_time() - before
    windows = options.batch * options.updates
    tokens = source.info.window.steps * sum(spec.groups for spec in source.info.modalities)
    rates = {
        "edgehar": windows / statistics.median(own_s[1:]),
        "plain": windows / statistics.median(plain_s[1:]),
        "reading": reads * options.batch / read_s,
    }
    ratios = [other / own for own, other in zip(own_s[1:], plain_s[1:], strict=True)]
    return {
        "dataset": source.info.name,
        "sensors": [f"{spec.name}: {spec.channels} x {spec.rate_hz:g} Hz" for spec in source.info.modalities],
        "parameters": count_parameters(model.universal),
        "tokens_per_window": tokens,
        "windows_per_hour": count / source.hours,
        "operations_per_window": counter.get_total_flops() / counted,
        "windows_per_cpu_s": rates,
        "tokens_per_cpu_s": {name: rate * tokens for name, rate in rates.items()},
        "ratio_to_plain": {"median": statistics.median(ratios), "least": min(ratios), "most": max(ratios)},
        "resident_mb": resident_mb(),
    }


def run(options: SpeedConfig) -> int:
    """Measure, print and write."""
    torch.set_num_threads(1)
    figures = measure(options, ProcessGroup.from_environment())
    name = f"{figures['dataset']}-{options.preset}"
    path = RESULTS / f"{name}.json" if options.json is None else Path(options.json)
    words = ["python", "tools/speed/pretraining.py", Path(options.shards).name, "--preset", options.preset]
    result = {
        "format": FORMAT,
        **stamp(),
        "command": portable([*words, "--batch", str(options.batch), "--rounds", str(options.rounds)]),
        "device": device_facts(),
        "preset": options.preset,
        "batch": options.batch,
        "rounds": options.rounds - 1,
        **figures,
    }
    write_json(path, result)
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
