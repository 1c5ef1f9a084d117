"""The plan of a suite: which runs it has, and the stages of each."""

import re
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

from edgehar.choices import CRITERION, FREE, NO_PSEUDO_LABELS, REAL, STORED, effective
from edgehar.data.registry import DataOptions, default_split
from edgehar.errors import ConfigError
from edgehar.experiments.pipeline import data_arguments
from edgehar.experiments.recipe import Recipe
from edgehar.experiments.stage import Stage, logits_stage, packaging_stages, scoring_stage, source_of, training_stage
from edgehar.experiments.suite.options import OWN_SPLITS, PRUNING, SEEDS, SuiteOptions
from edgehar.metrics.logits_file import fed_name, feeds
from edgehar.signals.clip import Dataset

SHARING = ("distillation", *PRUNING)
"""Suites that begin with the networks which the suite accuracy trains."""
ALONE = (
    "--soft", "0", "--feature", "0", "--layers", "0", "--relational", "0", "--contrastive", "0", "--decoupled", "0",
    "--no-begin-like-teacher", "--hard", "1",
)  # fmt: skip
"""Options with which a student learns from labels alone, see `_labels_alone`."""
BASELINES = ("nearest", "minirocket", "lstm", "tcn")
NANO = ("--macs", "0.3", "--source", REAL)
"""How the nano student is made of the student: pruned with the recordings, which are at hand here."""


