"""Model selection without the test subjects: cross-validation that leaves out one training subject per fold.

    edgehar crossvalidate --data utd-mhad --outer odd-even --out runs/cv
    edgehar crossvalidate --data utd-mhad --outer odd-even --out runs/cv --distill='--lost-modality 0.4'
    edgehar crossvalidate --data utd-mhad --outer odd-even --out runs/cv --until prune --prune='--macs 0.5'

Writes cv.json (counts, every error) and, for `edgehar calibrate`, the out-of-fold logits of the student
(out_of_fold.npz) and of the pruned student (out_of_fold_pruned.npz). The same command resumes an interrupted run; with
other options of a later stage in the same folder, the earlier stages are kept.
Without --outer every subject of the data set is left out once: a result to report, not one to select a model with.
Recordings of one person are left out by trial: folds 0of5 to 4of5.
"""

import sys
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgehar import __version__
from edgehar.command_line import Parser, words_of
from edgehar.config import Options, group, option, seed_option, to_json
from edgehar.data.registry import DataOptions
from edgehar.data.splits import cross_validation, make_split
from edgehar.entry import guarded
from edgehar.errors import ConfigError, EdgeharError
from edgehar.experiments.pipeline import check_folder
from edgehar.experiments.recipe import LAST, Recipe
from edgehar.experiments.results import checkpoint_facts
from edgehar.experiments.stage import Settings, data_settings, logits_stage, run_stages
from edgehar.files.atomic import digest_of, locked, read_json, write_json
from edgehar.metrics.classification import wilson
from edgehar.metrics.logits_file import StoredLogits, misclassifications, read_logits, scores
from edgehar.metrics.out_of_fold import recordings_digest, write_out_of_fold
from edgehar.provenance import portable, stamp
from edgehar.signals.clip import Dataset, natural_key

NETWORKS = ("teacher", "student", "pruned")
"""Networks of the trainings in `LAST`."""
OUT_OF_FOLD = {"student": "out_of_fold.npz", "pruned": "out_of_fold_pruned.npz"}
COUNTED = ("correct", "total", "accuracy", "nll", "ece")


@dataclass(frozen=True)
class CrossvalidateOptions(Options):
    """Options of `edgehar crossvalidate`."""

    out: str = option("runs/cv", "folder of the run")
    outer: str | None = option(
        None, "split whose training subjects are used, such as odd-even; all subjects if omitted"
    )
    folds: tuple[str, ...] = option((), "leave out only these subjects, or folds such as 0of5 of one person's trials")
    seed: int = seed_option()
    until: str = option("distill", "last training of a fold", choices=LAST)
    data: DataOptions = group(DataOptions)
    recipe: Recipe = group(Recipe)

    def __post_init__(self) -> None:
        """Raise ConfigError for options out of bounds, and for those that do not fit each other."""
        super().__post_init__()
        if self.data.split is not None:
            raise ConfigError(f"--split {self.data.split}: the folds are the splits here; give --outer instead")
        if self.recipe.prune and self.until != "prune":
            raise ConfigError(f"--prune with --until {self.until}: nothing is pruned; add --until prune or omit it")


def splits_of(options: CrossvalidateOptions, dataset: Dataset) -> dict[str, str]:
    """What is left out -> name of the split; raises ConfigError or SplitError for a fold that does not exist."""
    found = cross_validation(dataset.clips, options.outer or "")
    missing = [subject for subject in options.folds if subject not in found]
    if missing:
        raise ConfigError(f"--folds {','.join(missing)}: expected some of {', '.join(found)}")
    chosen = {subject: name for subject, name in found.items() if not options.folds or subject in options.folds}
    for name in chosen.values():
        make_split(name, dataset.clips)
    return chosen


def run_fold(options: CrossvalidateOptions, subject: str, split: str) -> tuple[dict[str, Any], dict[str, StoredLogits]]:
    """Train without one subject and predict its windows; the entry of cv.json and every network's logits."""
    folder, names = Path(options.out) / subject, NETWORKS[: LAST.index(options.until) + 1]
    stages = options.recipe.stages(folder, replace(options.data, split=split), options.seed, options.until)
    stages += [logits_stage(folder, options.data, name) for name in names]
    sys.stdout.write(f"fold {split}\n")
    records = run_stages(stages, folder, digest_of([__version__, options.data.fingerprint()]))
    logits = {name: read_logits(folder / "measured" / f"logits-{name}.npz") for name in names}
    networks: dict[str, Any] = {}
    for name, stored in logits.items():
        facts = checkpoint_facts(folder / name)["facts"]
        counts = {fed: {key: found[key] for key in COUNTED} for fed, found in scores(stored).items()}
        networks[name] = {"parameters": facts["parameters"], "macs": facts["macs"], "scores": counts}
    trained = checkpoint_facts(folder / "teacher")["data"]
    seconds = {record["name"]: round(record["seconds"], 2) for record in records}
    fold = {"subject": subject, "split": split, "train_subjects": trained["train_subjects"], "seconds": seconds}
    return fold | {"networks": networks}, logits


