"""Train the student network from one or several teachers: on their soft targets, their features, and the labels.

python student/distill.py --teacher runs/demo/teacher --out runs/demo/student
"""

import sys
import time
from dataclasses import MISSING, asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from edgehar.command_line import Parser
from edgehar.config import Options, group, option, seed_option
from edgehar.data.registry import DataOptions
from edgehar.entry import guarded
from edgehar.student.distillation.ensemble import TeacherEnsemble, require_same_data
from edgehar.student.distillation.initialise import initialise_from_teacher
from edgehar.student.distillation.objective import DistillationModel, DistillConfig, distill_loss
from edgehar.student.distillation.pseudo_labels import labelled_subset, training_selection
from edgehar.student.network.model import PRESETS, StudentConfig, StudentNetwork
from edgehar.teacher.augmentation.compose import Augmentation
from edgehar.teacher.augmentation.geometric import AugmentConfig
from edgehar.teacher.augmentation.part_swap import ExchangeConfig
from edgehar.teacher.augmentation.sensor_faults import FaultConfig, faulty_windows
from edgehar.teacher.network.layers import count_macs, count_parameters
from edgehar.teacher.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edgehar.teacher.training.loop import TrainConfig, train
from edgehar.teacher.training.moments import measure_moments, measure_statistics
from edgehar.teacher.training.processes import ProcessGroup
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

    teacher: tuple[str, ...] = option(MISSING, "folder of the teacher checkpoint; several teachers are averaged")
    out: str = option(MISSING, "folder of the student checkpoint to write")
    seed: int = seed_option()
    data: DataOptions = group(DataOptions)
    network: StudentConfig = group(StudentConfig)
    train: TrainConfig = group(TrainConfig)
    augment: AugmentConfig = group(AugmentConfig)
    exchange: ExchangeConfig = group(ExchangeConfig)
    faults: FaultConfig = group(FaultConfig)
    distill: DistillConfig = group(DistillConfig)


SCHEDULES: dict[str, dict[str, Any]] = {
    "tiny": {"updates": 400, "learning_rate": 4e-3, "ema_decay": 0.98},
    "base": {"updates": 2000, "learning_rate": 3e-3},
    "large": {"updates": 30_000, "batch": 256, "learning_rate": 2e-3, "ema_decay": 0.999},
}

PARSER = Parser(
    DistillOptions, "edgehar distill", __doc__ or "", {name: PRESETS[name] | SCHEDULES[name] for name in PRESETS}
)


def run(options: DistillOptions) -> int:
    """Distil, score once on the test subjects, write the checkpoint."""
    config = options.distill
    out, processes, started_s = Path(options.out), ProcessGroup.from_environment(), time.monotonic()
    checkpoints = [load_checkpoint(Path(folder), ("teacher",)) for folder in options.teacher]
    first = require_same_data(checkpoints, options.teacher)
    with checkpoint_output(out, processes, *options.teacher, kind="student") as progress:
        data = load_checkpoint_data(first, options.data)
        info = data.dataset.info
        teachers = TeacherEnsemble(checkpoints, config.layers).to(processes.device)
        labelled = labelled_subset(data.train, config.label_share, config.label_draw)
        select = training_selection(
            data, labelled, config.uses_teachers, config.pseudo_labels, teachers, processes.device
        )
        windows = faulty_windows(data, options.faults, options.seed, processes.device, select)
        # Modality dropout applies to the student only, see distill_loss.
        augment = replace(options.augment, lost_modality=0.0)
        augmentation = Augmentation(info, augment, options.exchange, 0.0, config.mixup)
        lost_modality = options.augment.lost_modality
        torch.manual_seed(options.seed)
        student = StudentNetwork(options.network, info.modalities, info.window.steps, len(info.labels))
        if config.init_from_teacher:
            initialise_from_teacher(student, teachers.first)
        history = train(
            DistillationModel(student, teachers.dim, config).to(processes.device),
            distill_loss(windows, teachers, augmentation, lost_modality, config, processes),
            len(windows.clean),
            options.train,
            options.seed,
            processes,
            "distill",
            progress,
            [asdict(options), data.fingerprint, [checkpoint.digest() for checkpoint in checkpoints]],
        )
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
                "student", asdict(options.network), info, data.normalisation, data.options, history, facts,
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
