"""Fine-tune the teacher on labelled windows, with an auxiliary head per modality.

python teacher/finetune.py --pretrained runs/demo/pretrained --out runs/demo/teacher
"""

import sys
import time
from dataclasses import MISSING, asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgehar.command_line import Parser
from edgehar.config import Options, group, option
from edgehar.data.registry import DataOptions
from edgehar.entry import guarded
from edgehar.errors import CheckpointError, ConfigError
from edgehar.signals.windows import stratified
from edgehar.teacher.augmentation.compose import Variation
from edgehar.teacher.augmentation.geometric import AugmentConfig
from edgehar.teacher.augmentation.part_swap import ExchangeConfig, Partners
from edgehar.teacher.network.layers import count_macs, count_parameters
from edgehar.teacher.network.model import PRESETS, Teacher, TeacherConfig
from edgehar.teacher.pretrain import HEADS
from edgehar.teacher.training.batches import WindowTensors, to_tensors
from edgehar.teacher.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edgehar.teacher.training.loop import ProcessGroup, TrainConfig, train
from edgehar.teacher.training.moments import measure_moments, measure_statistics
from edgehar.teacher.training.stage import (  # fmt: skip
    LossOf,
    checkpoint_output,
    cross_entropy,
    example,
    inherit_data_options,
    load_stage_data,
    report_score,
    score_on,
)


@dataclass(frozen=True)
class LabelConfig(Options):
    """How labels are softened and shared."""

    smoothing: float = option(0.1, "label smoothing")
    mixup: float = option(0.3, "Beta parameter of mixup; 0 mixes nothing")
    auxiliary: float = option(0.3, "weight of each modality's own head")
    label_share: float = option(
        1.0, "share of the labelled training windows to use, the same of every activity", above=0, at_most=1
    )
    label_draw: int = option(0, "which windows are in that share", at_least=0)


@dataclass(frozen=True)
class FinetuneOptions:
    """Options of the stage."""

    out: str = option(MISSING, "folder of the teacher checkpoint to write")
    pretrained: str | None = option(None, "folder of a pretrained checkpoint; without it training starts from scratch")
    seed: int = option(0, "reproduces the run")
    data: DataOptions = group(DataOptions)
    network: TeacherConfig = group(TeacherConfig)
    train: TrainConfig = group(TrainConfig)
    augment: AugmentConfig = group(AugmentConfig)
    exchange: ExchangeConfig = group(ExchangeConfig)
    labels: LabelConfig = group(LabelConfig)


LENGTHS: dict[str, dict[str, Any]] = {
    "tiny": {"updates": 250, "learning_rate": 2e-3, "ema_decay": 0.98},
    "base": {"updates": 3000, "learning_rate": 3e-3},
    "large": {
        "updates": 20_000,
        "batch": 256,
        "learning_rate": 5e-4,
        "bf16": True,
        "compile": True,
        "ema_decay": 0.999,
    },
}


def finetune_loss(windows: WindowTensors, variation: Variation, auxiliary: float, processes: ProcessGroup) -> LossOf:
    """Cross-entropy of the fused prediction plus `auxiliary` times that of each modality's own head."""
    partners = Partners(windows.label)

    def loss_of(model: nn.Module, rows: NDArray[Any], generator: torch.Generator) -> Tensor:
        other = windows.rows(partners.draw(rows, generator)) if variation.exchanges else None
        features, valid, target = variation.apply(windows.rows(rows), other, generator)
        valid, target = processes.shard_all(valid), processes.shard(target)
        output = model(processes.shard_all(features), valid)
        loss = cross_entropy(output.logits, target)
        for name, logits in output.modality_logits.items():
            present = valid[name].any(1).float()
            loss = loss + auxiliary * cross_entropy(logits, target * present[:, None])
        return loss

    return loss_of


def sizes_of(before: Checkpoint) -> TeacherConfig:
    """The sizes of a pretrained network; raises CheckpointError for what are none."""
    try:
        return TeacherConfig(**before.network)
    except (TypeError, ConfigError) as problem:
        raise CheckpointError(f"{before.path}: sizes of no network ({problem}); pretrain again") from None


def begin_with(teacher: Teacher, before: Checkpoint) -> None:
    """Load pretrained weights, which are all but those of the heads; raises CheckpointError for others."""
    try:
        lacking, strange = teacher.load_state_dict(before.weights, strict=False)
    except RuntimeError as problem:
        reason = " ".join(str(problem).split())[:200]
        raise CheckpointError(f"{before.path}: weights of another network ({reason}); pretrain again") from None
    lacking = [name for name in lacking if not name.startswith(HEADS)]
    if lacking or strange:
        raise CheckpointError(
            f"{before.path}: weights of another network (lacks {lacking[:3]}, has {strange[:3]}); pretrain again"
        )


PARSER = Parser(
    FinetuneOptions, "edgehar finetune", __doc__ or "", {name: PRESETS[name] | LENGTHS[name] for name in PRESETS}
)


def run(options: FinetuneOptions) -> int:
    """Train, score once on the test subjects, write the checkpoint."""
    out, processes, started_s = Path(options.out), ProcessGroup.from_environment(), time.monotonic()
    before = load_checkpoint(Path(options.pretrained), ("pretrained",)) if options.pretrained else None
    source = options.data if before is None else inherit_data_options(options.data, before.data)
    network = options.network if before is None else sizes_of(before)
    with checkpoint_output(out, processes, *filter(None, [options.pretrained]), kind="teacher") as progress:
        data = load_stage_data(source, None if before is None else before.normalisation)
        info, labelled = data.dataset.info, data.train.labelled()
        labelled = labelled.take(stratified(labelled.label, options.labels.label_share, options.labels.label_draw))
        labels = options.labels
        variation = Variation(info, options.augment, options.exchange, labels.smoothing, labels.mixup)
        torch.manual_seed(options.seed)
        teacher = Teacher(network, info.modalities, info.window.steps, len(info.labels)).to(processes.device)
        if before is not None:
            begin_with(teacher, before)
        history = train(
            teacher,
            finetune_loss(to_tensors(labelled, processes.device), variation, labels.auxiliary, processes),
            len(labelled),
            options.train,
            options.seed,
            processes,
            "fine-tune",
            progress,
            [asdict(options), data.fingerprint, None if before is None else before.digest()],
        )
        if processes.rank != 0:
            return 0
        evaluation = score_on(teacher, data.test, info.labels, processes.device)
        facts = {
            "parameters": count_parameters(teacher),
            "macs": count_macs(teacher, *example(data.train, processes.device)),
            "seconds": time.monotonic() - started_s,
            "evaluation": evaluation,
            "train_windows": len(labelled),
            "statistics": measure_statistics(data.train, info.modalities),
            "options": asdict(options),
        }
        save_checkpoint(
            out,
            Checkpoint(
                "teacher", asdict(network), info, data.normalisation, data.options, history, facts,
                teacher.state_dict(), measure_moments(labelled, info.modalities, len(info.labels)),
            ),
        )  # fmt: skip
    report_score("teacher", evaluation)
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
