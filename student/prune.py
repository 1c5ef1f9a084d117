"""Shrink a student or a teacher without a single recording: remove units for good, then recover on dreamed inputs.

    python student/prune.py runs/demo/student --out runs/demo/pruned --macs 0.7

Removal: whole blocks if asked for, then units, heads and channels that a criterion finds worth least
(`pruning.importance`), as few as meet the limit (`pruning.allocation`), with all that depends on them (torch-pruning,
arXiv 2301.12900). Recovery: the pruned backbone learns the unpruned one's block outputs, weights rising with depth
(DFBF, data-free backbone fine-tuning), and its softened predictions, on windows that no one recorded
(`synthesis.sources`). Needs the checkpoint only. A pruned teacher is a teacher: it can be distilled, scored and pruned
again.
"""

import copy
import math
import sys
import time
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgehar.checks import check_seed
from edgehar.command_line import Parser
from edgehar.config import group, option, positional
from edgehar.data.registry import DataOptions
from edgehar.entry import guarded
from edgehar.errors import ConfigError
from edgehar.student.network.blocks import blocks_of
from edgehar.student.network.rebuild import network_of
from edgehar.student.pruning.allocation import ALLOCATIONS, in_multiples, remove_to_limit, shown
from edgehar.student.pruning.cost import COSTS, UNITS
from edgehar.student.pruning.drop_blocks import without_blocks
from edgehar.student.pruning.importance import CRITERIA
from edgehar.student.pruning.recover import HELD_OUT_UPDATE, RecoveryConfig, PrunedNetwork, recover
from edgehar.student.pruning.units import parts_of
from edgehar.student.synthesis.sources import DEFAULT, SOURCES, WindowSampler, SourceConfig, create_sampler
from edgehar.student.windows import Inputs, some_of
from edgehar.teacher.network.layers import count_macs, count_parameters
from edgehar.teacher.network.model import Teacher
from edgehar.teacher.training.batches import update_generator
from edgehar.teacher.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edgehar.teacher.training.loop import History, ProcessGroup, TrainConfig
from edgehar.teacher.training.stage import checkpoint_output, inherit_data_options, load_data_of, report_score, score_on


@dataclass(frozen=True)
class PruneOptions:
    """Options of the stage."""

    checkpoint: str = positional("folder of the student or teacher checkpoint")
    out: str = option(MISSING, "folder of the pruned checkpoint to write")
    macs: float | None = option(None, "share of the multiply-adds that stays; 0.7 if no other limit is given")
    bytes: int | None = option(None, "bytes that both fp32 graphs may have together")
    latency_ms: float | None = option(None, "milliseconds that both graphs may take for a window, on this machine")
    criterion: str = option("l2", f"what decides which units go: {', '.join(CRITERIA)}")
    allocation: str = option("uniform", f"how much of each layer goes: {', '.join(ALLOCATIONS)}")
    width: bool = option(True, "also remove channels of encoder, tokens and a teacher, not only units and heads")
    multiple: int = option(1, "leave units and channels in multiples of so many, as processors take them")
    drop_blocks: int = option(0, "whole blocks that go first, those whose absence moves the predictions least")
    rounds: int = option(1, "remove and recover in so many rounds, each with its share of the updates")
    seed: int = option(0, "reproduces the run")
    score: bool = option(False, "score the result on the test subjects of the recordings it was trained with")
    recovery: RecoveryConfig = group(RecoveryConfig)
    train: TrainConfig = group(TrainConfig)
    inputs: SourceConfig = group(SourceConfig)
    data: DataOptions = group(DataOptions)

    def __post_init__(self) -> None:
        """Refuse limits and names that mean nothing."""
        check_seed(self.seed)
        limits = [name for name in COSTS if getattr(self, name) is not None]
        if len(limits) > 1:
            raise ConfigError(f"--{' and --'.join(limits).replace('_', '-')}: expected one limit")
        if not 0.02 <= self.share < 1:
            raise ConfigError(f"--macs {self.macs}: expected a share from 0.02 to below 1, such as 0.7")
        if limits and not 0 < getattr(self, self.cost) < math.inf:
            raise ConfigError(f"{self.limit_option} {getattr(self, self.cost)}: expected a finite number above 0")
        if self.drop_blocks < 0 or not 1 <= self.rounds <= 20 or self.multiple < 1:
            raise ConfigError(
                f"--drop-blocks {self.drop_blocks}, --rounds {self.rounds}, --multiple {self.multiple}: expected 0 or "
                "more, 1 to 20, 1 or more"
            )
        if self.train.steps < self.rounds:
            raise ConfigError(
                f"--rounds {self.rounds}: found {self.train.steps} updates (--updates {self.train.updates}, "
                f"--update-share {self.train.update_share}); expected one update or more in each round"
            )
        if self.criterion not in CRITERIA or self.allocation not in ALLOCATIONS:
            raise ConfigError(
                f"--criterion {self.criterion}, --allocation {self.allocation}: expected one of "
                f"{', '.join(CRITERIA)}, and one of {', '.join(ALLOCATIONS)}"
            )
        self.inputs.reject_unused_options(self.inputs.source or DEFAULT)
        given = [name for name, value in vars(self.data).items() if value != getattr(DataOptions(), name)]
        if given and not self.score and "recordings" not in self.inputs.source:
            raise ConfigError(
                f"--{', --'.join(given)}: no recordings are read, so there is no effect; leave it out, or add --score "
                "or --source recordings"
            )

    @property
    def share(self) -> float:
        """Share of the multiply-adds that stays, if that is the limit."""
        return 0.7 if self.macs is None else self.macs

    @property
    def cost(self) -> str:
        """What is limited."""
        return next((name for name in ("bytes", "latency_ms") if getattr(self, name) is not None), "macs")

    @property
    def limit_option(self) -> str:
        """The option that limits it."""
        return f"--{self.cost.replace('_', '-')}"


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"updates": 100, "learning_rate": 3e-3, "ema_decay": 0.98},
    "base": {"updates": 1200, "batch": 64, "learning_rate": 1e-2},
    "large": {"updates": 5_000, "batch": 256},
}
JUDGED_ON, HELD_OUT = 256, 512
"""Windows that criteria and sensitivity see, and that agreement is measured on."""


