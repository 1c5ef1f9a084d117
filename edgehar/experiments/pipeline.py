"""Every stage in order, each skipped if nothing it depends on changed, each resumable.

    edgehar pipeline --data utd-mhad --root DATA/utd-mhad --out runs/utd

Stages hand over files and nothing else. The key of a stage is a digest of its arguments, of the recordings and of the
stages before it; a stage whose key and products are as recorded is skipped. A training that was killed goes on from
its last save, by itself, and ends with the weights an undisturbed one has.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgehar import __version__
from edgehar.checks import check_seed
from edgehar.command_line import parse
from edgehar.config import group, option, to_json
from edgehar.data.registry import DataOptions
from edgehar.entry import guarded
from edgehar.errors import ConfigError, EdgeharError
from edgehar.experiments.results import write_results
from edgehar.experiments.stage import Stage, plan
from edgehar.files.atomic import digest_of, locked, read_json, sha256, write_json
from edgehar.provenance import resident_mb, stamp
from edgehar.verbs import call, check

PRESETS = ("tiny", "base", "large")
FEWEST_BENCH_RUNS = 500
TRAININGS = ("pretrain", "finetune", "distill", "prune")


@dataclass(frozen=True)
class PipelineOptions:
    """Options of the whole run."""

    out: str = option("runs/pipeline", "folder of the run")
    preset: str = option("base", f"sizes and lengths: {', '.join(PRESETS)}")
    seed: int = option(0, "reproduces the run")
    update_share: float = option(1.0, "share of every training's updates to do, for a quick look")
    macs: float = option(0.7, "share of the multiply-adds that the pruned student keeps")
    bench_runs: int = option(500, "timed runs per figure of the benchmark")
    until: str | None = option(None, "stop after this stage (pretrain, finetune, distill, prune, export, ...)")
    data: DataOptions = group(DataOptions)


def data_arguments(options: DataOptions) -> tuple[str, ...]:
    """The data options as typed, those left at their defaults included where a stage needs them."""
    arguments: tuple[str, ...] = ("--data", options.data)
    if options.root is not None:
        arguments += ("--root", options.root)
    if options.split is not None:
        arguments += ("--split", options.split)
    if options.modalities:
        arguments += ("--modalities", ",".join(options.modalities))
    if options.without:
        arguments += ("--without", ",".join(options.without))
    return arguments


def is_done(record: Path, key: str) -> bool:
    """Whether a stage ran to its end with this key and its products are still what it left."""
    if not record.is_file():
        return False
    try:
        entry = read_json(record)
        same = entry["key"] == key
        return same and all(
            Path(name).is_file() and sha256(Path(name)) == was for name, was in entry["products"].items()
        )
    except (EdgeharError, KeyError, TypeError, AttributeError):
        return False


def run_stage(stage: Stage) -> float:
    """Call the stage's verb; seconds taken. Raises EdgeharError if it ends with another code than 0."""
    started_s = time.monotonic()
    code = call(stage.verb, list(stage.arguments))
    if code != 0:
        raise ConfigError(f"stage {stage.name} ended with code {code}; run it alone to see why: {stage.command}")
    missing = [str(path) for path in stage.products if not path.is_file()]
    if missing:
        raise ConfigError(f"stage {stage.name} did not write {', '.join(missing)}; run it alone: {stage.command}")
    return time.monotonic() - started_s


def chosen_stages(options: PipelineOptions) -> list[Stage]:
    """The stages of a run, up to the one to stop after; raises ConfigError for an unknown preset or stage."""
    if options.preset not in PRESETS:
        raise ConfigError(f"--preset {options.preset}: expected one of {', '.join(PRESETS)}")
    check_seed(options.seed)
    if not 0 < options.macs < 1:
        raise ConfigError(f"--macs {options.macs}: expected a share above 0 and below 1, such as 0.7")
    if options.bench_runs < FEWEST_BENCH_RUNS:
        raise ConfigError(
            f"--bench-runs {options.bench_runs}: expected {FEWEST_BENCH_RUNS} or more for a 99th percentile"
        )
    if not options.update_share > 0:
        raise ConfigError(f"--update-share {options.update_share}: expected a number above 0")
    training: tuple[str, ...] = ("--preset", options.preset)
    if options.update_share != 1:
        training += ("--update-share", str(options.update_share))
    data = data_arguments(options.data)
    stages = plan(Path(options.out), training, options.seed, options.macs, options.bench_runs, data)
    names = [stage.name for stage in stages]
    if options.until is not None and options.until not in names:
        raise ConfigError(f"--until {options.until}: expected a stage: {', '.join(names)}")
    return stages if options.until is None else stages[: names.index(options.until) + 1]


