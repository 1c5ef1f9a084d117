"""Write a checkpoint's logits on its test subjects, with all sensors and with each sensor alone.

python student/logits.py runs/demo/student --out runs/demo/logits.npz

The checkpoint may be a teacher, a student or pruned. `edgehar crossvalidate` and `edgehar evaluate --suite` score the
file.
"""

import sys
from dataclasses import MISSING, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from edgehar.command_line import Parser
from edgehar.config import Options, group, option, positional
from edgehar.data.registry import DataOptions
from edgehar.entry import guarded
from edgehar.metrics.logits_file import StoredLogits, scores, sensor_set_name, sensor_sets, write_logits
from edgehar.signals.windows import Windows
from edgehar.student.network.rebuild import network_of
from edgehar.teacher.training.checkpoint import load_checkpoint
from edgehar.teacher.training.stage import load_checkpoint_data, predict


@dataclass(frozen=True)
class LogitsOptions(Options):
    """Logits."""

    checkpoint: str = positional("folder of a teacher, student or pruned checkpoint")
    out: str = option(MISSING, "file to write (.npz)")
    data: DataOptions = group(DataOptions)


def keep_sensors(windows: Windows, sensors: tuple[str, ...]) -> Windows:
    """The same windows with all other sensors missing."""
    return replace(
        windows,
        features={name: array * np.float32(name in sensors) for name, array in windows.features.items()},
        valid={name: array & (name in sensors) for name, array in windows.valid.items()},
    )


PARSER = Parser(LogitsOptions, "edgehar logits", __doc__ or "")


def run(options: LogitsOptions) -> int:
    """Predict every labelled window of the test subjects and write the logits."""
    checkpoint = load_checkpoint(Path(options.checkpoint), ("teacher", "student", "pruned"))
    data = load_checkpoint_data(checkpoint, options.data)
    network, windows, device = network_of(checkpoint), data.test, torch.device("cpu")
    names = tuple(spec.name for spec in checkpoint.info.modalities)
    stored = StoredLogits(
        tuple(sensor_set_name(sensors) for sensors in sensor_sets(names)),
        np.stack([predict(network, keep_sensors(windows, sensors), device) for sensors in sensor_sets(names)]),
        windows.label,
        windows.subject,
        windows.clip,
        windows.start_s,
        checkpoint.info.labels,
        names,
    )
    write_logits(Path(options.out), stored)
    for sensors, score in scores(stored).items():
        sys.stdout.write(f"{checkpoint.kind}, {sensors}: {score['correct']}/{score['total']} correct\n")
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
