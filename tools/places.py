"""Recognises activities with sensors worn where none was worn in training, with and without universal weights.

    python tools/places.py --data DATA/umafall --worn waist,ankle --elsewhere wrist,pocket

Two teachers learn from the sensors of `--worn`, of the training people: one whose weights follow from what each sensor
measures and where it is worn (`edgehar pretrain`, with the labels), and the usual one, whose weights have the sensors'
names. Both then classify the windows of `--elsewhere`, of the test people. The first computes the weights of these
places; the second takes each sensor for one of those it knows, in the given order. A teacher that was trained on
`--elsewhere` itself shows what is there to be had. The result is docs/results/transfer/places/NAME.json.
"""

import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgehar import __version__
from edgehar.command_line import Parser, words_of
from edgehar.config import Options, option, seed_option
from edgehar.data.registry import DataOptions
from edgehar.entry import guarded
from edgehar.errors import ConfigError
from edgehar.experiments.stage import Settings, Stage, data_settings, run_stages, training_stage
from edgehar.files.atomic import digest_of, locked, write_json
from edgehar.metrics.recordings import score_windows
from edgehar.provenance import portable, stamp
from edgehar.signals.windows import Windows
from edgehar.student.network.rebuild import rebuild_teacher
from edgehar.teacher import pretrain
from edgehar.teacher.network.convolutions import add_norms
from edgehar.teacher.network.model import Teacher
from edgehar.teacher.pretraining.model import Pretraining
from edgehar.teacher.pretraining.sources import Draws, Source, load_source
from edgehar.teacher.pretraining.universal import Universal
from edgehar.teacher.training.checkpoint import load_checkpoint
from edgehar.teacher.training.loop import train
from edgehar.teacher.training.processes import ProcessGroup
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
    runs: str = option("runs/places", "folder of the usual teachers")
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


def train_usual(options: PlacesOptions) -> list[Teacher]:
    """The usual teachers of `worn` and of `elsewhere`; running it again resumes them."""
    runs, stages = Path(options.runs), list[Stage]()
    recipe: Settings = {"preset": "base", "updates": options.updates, "seed": options.seed}
    for sensors in (options.worn, options.elsewhere):
        name = "+".join(sensors)
        settings = recipe | data_settings(recordings(options, sensors))
        stages.append(training_stage(runs, "finetune", name, settings, name=f"finetune-{name}"))
    with locked(runs, "--runs"):
        run_stages(stages, runs, digest_of([__version__, recordings(options, options.worn).fingerprint()]))
    return [
        rebuild_teacher(load_checkpoint(runs / "+".join(each), ("teacher",)))
        for each in (options.worn, options.elsewhere)
    ]


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
        universal.load_into(teacher, window)
        teacher.classifier = classifier
        return teacher

    universal, classifier = train_universal(options)
    usual, there = train_usual(options)
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
    settings = {name: value for name, value in asdict(options).items() if name not in ("runs", "out")}
    command = portable(["python", "tools/places.py", *words_of(settings)])
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    name = f"{found['data']}-{'+'.join(options.worn)}-{'+'.join(options.elsewhere)}-seed{options.seed}"
    write_json(out / f"{name}.json", {"command": command, **stamp(), **found})
    for name, score in found["places"].items():
        sys.stdout.write(f"{name}: macro F1 {100 * score['windows']['macro_f1']:.1f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
