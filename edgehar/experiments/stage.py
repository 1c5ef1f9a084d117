"""One stage of a run: a verb with its settings and the files it writes; builders of the usual stages, and running them.

The key of a stage is a digest of its verb, its settings, the recordings and the stages before it, without the optional
ones. A stage whose key and products are as recorded is skipped. A training that was killed resumes from its last save
and ends with the weights of an uninterrupted one.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgehar import verbs
from edgehar.command_line import words_of
from edgehar.data.registry import DataOptions
from edgehar.entry import user_message
from edgehar.errors import ConfigError, EdgeharError
from edgehar.files.atomic import digest_of, read_json, sha256, write_json
from edgehar.provenance import resident_mb, shell_text, stamp

Settings = dict[str, Any]
"""Options of a verb by field name, "preset" among them; omitted options have their defaults."""

TRAININGS = ("pretrain", "finetune", "distill", "prune")
UNLABELLED: Settings = {"label_weight": 0.0, "contrast": 1.0}
"""Objectives of pretraining on the recordings that are fine-tuned on, whose labels are for fine-tuning."""
TRIAL = "trial-"
"""Start of the names of stages that only lead to a choice."""


@dataclass(frozen=True)
class Stage:
    """One verb with its settings.

    Attributes:
        name: of the stage, unique in a run.
        verb: of the `edgehar` command.
        positional: positional arguments by field name.
        settings: options by field name.
        products: files the stage writes; it is skipped only while they are unchanged.
        checkpoint: folder of the checkpoint it writes, if it writes one.
        model: key of the score it gives, if it gives one.
        amends: stage whose products this one modifies, and which runs again whenever this one does.
        optional: whether the run continues if this stage fails; no other stage needs it.
    """

    name: str
    verb: str
    positional: Settings
    settings: Settings = field(default_factory=Settings)
    products: tuple[Path, ...] = ()
    checkpoint: Path | None = None
    model: str | None = None
    amends: str | None = None
    optional: bool = False

    def words(self) -> list[str]:
        """The command line, without `edgehar VERB`."""
        return [*map(str, self.positional.values()), *words_of(self.settings)]

    @property
    def command(self) -> str:
        """The command line, for display."""
        return shell_text(("edgehar", self.verb, *self.words()))

    def options(self) -> Any:
        """The options object of the verb; raises ConfigError for settings out of bounds."""
        return verbs.build(self.verb, self.positional | self.settings)


def data_settings(options: DataOptions) -> Settings:
    """Data options as settings of a stage: the data set, and the others where they are given."""
    optional: Settings = {
        "root": options.root,
        "split": options.split,
        "modalities": options.modalities,
        "without": options.without,
        "frame_rate": options.frame_rate,
        "few_labels": options.few_labels,
    }
    return {"data": options.data, **{name: value for name, value in optional.items() if value not in (None, ())}}


def source_settings(options: DataOptions) -> Settings:
    """The data set and its folder, for verbs that take sensors, split and activities from a package or checkpoint."""
    return data_settings(DataOptions(options.data, options.root))


def training_stage(
    run: Path,
    verb: str,
    folder: str,
    settings: Settings,
    positional: Settings | None = None,
    model: str | None = None,
    name: str = "",
) -> Stage:
    """A stage that writes a checkpoint into a folder of the run."""
    checkpoint = run / folder
    products = (checkpoint / "weights.safetensors", checkpoint / "checkpoint.json")
    settings = settings | {"out": str(checkpoint)}
    return Stage(name or verb, verb, positional or {}, settings, products, checkpoint, model)


def network_stages(run: Path, data: DataOptions, settings: Mapping[str, Settings], pretraining: bool) -> list[Stage]:
    """Pretrain the teacher (if at all), fine-tune it, distil the student and prune it.

    Args:
        run: folder of the checkpoints.
        data: the recordings.
        settings: training -> its settings, other than those that say what it reads.
        pretraining: whether the teacher is pretrained.
    """
    origin: Settings = ({"pretrained": str(run / "pretrained")} if pretraining else {}) | data_settings(data)
    teacher = {"teacher": (str(run / "teacher"),)}
    pretrain = [training_stage(run, "pretrain", "pretrained", UNLABELLED | settings["pretrain"] | data_settings(data))]
    return [
        *(pretrain if pretraining else []),
        training_stage(run, "finetune", "teacher", settings["finetune"] | origin, model="teacher"),
        training_stage(run, "distill", "student", settings["distill"] | teacher, model="student"),
        training_stage(run, "prune", "pruned", settings["prune"], {"checkpoint": str(run / "student")}),
    ]


def baseline_stage(run: Path, data: DataOptions, kind: str, settings: Settings, seed: int) -> Stage:
    """Fit a baseline to the training windows and score it; the result is `measured/baseline-KIND.json`.

    Args:
        run: folder of the run.
        data: the recordings.
        kind: name of the baseline.
        settings: preset of the trainings and their lengths; a large baseline is the base one.
        seed: of its random numbers.
    """
    result = run / "measured" / f"baseline-{kind}.json"
    preset = "tiny" if settings["preset"] == "tiny" else "base"
    settings = settings | {"preset": preset} | data_settings(data) | {"seed": seed, "out": str(result)}
    return Stage(f"baseline-{kind}", "baseline", {"kind": kind}, settings, (result,), model=kind)


def _suffix(model: str) -> str:
    return "" if model == "student" else f"-{model}"


def packaging_stages(run: Path, model: str, folder: str, out_of_fold: str | None = None) -> list[Stage]:
    """Export and quantise one network, and calibrate it if there are out-of-fold predictions."""
    package, suffix = run / folder, _suffix(model)
    target = {"package": str(package)}

    def graphs(precision: str) -> tuple[Path, ...]:
        return package / f"encoder.{precision}.onnx", package / f"head.{precision}.onnx"

    arrays = (package / "calibration.npz", package / "parity.npz")
    about = tuple(package / name for name in ("manifest.json", "manifest.sha256", "MODEL_CARD.md"))
    export = Stage(f"export{suffix}", "export", {"checkpoint": str(run / model)}, {"out": str(package)}, graphs("fp32"))
    written = (*graphs("int8"), *arrays, *(about if out_of_fold is None else ()))
    int8 = {"precisions": ("int8",)}
    quantize = Stage(f"quantize{suffix}", "quantize", target, int8, written, amends=export.name)
    if out_of_fold is None:
        return [export, quantize]
    settings = {"out_of_fold": out_of_fold}
    return [export, quantize, Stage(f"calibrate{suffix}", "calibrate", target, settings, about, amends=quantize.name)]


def measuring_stages(run: Path, model: str, folder: str, bench_runs: int) -> list[Stage]:
    """Verify and benchmark one network's package."""
    bench, suffix = run / "measured" / f"bench-{model}.json", _suffix(model)
    target = {"package": str(run / folder)}
    return [
        Stage(f"verify{suffix}", "verify", target),
        Stage(f"bench{suffix}", "bench", target, {"runs": bench_runs, "json": str(bench)}, (bench,)),
    ]


