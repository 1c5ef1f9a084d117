"""Train the student network from one or several teachers: on their soft targets, their features, and the labels.

python student/distill.py --teacher runs/demo/teacher --out runs/demo/student
"""

import sys
import time
from dataclasses import MISSING, asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from edgehar.choices import NO_PSEUDO_LABELS
from edgehar.command_line import Parser
from edgehar.config import Options, group, option, seed_option
from edgehar.data.registry import DataOptions
from edgehar.entry import guarded
from edgehar.errors import ConfigError
from edgehar.files.atomic import sha256
from edgehar.student.distillation.ensemble import TeacherEnsemble, require_same_data
from edgehar.student.distillation.objective import DistillationModel, DistillConfig, distill_loss
from edgehar.student.distillation.pseudo_labels import labelled_subset, training_selection
from edgehar.student.distillation.stored_targets import SUFFIX, load_targets
from edgehar.student.network.model import PRESETS, StudentConfig, StudentNetwork, sized
from edgehar.teacher.augmentation.compose import Augmentation
from edgehar.teacher.augmentation.geometric import AugmentConfig
from edgehar.teacher.augmentation.part_swap import ExchangeConfig
from edgehar.teacher.augmentation.sensor_faults import FaultConfig, faulty_windows
from edgehar.teacher.network.convolutions import add_norms, fold_norms
from edgehar.teacher.network.layers import count_macs, count_parameters
from edgehar.teacher.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edgehar.teacher.training.loop import TrainConfig, train
from edgehar.teacher.training.moments import measure_moments, measure_statistics
from edgehar.teacher.training.processes import ProcessGroup
from edgehar.teacher.training.saliency_guided import Guide, GuidedConfig
from edgehar.teacher.training.stage import (
    checkpoint_output,
    example_inputs,
    load_checkpoint_data,
    report_score,
    score_on,
)


@dataclass(frozen=True)
class DistillOptions(Options):
    """Distillation stage."""

    teacher: tuple[str, ...] = option(
        MISSING,
        "folder of the teacher checkpoint; several teachers are averaged, also with files of out-of-fold predictions "
        "(.npz)",
    )
    out: str = option(MISSING, "folder of the student checkpoint to write")
    seed: int = seed_option()
    teacher_weights: tuple[float, ...] = option((), "weight of each teacher; equal if omitted", at_least=0)
    data: DataOptions = group(DataOptions)
    network: StudentConfig = group(StudentConfig)
    train: TrainConfig = group(TrainConfig)
    augment: AugmentConfig = group(AugmentConfig)
    exchange: ExchangeConfig = group(ExchangeConfig)
    faults: FaultConfig = group(FaultConfig)
    distill: DistillConfig = group(DistillConfig)
    guided: GuidedConfig = group(GuidedConfig)

    def __post_init__(self) -> None:
        """Raise ConfigError for weights that do not fit the teachers, and for options that do not fit each other."""
        super().__post_init__()
        weights = self.weights
        if len(weights) != len(self.teacher) or (weights and not sum(weights)):
            raise ConfigError(
                f"--teacher-weights {','.join(map(str, self.teacher_weights))}: expected {len(self.teacher)} numbers "
                "from 0, one for each teacher and not all 0"
            )
        if self.files and (self.distill.label_share < 1 or self.distill.pseudo_labels != NO_PSEUDO_LABELS):
            raise ConfigError(
                f"--teacher {self.files[0]}: a file of predictions was fitted to all labels and has none of unlabelled "
                "windows; expected --label-share 1 and no --pseudo-labels; omit the file or these options"
            )

    @property
    def folders(self) -> tuple[str, ...]:
        """The teachers that are checkpoints."""
        return tuple(path for path in self.teacher if not path.endswith(SUFFIX))

    @property
    def files(self) -> tuple[str, ...]:
        """The teachers that are files of predictions."""
        return tuple(path for path in self.teacher if path.endswith(SUFFIX))

    @property
    def weights(self) -> tuple[float, ...]:
        """The weight of each teacher."""
        return self.teacher_weights or (1.0,) * len(self.teacher)

    def weights_of(self, paths: tuple[str, ...]) -> list[float]:
        """The weights of some of the teachers."""
        return [weight for path, weight in zip(self.teacher, self.weights, strict=True) if path in paths]


