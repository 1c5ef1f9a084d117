"""Shrink a student without a single recording: remove units for good, then recover on dreamed inputs.

    python student/prune.py runs/demo/student --out runs/demo/pruned --macs 0.7

Removal: structured magnitude pruning with torch-pruning (DepGraph, arXiv 2301.12900). Recovery: the pruned backbone
learns the unpruned one's block outputs, weights rising with depth (DFBF, data-free backbone fine-tuning), and its
softened predictions, on windows that no one recorded (`student.sources`). Needs the checkpoint only.
"""

import copy
import sys
import time
from dataclasses import MISSING, asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
import torch_pruning
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from edgehar.cli import guarded
from edgehar.config import group, option, parse, positional
from edgehar.datasets import DataOptions
from edgehar.errors import ConfigError
from student.dream import Inputs
from student.lite import Lite, LiteOutput
from student.losses import soft_targets
from student.rebuild import rebuild
from student.sources import SOURCES, Source, SourceConfig, open_source
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
    macs: float = option(0.7, "share of the multiply-adds that stays")
    width: bool = option(True, "also remove channels of the encoder, not only units and heads")
    seed: int = option(0, "reproduces the run")
    temperature: float = option(2.0, "temperature of the unpruned network's predictions")
    score: bool = option(False, "score the result on the test subjects of the recordings it was trained with")
    train: TrainConfig = group(TrainConfig)
    inputs: SourceConfig = group(SourceConfig)


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"updates": 100, "learning_rate": 3e-3, "average": 0.98},
    "base": {"updates": 800, "batch": 64, "learning_rate": 3e-3},
    "large": {"updates": 5_000, "batch": 256},
}


@dataclass(frozen=True)
class Cut:
    """A pruned network and the encoder channels that stayed, (W',) int64."""

    student: Lite
    kept_width: Tensor


def remove(student: Lite, share: float, inputs: Inputs, width: bool) -> Cut:
    """A copy of `student` without the `share` of units, heads and (if `width`) channels of least magnitude.

    Raises ConfigError where a layer would be left empty.
    """
    smaller = copy.deepcopy(student).requires_grad_(True)
    encoder, head = smaller.encoder, smaller.head
    ratios: dict[nn.Module, float] = {encoder.stem[name]: share for name in encoder.names}
    if width:
        ratios[encoder.widen[encoder.names[0]]] = share
    for block in [*encoder.parts, *head.parts]:
        ratios[block.feedforward.expand] = share
    heads = {block.attention.qkv: block.attention.heads for block in head.parts}
    # One head of a block always stays; the library rounds up, hence the small step down.
    fewer = {qkv: min(int(share * count), count - 1) / count for qkv, count in heads.items()}
    head_ratios: dict[nn.Module, float] = {qkv: ratio - 1e-6 for qkv, ratio in fewer.items() if ratio > 0}
    ratios |= head_ratios
    roots = {id(block.feedforward.contract) for block in encoder.parts} | {id(w) for w in encoder.widen.values()}
    before = encoder.norm.weight.shape[0]
    pruner = torch_pruning.pruner.BasePruner(
        smaller,
        cast(Any, inputs),
        importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=0.0,
        pruning_ratio_dict=cast(Any, ratios),
        num_heads=cast(Any, dict(heads)),
        prune_num_heads=True,
        prune_head_dims=False,
        head_pruning_ratio_dict=cast(Any, dict(head_ratios)),
        ignored_layers=[head.classifier],
        unwrapped_parameters=cast(Any, [*((entry, 0) for entry in encoder.missing.values()), (head.place, 1)]),
        forward_fn=lambda model, given: model(*given).logits,
    )
    pruner.step()
    for block in head.parts:
        block.attention.heads = block.attention.qkv.out_features // (3 * block.attention.head_dim)
    kept = torch.ones(before, dtype=torch.bool)
    modules = dict(smaller.named_modules())
    for name, _, removed in pruner.DG.pruning_history():
        if id(modules[name]) in roots:
            kept[removed] = False
    if any(parameter.numel() == 0 for parameter in smaller.parameters()) or int(kept.sum()) != len(encoder.norm.weight):
        raise ConfigError(f"removing {share:.0%} would leave a layer empty; expected some to stay; ask for more --macs")
    return Cut(smaller, kept.nonzero()[:, 0])


def remove_to(student: Lite, macs_share: float, inputs: Inputs, width: bool) -> Cut:
    """Remove as little as brings the multiply-adds to `macs_share` of what they were (bisection on the share)."""
    if not 0.02 <= macs_share < 1:
        raise ConfigError(f"--macs {macs_share}: expected a share from 0.02 to below 1, such as 0.7")
    single = tuple({name: tensor[:1] for name, tensor in part.items()} for part in inputs)
    budget = macs_share * count_macs(student, *single)
    low, high, best = 0.0, 0.97, None
    for _ in range(9):
        middle = (low + high) / 2
        cut = remove(student, middle, inputs, width)
        if count_macs(cut.student, *single) > budget:
            low = middle
        else:
            high, best = middle, cut
    if best is None:
        raise ConfigError(f"--macs {macs_share}: not even 97 % of the units gone is enough; ask for more --macs")
    return best


def recovery_loss(
    unpruned: Lite, source: Source, kept_width: Tensor, batch: int, temperature: float, crew: Crew
) -> LossOf:
    """Match block outputs on the channels that stayed, deeper blocks weighing more, and the predictions."""
    encoder_blocks = len(unpruned.encoder.blocks)

    def loss_of(model: nn.Module, rows: NDArray[Any], generator: torch.Generator) -> Tensor:
        features, valid = (crew.share_all(part) for part in source.draw(batch, generator))
        with torch.no_grad():
            known: LiteOutput = unpruned(features, valid)
        output: LiteOutput = model(features, valid)
        loss = soft_targets(output.logits, known.logits, temperature)
        for depth, (got, wanted) in enumerate(zip(output.blocks, known.blocks, strict=True), 1):
            target = wanted[..., kept_width] if depth <= encoder_blocks else wanted
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
    with workplace(out, crew) as progress:
        unpruned = rebuild(before).to(crew.device).requires_grad_(False)
        source = open_source(options.inputs, before, unpruned, options.seed, crew.device)
        held_out = source.draw(512, update_generator(options.seed + 1, 0))
        cut = remove_to(unpruned, options.macs, source.draw(2, update_generator(options.seed, 0)), options.width)
        pruned, batch = cut.student, options.train.batch
        agreed_before = agreement(pruned.eval(), unpruned, held_out)
        history = train(
            pruned,
            recovery_loss(unpruned, source, cut.kept_width, batch, options.temperature, crew),
            batch,
            options.train,
            options.seed,
            crew,
            "recover",
            progress,
            [asdict(options), before.facts["options"], before.history],
        )
        if crew.rank != 0:
            return 0
        single: Inputs = ({k: v[:1] for k, v in held_out[0].items()}, {k: v[:1] for k, v in held_out[1].items()})
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
