"""A checkpoint's logits on its test subjects, with all sensors and with each one alone.

python student/logits.py runs/demo/student --out runs/demo/answers.npz

A teacher's checkpoint will do as well. `edgehar crossvalidate` and `edgehar evaluate --suite` score what this writes.
"""

import sys
from dataclasses import MISSING, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from edgehar.command_line import Parser
from edgehar.config import group, option, positional
from edgehar.data.registry import DataOptions
from edgehar.entry import guarded
from edgehar.metrics.logits_file import StoredLogits, fed_name, feeds, scores, write_logits
from edgehar.signals.windows import Windows
from edgehar.student.network.rebuild import network_of
from edgehar.teacher.training.checkpoint import load_checkpoint
from edgehar.teacher.training.stage import load_data_of, predict


@dataclass(frozen=True)
class LogitsOptions:
    """Options of the command."""

    checkpoint: str = positional("folder of a teacher, student or pruned checkpoint")
    out: str = option(MISSING, "file to write (.npz)")
    data: DataOptions = group(DataOptions)


def fed_only(windows: Windows, fed: tuple[str, ...]) -> Windows:
    """The same windows with the other sensors missing."""
    return replace(
        windows,
        features={name: array * np.float32(name in fed) for name, array in windows.features.items()},
        valid={name: array & (name in fed) for name, array in windows.valid.items()},
    )


PARSER = Parser(LogitsOptions, "edgehar logits", __doc__ or "")


def run(options: LogitsOptions) -> int:
    """Predict every labelled window of the test subjects and write the logits."""
    checkpoint = load_checkpoint(Path(options.checkpoint), ("teacher", "student", "pruned"))
    data = load_data_of(checkpoint, options.data)
    network, windows, device = network_of(checkpoint), data.test, torch.device("cpu")
    sensors = tuple(spec.name for spec in checkpoint.info.modalities)
    answers = StoredLogits(
        tuple(fed_name(fed) for fed in feeds(sensors)),
        np.stack([predict(network, fed_only(windows, fed), device) for fed in feeds(sensors)]),
        windows.label,
        windows.subject,
        windows.clip,
        windows.start_s,
        checkpoint.info.labels,
        sensors,
    )
    write_logits(Path(options.out), answers)
    for fed, found in scores(answers).items():
        sys.stdout.write(f"{checkpoint.kind}, fed {fed}: {found['correct']}/{found['total']} correct\n")
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