def run_stages(stages: list[Stage], folder: Path, key: str) -> list[dict[str, Any]]:
    """Run every stage that is not done yet; the records of all of them."""
    keys: dict[str, str] = {}
    done: dict[str, bool] = {}
    for stage in stages:
        keys[stage.name] = key = digest_of([key, stage.verb, stage.arguments])
        done[stage.name] = is_done(folder / "stages" / f"{stage.name}.json", key)
    # Last first: what a stage amends may itself amend what an earlier one left.
    for stage in reversed(stages):
        if stage.amends is not None and not done[stage.name]:
            done[stage.amends] = False
    # What a late training would refuse is said before an early one takes hours.
    for stage in stages:
        if stage.verb in TRAININGS and not done[stage.name]:
            check(stage.verb, list(stage.arguments))
    records: list[dict[str, Any]] = []
    again = False
    for number, stage in enumerate(stages, 1):
        key, record = keys[stage.name], folder / "stages" / f"{stage.name}.json"
        # Once one stage ran, what follows it runs too.
        skipped = not again and done[stage.name]
        sys.stdout.write(f"[{number}/{len(stages)}] {stage.command}{'   (done before)' if skipped else ''}\n")
        sys.stdout.flush()
        if not skipped:
            again = True
            seconds = run_stage(stage)
            products = {str(path): sha256(path) for path in stage.products}
            entry = {"name": stage.name, "key": key, "seconds": seconds, "resident_mb": resident_mb(), **stamp()}
            write_json(record, entry | {"products": products})
        records.append(read_json(record) | {"skipped": skipped})
    return records


def command_of(options: PipelineOptions) -> str:
    """What to type to get this run again."""
    changed = {"seed": options.seed, "macs": options.macs, "out": options.out}
    words = ["edgehar", "pipeline", *data_arguments(options.data), "--preset", options.preset]
    if options.update_share != 1:
        changed["update-share"] = options.update_share
    return " ".join(words + [f"--{name} {value}" for name, value in changed.items()])


def check_folder(folder: Path, data: DataOptions) -> None:
    """Raise ConfigError if a run would mix with the recordings or with something that is no run."""
    here = folder.resolve()
    for recordings in (Path(place).resolve() for place in (data.data, data.root) if place and Path(place).is_dir()):
        if here == recordings or recordings in here.parents:
            raise ConfigError(f"--out {folder}: lies within the recordings in {recordings}; choose another folder")
    if not folder.name or (folder.exists() and not (folder / "config.json").is_file() and not _is_empty(folder)):
        raise ConfigError(f"--out {folder}: exists and is no run of the pipeline; nothing was changed; choose another")


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def run(options: PipelineOptions) -> dict[str, Any] | None:
    """Run what has to be run and write results.json; returns its content, or None if stopped before the end."""
    stages, folder = chosen_stages(options), Path(options.out)
    # What is wrong with the recordings or the split is said before anything is written.
    dataset = options.data.load()
    options.data.make_split(dataset)
    check_folder(folder, options.data)
    with locked(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "config.json", to_json(options))
        records = run_stages(stages, folder, digest_of([__version__, options.data.fingerprint()]))
        if options.until is not None:
            return None
        about = to_json(options) | {"command": command_of(options)}
        results = write_results(folder, about, dataset, stages, records)
        sys.stdout.write(f"[report] edgehar report {folder}\n")
        call("report", [str(folder)])
    return results


def summary(results: dict[str, Any], out: str) -> str:
    """The counts and where to read on, for people."""
    lines = [f"{results['dataset']['test_windows']} windows of subjects never trained on, right answers:"]
    for model, entry in results["evaluation"].items():
        low, high = entry["wilson95"]
        lines.append(
            f"  {model:<14}{entry['correct']:>5}/{entry['total']}  {100 * entry['accuracy']:6.2f} %"
            f"   (95 % interval {100 * low:.1f} to {100 * high:.1f})"
        )
    return "\n".join([*lines, f"results: {out}/results.json   page: {out}/report.html", ""])


def main(argv: list[str] | None = None) -> int:
    """Run the pipeline and say where the results are."""
    options = parse(PipelineOptions, argv, "edgehar pipeline", __doc__ or "")
    results = run(options)
    sys.stdout.write(summary(results, options.out) if results else f"stopped after {options.until}, as asked\n")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
