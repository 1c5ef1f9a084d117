"""Shrink a student without a single recording: remove units for good, then recover on dreamed inputs.

    python student/prune.py runs/demo/student --out runs/demo/pruned --macs 0.7

Removal: units, heads and channels that a criterion finds worth least (`student.importance`), as few as meet the limit
(`student.allocate`), with all that depends on them (torch-pruning, arXiv 2301.12900). Recovery: the pruned backbone
learns the unpruned one's block outputs, weights rising with depth (DFBF, data-free backbone fine-tuning), and its
softened predictions, on windows that no one recorded (`student.sources`). Needs the checkpoint only.
"""

import copy
import sys
import time
from dataclasses import MISSING, asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from edgehar.cli import guarded
from edgehar.config import group, option, parse, positional
from edgehar.datasets import DataOptions
from edgehar.errors import ConfigError
from student.allocate import ALLOCATIONS, remove_until
from student.cost import COSTS
from student.dream import Inputs, some_of
from student.importance import CRITERIA
from student.lite import Lite, LiteOutput
from student.losses import soft_targets
from student.rebuild import rebuild
from student.sources import SOURCES, Source, SourceConfig, open_source
from student.units import Kept, parts_of
from teacher.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from teacher.layers import count_macs, count_parameters
from teacher.loader import update_generator
from teacher.stage import LossOf, follow, load_stage_data, report_score, score_on, workplace
from teacher.train import Crew, TrainConfig, train


@dataclass(frozen=True)
class PruneOptions:
    """Options of the stage."""

    checkpoint: str = positional("folder of the student checkpoint")
    out: str = option(MISSING, "folder of the pruned checkpoint to write")
    macs: float | None = option(None, "share of the multiply-adds that stays; 0.7 if no other limit is given")
    bytes: int | None = option(None, "bytes that both fp32 graphs may have together")
    latency_ms: float | None = option(None, "milliseconds that both graphs may take for a window, on this machine")
    criterion: str = option("l2", f"what decides which units go: {', '.join(CRITERIA)}")
    allocation: str = option("uniform", f"how much of each layer goes: {', '.join(ALLOCATIONS)}")
    width: bool = option(True, "also remove channels of encoder and tokens, not only units and heads")
    seed: int = option(0, "reproduces the run")
    temperature: float = option(2.0, "temperature of the unpruned network's predictions")
    score: bool = option(False, "score the result on the test subjects of the recordings it was trained with")
    train: TrainConfig = group(TrainConfig)
    inputs: SourceConfig = group(SourceConfig)

    def __post_init__(self) -> None:
        """Refuse limits and names that mean nothing."""
        limits = [name for name in COSTS if getattr(self, name) is not None]
        if len(limits) > 1:
            raise ConfigError(f"--{' and --'.join(limits).replace('_', '-')}: expected one limit")
        if not 0.02 <= self.share < 1:
            raise ConfigError(f"--macs {self.macs}: expected a share from 0.02 to below 1, such as 0.7")
        if (self.bytes is not None and self.bytes < 1) or (self.latency_ms is not None and not self.latency_ms > 0):
            raise ConfigError(f"--bytes {self.bytes}, --latency-ms {self.latency_ms}: expected a number above 0")
        if self.criterion not in CRITERIA or self.allocation not in ALLOCATIONS:
            raise ConfigError(
                f"--criterion {self.criterion}, --allocation {self.allocation}: expected one of "
                f"{', '.join(CRITERIA)}, and one of {', '.join(ALLOCATIONS)}"
            )

    @property
    def share(self) -> float:
        """Share of the multiply-adds that stays, if that is the limit."""
        return 0.7 if self.macs is None else self.macs

    @property
    def cost(self) -> str:
        """What is limited."""
        return next((name for name in ("bytes", "latency_ms") if getattr(self, name) is not None), "macs")


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"updates": 100, "learning_rate": 3e-3, "average": 0.98},
    "base": {"updates": 800, "batch": 64, "learning_rate": 3e-3},
    "large": {"updates": 5_000, "batch": 256},
}
JUDGED_ON = 256
"""Windows that criteria and sensitivity see."""


