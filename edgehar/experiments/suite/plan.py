"""The runs of a suite and the stages of each run."""

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

from edgehar.choices import DEFAULT_CRITERION, INVERTED, MEANS, NO_PSEUDO_LABELS, RECORDINGS, unused_options
from edgehar.data.registry import DataOptions, default_split
from edgehar.data.splits import cross_validation
from edgehar.errors import ConfigError
from edgehar.experiments.recipe import Recipe
from edgehar.experiments.stage import (
    UNLABELLED,
    Settings,
    Stage,
    data_settings,
    logits_stage,
    packaging_stages,
    scoring_stage,
    training_stage,
)
from edgehar.experiments.suite.comparison import baseline_stages, method_stage
from edgehar.experiments.suite.options import OWN_SPLITS, PRUNING, SEEDS, STRANGERS, SuiteOptions
from edgehar.experiments.suite.strangers import UNUSUAL, folds_and_methods
from edgehar.experiments.suite.transfer import transfer_stages
from edgehar.metrics.logits_file import sensor_set_name, sensor_sets
from edgehar.signals.clip import Dataset

SHARING = ("distillation", *PRUNING)
"""Suites that start from the networks of the suite accuracy."""
LEAVING_OUT = ("unknown", "enrol")
"""Suites of networks that were not trained on some activities; they share them."""
LABELS_ALONE: Settings = {
    "soft": 0, "feature": 0, "layers": 0, "relational": 0, "contrastive": 0, "decoupled": 0, "hard": 1,
}  # fmt: skip
"""Settings with which a student learns from labels alone."""
NANO: Settings = {"macs": 0.3, "source": (RECORDINGS,)}
"""Settings with which the student is pruned to the nano student."""


@dataclass(frozen=True)
class Run:
    """The run behind one result file.

    Attributes:
        name: of the file, without its suffix.
        suite: the suite it belongs to.
        seed: of every training.
        folder: of its checkpoints and packages.
        data: recordings, with the run's own split, sensors and activities.
        stages: in order.
    """

    name: str
    suite: str
    seed: int
    folder: Path
    data: DataOptions
    stages: tuple[Stage, ...]


def drawn_activities(labels: tuple[str, ...], count: int, seed: int) -> tuple[str, ...]:
    """The activities a draw leaves out, in the order of the labels; raises ConfigError if fewer than two remain."""
    if not 1 <= count <= len(labels) - 2:
        raise ConfigError(
            f"--left-out {count}: expected 1 to {len(labels) - 2} of {len(labels)} activities, so that two or more "
            "remain"
        )
    drawn: list[int] = np.random.default_rng(seed).permutation(len(labels))[:count].tolist()
    return tuple(labels[index] for index in sorted(drawn))


def _nano(folder: Path, recipe: Recipe, seed: int) -> Stage:
    """Prune the student to the nano student; the recipe's further options of pruning do not apply to it."""
    settings = recipe.base_settings() | NANO | {"seed": seed}
    return training_stage(folder, "prune", "nano", settings, {"checkpoint": str(folder / "student")}, "nano", "nano")


def _scoring(
    folder: Path, data: DataOptions, model: str, precision: str, sensors: tuple[str, ...], more: Settings
) -> list[Stage]:
    """Score a package with all sensors, and with the further settings, then with each sensor alone."""
    package = "package" if model == "student" else f"package-{model}"
    key = f"{model}-fp32" if model == "student" and precision == "fp32" else model
    stages: list[Stage] = []
    for index, fed in enumerate(sensor_sets(sensors)):
        settings: Settings = {"modalities": fed} if index else more
        stages.append(scoring_stage(folder, data, package, precision, f"{key}.{sensor_set_name(fed)}", settings))
    return stages


def _networks(options: SuiteOptions, folder: Path, run: DataOptions, seed: int, suite: str) -> list[Stage]:
    """Train, package and score the networks that a suite compares."""
    with_nano = suite in ("accuracy", "loso", "folds")
    stages = options.recipe.stages(folder, run, seed)
    stages += [_nano(folder, options.recipe, seed)] if with_nano else []
    calibrated = options.out_of_fold if suite == "accuracy" else None
    stages += packaging_stages(folder, "student", "package", calibrated)
    if with_nano:
        nano_calibrated = options.out_of_fold_nano if suite == "accuracy" else None
        stages += packaging_stages(folder, "nano", "package-nano", nano_calibrated)
    stages.append(logits_stage(folder, run, "teacher"))
    sensors = run.modalities
    if suite in LEAVING_OUT:
        name = f"student.{sensor_set_name(sensors)}"
        return [*stages, scoring_stage(folder, run, "package", "int8", name, {suite: True})]
    faults: Settings = {"faults": True} if suite == "accuracy" else {}
    stages += _scoring(folder, run, "student", "fp32", sensors, {})
    stages += _scoring(folder, run, "student", "int8", sensors, faults)
    stages += _scoring(folder, run, "nano", "int8", sensors, faults) if with_nano else []
    return stages