def shrink(
    before: PrunedNetwork, windows: Inputs, options: PruneOptions, cost: Callable[[Any], float], limit: float
) -> PrunedNetwork:
    """Remove units until what is left costs no more than `limit`; raises ConfigError if that is out of reach."""
    network = before.network
    parts = parts_of(network, options.width)
    learning = copy.deepcopy(network).requires_grad_(True)
    scores = CRITERIA[options.criterion](learning, parts, windows)
    plan = in_multiples(ALLOCATIONS[options.allocation](network, parts, scores, windows), parts, options.multiple)
    smaller, stayed = remove_to_limit(network, parts, plan, some_of(windows, slice(2)), cost, limit, options.cost)
    kept = {name: before.kept[name][units] if name in before.kept else units for name, units in stayed.items()}
    return PrunedNetwork(smaller, before.target_block, kept)


@torch.no_grad()
def agreement(one: nn.Module, other: nn.Module, inputs: Inputs) -> float:
    """Share of windows on which two networks name the same class."""
    return float((one(*inputs).logits.argmax(1) == other(*inputs).logits.argmax(1)).float().mean())


def prune(
    before: Checkpoint,
    unpruned: nn.Module,
    source: WindowSampler,
    options: PruneOptions,
    processes: ProcessGroup,
    progress: Path,
    score: Callable[[nn.Module], dict[str, Any]] | None,
    recorded: str | None,
) -> tuple[Any, History, dict[str, Any]]:
    """Remove and recover, round after round; returns the network, its training curve and what was measured.

    `recorded` is the fingerprint of the recordings, if the windows are of them: others are not resumed with.
    """
    held_out = source.draw(HELD_OUT, update_generator(options.seed, HELD_OUT_UPDATE - 1))
    single = some_of(held_out, slice(1))
    measured = COSTS[options.cost]

    def cost(network: nn.Module) -> float:
        return measured(network, single)

    whole = cost(unpruned)
    limit = options.share * whole if options.cost == "macs" else float(getattr(options, options.cost))
    if whole <= limit and not options.drop_blocks:
        raise ConfigError(f"{options.limit_option} {limit:g}: found {whole:g} already, so nothing has to go; give less")
    judged = source.draw(JUDGED_ON, update_generator(options.seed, 0))
    network, gives = without_blocks(unpruned, options.drop_blocks, judged)
    smaller = PrunedNetwork(network, gives, {})
    training = replace(options.train, updates=max(1, round(options.train.updates / options.rounds)))
    history: History = []
    facts: dict[str, Any] = {}
    files = [progress, *(progress.with_name(f"{progress.name}.{place}") for place in range(1, options.rounds))]
    for place, file in enumerate(files):
        # The same factor in every round.
        share = (place + 1) / options.rounds
        smaller = shrink(smaller, judged, options, cost, max(limit, whole ** (1 - share) * limit**share))
        facts["agreement_removed"] = agreement(smaller.network.eval(), unpruned, held_out)
        if score is not None:
            facts["evaluation_removed"] = score(smaller.network)
        # With a limit in milliseconds the next start may keep other units.
        kept = {name: units.tolist() for name, units in smaller.kept.items()}
        key = [asdict(options), before.digest(), recorded, smaller.target_block, kept]
        points = recover(
            smaller, unpruned, source, options.recovery, training, options.seed + place, processes, file, key
        )
        done = history[-1]["update"] if history else 0
        history += [point | {"update": done + point["update"]} for point in points]
    facts |= {
        # Once more, since recovery changes what tensors hold, and a machine may have been busy when it was measured.
        "limit": {"of": options.cost, "asked": limit, "reached": cost(smaller.network)},
        "parameters": count_parameters(smaller.network.requires_grad_(True)),
        "macs": count_macs(smaller.network, *single),
        "macs_before": count_macs(unpruned, *single),
        "agreement_recovered": agreement(smaller.network, unpruned, held_out),
        "updates": history[-1]["update"],
        "blocks": blocks_of(smaller.network),
    }
    if score is not None:
        facts["evaluation"] = score(smaller.network)
    return smaller.network, history, facts


