"""Prune a student or teacher without recordings: remove units, then recover on synthetic windows.

    python student/prune.py runs/demo/student --out runs/demo/pruned --macs 0.7

Removal: whole blocks if requested, then the units, heads and channels of least importance (`pruning.importance`), as
few as meet the limit (`pruning.allocation`), with everything that depends on them (torch-pruning, arXiv 2301.12900).
Recovery: the pruned network reproduces the block outputs of the unpruned one, with weights that increase with depth
(DFBF, data-free backbone fine-tuning), and its softened predictions, on synthetic windows (`synthesis.sources`). Only
the checkpoint is needed. A pruned teacher can be distilled, scored and pruned again.
"""

import sys
import time
from dataclasses import MISSING, asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edgehar.choices import CRITERIA, DEFAULT_CRITERION, RECORDINGS
from edgehar.command_line import Parser
from edgehar.config import Options, group, option, positional, seed_option
from edgehar.data.registry import DataOptions
from edgehar.entry import guarded
from edgehar.errors import ConfigError
from edgehar.student.network.rebuild import network_of, pruned_sizes
from edgehar.student.pruning.allocation import ALLOCATIONS
from edgehar.student.pruning.cost import COSTS, UNITS, format_cost
from edgehar.student.pruning.recover import RecoveryConfig
from edgehar.student.pruning.removal import Removal
from edgehar.student.pruning.rounds import Schedule, prune_in_rounds
from edgehar.student.synthesis.sources import DATA_NEEDED, DEFAULT_SOURCES, SourceConfig, create_sampler
from edgehar.teacher.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edgehar.teacher.training.loop import TrainConfig
from edgehar.teacher.training.processes import ProcessGroup
from edgehar.teacher.training.stage import (
    checkpoint_output,
    inherit_data_options,
    load_checkpoint_data,
    report_score,
    score_on,
)

DEFAULT_MACS = 0.7


@dataclass(frozen=True)
class PruneOptions(Options):
    """Pruning."""

    checkpoint: str = positional("folder of the student or teacher checkpoint")
    out: str = option(MISSING, "folder of the pruned checkpoint to write")
    macs: float | None = option(
        None,
        f"limit: share of the multiply-adds that remains; {DEFAULT_MACS} without another limit",
        at_least=0.02,
        below=1,
    )
    bytes: int | None = option(None, "limit: bytes of both fp32 graphs together", at_least=1)
    latency_ms: float | None = option(
        None, "limit: milliseconds of both graphs for one window, measured on this machine", above=0
    )
    criterion: str = option(DEFAULT_CRITERION, "importance criterion of the units", choices=CRITERIA)
    allocation: str = option("uniform", "distribution of the removed units over the layers", choices=ALLOCATIONS)
    width: bool = option(
        True, "also remove channels (of encoder and tokens, or of a teacher), not only units and heads"
    )
    multiple: int = option(
        1, "keep multiples of this many units and channels, as vector units of processors expect", at_least=1
    )
    drop_blocks: int = option(
        0, "whole blocks to remove first: those whose absence changes the predictions least", at_least=0
    )
    rounds: int = option(
        1, "rounds of removal and recovery; the updates are divided among them", at_least=1, at_most=20
    )
    seed: int = seed_option()
    score: bool = option(False, "score the result on the test subjects; reads the checkpoint's recordings")
    recovery: RecoveryConfig = group(RecoveryConfig)
    train: TrainConfig = group(TrainConfig)
    inputs: SourceConfig = group(SourceConfig)
    data: DataOptions = group(DataOptions)

    def __post_init__(self) -> None:
        """Raise ConfigError for options that contradict each other or have no effect."""
        super().__post_init__()
        limits = [f"--{name.replace('_', '-')}" for name in COSTS if getattr(self, name) is not None]
        if len(limits) > 1:
            raise ConfigError(f"{' and '.join(limits)}: expected one limit")
        if self.train.steps < self.rounds:
            raise ConfigError(
                f"--rounds {self.rounds}: found {self.train.steps} updates (--updates {self.train.updates}, "
                f"--update-share {self.train.update_share}); expected one update or more in each round"
            )
        self.inputs.reject_unused_options(self.inputs.source or DEFAULT_SOURCES)
        given = [
            name.replace("_", "-") for name, value in vars(self.data).items() if value != getattr(DataOptions(), name)
        ]
        if given and not self.score and RECORDINGS not in self.inputs.source:
            raise ConfigError(
                f"--{', --'.join(given)}: has no effect, because no recordings are read; omit it, or add --score or "
                f"--source {RECORDINGS}"
            )

    @property
    def removal(self) -> Removal:
        """Which units to remove, and until when."""
        limited = next((name for name in ("bytes", "latency_ms") if getattr(self, name) is not None), "macs")
        limit = getattr(self, limited)
        return Removal(
            self.criterion, self.allocation, self.width, self.multiple, limited,
            DEFAULT_MACS if limit is None else float(limit),
        )  # fmt: skip

    @property
    def schedule(self) -> Schedule:
        """What to remove, and how to recover."""
        return Schedule(self.removal, self.drop_blocks, self.rounds, self.recovery, self.train, self.seed)


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"updates": 100, "learning_rate": 3e-3, "ema_decay": 0.98},
    "base": {"updates": 1200, "batch": 64, "learning_rate": 1e-2},
    "large": {"updates": 5_000, "batch": 256},
}