def total_of(folds: list[dict[str, Any]]) -> dict[str, Any]:
    """Network -> sensors fed -> the counts of all folds together."""
    total: dict[str, Any] = {}
    for name, network in folds[0]["networks"].items():
        total[name] = {}
        for fed in network["scores"]:
            parts = [fold["networks"][name]["scores"][fed] for fold in folds]
            correct, windows = sum(part["correct"] for part in parts), sum(part["total"] for part in parts)
            total[name][fed] = {
                "correct": correct,
                "total": windows,
                "accuracy": correct / windows,
                "wilson95": list(wilson(correct, windows)),
                "nll": sum(part["nll"] * part["total"] for part in parts) / windows,
            }
    return total


def command_of(options: CrossvalidateOptions) -> str:
    """The command that repeats this run."""
    optional: Settings = {"outer": options.outer, "folds": options.folds}
    settings = data_settings(options.data) | options.recipe.given()
    settings |= {name: value for name, value in optional.items() if value}
    settings |= {} if options.until == "distill" else {"until": options.until}
    return portable(["edgehar", "crossvalidate", *words_of(settings | {"seed": options.seed, "out": options.out})])


def check_overwritten(folder: Path, subjects: Collection[str], networks: Collection[str]) -> None:
    """Raise ConfigError if the folder has results of folds or networks that a run would delete."""
    if not (folder / "cv.json").is_file():
        return
    try:
        before: Any = read_json(folder / "cv.json")
        stored = [fold["subject"] for fold in before["folds"]], list(before["total"])
    except (EdgeharError, KeyError, TypeError):
        return  # a damaged file is replaced
    deleted = [name for old, new in zip(stored, (subjects, networks), strict=True) for name in old if name not in new]
    if deleted:
        raise ConfigError(
            f"{folder}: has results of {', '.join(deleted)}, which this run would delete; nothing was changed; choose "
            "another --out"
        )


def cross_validate(options: CrossvalidateOptions) -> dict[str, Any]:
    """Run every fold that is not done yet, write cv.json and the out-of-fold logits; returns the content of cv.json."""
    dataset, folder = options.data.load(), Path(options.out)
    splits = splits_of(options, dataset)
    check_folder(folder, options.data)
    with locked(folder):
        check_overwritten(folder, splits, NETWORKS[: LAST.index(options.until) + 1])
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "config.json", to_json(options))
        for file in ("cv.json", *OUT_OF_FOLD.values()):  # they may be those of other networks
            (folder / file).unlink(missing_ok=True)
        found = [run_fold(options, subject, split) for subject, split in splits.items()]
        folds = [fold for fold, _ in found]
        wrong = [
            {"network": name, **error} for _, logits in found for name, stored in logits.items()
            for error in misclassifications(stored)
        ]  # fmt: skip
        info = dataset.info
        result: dict[str, Any] = {
            "format": "edgehar-crossvalidation",
            "format_version": 1,
            "command": command_of(options),
            "seed": options.seed,
            **stamp(),
            "outer": options.outer,
            "config": to_json(options.recipe),
            "dataset": {
                "name": info.name,
                "labels": list(info.labels),
                "modalities": [spec.name for spec in info.modalities],
                "subjects": sorted({fold["subject"] for fold in folds}, key=natural_key),
            },
            "folds": folds,
            "total": total_of(folds),
            "errors": wrong,
        }
        write_json(folder / "cv.json", result)
        clips = dataset.clips
        digest = recordings_digest(make_split(options.outer, clips).train_clips(clips) if options.outer else clips)
        for name, file in OUT_OF_FOLD.items():
            if name in found[0][1]:
                write_out_of_fold(folder / file, [logits[name] for _, logits in found], digest)
    return result


def table(result: dict[str, Any]) -> str:
    """The counts of every fold and of all folds, for display."""
    subjects = [fold["subject"] for fold in result["folds"]]
    lines = [f"{'network':<10}{'fed':<22}" + "".join(f"{subject:>10}" for subject in subjects) + f"{'all':>12}"]
    for name, fed_scores in result["total"].items():
        for fed, total in fed_scores.items():
            parts = [fold["networks"][name]["scores"][fed] for fold in result["folds"]]
            counts = "".join(f"{part['correct']}/{part['total']}".rjust(10) for part in parts)
            everything = f"{total['correct']}/{total['total']}".rjust(12)
            low, high = total["wilson95"]
            lines.append(
                f"{name:<10}{fed:<22}{counts}{everything}  {100 * total['accuracy']:.2f} % "
                f"({100 * low:.1f} to {100 * high:.1f}), nll {total['nll']:.3f}"
            )
    return "\n".join(lines)


PARSER = Parser(CrossvalidateOptions, "edgehar crossvalidate", __doc__ or "")


def run(options: CrossvalidateOptions) -> int:
    """Cross-validate and print the counts."""
    result = cross_validate(options)
    sys.stdout.write(f"{table(result)}\nresults: {options.out}/cv.json\n")
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