@dataclass(frozen=True)
class Run:
    """One result file.

    Attributes:
        name: of the file, without its ending.
        suite: it belongs to.
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
    """The activities a draw leaves out, in the order of the labels; raises ConfigError if too few would stay."""
    if not 1 <= count <= len(labels) - 2:
        raise ConfigError(
            f"--left-out {count}: expected 1 or more of {len(labels)} activities, and two or more that are left to "
            "tell apart"
        )
    drawn: list[int] = np.random.default_rng(seed).permutation(len(labels))[:count].tolist()
    return tuple(labels[place] for place in sorted(drawn))


def _nano(folder: Path, recipe: Recipe, seed: int) -> Stage:
    """Make the nano student of the student; options that the user adds for pruning are not its own."""
    arguments = (str(folder / "student"), "--preset", recipe.preset, *recipe.share(), *NANO, "--seed", str(seed))
    return training_stage(folder, "prune", "nano", arguments, "nano", "nano")


def _scoring(
    folder: Path, source: tuple[str, ...], model: str, precision: str, sensors: tuple[str, ...], more: tuple[str, ...]
) -> list[Stage]:
    """Score a package with all sensors (and whatever `more` asks for), then with each alone."""
    package = "package" if model == "student" else f"package-{model}"
    key = f"{model}-fp32" if model == "student" and precision == "fp32" else model
    stages: list[Stage] = []
    for place, fed in enumerate(feeds(sensors)):
        wanted = ("--modalities", ",".join(fed)) if place else more
        stages.append(scoring_stage(folder, source, package, precision, f"{key}.{fed_name(fed)}", wanted))
    return stages


def _networks(options: SuiteOptions, folder: Path, run: DataOptions, seed: int, suite: str) -> list[Stage]:
    """Train, package and score what a suite compares."""
    data = data_arguments(run)
    source = source_of(data)
    with_nano = suite in ("accuracy", "loso", "folds")
    stages = options.recipe.stages(folder, data, seed)
    stages += [_nano(folder, options.recipe, seed)] if with_nano else []
    calibrated = options.out_of_fold if suite == "accuracy" else None
    stages += packaging_stages(folder, "student", "package", calibrated)
    if with_nano:
        nano_calibrated = options.out_of_fold_nano if suite == "accuracy" else None
        stages += packaging_stages(folder, "nano", "package-nano", nano_calibrated)
    stages.append(logits_stage(folder, source, "teacher"))
    sensors = run.modalities
    if suite == "unknown":
        return [
            *stages,
            scoring_stage(folder, source, "package", "int8", f"student.{fed_name(sensors)}", ("--unknown",)),
        ]
    faults = ("--faults",) if suite == "accuracy" else ()
    stages += _scoring(folder, source, "student", "fp32", sensors, ())
    stages += _scoring(folder, source, "student", "int8", sensors, faults)
    stages += _scoring(folder, source, "nano", "int8", sensors, faults) if with_nano else []
    return stages


def _labels_alone(pseudo_labels: str = NO_PSEUDO_LABELS) -> tuple[str, ...]:
    """Options with which a student learns from labels alone, known ones or also those that teachers make up."""
    return (*ALONE, "--pseudo-labels", pseudo_labels)


def _labels(options: SuiteOptions, folder: Path, run: DataOptions, seed: int) -> list[Stage]:
    """Fine-tune on shares of the labels, from pretrained weights and from none; a draw has its own seed.

    Students learn from the labels alone, or from both teachers and every window: their predictions, or the labels that
    these make up for the others.
    """
    recipe, data = options.recipe, data_arguments(run)
    stages = [
        training_stage(
            folder, "pretrain", "pretrained", (*recipe.options("pretrain"), "--seed", str(seed), *data)
        )
    ]  # fmt: skip
    for share in options.shares:
        for draw in range(options.draws):
            few = ("--label-share", str(share), "--label-draw", str(draw), "--seed", str(seed + draw))
            for start, origin in (("pretrained", ("--pretrained", str(folder / "pretrained"))), ("scratch", data)):
                name = f"finetune-{share:g}-{draw}-{start}"
                arguments = (*recipe.options("finetune"), *few, *origin)
                stages.append(training_stage(folder, "finetune", name, arguments, name=name))
    taught = () if options.pseudo_labels == NO_PSEUDO_LABELS else _labels_alone(options.pseudo_labels)
    ways = (("alone", _labels_alone(), ("pretrained",)), ("distilled", taught, ("pretrained", "scratch")))
    for how, more, origins in ways:
        for share, draw in product(options.student_shares, range(options.draws)):
            few = ("--label-share", str(share), "--label-draw", str(draw), "--seed", str(seed + draw))
            teachers = ",".join(str(folder / f"finetune-{share:g}-{draw}-{origin}") for origin in origins)
            name = f"distill-{share:g}-{draw}-{how}"
            arguments = (*recipe.options("distill"), *few, "--teacher", teachers, *more)
            stages.append(training_stage(folder, "distill", name, arguments, name=name))
    return stages


def _distillation(options: SuiteOptions, folder: Path, run: DataOptions, seed: int) -> list[Stage]:
    """The student once more, on the same labels without the teacher."""
    usual = (*options.recipe.options("distill"), "--seed", str(seed), "--teacher", str(folder / "teacher"))
    return [
        *options.recipe.stages(folder, data_arguments(run), seed),
        training_stage(folder, "distill", "student-alone", (*usual, *_labels_alone()), name="distill-alone"),
    ]


def _baselines(recipe: Recipe, folder: Path, run: DataOptions, seed: int) -> list[Stage]:
    """Everything this project is compared with, on the same windows."""
    stages: list[Stage] = []
    preset = ("--preset", "tiny" if recipe.preset == "tiny" else "base", *recipe.share())
    for kind in BASELINES:
        result = folder / "measured" / f"baseline-{kind}.json"
        arguments = (kind, *preset, *data_arguments(run), "--seed", str(seed), "--out", str(result))
        stages.append(Stage(f"baseline-{kind}", "baseline", arguments, (result,)))
    return stages


def _pruned_name(network: str, kept: float, source: str, criterion: str) -> str:
    return f"{network}-{100 * kept:g}-{source}-{criterion}"


def _pruning(
    options: SuiteOptions, folder: Path, seed: int, network: str, kept: float, source: str, criterion: str = CRITERION
) -> Stage:
    """Prune a network and score what is left."""
    name = _pruned_name(network, kept, source, criterion)
    more = effective(options.recipe.options("prune"), (source,))
    # The published teachers kept their channels.
    width = ("--no-width",) if network == "teacher" else ()
    arguments = (
        str(folder / network), *width, *more, "--macs", f"{kept:g}", "--source", source,
        "--criterion", criterion, "--seed", str(seed), "--score",
    )  # fmt: skip
    return training_stage(folder, "prune", f"pruned-{name}", arguments, name=f"prune-{name}")


def _compression(options: SuiteOptions, folder: Path, run: DataOptions, seed: int, network: str) -> list[Stage]:
    """Shrink a network without data, and with it for scale; package what is left of a student."""
    data = data_arguments(run)
    stages = options.recipe.stages(folder, data, seed)
    for kept in options.kept:
        stages += [_pruning(options, folder, seed, network, kept, source) for source in (STORED, FREE, REAL)]
        if network == "teacher":
            continue
        small = f"pruned-{_pruned_name('student', kept, STORED, CRITERION)}"
        stages += packaging_stages(folder, small, f"package-{small}")
        key = f"{small}.{fed_name(run.modalities)}"
        stages.append(scoring_stage(folder, source_of(data), f"package-{small}", "int8", key, ("--faults",)))
    return stages


def _ablation(options: SuiteOptions, folder: Path, run: DataOptions, seed: int) -> list[Stage]:
    """Every criterion with every source, half of the student's multiply-adds removed."""
    return [
        *options.recipe.stages(folder, data_arguments(run), seed),
        *(
            _pruning(options, folder, seed, "student", 0.5, source, criterion)
            for source in options.sources
            for criterion in options.criteria
        ),
    ]