PARSER = Parser(PruneOptions, "edgehar prune", __doc__ or "", PRESETS)


def sizes_of(pruned: nn.Module, before: dict[str, Any]) -> dict[str, Any]:
    """Sizes that a pruned network is rebuilt from; what else went is told by the shapes of its weights.

    The channels of a teacher are told, since its students ask for them; its heads stay as wide as they were.
    """
    if not isinstance(pruned, Teacher) or pruned.fusion_tokens.shape[1] == pruned.config.dim:
        return before
    config = pruned.config
    return before | {
        "dim": pruned.fusion_tokens.shape[1],
        "head_dim": config.dim // config.heads if config.head_dim is None else config.head_dim,
    }


def report_limit(options: PruneOptions, limit: dict[str, Any]) -> None:
    """One line on the limit: what was asked for, what was reached, and whether that is above it."""
    asked, reached = shown(limit["asked"]), shown(limit["reached"])
    sys.stdout.write(f"limit: {asked} {UNITS[options.cost]} asked for, {reached} reached\n")
    if limit["reached"] > limit["asked"]:
        sys.stdout.write(
            f"limit: {reached} {UNITS[options.cost]} after recovery is above {asked}, though it was met before; "
            f"prune again{' while the machine does nothing else' if options.cost == 'latency_ms' else ''}, or with a "
            f"lower {options.limit_option}\n"
        )


def run(options: PruneOptions) -> int:
    """Prune, recover, write the checkpoint."""
    out, processes, started_s = Path(options.out), ProcessGroup.from_environment(), time.monotonic()
    before = load_checkpoint(Path(options.checkpoint), ("teacher", "student", "pruned"))
    info, kind = before.info, "teacher" if before.kind == "teacher" else "pruned"
    sources = options.inputs.names(before)
    options.inputs.reject_unused_options(sources)
    if processes.world > 1 and options.cost == "latency_ms":
        raise ConfigError("--latency-ms with several processes: each would measure another; use one, or --macs")
    if kind == "teacher" and options.cost != "macs":
        raise ConfigError(f"{options.limit_option} of a teacher: it has no graphs for a board; use --macs")
    with checkpoint_output(out, processes, options.checkpoint, kind=kind) as progress:
        unpruned = network_of(before).to(processes.device).requires_grad_(False)
        source = create_sampler(options.inputs, before, unpruned, options.seed, processes.device, options.data)
        score = recorded = None
        if "recordings" in sources:
            recorded = inherit_data_options(options.data, before.data).fingerprint()
        if options.score:
            test = load_data_of(before, options.data).test
            score = partial(score_on, windows=test, labels=info.labels, device=processes.device)
        pruned, history, measured = prune(before, unpruned, source, options, processes, progress, score, recorded)
        if processes.rank != 0:
            return 0
        carried = {name: before.facts[name] for name in ("statistics",) if name in before.facts}
        needs = before.facts.get("needs", {}) | {name: SOURCES[name] for name in sources}
        facts = measured | carried | {"needs": needs, "options": asdict(options)}
        facts["seconds"] = time.monotonic() - started_s
        save_checkpoint(
            out,
            Checkpoint(
                kind, sizes_of(pruned, before.network), info, before.normalisation, before.data, history, facts,
                pruned.state_dict(), before.moments,
            ),
        )  # fmt: skip
    sys.stdout.write(
        f"pruned: {facts['macs_before']:,} -> {facts['macs']:,} multiply-adds, "
        f"agreement on dreamed windows {facts['agreement_removed']:.1%} -> {facts['agreement_recovered']:.1%}\n"
    )
    report_limit(options, facts["limit"])
    if "evaluation" in facts:
        report_score("pruned", facts["evaluation"])
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