SCHEDULES: dict[str, dict[str, Any]] = {
    "tiny": {"updates": 400, "learning_rate": 4e-3, "ema_decay": 0.98},
    "base": {"updates": 2000, "batch": 64, "learning_rate": 3e-3},
    "large": {"updates": 30_000, "batch": 256, "learning_rate": 2e-3, "ema_decay": 0.999},
}

PARSER = Parser(
    DistillOptions, "edgehar distill", __doc__ or "", {name: PRESETS[name] | SCHEDULES[name] for name in PRESETS}
)


def run(options: DistillOptions) -> int:
    """Distil, score once on the test subjects, write the checkpoint."""
    config = options.distill
    out, processes, started_s = Path(options.out), ProcessGroup.from_environment(), time.monotonic()
    checkpoints = [load_checkpoint(Path(folder), ("teacher",)) for folder in options.folders]
    first = require_same_data(checkpoints, options.folders)
    with checkpoint_output(out, processes, *options.teacher, kind="student") as progress:
        data = load_checkpoint_data(first, options.data)
        info = data.dataset.info
        shares = options.weights_of(options.folders)
        teachers = TeacherEnsemble(checkpoints, config.layers, shares if options.teacher_weights else ())
        teachers = teachers.to(processes.device)
        labelled = labelled_subset(data.train, config.label_share, config.label_draw)
        select = training_selection(
            data, labelled, config.uses_teachers, config.pseudo_labels, teachers, processes.device
        )
        files = [Path(name) for name in options.files]
        stored = None
        if files:
            stored = load_targets(files, options.weights_of(options.files), sum(shares), data, select(data.train))
            stored = stored.to(processes.device)
        windows = faulty_windows(data, options.faults, options.seed, processes.device, select)
        # Modality dropout applies to the student only, see distill_loss.
        augment = replace(options.augment, lost_modality=0.0)
        augmentation = Augmentation(info, augment, options.exchange, 0.0, config.mixup)
        lost_modality = options.augment.lost_modality
        torch.manual_seed(options.seed)
        sizes = info.modalities, info.window.steps, len(info.labels)
        network = sized(options.network, *sizes)
        student = StudentNetwork(network, *sizes)
        add_norms(student)
        model = DistillationModel(student, teachers.dim, teachers.fused_dim, config).to(processes.device)
        guide = Guide(model, options.guided, processes)
        history = train(
            model,
            distill_loss(windows, teachers, augmentation, lost_modality, config, guide, stored),
            len(windows.clean),
            options.train,
            options.seed,
            processes,
            "distill",
            progress,
            [asdict(options), data.fingerprint, [*(one.digest() for one in checkpoints), *map(sha256, files)]],
        )
        fold_norms(student)
        if processes.rank != 0:
            return 0
        evaluation = score_on(student, data.test, info.labels, processes.device)
        facts = {
            "parameters": count_parameters(student),
            "macs": count_macs(student, *example_inputs(data.train, processes.device)),
            "seconds": time.monotonic() - started_s,
            "evaluation": evaluation,
            "labelled_windows": len(labelled),
            "pseudo_labelled_windows": int((windows.clean.label >= 0).sum()) - len(labelled),
            "statistics": measure_statistics(data.train, info.modalities),
            "options": asdict(options),
        }
        save_checkpoint(
            out,
            Checkpoint(
                "student", asdict(network), info, data.normalisation, data.options, history, facts,
                student.state_dict(), measure_moments(select(data.train), info.modalities, len(info.labels)),
            ),
        )  # fmt: skip
    report_score("student", evaluation)
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