def _variants(options: SuiteOptions, dataset: Dataset, suite: str, seed: int) -> dict[str, DataOptions]:
    """What the name of each run says -> its recordings."""
    sensors = tuple(spec.name for spec in dataset.info.modalities)
    data = replace(options.data, modalities=sensors)
    match suite:
        case "sensors":
            return {name: replace(data, modalities=(name,)) for name in sensors}
        case "loso":
            return {name: replace(data, split=f"loso:{name}") for name in dataset.subjects}
        case "folds":
            folds = [f"{fold}of{options.folds}" for fold in range(options.folds)]
            return {fold: replace(data, split=f"fold:{fold}") for fold in folds}
        case "unknown":
            left_out = drawn_activities(dataset.info.labels, options.left_out, seed)
            return {fed_name(sensors): replace(data, without=left_out)}
        case _:
            return {fed_name(sensors): data}


def plan_runs(options: SuiteOptions, dataset: Dataset) -> list[Run]:
    """Every run of the suites asked for; raises ConfigError or SplitError for what cannot be run."""
    runs: list[Run] = []
    for suite in options.suite:
        for seed in options.seeds or range(SEEDS[suite]):
            for variant, data in _variants(options, dataset, suite, seed).items():
                if options.only and suite in ("sensors", *OWN_SPLITS) and variant not in options.only:
                    continue
                own = options.data.split not in (None, default_split(options.data.data))
                narrowed = suite in OWN_SPLITS and options.data.modalities
                parts = [variant, *([fed_name(data.modalities)] if narrowed else [])]
                parts += [str(options.data.split)] if own else []
                parts += [options.recipe.preset] if options.recipe.preset != "base" else []
                parts += [f"share{options.recipe.update_share:g}"] if options.recipe.update_share != 1 else []
                name, home = (
                    re.sub(r"[^\w.+-]+", "_", "-".join((dataset.info.name, kind, *parts, f"seed{seed}")))
                    for kind in (suite, "accuracy" if suite in SHARING else suite)
                )
                folder = Path(options.runs) / home
                data.make_split(dataset)
                match suite:
                    case "compression" | "compression-teacher":
                        network = "student" if suite == "compression" else "teacher"
                        stages = _compression(options, folder, data, seed, network)
                    case "ablation":
                        stages = _ablation(options, folder, data, seed)
                    case "distillation":
                        stages = _distillation(options, folder, data, seed)
                    case "labels":
                        stages = _labels(options, folder, data, seed)
                    case "baselines":
                        stages = _baselines(options.recipe, folder, data, seed)
                    case _:
                        stages = _networks(options, folder, data, seed, suite)
                runs.append(Run(name, suite, seed, folder, data, tuple(stages)))
    if not runs:
        raise ConfigError(f"--only {','.join(options.only)}: no run of {', '.join(options.suite)} is called so")
    return runs
