"""Fine-tuning of the teacher on labelled windows, with an auxiliary head per modality.

python teacher/finetune.py --pretrained runs/demo/pretrained --out runs/demo/teacher
"""

import sys
import time
from dataclasses import MISSING, asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgehar.choices import PRETRAINED_HELP, pretrained_folder
from edgehar.command_line import Parser
from edgehar.config import Options, group, option, seed_option
from edgehar.data.pretraining import EVERYONE
from edgehar.data.registry import DataOptions
from edgehar.entry import guarded
from edgehar.errors import CheckpointError, ConfigError
from edgehar.signals.modality import WindowSpec
from edgehar.signals.windows import stratified
from edgehar.teacher.augmentation.compose import Augmentation
from edgehar.teacher.augmentation.geometric import AugmentConfig
from edgehar.teacher.augmentation.part_swap import ExchangeConfig, Partners
from edgehar.teacher.network.convolutions import add_norms, fold_norms
from edgehar.teacher.network.layers import count_macs, count_parameters
from edgehar.teacher.network.model import PRESETS, Teacher, TeacherConfig, TeacherOutput
from edgehar.teacher.pretraining.sources import check_unseen
from edgehar.teacher.pretraining.start import fit_heads
from edgehar.teacher.pretraining.universal import Universal
from edgehar.teacher.training.batches import WindowTensors, to_tensors
from edgehar.teacher.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edgehar.teacher.training.loop import LossOf, RateOf, TrainConfig, equal_rates, train
from edgehar.teacher.training.moments import measure_moments, measure_statistics
from edgehar.teacher.training.processes import ProcessGroup
from edgehar.teacher.training.saliency_guided import Guide, GuidedConfig
from edgehar.teacher.training.stage import (  # fmt: skip
    checkpoint_output,
    cross_entropy,
    example_inputs,
    inherit_data_options,
    load_stage_data,
    report_score,
    score_on,
)


@dataclass(frozen=True)
class LabelConfig(Options):
    """Labels."""

    smoothing: float = option(0.1, "label smoothing", at_least=0, below=1)
    mixup: float = option(0.3, "parameter of mixup's Beta distribution; 0 for no mixup", at_least=0)
    auxiliary: float = option(0.3, "weight of each modality's auxiliary loss", at_least=0)
    label_share: float = option(
        1.0, "share of the labelled training windows to use, equal for all activities", above=0, at_most=1
    )
    label_draw: int = option(0, "seed that selects the windows of this share", at_least=0)


@dataclass(frozen=True)
class FinetuneOptions(Options):
    """Options of `edgehar finetune`."""

    out: str = option(MISSING, "folder of the teacher checkpoint to write")
    pretrained: str | None = option(None, f"{PRETRAINED_HELP}; default: train from scratch")
    layer_decay: float = option(
        1.0,
        "with --pretrained: learning rate of each part of the network relative to the part above it",
        above=0,
        at_most=1,
    )
    seed: int = seed_option()
    data: DataOptions = group(DataOptions)
    network: TeacherConfig = group(TeacherConfig)
    train: TrainConfig = group(TrainConfig)
    augment: AugmentConfig = group(AugmentConfig)
    exchange: ExchangeConfig = group(ExchangeConfig)
    labels: LabelConfig = group(LabelConfig)
    guided: GuidedConfig = group(GuidedConfig)