PARSER = Parser(PruneOptions, "edgehar prune", __doc__ or "", PRESETS)


def report_limit(removal: Removal, limit: dict[str, Any]) -> None:
    """Print the limit and the cost reached, with a cure if recovery or measurement moved it above the limit."""
    asked, reached = format_cost(limit["asked"]), format_cost(limit["reached"])
    unit = UNITS[removal.limited]
    sys.stdout.write(f"limit: {asked} {unit}, reached: {reached} {unit}\n")
    if limit["reached"] > limit["asked"]:
        quiet = " on an otherwise idle machine" if removal.limited == "latency_ms" else ""
        sys.stdout.write(
            f"limit: {reached} {unit} after recovery exceeds {asked}, which was met before recovery; prune again"
            f"{quiet} or with a lower {removal.limit_option}\n"
        )


def run(options: PruneOptions) -> int:
    """Prune, recover, write the checkpoint."""
    out, processes, started_s = Path(options.out), ProcessGroup.from_environment(), time.monotonic()
    before = load_checkpoint(Path(options.checkpoint), ("teacher", "student", "pruned"))
    info, kind = before.info, "teacher" if before.kind == "teacher" else "pruned"
    removal, sources = options.removal, options.inputs.sources_for(before)
    options.inputs.reject_unused_options(sources)
    if processes.world > 1 and removal.limited == "latency_ms":
        raise ConfigError("--latency-ms with several processes: their measurements differ; use one process, or --macs")
    if kind == "teacher" and removal.limited != "macs":
        raise ConfigError(f"{removal.limit_option}: found a teacher, which has no graphs for a board; use --macs")
    with checkpoint_output(out, processes, options.checkpoint, kind=kind) as progress:
        unpruned = network_of(before).to(processes.device).requires_grad_(False)
        sampler = create_sampler(options.inputs, before, unpruned, options.seed, processes.device, options.data)
        score = fingerprint = None
        if RECORDINGS in sources:
            fingerprint = inherit_data_options(options.data, before.data).fingerprint()
        if options.score:
            test = load_checkpoint_data(before, options.data).test
            score = partial(score_on, windows=test, labels=info.labels, device=processes.device)
        key = [asdict(options), before.digest(), fingerprint]
        pruned, history, measured = prune_in_rounds(
            unpruned, sampler, options.schedule, processes, progress, key, score
        )
        if processes.rank != 0:
            return 0
        carried = {name: before.facts[name] for name in ("statistics",) if name in before.facts}
        needs = before.facts.get("needs", {}) | {name: DATA_NEEDED[name] for name in sources}
        facts = measured | carried | {"needs": needs, "options": asdict(options)}
        facts["seconds"] = time.monotonic() - started_s
        save_checkpoint(
            out,
            Checkpoint(
                kind, pruned_sizes(pruned, before.network), info, before.normalisation, before.data, history, facts,
                pruned.state_dict(), before.moments,
            ),
        )  # fmt: skip
    sys.stdout.write(
        f"pruned: {facts['macs_before']:,} -> {facts['macs']:,} multiply-adds, "
        f"agreement on synthetic windows {facts['agreement_removed']:.1%} -> {facts['agreement_recovered']:.1%}\n"
    )
    report_limit(removal, facts["limit"])
    if "evaluation" in facts:
        report_score("pruned", facts["evaluation"])
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
