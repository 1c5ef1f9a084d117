"""Short trainings inside the training people that choose the augmentation, by cross-validation in rounds.

What helps differs between recordings: where 40 people wear a watch alike, turning its axes by 15 degrees costs
accuracy; where 6 do, it is worth points (docs/lab-notebook.md). Each round leaves out other people and trains the
teacher for a quarter of its updates with every candidate. A candidate replaces the default if it is better by more than
`MARGIN` on average. No test recording has a say.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from edgehar.data.people import orientation_spread_deg
from edgehar.data.registry import DataOptions
from edgehar.data.splits import Split, groups_of
from edgehar.experiments.results import checkpoint_facts
from edgehar.experiments.rules import Choice
from edgehar.experiments.stage import (
    TRIAL,
    Settings,
    Stage,
    data_settings,
    logits_stage,
    run_stages,
    training_stage,
)
from edgehar.signals.clip import Dataset
from edgehar.signals.modality import ModalitySpec

AUGMENTATION = "augmentation"
DEFAULT, LIGHT, MIRRORED, TURNED = "default", "light", "mirrored", "turned"
DISAGREEMENT_DEG = 40.0
"""People wear a sensor in any way above this spread, see `orientation_spread_deg`: 8 to 20 degrees for nine sensors
that everybody wore alike, 51 to 102 for phones in pockets and for watches on either wrist."""
ROUNDS = 3
"""Most rounds; each leaves out a third of the training people."""
SHORT = 0.25
"""Share of the teacher's updates that a trial has."""
MARGIN = 0.01
"""A candidate must have a higher macro F1 than the default by more than this."""


def candidates(specs: Sequence[ModalitySpec], kind: str, spread_deg: float | None) -> dict[str, Settings]:
    """Name -> options of fine-tuning and distillation, the default first.

    Args:
        specs: the sensors.
        kind: of the windows. Sliding windows have the tempo of the recording, which a crop or warp would change.
        spread_deg: how differently people wear a sensor, see `orientation_spread_deg`.
    """
    light: Settings = {"mounting_deg": 5.0, "heading_deg": 10.0, "mixup": 0.1}
    light |= {} if kind == "clip" else {"crop": 0.0, "warp": 0.0}
    found = {DEFAULT: Settings(), LIGHT: light}
    if spread_deg is not None and spread_deg > DISAGREEMENT_DEG:
        found[TURNED] = {"mounting_deg": 60.0}
    # A mirrored body performs activities of the other side, which may have labels of their own.
    return found | ({} if any(spec.is_skeleton for spec in specs) else {MIRRORED: {"mirror": 0.3}})


@dataclass(frozen=True)
class Tried:
    """What trials found.

    Attributes:
        choice: the augmentation.
        stages: the trainings.
        records: their records.
        teacher: checkpoint of the first round with the chosen augmentation, whose test people are training people of
            the run; None without a round.
    """

    choice: Choice
    stages: list[Stage]
    records: list[dict[str, Any]]
    teacher: Path | None


@dataclass(frozen=True)
class Trials:
    """Trials of a run.

    Attributes:
        folder: of the run.
        key: digest of what is run, see `run_stages`.
        data: the recordings.
        common: settings of all trainings of the run.
        budget_s: a round starts only if it is expected to end within so many seconds of trials.
    """

    folder: Path
    key: str
    data: DataOptions
    common: Settings
    budget_s: float

    def stage(self, name: str, settings: Settings, fold: str, split: str) -> Stage:
        """One training."""
        short = {"update_share": SHORT * self.common.get("update_share", 1.0)}
        recordings = data_settings(replace(self.data, split=f"{split}/fold:{fold}"))
        return training_stage(
            self.folder,
            "finetune",
            f"trials/{name}-{fold}",
            self.common | settings | short | recordings,
            name=f"{TRIAL}{name}-{fold}",
        )

    def run(self, dataset: Dataset, split: Split) -> Tried:
        """Run the rounds."""
        if not self.budget_s:
            return Tried(choice_of({DEFAULT: {}}, {}), [], [], None)
        info, clips = dataset.info, split.train_clips(dataset.clips)
        people = len(groups_of(clip.subject for clip in clips))
        if split.by_trial or people < ROUNDS:
            reason = f"Trials need {ROUNDS} training people, each alone on a side of a fold; found {people}."
            return Tried(Choice(AUGMENTATION, DEFAULT, reason), [], [], None)
        options = candidates(info.modalities, info.window.kind, orientation_spread_deg(clips, info))
        scores: dict[str, list[float]] = {name: [] for name in options}
        stages: list[Stage] = []
        records: list[dict[str, Any]] = []
        spent_s = 0.0
        for number in range(ROUNDS):
            if self.budget_s <= spent_s + spent_s / max(number, 1):
                break
            fold = f"{number}of{ROUNDS}"
            planned = [self.stage(name, settings, fold, split.name) for name, settings in options.items()]
            sys.stdout.write(f"trials of the augmentation, round {number + 1} of up to {ROUNDS}\n")
            done = run_stages(planned, self.folder, self.key)
            stages, records = stages + planned, records + done
            spent_s += sum(record["seconds"] for record in done)
            for name, stage in zip(options, planned, strict=True):
                assert stage.checkpoint is not None
                scores[name].append(checkpoint_facts(stage.checkpoint)["facts"]["evaluation"]["macro_f1"])
        choice = choice_of(options, scores)
        first_round = dict(zip(options, stages, strict=False))
        return Tried(choice, stages, records, first_round[choice.value].checkpoint)


def held_out_stages(run: Path, data: DataOptions, settings: Settings, teacher: Path) -> list[Stage]:
    """Distil a student from a trial's teacher and store its logits on the training people whom neither was trained on.

    Args:
        run: folder of the run.
        data: the recordings.
        settings: of the distillation.
        teacher: checkpoint of a trial.
    """
    folder = f"{TRIAL}student"
    settings = settings | {"teacher": (str(teacher),)}
    return [training_stage(run, "distill", folder, settings, name=folder), logits_stage(run, data, folder)]


def choice_of(options: dict[str, Settings], scores: dict[str, list[float]]) -> Choice:
    """The candidate with the highest mean score, or the default unless one is clearly better.

    Args:
        options: candidate -> its settings, the default first.
        scores: candidate -> macro F1 of each round.
    """
    means = {name: fmean(of_rounds) for name, of_rounds in scores.items() if of_rounds}
    if not means:
        return Choice(AUGMENTATION, DEFAULT, "No trials (--budget-minutes).")
    best = max(means, key=lambda name: means[name])
    chosen = best if means[best] > means[DEFAULT] + MARGIN else DEFAULT
    rounds = len(scores[DEFAULT])
    listed = ", ".join(f"{name} {100 * mean:.1f}" for name, mean in means.items())
    reason = (
        f"Macro F1 of short trainings on people left out of the training people, mean of {rounds} "
        f"round{'' if rounds == 1 else 's'}: {listed}; another than the default must be better by more than "
        f"{100 * MARGIN:g}."
    )
    return Choice(AUGMENTATION, chosen, reason, {verb: options[chosen] for verb in ("finetune", "distill")})