def _labels_alone(pseudo_labels: str = NO_PSEUDO_LABELS) -> Settings:
    """Settings with which a student learns from labels alone, pseudo-labels of the teachers among them or not."""
    return LABELS_ALONE | {"pseudo_labels": pseudo_labels}


def _labels(options: SuiteOptions, folder: Path, run: DataOptions, seed: int) -> list[Stage]:
    """Fine-tune on shares of the labels, from pretrained weights and from scratch; each draw has its own seed.

    Students learn from the labels alone, or from both teachers and every window: from the teachers' predictions, or
    from their pseudo-labels.
    """
    recipe, data = options.recipe, data_settings(run)
    pretraining = UNLABELLED | recipe.settings("pretrain") | {"seed": seed} | data
    stages = [training_stage(folder, "pretrain", "pretrained", pretraining)]

    def drawn(verb: str, share: float, draw: int) -> Settings:
        return recipe.settings(verb) | {"label_share": share, "label_draw": draw, "seed": seed + draw}

    origins = {"pretrained": {"pretrained": str(folder / "pretrained")}, "scratch": data}
    for share, draw, (origin, settings) in product(options.shares, range(options.draws), origins.items()):
        name = f"finetune-{share:g}-{draw}-{origin}"
        stages.append(training_stage(folder, "finetune", name, drawn("finetune", share, draw) | settings, name=name))
    distilled = {} if options.pseudo_labels == NO_PSEUDO_LABELS else _labels_alone(options.pseudo_labels)
    arms = (("alone", _labels_alone(), ("pretrained",)), ("distilled", distilled, tuple(origins)))
    for (arm, more, teachers), share, draw in product(arms, options.student_shares, range(options.draws)):
        name = f"distill-{share:g}-{draw}-{arm}"
        folders = tuple(str(folder / f"finetune-{share:g}-{draw}-{teacher}") for teacher in teachers)
        settings = drawn("distill", share, draw) | {"teacher": folders} | more
        stages.append(training_stage(folder, "distill", name, settings, name=name))
    return stages


def _distillation(options: SuiteOptions, folder: Path, run: DataOptions, seed: int) -> list[Stage]:
    """The student with its teacher, and from the same labels without it."""
    settings = options.recipe.settings("distill") | {"seed": seed, "teacher": (str(folder / "teacher"),)}
    return [
        *options.recipe.stages(folder, run, seed),
        training_stage(folder, "distill", "student-alone", settings | _labels_alone(), name="distill-alone"),
    ]


def _pruned_name(network: str, kept: float, source: str, criterion: str) -> str:
    return f"{network}-{100 * kept:g}-{source}-{criterion}"


def _pruning(
    options: SuiteOptions,
    folder: Path,
    seed: int,
    network: str,
    kept: float,
    source: str,
    criterion: str = DEFAULT_CRITERION,
) -> Stage:
    """Prune a network and score the result."""
    name = _pruned_name(network, kept, source, criterion)
    # The published teachers kept their channels.
    settings: Settings = {"width": False} if network == "teacher" else {}
    settings |= options.recipe.settings("prune")
    for unused in unused_options(list(settings), (source,)):
        del settings[unused]
    settings |= {"macs": kept, "source": (source,), "criterion": criterion, "seed": seed, "score": True}
    checkpoint = {"checkpoint": str(folder / network)}
    return training_stage(folder, "prune", f"pruned-{name}", settings, checkpoint, name=f"prune-{name}")


def _compression(options: SuiteOptions, folder: Path, run: DataOptions, seed: int, network: str) -> list[Stage]:
    """Prune a network without recordings, and with them for comparison; package a student pruned without."""
    stages = options.recipe.stages(folder, run, seed)
    for kept in options.kept:
        sources = (MEANS, INVERTED, RECORDINGS)
        stages += [_pruning(options, folder, seed, network, kept, source) for source in sources]
        if network == "teacher":
            continue
        pruned = f"pruned-{_pruned_name('student', kept, MEANS, DEFAULT_CRITERION)}"
        stages += packaging_stages(folder, pruned, f"package-{pruned}")
        key = f"{pruned}.{sensor_set_name(run.modalities)}"
        stages.append(scoring_stage(folder, run, f"package-{pruned}", "int8", key, {"faults": True}))
    return stages


