"""Recognises activities with sensors worn where none was worn in training, with and without universal weights.

    python tools/places.py --data DATA/umafall --worn waist,ankle --elsewhere wrist,pocket

Two teachers learn from the sensors of `--worn`, of the training people: one whose weights follow from what each sensor
measures and where it is worn (`edgehar pretrain`, with the labels), and the usual one, whose weights have the sensors'
names. Both then classify the windows of `--elsewhere`, of the test people. The first computes the weights of these
places; the second takes each sensor for one of those it knows, in the given order. A teacher that was trained on
`--elsewhere` itself shows what is there to be had. The result is docs/results/transfer/places/NAME.json.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgehar.command_line import Parser
from edgehar.config import Options, option, seed_option
from edgehar.data.registry import DataOptions
from edgehar.entry import guarded
from edgehar.errors import ConfigError
from edgehar.files.atomic import write_json
from edgehar.metrics.recordings import score_windows
from edgehar.provenance import shell_text, stamp
from edgehar.signals.windows import Windows
from edgehar.teacher import finetune, pretrain
from edgehar.teacher.augmentation.compose import Augmentation
from edgehar.teacher.network.convolutions import add_norms
from edgehar.teacher.network.model import Teacher
from edgehar.teacher.pretraining.model import Pretraining
from edgehar.teacher.pretraining.sources import Draws, Source, load_source
from edgehar.teacher.pretraining.universal import Universal
from edgehar.teacher.training.batches import to_tensors
from edgehar.teacher.training.loop import train
from edgehar.teacher.training.processes import ProcessGroup
from edgehar.teacher.training.saliency_guided import Guide
from edgehar.teacher.training.stage import StageData, load_stage_data, predict

UNIVERSAL, RENAMED, TRAINED = "universal weights", "each sensor taken for a known one", "trained on these places"
PROCESSES = ProcessGroup.from_environment()


@dataclass(frozen=True)
class PlacesOptions(Options):
    """Places."""

    data: str = option("umafall", "folder of the recordings")
    worn: tuple[str, ...] = option(("waist", "ankle"), "sensors to learn from")
    elsewhere: tuple[str, ...] = option(("wrist", "pocket"), "sensors to classify with, as many")
    split: str = option("fold:0of5", "split into training and test people")
    updates: int = option(3000, "updates of each training", at_least=1)
    seed: int = seed_option()
    out: str = option("docs/results/transfer/places", "folder of the result")

    def __post_init__(self) -> None:
        """Raise ConfigError for lists of different lengths."""
        super().__post_init__()
        if not self.worn or len(self.worn) != len(self.elsewhere):
            raise ConfigError(
                f"--worn {','.join(self.worn)} --elsewhere {','.join(self.elsewhere)}: expected as many, one or more"
            )


def recordings(options: PlacesOptions, sensors: tuple[str, ...]) -> DataOptions:
    """The recordings with these sensors, at the frame rate of universal weights."""
    return DataOptions(options.data, modalities=sensors, split=options.split, frame_rate=50.0)


def train_universal(options: PlacesOptions) -> tuple[Universal, torch.nn.Linear]:
    """Weights for any place, and the classifier, from the labels and the masked motion of the places worn."""
    recipe = pretrain.PARSER.parse(["--preset", "base", "--out", "-", "--updates", str(options.updates)])
    source: Source = load_source(recordings(options, options.worn), PROCESSES.device)
    torch.manual_seed(options.seed)
    model = Pretraining(Universal(recipe.network), recipe.objectives, [len(source.info.labels)])
    loss = pretrain.pretrain_loss(
        [source], Draws.of([source], options.seed, recipe.train.steps), recipe.objectives, recipe.masking,
        recipe.augment, recipe.train.batch, PROCESSES,
    )  # fmt: skip
    train(
        model, loss, len(source.windows), recipe.train, options.seed, PROCESSES, UNIVERSAL,
        rows_of=lambda update: np.asarray([update]),
    )  # fmt: skip
    classifier = model.classifier[0]
    assert isinstance(classifier, torch.nn.Linear)
    return model.universal, classifier


def train_usual(options: PlacesOptions, data: StageData) -> Teacher:
    """The usual teacher of a data set."""
    recipe = finetune.PARSER.parse(["--preset", "base", "--out", "-", "--updates", str(options.updates)])
    info, labelled = data.dataset.info, data.train.labelled()
    torch.manual_seed(options.seed)
    teacher = Teacher(recipe.network, info.modalities, info.window.steps, len(info.labels))
    add_norms(teacher)
    labels = recipe.labels
    augmentation = Augmentation(info, recipe.augment, recipe.exchange, labels.smoothing, labels.mixup)
    loss = finetune.finetune_loss(
        to_tensors(labelled, PROCESSES.device), augmentation, labels.auxiliary, Guide(teacher, recipe.guided, PROCESSES)
    )
    train(teacher, loss, len(labelled), recipe.train, options.seed, PROCESSES, ",".join(data.options["modalities"]))
    return teacher


def renamed(windows: Windows, known: StageData, options: PlacesOptions) -> Windows:
    """Windows in which each sensor of `elsewhere` has the name of one of `worn`; groups that it lacks are 0."""
    features: dict[str, Any] = {}
    for name, other in zip(options.worn, options.elsewhere, strict=True):
        given = windows.features[other]
        groups = known.test.features[name].shape[3]
        features[name] = np.zeros((*given.shape[:3], groups, given.shape[4]), given.dtype)
        shared = min(groups, given.shape[3])
        features[name][:, :, :, :shared] = given[:, :, :, :shared]
    valid = {name: windows.valid[other] for name, other in zip(options.worn, options.elsewhere, strict=True)}
    return replace(windows, features=features, valid=valid)


def measure(options: PlacesOptions) -> dict[str, Any]:
    """Score every teacher on the test people."""
    worn, elsewhere = (load_stage_data(recordings(options, each)) for each in (options.worn, options.elsewhere))
    info = elsewhere.dataset.info
    labels = info.labels

    def score(teacher: Teacher, windows: Windows) -> dict[str, Any]:
        found = score_windows(windows, predict(teacher, windows, PROCESSES.device), labels)
        parts = {"windows": found} | ({"recordings": found["recordings"]} if "recordings" in found else {})
        return {name: {key: part[key] for key in ("correct", "total", "macro_f1")} for name, part in parts.items()}

    def placed(universal: Universal, classifier: torch.nn.Linear, data: StageData) -> Teacher:
        """The teacher of a data set's sensors with universal weights."""
        window = data.dataset.info.window
        teacher = Teacher(universal.config, data.dataset.info.modalities, window.steps, len(labels))
        add_norms(teacher)
        weights = universal.weights_for(teacher.specs, window.steps, window.step_s)
        weights |= {f"classifier.{name}": tensor for name, tensor in classifier.state_dict().items()}
        teacher.load_state_dict(dict(teacher.state_dict()) | weights)
        return teacher

    universal, classifier = train_universal(options)
    usual, there = train_usual(options, worn), train_usual(options, elsewhere)
    return {
        "data": info.name, "worn": options.worn, "elsewhere": options.elsewhere, "split": options.split,
        "seed": options.seed, "updates": options.updates, "classes": len(labels),
        "known_places": {
            UNIVERSAL: score(placed(universal, classifier, worn), worn.test), RENAMED: score(usual, worn.test),
        },
        "places": {
            UNIVERSAL: score(placed(universal, classifier, elsewhere), elsewhere.test),
            RENAMED: score(usual, renamed(elsewhere.test, worn, options)),
            TRAINED: score(there, elsewhere.test),
        },
    }  # fmt: skip


PARSER = Parser(PlacesOptions, "python tools/places.py", __doc__ or "")


def main(argv: list[str] | None = None) -> int:
    """Measure and write the result."""
    options = PARSER.parse(argv)
    found = measure(options)
    command = shell_text(
        ["python", "tools/places.py", "--data", f"DATA/{Path(options.data).name}", "--worn", ",".join(options.worn),
         "--elsewhere", ",".join(options.elsewhere), "--updates", str(options.updates), "--seed", str(options.seed)]
    )  # fmt: skip
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / f"{found['data']}-seed{options.seed}.json", {"command": command, **stamp(), **found})
    for name, score in found["places"].items():
        sys.stdout.write(f"{name}: macro F1 {100 * score['windows']['macro_f1']:.1f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