TRAIN_PRESETS: dict[str, dict[str, Any]] = {
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


def finetune_loss(windows: WindowTensors, augmentation: Augmentation, auxiliary: float, guide: Guide) -> LossOf:
    """Cross-entropy of the classifier plus `auxiliary` times that of each modality's auxiliary head."""
    partners = Partners(windows.label)

    def loss_of(model: nn.Module, rows: NDArray[Any], generator: torch.Generator) -> Tensor:
        other = windows.rows(partners.draw(rows, generator)) if augmentation.needs_partners else None
        features, valid, target = augmentation.apply(windows.rows(rows), other, generator)
        outputs, divergence = guide(model, features, valid, target, generator)
        output = TeacherOutput(*outputs)
        valid, target = guide.processes.shard_all(valid), guide.processes.shard(target)
        loss = cross_entropy(output.logits, target) + divergence
        for name, logits in output.modality_logits.items():
            present = valid[name].any(1).float()
            loss = loss + auxiliary * cross_entropy(logits, target * present[:, None])
        return loss

    return loss_of


def network_config(before: Checkpoint) -> TeacherConfig:
    """The network size of a pretrained checkpoint; raises CheckpointError if it is invalid."""
    try:
        return TeacherConfig(**before.network)
    except (TypeError, ConfigError) as problem:
        raise CheckpointError(f"{before.path}: network size is invalid ({problem}); pretrain again") from None


def data_options(given: DataOptions, before: Checkpoint | None) -> DataOptions:
    """The recordings to fine-tune on: as given, else those of pretraining on a single data set; with its frame rate.

    Raises CheckpointError if the checkpoint does not say what it was trained on, or names several and none is given.
    """
    if before is None:
        return given
    try:
        sources, frame_rate = before.data["sources"], before.data["frame_rate"]
        if given == DataOptions():
            if len(sources) != 1 or sources[0]["split"] == EVERYONE:
                seen = ", ".join(f"{source['data']} (split {source['split']})" for source in sources)
                raise CheckpointError(
                    f"{before.path}: pretrained on {seen}; give the recordings to fine-tune on, of other people, with "
                    "--data"
                )
            given = inherit_data_options(given, sources[0])
    except (KeyError, TypeError, ValueError):
        raise CheckpointError(f"{before.path}: pretrained by an earlier version or damaged; pretrain again") from None
    return given if frame_rate is None else replace(given, frame_rate=float(frame_rate))


def load_pretrained(teacher: Teacher, before: Checkpoint, window: WindowSpec) -> None:
    """Load the pretrained weights for a teacher's sensors; raises CheckpointError if they do not fit."""
    try:
        universal = Universal(teacher.config)
        universal.load_state_dict(before.weights)
        universal.load_into(teacher, window)
    except RuntimeError as problem:
        reason = " ".join(str(problem).split())[:200]
        raise CheckpointError(f"{before.path}: weights of another network ({reason}); pretrain again") from None


PARTS = ("tokens.", "step_convolutions.", "time_blocks.", "fusion.", "")
"""Beginnings of the names of a teacher's parts, from the input up; embeddings learn like the classifier."""


def layer_rates(decay: float) -> RateOf:
    """Learning rates that fall by `decay` from part to part towards the input (BEiT, arXiv 2106.08254, section 3.2)."""

    def rate_of(name: str) -> float:
        depth = next(index for index, part in enumerate(PARTS) if name.startswith(part))
        return decay ** (len(PARTS) - 1 - depth)

    return rate_of


PARSER = Parser(
    FinetuneOptions, "edgehar finetune", __doc__ or "", {name: PRESETS[name] | TRAIN_PRESETS[name] for name in PRESETS}
)


def run(options: FinetuneOptions) -> int:
    """Train, score on the test subjects and write the checkpoint."""
    out, processes, started_s = Path(options.out), ProcessGroup.from_environment(), time.monotonic()
    weights = pretrained_folder(options.pretrained) if options.pretrained else None
    before = None if weights is None else load_checkpoint(weights, ("pretrained",))
    source = data_options(options.data, before)
    network = options.network if before is None else network_config(before)
    with checkpoint_output(out, processes, *([] if weights is None else [str(weights)]), kind="teacher") as progress:
        data = load_stage_data(source)
        if before is not None:
            check_unseen(before.data["sources"], source, data.dataset.info.name, data.split)
        info, labelled = data.dataset.info, data.train.labelled()
        labelled = labelled.take(stratified(labelled.label, options.labels.label_share, options.labels.label_draw))
        labels = options.labels
        augmentation = Augmentation(info, options.augment, options.exchange, labels.smoothing, labels.mixup)
        torch.manual_seed(options.seed)
        teacher = Teacher(network, info.modalities, info.window.steps, len(info.labels))
        add_norms(teacher)
        if before is not None:
            load_pretrained(teacher, before, info.window)
        teacher.to(processes.device)
        windows = to_tensors(labelled, processes.device)
        if before is not None:
            fit_heads(teacher, windows)
        guide = Guide(teacher, options.guided, processes)
        history = train(
            teacher,
            finetune_loss(windows, augmentation, labels.auxiliary, guide),
            len(labelled),
            options.train,
            options.seed,
            processes,
            "fine-tune",
            progress,
            [asdict(options), data.fingerprint, None if before is None else before.digest()],
            rate_of=equal_rates if before is None else layer_rates(options.layer_decay),
        )
        fold_norms(teacher)
        if processes.rank != 0:
            return 0
        evaluation = score_on(teacher, data.test, info.labels, processes.device)
        facts = {
            "parameters": count_parameters(teacher),
            "macs": count_macs(teacher, *example_inputs(data.train, processes.device)),
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