def scoring_stage(
    run: Path, data: DataOptions, folder: str, precision: str, name: str, more: Settings | None = None
) -> Stage:
    """Score a package on its test subjects; the result is `measured/evaluate-NAME.json`."""
    result = run / "measured" / f"evaluate-{name}.json"
    settings = {**source_settings(data), **(more or {}), "precision": precision, "json": str(result)}
    return Stage(f"evaluate-{name}", "evaluate", {"package": str(run / folder)}, settings, (result,), model=name)


def logits_stage(run: Path, data: DataOptions, folder: str) -> Stage:
    """Store a checkpoint's logits on its test subjects, with all sensors and with each alone."""
    result = run / "measured" / f"logits-{folder}.npz"
    settings = source_settings(data) | {"out": str(result)}
    return Stage(f"logits-{folder}", "logits", {"checkpoint": str(run / folder)}, settings, (result,))


def is_done(record: Path, key: str) -> bool:
    """Whether a stage finished with this key and its products are unchanged since."""
    if not record.is_file():
        return False
    try:
        entry = read_json(record)
        return entry["key"] == key and all(
            Path(name).is_file() and sha256(Path(name)) == digest for name, digest in entry["products"].items()
        )
    except (EdgeharError, KeyError, TypeError, AttributeError):
        return False


def run_stage(stage: Stage) -> float:
    """Run the stage's verb; returns the seconds taken. Raises EdgeharError unless it ends with exit code 0."""
    started_s = time.monotonic()
    code = verbs.run(stage.verb, stage.options())
    if code != 0:
        raise ConfigError(f"stage {stage.name} ended with code {code}; run it alone to see why: {stage.command}")
    missing = [str(path) for path in stage.products if not path.is_file()]
    if missing:
        raise ConfigError(f"stage {stage.name} did not write {', '.join(missing)}; run it alone: {stage.command}")
    return time.monotonic() - started_s


def run_stages(stages: list[Stage], folder: Path, key: str) -> list[dict[str, Any]]:
    """Run every stage that is not done yet; returns the records of all; that of a failed optional one says why."""
    keys: dict[str, str] = {}
    done: dict[str, bool] = {}
    for stage in stages:
        keys[stage.name] = digest_of([key, stage.verb, stage.positional, stage.settings])
        key = key if stage.optional else keys[stage.name]
        done[stage.name] = is_done(folder / "stages" / f"{stage.name}.json", keys[stage.name])
    # Last first, since an amended stage may itself amend an earlier one.
    for stage in reversed(stages):
        if stage.amends is not None and not done[stage.name]:
            done[stage.amends] = False
    # Settings out of bounds are reported before the first training, which may take hours.
    for stage in stages:
        if stage.verb in TRAININGS and not done[stage.name]:
            stage.options()
    records: list[dict[str, Any]] = []
    rerun = False
    for number, stage in enumerate(stages, 1):
        key, record = keys[stage.name], folder / "stages" / f"{stage.name}.json"
        # Once one stage ran, all later ones run, too.
        skipped = done[stage.name] and (stage.optional or not rerun)
        sys.stdout.write(f"[{number}/{len(stages)}] {stage.command}{'   (done before)' if skipped else ''}\n")
        sys.stdout.flush()
        if not skipped:
            rerun = rerun or not stage.optional
            try:
                seconds = run_stage(stage)
            except (EdgeharError, ModuleNotFoundError) as problem:
                reason = user_message(problem)
                if not stage.optional or reason is None:
                    raise
                sys.stdout.write(f"stage {stage.name} skipped: {reason}\n")
                records.append({"name": stage.name, "seconds": 0.0, "skipped": True, "failed": reason})
                continue
            products = {str(path): sha256(path) for path in stage.products}
            entry = {"name": stage.name, "key": key, "seconds": seconds, "resident_mb": resident_mb(), **stamp()}
            write_json(record, entry | {"products": products})
        records.append(read_json(record) | {"skipped": skipped})
    return records
