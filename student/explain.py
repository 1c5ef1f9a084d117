"""Explain a prediction of a trained checkpoint, by gradients, integrated gradients or occlusion.

edgehar explain --checkpoint runs/quickstart/student --clip wave_s2_t1 --method integrated-gradients

The methods gradient, integrated-gradients and tsr-gradient need captum. The output is that of edgehar explain PACKAGE.
"""

import sys
import time
from dataclasses import MISSING, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgehar.command_line import Parser
from edgehar.config import Options, group, option
from edgehar.data.registry import DataOptions
from edgehar.entry import guarded
from edgehar.errors import ConfigError, DataError
from edgehar.explanation.choice import choose_window
from edgehar.explanation.options import AnswerOptions
from edgehar.explanation.probe import Probe, log_odds
from edgehar.explanation.result import Explanation, Saliency
from edgehar.explanation.saliency import METHODS as OCCLUSIONS
from edgehar.metrics.calibration import softmax
from edgehar.report.explanation import publish
from edgehar.signals.clip import Floats
from edgehar.signals.modality import ModalitySpec
from edgehar.signals.windows import Windows, cut
from edgehar.student.explanation.gradients import gradient, rescaled_gradient
from edgehar.student.explanation.network import TorchNetwork
from edgehar.student.network.model import StudentNetwork
from edgehar.student.network.rebuild import network_of
from edgehar.teacher.training.checkpoint import load_checkpoint
from edgehar.teacher.training.stage import load_checkpoint_data, predict

GRADIENTS = ("gradient", "integrated-gradients", "tsr-gradient")


@dataclass(frozen=True)
class ExplainCheckpointOptions(Options):
    """Options of `edgehar explain --checkpoint`."""

    checkpoint: str = option(MISSING, "folder of a teacher, student or pruned checkpoint")
    clip: str = option(MISSING, "name of the recording to explain")
    method: str = option(
        "integrated-gradients", "method; tsr and occlusion not of a teacher", choices=(*GRADIENTS, *OCCLUSIONS)
    )
    answer: AnswerOptions = group(AnswerOptions)
    data: DataOptions = group(DataOptions)


def saliency_of(
    network: nn.Module, windows: Windows, specs: tuple[ModalitySpec, ...], class_index: int, method: str
) -> Saliency:
    """The saliency of one prepared window by any of the methods; raises ConfigError for occlusion of a teacher."""
    if method == "tsr-gradient":
        return rescaled_gradient(network, windows, specs, class_index)
    if method in GRADIENTS:
        return gradient(network, windows, specs, class_index, method == "integrated-gradients")
    if not isinstance(network, StudentNetwork):
        raise ConfigError(
            f"--method {method}: a teacher has no encoder of single steps; expected one of {', '.join(GRADIENTS)}"
        )
    return OCCLUSIONS[method](Probe(TorchNetwork(network), windows, specs, class_index))


PARSER = Parser(
    ExplainCheckpointOptions, "edgehar explain --checkpoint", (__doc__ or "").partition("\n")[0], mode="checkpoint"
)


def run(options: ExplainCheckpointOptions) -> int:
    """Print the explanation as text and JSON, and write the files that were requested."""
    checkpoint = load_checkpoint(Path(options.checkpoint), ("teacher", "student", "pruned"))
    info, choice = checkpoint.info, options.answer.choice
    choice.check(info.labels)
    network, dataset = network_of(checkpoint), load_checkpoint_data(checkpoint, options.data).dataset
    clips = {clip.name: clip for clip in dataset.clips}
    if options.clip not in clips:
        examples = ", ".join(list(clips)[:3])
        raise DataError(f"--clip {options.clip}: none of {len(clips)} recordings; expected a name such as {examples}")
    windows = cut([clips[options.clip]], info, checkpoint.normalisation)
    windows = windows.take(np.any([valid.any(axis=1) for valid in windows.valid.values()], axis=0))
    if not len(windows):
        raise DataError(
            f"{options.clip}: no usable step; expected usable samples of a sensor; choose another recording"
        )

    def logits_of(batch: Windows) -> Floats:
        return predict(network, batch, torch.device("cpu"))

    chosen = choose_window([windows], choice, info.labels, lambda batch: softmax(logits_of(batch)))
    logits = logits_of(chosen.windows)
    predicted = int(logits.argmax())
    index = predicted if options.answer.label is None else info.labels.index(options.answer.label)
    started_s = time.perf_counter()
    saliency = saliency_of(network, chosen.windows, info.modalities, index, options.method)
    explanation = Explanation.of(
        chosen,
        saliency,
        info,
        checkpoint.normalisation,
        index,
        info.labels[predicted],
        float(softmax(logits)[0, index]),
        float(log_odds(logits, index)[0]),
        {"seconds": time.perf_counter() - started_s},
    )
    document = {"checkpoint": options.checkpoint, "clip": options.clip, **explanation.to_json()}
    publish(explanation, document, options.answer.json, options.answer.picture)
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
