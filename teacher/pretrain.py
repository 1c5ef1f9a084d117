"""Masked pretraining of the teacher on unlabelled windows of the training subjects.

    python teacher/pretrain.py --out runs/demo/pretrained

On several processes (NCCL on GPUs, gloo on CPUs), with the losses of a single one:

    torchrun --nproc-per-node 2 teacher/pretrain.py --out runs/demo/pretrained
"""

import sys
import time
from dataclasses import MISSING, asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgehar.command_line import Parser
from edgehar.config import Options, group, option, seed_option
from edgehar.data.registry import DataOptions
from edgehar.entry import guarded
from edgehar.errors import ConfigError
from edgehar.teacher.augmentation.geometric import AugmentConfig, augment
from edgehar.teacher.network.convolutions import add_norms, fold_norms
from edgehar.teacher.network.layers import count_parameters
from edgehar.teacher.network.masking import MaskingConfig, Visible, visible_grids
from edgehar.teacher.network.model import PRESETS, Teacher, TeacherConfig
from edgehar.teacher.pretraining.autoencoder import DECODER_HEADS, MaskedAutoencoder, View
from edgehar.teacher.training.batches import WindowTensors, to_tensors
from edgehar.teacher.training.checkpoint import Checkpoint, save_checkpoint
from edgehar.teacher.training.loop import LossOf, TrainConfig, train
from edgehar.teacher.training.processes import ProcessGroup
from edgehar.teacher.training.stage import checkpoint_output, load_stage_data


@dataclass(frozen=True)
class PretrainOptions(Options):
    """Options of `edgehar pretrain`."""

    out: str = option(MISSING, "folder of the pretrained checkpoint to write")
    seed: int = seed_option()
    decoder_width: int = option(64, "channels of the decoders", at_least=DECODER_HEADS)
    contrast: float = option(1.0, "weight of the contrastive loss between two views; 0: one view only", at_least=0)
    data: DataOptions = group(DataOptions)
    network: TeacherConfig = group(TeacherConfig)
    masking: MaskingConfig = group(MaskingConfig)
    train: TrainConfig = group(TrainConfig)
    augment: AugmentConfig = group(AugmentConfig)

    def __post_init__(self) -> None:
        """Raise ConfigError for a decoder width that does not divide into its attention heads."""
        super().__post_init__()
        if self.decoder_width % DECODER_HEADS:
            raise ConfigError(f"--decoder-width {self.decoder_width}: expected a multiple of {DECODER_HEADS}")


TRAIN_PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"updates": 100, "learning_rate": 2e-3, "ema_decay": 0.98},
    "base": {"updates": 800},
    "large": {
        "updates": 40_000,
        "batch": 512,
        "learning_rate": 5e-4,
        "bf16": True,
        "compile": True,
        "ema_decay": 0.999,
    },
}


NOT_PRETRAINED = ("classifier.", "modality_head.", "step_convolutions.")
"""Parameters of the teacher that pretraining does not train and the checkpoint does not store: visible steps are no
neighbours, so that nothing is convolved over them."""


def pretrain_loss(
    windows: WindowTensors,
    teacher: Teacher,
    masking: MaskingConfig,
    augmentation: AugmentConfig,
    views: int,
    processes: ProcessGroup,
) -> LossOf:
    """The loss of augmented, masked views of a batch; masking replaces noise and dropout of augmentation."""
    augmentation = replace(augmentation, lost_joint=0.0, lost_step=0.0, lost_modality=0.0, noise=0.0)

    def view_of(rows: NDArray[Any], generator: torch.Generator) -> View:
        features, valid, _ = windows.rows(rows)
        features, valid = augment(features, valid, teacher.specs, augmentation, generator)
        visible = {
            name: Visible(
                processes.shard(grid.steps).to(processes.device), processes.shard(grid.groups).to(processes.device)
            )
            for name, grid in visible_grids(features, teacher.specs, masking, generator).items()
        }
        return View(processes.shard_all(features), processes.shard_all(valid), visible)

    def loss_of(model: nn.Module, rows: NDArray[Any], generator: torch.Generator) -> Tensor:
        return model([view_of(rows, generator) for _ in range(views)])

    return loss_of


PARSER = Parser(
    PretrainOptions, "edgehar pretrain", __doc__ or "", {name: PRESETS[name] | TRAIN_PRESETS[name] for name in PRESETS}
)


def run(options: PretrainOptions) -> int:
    """Pretrain and write the checkpoint of the encoder."""
    out, processes, started_s = Path(options.out), ProcessGroup.from_environment(), time.monotonic()
    with checkpoint_output(out, processes, kind="pretrained") as progress:
        data = load_stage_data(options.data)
        info = data.dataset.info
        torch.manual_seed(options.seed)
        teacher = Teacher(options.network, info.modalities, info.window.steps, len(info.labels))
        add_norms(teacher)
        model = MaskedAutoencoder(teacher, info.window.steps, options.decoder_width, options.contrast).to(
            processes.device
        )
        views = 2 if options.contrast else 1
        history = train(
            model,
            pretrain_loss(
                to_tensors(data.train, processes.device), teacher, options.masking, options.augment, views, processes
            ),
            len(data.train),
            options.train,
            options.seed,
            processes,
            "pretrain",
            progress,
            [asdict(options), data.fingerprint],
        )
        fold_norms(teacher)
        if processes.rank != 0:
            return 0
        facts = {
            "parameters": count_parameters(teacher),
            "decoder_parameters": count_parameters(model) - count_parameters(teacher),
            "seconds": time.monotonic() - started_s,
            "options": asdict(options),
        }
        weights = {name: tensor for name, tensor in teacher.state_dict().items() if not name.startswith(NOT_PRETRAINED)}
        save_checkpoint(
            out,
            Checkpoint(
                "pretrained", asdict(options.network), info, data.normalisation, data.options, history, facts, weights
            ),
        )
    sys.stdout.write(f"pretrained: loss {history[0]['loss']:.3f} -> {history[-1]['loss']:.3f}\n")
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