def shrink(student: Lite, source: Source, options: PruneOptions) -> tuple[Lite, Kept]:
    """A smaller copy of a student, and which of its units stayed; raises ConfigError for a limit out of reach."""
    windows = source.draw(JUDGED_ON, update_generator(options.seed, 0))
    single = some_of(windows, slice(1))
    cost = COSTS[options.cost]
    limit = options.share * cost(student, single) if options.cost == "macs" else float(getattr(options, options.cost))
    parts = parts_of(student, options.width)
    learning = copy.deepcopy(student).requires_grad_(True)
    scores = CRITERIA[options.criterion](learning, parts, windows)
    plan = ALLOCATIONS[options.allocation](student, parts, scores, windows)
    return remove_until(student, parts, plan, some_of(windows, slice(2)), lambda network: cost(network, single), limit)


def recovery_loss(unpruned: Lite, source: Source, kept: Kept, batch: int, temperature: float, crew: Crew) -> LossOf:
    """Match block outputs on the channels that stayed, deeper blocks weighing more, and the predictions."""
    encoder_blocks = len(unpruned.encoder.blocks)
    channels = kept.get(f"encoder.widen.{unpruned.encoder.names[0]}", slice(None))
    token = kept.get("encoder.narrow", slice(None))

    def loss_of(model: nn.Module, rows: NDArray[Any], generator: torch.Generator) -> Tensor:
        features, valid = (crew.share_all(part) for part in source.draw(batch, generator))
        with torch.no_grad():
            known: LiteOutput = unpruned(features, valid)
        output: LiteOutput = model(features, valid)
        loss = soft_targets(output.logits, known.logits, temperature)
        for depth, (got, wanted) in enumerate(zip(output.blocks, known.blocks, strict=True), 1):
            target = wanted[..., channels if depth <= encoder_blocks else token]
            loss = loss + depth / len(known.blocks) * functional.l1_loss(got, target) / target.abs().mean()
        return loss

    return loss_of


@torch.no_grad()
def agreement(one: Lite, other: Lite, inputs: Inputs) -> float:
    """Share of windows on which two networks name the same class."""
    return float((one(*inputs).logits.argmax(1) == other(*inputs).logits.argmax(1)).float().mean())


def main(argv: list[str] | None = None) -> int:
    """Prune, recover, write the checkpoint."""
    options = parse(PruneOptions, argv, "edgehar prune", __doc__ or "", PRESETS)
    out, crew, started_s = Path(options.out), Crew.join(), time.monotonic()
    before = load_checkpoint(Path(options.checkpoint), ("student", "pruned"))
    info = before.info
    if crew.world > 1 and options.cost == "latency_ms":
        raise ConfigError("--latency-ms with several processes: each would measure another; use one, or --macs")
    with workplace(out, crew) as progress:
        unpruned = rebuild(before).to(crew.device).requires_grad_(False)
        source = open_source(options.inputs, before, unpruned, options.seed, crew.device)
        held_out = source.draw(512, update_generator(options.seed + 1, 0))
        pruned, kept = shrink(unpruned, source, options)
        batch = options.train.batch
        agreed_before = agreement(pruned.eval(), unpruned, held_out)
        history = train(
            pruned,
            recovery_loss(unpruned, source, kept, batch, options.temperature, crew),
            batch,
            options.train,
            options.seed,
            crew,
            "recover",
            progress,
            # With a limit in milliseconds the next start may keep other units.
            [
                asdict(options),
                before.facts["options"],
                before.history,
                {k: units.tolist() for k, units in kept.items()},
            ],
        )
        if crew.rank != 0:
            return 0
        single = some_of(held_out, slice(1))
        facts: dict[str, Any] = {
            "parameters": count_parameters(pruned),
            "macs": count_macs(pruned, *single),
            "macs_before": count_macs(unpruned, *single),
            "agreement_removed": agreed_before,
            "agreement_recovered": agreement(pruned, unpruned, held_out),
            "statistics": before.facts["statistics"],
            "needs": {name: SOURCES[name] for name in options.inputs.source},
            "options": asdict(options),
        }
        facts["seconds"] = time.monotonic() - started_s
        if options.score:
            data = load_stage_data(follow(DataOptions(), before.data), before.normalisation)
            facts["evaluation"] = score_on(pruned, data.test, info.labels, crew.device)
        save_checkpoint(
            out,
            Checkpoint(
                "pruned", before.network, info, before.normalisation, before.data, history, facts,
                pruned.state_dict(), before.moments,
            ),
        )  # fmt: skip
    sys.stdout.write(
        f"pruned: {facts['macs_before']:,} -> {facts['macs']:,} multiply-adds, "
        f"agreement on dreamed windows {facts['agreement_removed']:.1%} -> {facts['agreement_recovered']:.1%}\n"
    )
    if "evaluation" in facts:
        report_score("pruned", facts["evaluation"])
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