def _ablation(options: SuiteOptions, folder: Path, run: DataOptions, seed: int) -> list[Stage]:
    """Every criterion with every source, half of the student's multiply-adds removed."""
    return [
        *options.recipe.stages(folder, run, seed),
        *(
            _pruning(options, folder, seed, "student", 0.5, source, criterion)
            for source in options.sources
            for criterion in options.criteria
        ),
    ]


def _variants(options: SuiteOptions, dataset: Dataset, suite: str, seed: int) -> dict[str, DataOptions]:
    """Part of each run's name -> its recordings."""
    sensors = tuple(spec.name for spec in dataset.info.modalities)
    data = replace(options.data, modalities=sensors)
    match suite:
        case "sensors":
            return {name: replace(data, modalities=(name,)) for name in sensors}
        case "loso":
            return {name: replace(data, split=split) for name, split in cross_validation(dataset.clips).items()}
        case "folds":
            folds = [f"{fold}of{options.folds}" for fold in range(options.folds)]
            return {fold: replace(data, split=f"fold:{fold}") for fold in folds}
        case "unknown" | "enrol":
            left_out = drawn_activities(dataset.info.labels, options.left_out, seed)
            return {sensor_set_name(sensors): replace(data, without=left_out)}
        case _:
            return {sensor_set_name(sensors): data}


def _stages(options: SuiteOptions, suite: str, folder: Path, data: DataOptions, seed: int) -> list[Stage]:
    match suite:
        case "compression":
            return _compression(options, folder, data, seed, "student")
        case "compression-teacher":
            return _compression(options, folder, data, seed, "teacher")
        case "ablation":
            return _ablation(options, folder, data, seed)
        case "distillation":
            return _distillation(options, folder, data, seed)
        case "labels":
            return _labels(options, folder, data, seed)
        case "transfer":
            return transfer_stages(options, folder, data, seed)
        case "baselines":
            return baseline_stages(options.recipe, folder, data, seed)
        case _:
            return _networks(options, folder, data, seed, suite)


def _name(options: SuiteOptions, dataset: Dataset, suite: str, variant: str, data: DataOptions, seed: int) -> str:
    """Data set, suite, variant, then every choice that differs from the published runs."""
    parts = [dataset.info.name, suite, variant]
    if suite in OWN_SPLITS and options.data.modalities:
        parts.append(sensor_set_name(data.modalities))
    if options.data.split not in (None, default_split(options.data.data)):
        parts.append(str(options.data.split))
    return _with_recipe(parts, options, seed)


def _with_recipe(parts: list[str], options: SuiteOptions, seed: int) -> str:
    """A name that also has what differs from the published recipe, and the seed."""
    if options.recipe.preset != "base":
        parts.append(options.recipe.preset)
    if options.recipe.update_share != 1:
        parts.append(f"share{options.recipe.update_share:g}")
    return UNUSUAL.sub("_", "-".join((*parts, f"seed{seed}")))


def _stranger_runs(options: SuiteOptions, dataset: Dataset, seed: int) -> list[Run]:
    """A run for every method and fold of a data set."""
    runs: list[Run] = []
    for (fold, method), data in folds_and_methods(options, dataset).items():
        data.make_split(dataset)
        name = _with_recipe([fold, method], options, seed)
        folder = Path(options.runs) / name
        runs.append(
            Run(name, STRANGERS, seed, folder, data, (method_stage(options.recipe, folder, data, seed, method),))
        )
    return runs


def plan_runs(options: SuiteOptions, dataset: Dataset) -> list[Run]:
    """Every run of the chosen suites; raises ConfigError or SplitError for a run that is impossible."""
    runs: list[Run] = []
    for suite in options.suite:
        for seed in options.seeds or range(SEEDS[suite]):
            if suite == STRANGERS:
                runs += _stranger_runs(options, dataset, seed)
                continue
            for variant, data in _variants(options, dataset, suite, seed).items():
                if options.only and suite in ("sensors", *OWN_SPLITS) and variant not in options.only:
                    continue
                data.make_split(dataset)
                name = _name(options, dataset, suite, variant, data, seed)
                shared = "accuracy" if suite in SHARING else LEAVING_OUT[0] if suite in LEAVING_OUT else suite
                folder = Path(options.runs) / _name(options, dataset, shared, variant, data, seed)
                stages = _stages(options, suite, folder, data, seed)
                runs.append(Run(name, suite, seed, folder, data, tuple(stages)))
    if not runs:
        raise ConfigError(f"--only {','.join(options.only)}: no run of {', '.join(options.suite)} has that name")
    return runs
