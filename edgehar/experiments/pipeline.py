"""Train, compress, package and measure on one data set, stage by stage; running it again resumes it.

    edgehar pipeline --data utd-mhad --root DATA/utd-mhad --out runs/utd

Stages pass files to each other and nothing else. A finished stage whose inputs are unchanged is skipped.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgehar import __version__, verbs
from edgehar.choices import PRESET_NAMES, QUICK_BASELINE
from edgehar.command_line import Parser, words_of
from edgehar.config import Options, group, option, seed_option, to_json
from edgehar.data.pretraining import stored_place
from edgehar.data.registry import DataOptions
from edgehar.data.splits import announced
from edgehar.entry import guarded
from edgehar.errors import ConfigError, DataError
from edgehar.experiments.results import write_results
from edgehar.experiments.rules import LENGTH, ON, PRETRAINING, Choice, choices_for
from edgehar.experiments.stage import (
    TRAININGS,
    Settings,
    Stage,
    baseline_stage,
    data_settings,
    measuring_stages,
    network_stages,
    packaging_stages,
    run_stages,
    scoring_stage,
)
from edgehar.experiments.trials import Trials, held_out_stages
from edgehar.files.atomic import digest_of, locked, read_json, write_json
from edgehar.provenance import shell_text


@dataclass(frozen=True)
class PipelineOptions(Options):
    """Options of the whole run."""

    out: str = option("runs/pipeline", "folder of the run")
    preset: str = option("base", "network sizes and training lengths", choices=PRESET_NAMES)
    seed: int = seed_option()
    update_share: float = option(1.0, "share of every training's updates, below 1 for a trial run", above=0)
    pretraining: bool | None = option(
        None, "pretrain the teacher on these recordings, without their labels; default: no"
    )
    macs: float = option(0.7, "share of the multiply-adds that the pruned student keeps", above=0, below=1)
    bench_runs: int = option(500, "timed runs per figure of the benchmark; a 99th percentile needs 500", at_least=500)
    budget_minutes: float = option(
        10.0,
        "time for short trainings that choose the augmentation, in rounds; 0: the default augmentation",
        at_least=0,
    )
    until: str | None = option(None, "stop after this stage (pretrain, finetune, distill, prune, export, ...)")
    data: DataOptions = group(DataOptions)

    def shortened(self) -> Settings:
        """The update share as a setting of a training, unless it is 1."""
        return {} if self.update_share == 1 else {"update_share": self.update_share}


def settings_of(options: PipelineOptions, choices: Sequence[Choice]) -> dict[str, Settings]:
    """Training -> its settings, with what the recordings decide."""
    common = {"preset": options.preset, **options.shortened(), "seed": options.seed}
    return {
        verb: common | {name: value for choice in choices for name, value in choice.settings.get(verb, {}).items()}
        for verb in TRAININGS
    }


def usual_length(choices: Sequence[Choice]) -> list[Choice]:
    """The choices for trials, which are short however long the trainings are."""
    return [choice for choice in choices if choice.name != LENGTH]


def plan(options: PipelineOptions, choices: Sequence[Choice], trial_teacher: Path | None = None) -> list[Stage]:
    """Every stage of a run, in order, with what the recordings decide.

    Args:
        options: of the run.
        choices: what the training recordings decide.
        trial_teacher: checkpoint of a trial; the student is calibrated on the people it was not trained on.
    """
    run, data, runs = Path(options.out), options.data, options.bench_runs
    settings = settings_of(options, choices)
    settings["prune"] |= {"macs": options.macs}
    pretrained = any(choice.value == ON for choice in choices if choice.name == PRETRAINING)
    baseline = baseline_stage(run, data, QUICK_BASELINE, {"preset": options.preset}, options.seed)
    short = settings_of(options, usual_length(choices))["distill"]
    held_out = [] if trial_teacher is None else held_out_stages(run, data, short, trial_teacher)
    logits = str(held_out[-1].products[0]) if held_out else None
    return [
        replace(baseline, optional=True),
        *network_stages(run, data, settings, pretrained),
        *held_out,
        *packaging_stages(run, "student", "package", logits),
        *measuring_stages(run, "student", "package", runs),
        *packaging_stages(run, "pruned", "package-pruned"),
        *measuring_stages(run, "pruned", "package-pruned", runs),
        scoring_stage(run, data, "package", "int8", "student-int8"),
        scoring_stage(run, data, "package-pruned", "fp32", "pruned"),
        scoring_stage(run, data, "package-pruned", "int8", "pruned-int8"),
    ]


def chosen_stages(
    options: PipelineOptions, choices: Sequence[Choice], trial_teacher: Path | None = None
) -> list[Stage]:
    """The stages of a run, up to the one to stop after; raises ConfigError if there is none of that name."""
    stages = plan(options, choices, trial_teacher)
    names = [stage.name for stage in stages]
    if options.until is not None and options.until not in names:
        raise ConfigError(f"--until {options.until}: expected one of {', '.join(names)}")
    return stages if options.until is None else stages[: names.index(options.until) + 1]


def command_of(options: PipelineOptions) -> str:
    """The command that repeats this run."""
    settings = {
        **data_settings(options.data),
        "preset": options.preset,
        "seed": options.seed,
        "macs": options.macs,
        **(
            {}
            if options.budget_minutes == PipelineOptions.budget_minutes
            else {"budget_minutes": options.budget_minutes}
        ),
        "out": options.out,
        **({} if options.pretraining is None else {"pretraining": options.pretraining}),
        **options.shortened(),
    }
    return shell_text(["edgehar", "pipeline", *words_of(settings)])


def check_outside(folder: Path, data: DataOptions, option_name: str) -> None:
    """Raise ConfigError if a folder to write to, given with this option, lies within the recordings."""
    target = folder.resolve()
    for recordings in (Path(path).resolve() for path in (data.data, data.root) if path and Path(path).is_dir()):
        if target == recordings or recordings in target.parents:
            raise ConfigError(
                f"{option_name} {folder}: lies within the recordings in {recordings}; expected a folder outside; "
                "choose another"
            )


def check_folder(folder: Path, data: DataOptions, option_name: str = "--out") -> None:
    """Raise ConfigError if a run's folder lies within the recordings, or holds something else or other recordings' run.

    A run that is started again with other options replaces its own networks.
    """
    check_outside(folder, data, option_name)
    config = folder / "config.json"
    if not folder.name or (folder.exists() and not config.is_file() and not _is_empty(folder)):
        raise ConfigError(f"{option_name} {folder}: exists and is no run; nothing was changed; choose another")
    if config.is_file():
        try:
            found = stored_place(DataOptions(read_json(config)["data"]["data"]))["data"]
        except (DataError, ConfigError, KeyError, TypeError):
            return  # a damaged file is replaced
        expected = stored_place(data)["data"]
        if found != expected:
            raise ConfigError(
                f"{option_name} {folder}: holds a run of {found}; expected one of {expected}; nothing was changed; "
                "choose another folder"
            )


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def run_pipeline(options: PipelineOptions) -> dict[str, Any] | None:
    """Run the stages that are not done yet and write results.json; returns its content, or None with `until`."""
    folder = Path(options.out)
    # Unusable recordings and splits are reported before anything is written.
    dataset = options.data.load()
    split = options.data.make_split(dataset)
    sys.stdout.write(announced(options.data.split, split))
    train_clips = split.train_clips(dataset.clips)
    choices = choices_for(train_clips, dataset.info, options.pretraining, options.preset)
    chosen_stages(options, choices)  # reports an unknown --until
    check_folder(folder, options.data)
    with locked(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "config.json", to_json(options))
        key = digest_of([__version__, options.data.fingerprint()])
        common = settings_of(options, usual_length(choices))["finetune"]
        trials = Trials(folder, key, options.data, common, 60 * options.budget_minutes)
        tried = trials.run(dataset, split)
        choices = (*choices, tried.choice)
        for choice in choices:
            sys.stdout.write(f"{choice.name}: {choice.value}. {choice.reason}\n")
        stages = chosen_stages(options, choices, tried.teacher)
        records = run_stages(stages, folder, key)
        if options.until is not None:
            return None
        stages, records = [*tried.stages, *stages], [*tried.records, *records]
        about = to_json(options) | {"command": command_of(options), "choices": [one.to_json() for one in choices]}
        results = write_results(folder, about, dataset, split, stages, records)
        report = Stage("report", "report", {"run": folder})
        sys.stdout.write(f"[report] {report.command}\n")
        verbs.run("report", report.options())
    return results


def summary(results: dict[str, Any], out: str) -> str:
    """The scores and the files with more, for display."""
    data = results["dataset"]
    tested = (
        "recordings not trained on, of the same people" if "train_recordings" in data else "subjects not trained on"
    )
    lines = [f"{data['test_windows']} windows of {tested}, correct predictions:"]
    for model, entry in results["evaluation"].items():
        low, high = entry["wilson95"]
        whole = entry.get("recordings")
        lines.append(
            f"  {'MiniRocket' if model == QUICK_BASELINE else model:<14}{entry['correct']:>5}/{entry['total']}"
            f"  {100 * entry['accuracy']:6.2f} %   (95 % interval {100 * low:.1f} to {100 * high:.1f})"
            + (f"   recordings {whole['correct']}/{whole['total']}" if whole else "")
        )
    lines += [f"  {caveat}" for caveat in data["caveats"]] if "train_recordings" in data else []
    lines += results["evaluation"][results["delivered"]].get("outlying_subject", "").splitlines()
    return "\n".join([*lines, f"results: {out}/results.json   page: {out}/report.html", ""])


PARSER = Parser(PipelineOptions, "edgehar pipeline", __doc__ or "")


def run(options: PipelineOptions) -> int:
    """Run the pipeline and print the scores."""
    results = run_pipeline(options)
    sys.stdout.write(summary(results, options.out) if results else f"stopped after {options.until} (--until)\n")
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
