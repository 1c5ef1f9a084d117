"""Pretraining of the teacher on the recordings of one or many data sets, labelled or not, of whatever sensors.

    python teacher/pretrain.py --data A,B,C --out runs/demo/pretrained

The data sets may have different sensors, rates and activities. No weight of the checkpoint has the name of a sensor:
edgehar finetune --pretrained takes them to sensors and activities that none of the data sets has.

On several processes (NCCL on GPUs, gloo on CPUs), with the losses of a single one:

    torchrun --nproc-per-node 2 teacher/pretrain.py --out runs/demo/pretrained
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import MISSING, asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgehar.command_line import Parser
from edgehar.config import Options, group, option, seed_option
from edgehar.data.registry import DataOptions
from edgehar.entry import guarded
from edgehar.signals.clip import DatasetInfo
from edgehar.signals.modality import WindowSpec
from edgehar.signals.preprocess import Normalisation
from edgehar.teacher.augmentation.geometric import AugmentConfig, augment
from edgehar.teacher.network.layers import count_parameters
from edgehar.teacher.network.masking import MaskingConfig, Visible, visible_grids
from edgehar.teacher.network.model import PRESETS, TeacherConfig
from edgehar.teacher.pretraining.autoencoder import View
from edgehar.teacher.pretraining.model import Batch, ObjectiveConfig, Pretraining
from edgehar.teacher.pretraining.sensor_subsets import some_sensors
from edgehar.teacher.pretraining.sources import Draws, ShardOptions, Source, load_sources
from edgehar.teacher.pretraining.universal import Universal
from edgehar.teacher.training.checkpoint import Checkpoint, save_checkpoint
from edgehar.teacher.training.loop import LossOf, TrainConfig, train
from edgehar.teacher.training.processes import ProcessGroup
from edgehar.teacher.training.stage import checkpoint_output, one_hot

SMOOTHING = 0.1


@dataclass(frozen=True)
class PretrainOptions(Options):
    """Options of `edgehar pretrain`."""

    out: str = option(MISSING, "folder of the pretrained checkpoint to write")
    seed: int = seed_option()
    data: DataOptions = group(DataOptions)
    shards: ShardOptions = group(ShardOptions)
    objectives: ObjectiveConfig = group(ObjectiveConfig)
    network: TeacherConfig = group(TeacherConfig)
    masking: MaskingConfig = group(MaskingConfig)
    train: TrainConfig = group(TrainConfig)
    augment: AugmentConfig = group(AugmentConfig)


TRAIN_PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"updates": 40, "learning_rate": 2e-3, "ema_decay": 0.98, "mounting_deg": 30.0},
    "base": {"updates": 1600, "batch": 64, "learning_rate": 2e-3, "mounting_deg": 30.0},
    "large": {
        "updates": 40_000,
        "batch": 512,
        "learning_rate": 5e-4,
        "bf16": True,
        "compile": True,
        "ema_decay": 0.999,
        "mounting_deg": 30.0,
    },
}


def pretrain_loss(
    sources: Sequence[Source],
    draws: Draws,
    objectives: ObjectiveConfig,
    masking: MaskingConfig,
    augmentation: AugmentConfig,
    batch: int,
    processes: ProcessGroup,
) -> LossOf:
    """The loss of windows of the data set of an update, with some of its sensors, augmented and masked.

    Masking replaces noise and dropout of augmentation. Instead of rows, the loss gets the number of the update.
    """
    masked = replace(augmentation, lost_joint=0.0, lost_step=0.0, lost_modality=0.0, noise=0.0)

    def loss_of(model: nn.Module, update: NDArray[Any], generator: torch.Generator) -> Tensor:
        index = draws.source(generator)
        source = sources[index]
        size = max(batch, processes.world)
        features, valid, label = source.windows.batch(int(draws.number[update[0]]), size, generator)
        specs, features, valid = some_sensors(source.info.modalities, features, valid, generator)

        def view_of() -> View:
            tokens, present = augment(features, valid, specs, masked, generator)
            visible = {
                name: Visible(
                    processes.shard(grid.steps).to(processes.device), processes.shard(grid.groups).to(processes.device)
                )
                for name, grid in visible_grids(tokens, specs, masking, generator).items()
            }
            return View(processes.shard_all(tokens), processes.shard_all(present), visible)

        views = [view_of() for _ in range(objectives.views)]
        target = None
        if objectives.label_weight and source.is_labelled:
            features, valid = augment(features, valid, specs, augmentation, generator)
            target = processes.shard(one_hot(label, len(source.info.labels), SMOOTHING))
        window = source.info.window
        return model(
            Batch(
                index, specs, window.steps, window.step_s, views,
                processes.shard_all(features), processes.shard_all(valid), target,
            )
        )  # fmt: skip

    return loss_of


PARSER = Parser(
    PretrainOptions, "edgehar pretrain", __doc__ or "", {name: PRESETS[name] | TRAIN_PRESETS[name] for name in PRESETS}
)


def run(options: PretrainOptions) -> int:
    """Pretrain and write the checkpoint of the encoder."""
    out, processes, started_s = Path(options.out), ProcessGroup.from_environment(), time.monotonic()
    with checkpoint_output(out, processes, kind="pretrained") as progress:
        sources, rate = load_sources(options.data, options.shards, options.seed, processes.device)
        torch.manual_seed(options.seed)
        universal = Universal(options.network)
        model = Pretraining(universal, options.objectives, [len(source.info.labels) for source in sources])
        model.to(processes.device)
        draws = Draws.of(sources, options.seed, options.train.steps)
        history = train(
            model,
            pretrain_loss(
                sources, draws, options.objectives, options.masking, options.augment, options.train.batch, processes
            ),
            sum(len(source.windows) for source in sources),
            options.train,
            options.seed,
            processes,
            "pretrain",
            progress,
            [asdict(options), [source.fingerprint for source in sources]],
            rows_of=lambda update: np.asarray([update]),
        )
        if processes.rank != 0:
            return 0
        facts = {
            "parameters": count_parameters(universal),
            "decoder_parameters": count_parameters(model) - count_parameters(universal),
            "people": sum(source.people for source in sources),
            "hours": round(sum(source.hours for source in sources), 3),
            "seconds": time.monotonic() - started_s,
            "options": asdict(options),
        }
        info = DatasetInfo(
            "+".join(source.info.name for source in sources), (), (), WindowSpec("sliding", 16, 0.16),
            "; ".join(filter(None, (source.info.citation for source in sources))),
            "; ".join(filter(None, (source.info.licence for source in sources))),
        )  # fmt: skip
        # A batch normalisation also counts its batches.
        weights = {name: part for name, part in universal.state_dict().items() if part.is_floating_point()}
        data = {"sources": [source.options for source in sources], "frame_rate": rate}
        save_checkpoint(
            out,
            Checkpoint(
                "pretrained", asdict(options.network), info, Normalisation({}), data, history, facts, weights
            ),
        )  # fmt: skip
    sys.stdout.write(
        f"pretrained on {facts['people']} people, {facts['hours']:.3g} hours: "
        f"loss {history[0]['loss']:.3f} -> {history[-1]['loss']:.3f}\n"
    )
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
