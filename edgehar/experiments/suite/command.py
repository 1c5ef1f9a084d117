"""The protocols of all published figures: each run trains, measures and writes one JSON file.

    edgehar evaluate --suite accuracy --data utd-mhad --seeds 0,1,2,3,4
    edgehar evaluate --suite loso,labels --data utd-mhad
    edgehar evaluate --suite strangers --root DATA --only umafall-wrist,0of5,pipeline

accuracy     default split, all sensors: teacher, student and nano student, each sensor alone, sensor faults
sensors      networks trained for one sensor
loso         leave one subject out
folds        cross-validation over folds of subjects
labels       few labels, with and without pretraining, students with and without a teacher
distillation the student with and without its teacher
baselines    other methods on the same windows
unknown      detection of activities left out of training, by a low score
enrol        activities left out of training, added from recordings of one test person, scored on the others
compression  the student pruned without recordings, and with them for comparison; compression-teacher: the teacher
ablation     every pruning criterion with every source of windows
transfer     a few labelled recordings of a few people: from scratch, from pretrained weights, and MiniRocket
strangers    the default of edgehar pipeline and all baselines, in folds of subjects, on all data sets in --root: a run
             per data set, fold and method

A run is skipped if its result file has the same configuration, and refused if it has another one; --replace measures
again. The same command resumes an interrupted run.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from edgehar import __version__
from edgehar.choices import NO_PSEUDO_LABELS
from edgehar.command_line import Parser, words_of
from edgehar.config import to_json
from edgehar.data.splits import caveats
from edgehar.data.trials import labels_shown
from edgehar.entry import guarded
from edgehar.errors import ConfigError, DataError, EdgeharError
from edgehar.experiments.pipeline import check_folder, check_outside
from edgehar.experiments.results import checkpoint_facts, peak_of, stage_entry
from edgehar.experiments.stage import Settings, data_settings, run_stages
from edgehar.experiments.suite.collect import collect, train_windows
from edgehar.experiments.suite.comparison import method_of
from edgehar.experiments.suite.key import FORMAT_VERSION, contents_of, key_of, stored_option
from edgehar.experiments.suite.options import STRANGERS, SuiteOptions
from edgehar.experiments.suite.plan import LEAVING_OUT, Run, plan_runs
from edgehar.experiments.suite.strangers import case_name, expanded
from edgehar.files.atomic import digest_of, locked, read_json, write_json
from edgehar.metrics.out_of_fold import read_out_of_fold
from edgehar.provenance import portable, stamp
from edgehar.signals.clip import Dataset

FORMAT = "edgehar-run"
PROTOCOL = (
    "Trained on the training subjects only; the test subjects are scored once, at the fixed last update. Quantising "
    "and parity use synthetic windows; calibration uses out-of-fold predictions on training subjects."
)
OWN_OPTIONS = {
    "folds": ("folds",),
    "labels": ("shares", "draws"),
    "transfer": ("few", "draws", "pretrained"),
    "unknown": ("left_out",),
    "enrol": ("left_out",),
    "compression": ("kept",),
    "compression-teacher": ("kept",),
    "ablation": ("sources", "criteria"),
}
"""Suite -> the options that only it takes, as its command shows them."""
NOT_STORED = ("data", "out", "checkpoint", "pretrained", "teacher", "seed")
"""Options of a training that are paths, or stored elsewhere in the result file."""


def has_result(path: Path, key: str) -> bool:
    """Whether a result file of this configuration exists; raises ConfigError for another one, or a damaged file."""
    if not path.exists():
        return False
    try:
        found: Any = read_json(path)
    except EdgeharError:
        found = None
    entry = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    if entry.get("format") != FORMAT or "dataset" not in entry:
        raise ConfigError(
            f"{path}: no result of a suite, or a damaged one; nothing was changed; delete it, give --replace to "
            "measure again, or --results for another folder"
        )
    if entry.get("key") != key:
        raise ConfigError(
            f"{path}: other recordings or another configuration, measured with: {entry.get('command')}; nothing was "
            "changed; give --results for another folder, or --replace to measure again and replace it"
        )
    return True


def command_of(run: Run, options: SuiteOptions) -> str:
    """The command that gives this result file."""
    if run.suite == STRANGERS:
        fold = str(run.data.split).removeprefix("fold:")
        settings: Settings = {"suite": run.suite, "only": (case_name(run.data), fold, method_of(run.stages[0]))}
        settings |= {**options.recipe.base_settings(), "folds": options.folds, "seeds": (run.seed,)}
        return portable(["edgehar", "evaluate", *words_of(settings)])
    settings = {"suite": run.suite, **data_settings(options.data), **options.recipe.given()}
    own = {name: getattr(options, name) for name in OWN_OPTIONS.get(run.suite, ())}
    settings |= {name: value for name, value in own.items() if value is not None}
    if run.suite == "labels" and options.student_shares:
        settings["student_shares"] = options.student_shares
        if options.pseudo_labels != NO_PSEUDO_LABELS:
            settings["pseudo_labels"] = options.pseudo_labels
    for name in ("out_of_fold", "out_of_fold_nano") if run.suite == "accuracy" else ():
        if getattr(options, name) is not None:
            settings[name] = getattr(options, name)
    return portable(["edgehar", "evaluate", *words_of(settings | {"seeds": (run.seed,)})])


def config_of(run: Run, options: SuiteOptions) -> dict[str, Any]:
    """The recipe, and the resolved options of every training."""
    trainings: dict[str, Any] = {}
    for stage in run.stages:
        if stage.checkpoint is not None and not stage.name.startswith(("finetune-", "prune-")):
            resolved: dict[str, Any] = checkpoint_facts(stage.checkpoint)["facts"]["options"]
            trainings[stage.name] = _stored({name: value for name, value in resolved.items() if name not in NOT_STORED})
    return {"recipe": to_json(options.recipe), "trainings": trainings}


def _stored(settings: Any) -> Any:
    """Options under the names of the result format, those of groups among them."""
    if not isinstance(settings, Mapping):
        return settings
    options = cast("Mapping[str, Any]", settings)
    return {stored_option(name): _stored(value) for name, value in options.items()}


def check_runs(options: SuiteOptions, runs: list[Run], dataset: Dataset) -> None:
    """Raise DataError or ConfigError, before any training, for runs that could not be measured or stored at the end."""
    results = Path(options.results)
    for name, folder in (("--results", results), ("--runs", Path(options.runs))):
        check_outside(folder, options.data, name)
    results.mkdir(parents=True, exist_ok=True)
    if not os.access(results, os.W_OK):
        raise ConfigError(f"--results {results}: cannot be written; choose a folder you may write to")
    files = [Path(path) for path in (options.out_of_fold, options.out_of_fold_nano) if path is not None]
    predictions = [read_out_of_fold(path) for path in files]
    labels, sensors = dataset.info.labels, [spec.name for spec in dataset.info.modalities]
    for run in runs:
        split, left_out = run.data.make_split(dataset), set(run.data.without)
        tested = split.test_clips(dataset.clips)
        if run.suite == "accuracy":
            for found in predictions:
                found.check(labels, sensors, split.train, split.test, options.data.data, split.train_recordings)
        elif run.suite in LEAVING_OUT and not left_out & {labels[label] for label in labels_shown(tested)}:
            raise DataError(
                f"{run.name} leaves out {', '.join(sorted(left_out))}, which no test subject shows; expected one of "
                "them in the test recordings; choose other --seeds or another --left-out"
            )


def measure(run: Run, options: SuiteOptions, dataset: Dataset, key: str) -> dict[str, Any]:
    """Run the stages that are not done yet; returns the content of the result file."""
    check_folder(run.folder, run.data, "--runs")
    with locked(run.folder, "--runs"):
        run.folder.mkdir(parents=True, exist_ok=True)
        write_json(run.folder / "config.json", to_json(options) | {"data": to_json(run.data)})
        records = run_stages(list(run.stages), run.folder, digest_of([__version__, run.data.fingerprint()]))
        entries = [stage_entry(stage, record) for stage, record in zip(run.stages, records, strict=True)]
        measured = collect(run)
    for entry, stage in zip(entries, run.stages, strict=True):
        for name in ("history", "skipped", "model"):
            entry.pop(name, None)
        entry["command"] = portable(["edgehar", stage.verb, *stage.words()])
    info, split = dataset.info, run.data.make_split(dataset)
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "suite": run.suite,
        "key": key,
        "command": command_of(run, options),
        "preset": options.recipe.preset,
        "seed": run.seed,
        **stamp(),
        "protocol": PROTOCOL,
        "config": config_of(run, options),
        "peak_resident_mb": peak_of(records),
        "dataset": {
            "name": info.name,
            "labels": list(info.labels),
            "modalities": [spec.name for spec in info.modalities],
            "split": split.name,
            "train_subjects": list(split.train),
            "test_subjects": list(split.test),
            **({"train_recordings": list(split.train_recordings)} if split.by_trial else {}),
            "train_windows": train_windows(dataset, split),
            "test_windows": measured.pop("test_windows"),
            "citation": info.citation,
            "caveats": [*caveats(split, dataset.clips, info.labels), *info.caveats],
        },
        "stages": entries,
        **measured,
    }


def _origin(entry: dict[str, Any]) -> str:
    if entry["network"] == "student":
        return f"student, {'distilled' if entry['distilled'] else 'labels alone'}"
    return "pretrained" if entry["pretrained"] else "from scratch"


def _comparison(name: str, model: dict[str, Any]) -> str:
    """A line with the scores of a model of the suite strangers."""
    score = model["score"]
    found = {"windows": score, **({"recordings": score["recordings"]} if "recordings" in score else {})}
    texts = [f"{one['correct']}/{one['total']} {what}, F1 {100 * one['macro_f1']:.1f}" for what, one in found.items()]
    return f"  {name:<20}{'; '.join(texts)}; {model['parameters']:,} parameters; {model['seconds']:.0f} s"


def summary(result: dict[str, Any]) -> str:
    """The scores of a run, for display."""
    lines = [
        f"  {name:<14}{fed:<24}{found['correct']}/{found['total']}  {100 * found['accuracy']:.2f} %"
        for name, network in {**result.get("networks", {}), **result.get("baselines", {})}.items()
        for fed, found in network["scores"].items()
    ]
    lines += [_comparison(name, model) for name, model in result.get("models", {}).items()]
    lines += [
        f"  {100 * entry['share']:g} % of the labels, {_origin(entry)}, draw {entry['draw']}: "
        f"{entry['correct']}/{entry['total']}"
        for entry in result.get("labels", [])
    ]
    lines += [
        f"  {entry['people'] or 'all'} people, {entry['recordings_per_activity'] or 'all'} recordings, draw "
        f"{entry['draw']}, {entry['method']}: F1 {100 * entry['score']['macro_f1']:.1f}"
        for entry in result.get("transfer", [])
    ]
    lines += [
        f"  {entry['network']}, {100 * entry['kept']:g} % kept, {','.join(entry['source'])}, {entry['criterion']}: "
        f"{entry['correct']}/{entry['total']}  {entry['seconds']:.0f} s"
        for entry in result.get("pruned", [])
    ]
    if "unknown" in result:
        found = result["unknown"]
        lines.append(f"  {', '.join(found['activities'])} left out: AUROC {found['auroc']:.4f}")
    for count, found in result["enrol"]["counts"].items() if "enrol" in result else ():
        lines.append(
            f"  {', '.join(result['enrol']['activities'])} from {count}: {100 * found['new']:.1f} % right, "
            f"{found['points_lost']:.2f} points lost on the others"
        )
    return "\n".join(lines)


PARSER = Parser(SuiteOptions, "edgehar evaluate --suite", __doc__ or "", mode="suite")


def run(options: SuiteOptions) -> int:
    """Do the runs that have no result file yet; print a line for every score."""
    for part in expanded(options):
        _run_all(part)
    return 0


def _run_all(options: SuiteOptions) -> None:
    """The runs on one data set."""
    whole = options.data.load()
    contents = contents_of(whole)
    runs = plan_runs(options, whole)
    check_runs(options, runs, whole)
    paths = [Path(options.results) / f"{run.name}.json" for run in runs]
    keys = [key_of(run, options, contents) for run in runs]

    def is_done(path: Path, key: str) -> bool:
        return not options.replace and has_result(path, key)

    for path, key in zip(paths, keys, strict=True):
        is_done(path, key)  # A result of another configuration is reported before any training.
    for number, (planned, path, key) in enumerate(zip(runs, paths, keys, strict=True), 1):
        before = is_done(path, key)  # by now, perhaps by another process
        sys.stdout.write(f"({number}/{len(runs)}) {path}{'   (measured before)' if before else ''}\n")
        sys.stdout.flush()
        if not before:
            same = replace(planned.data, split=options.data.split) == options.data  # reading hours takes minutes
            result = measure(planned, options, whole if same else planned.data.load(), key)
            write_json(path, result)
            sys.stdout.write(summary(result) + "\n")


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
