"""The suite transfer: a few labelled recordings of a few people, with and without pretrained weights."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from edgehar.choices import pretrained_folder
from edgehar.data.few_labels import FewLabels
from edgehar.data.registry import DataOptions
from edgehar.experiments.results import checkpoint_facts
from edgehar.experiments.stage import UNLABELLED, Settings, Stage, baseline_stage, data_settings, training_stage
from edgehar.experiments.suite.options import SuiteOptions
from edgehar.files.atomic import read_json

SCRATCH, OWN, PRETRAINED, BASELINE = "scratch", "own", "pretrained", "minirocket"
METHODS = (BASELINE, SCRATCH, OWN, PRETRAINED)
"""Beside the pretrained weights: MiniRocket, a teacher from scratch, and one pretrained on the data set's own training
recordings, unlabelled."""
COMPARED = ("correct", "total", "accuracy", "macro_f1", "per_subject", "recordings")


def transfer_stages(options: SuiteOptions, folder: Path, data: DataOptions, seed: int) -> list[Stage]:
    """Every method on every draw of the labels; each draw has its own seed."""
    recipe, pretrained = options.recipe, options.pretrained
    common, recordings = recipe.settings("finetune"), data_settings(data)
    origins: dict[str, Settings] = {SCRATCH: {}}
    stages: list[Stage] = []
    if recipe.pretraining:
        own = UNLABELLED | recipe.settings("pretrain") | {"seed": seed} | recordings
        stages.append(training_stage(folder, "pretrain", "pretrained", own))
        origins[OWN] = {"pretrained": str(folder / "pretrained")}
    if pretrained is not None:
        origins[PRETRAINED] = {"pretrained": pretrained}
    for setting in options.few:
        for draw in range(options.draws):
            drawn = {"few_labels": f"{setting}:{draw}"}
            part = folder / f"{setting.replace(':', 'x')}-{draw}"
            fewer = replace(data, few_labels=drawn["few_labels"])
            stage = baseline_stage(part, fewer, BASELINE, recipe.base_settings(), seed + draw)
            stages.append(_named(stage, setting, draw, BASELINE))
            for origin, more in origins.items():
                settings = common | recordings | drawn | more | {"seed": seed + draw}
                stage = training_stage(part, "finetune", origin, settings)
                stages.append(_named(stage, setting, draw, origin))
    return stages


def _named(stage: Stage, setting: str, draw: int, method: str) -> Stage:
    """The stage with a name that tells setting, draw and method."""
    return replace(stage, name=f"finetune-{setting}:{draw}-{method}")


def collect_transfer(stages: tuple[Stage, ...]) -> dict[str, Any]:
    """The score of every method and draw, and what the weights were pretrained on."""
    entries: list[dict[str, Any]] = []
    for stage in stages:
        if not stage.name.startswith("finetune-"):
            continue
        text, method = stage.name.removeprefix("finetune-").rsplit("-", 1)
        few = FewLabels.parse(text)
        if stage.checkpoint is None:
            document = read_json(stage.products[0])
            score, windows = next(iter(document["scores"].values())), document["fitted_windows"]
        else:
            facts = checkpoint_facts(stage.checkpoint)["facts"]
            score, windows = facts["evaluation"], facts["train_windows"]
        entries.append(
            {
                "method": method, "people": few.people, "recordings_per_activity": few.recordings, "draw": few.draw,
                "train_windows": windows, "score": {key: score[key] for key in COMPARED if key in score},
            }
        )  # fmt: skip
    found: dict[str, Any] = {"transfer": entries, "test_windows": entries[0]["score"]["total"]}
    given = {stage.settings["pretrained"] for stage in stages if stage.name.endswith(f"-{PRETRAINED}")}
    for folder in given:  # one, or none
        facts = checkpoint_facts(pretrained_folder(folder))["facts"]
        options = facts["options"]
        found["pretrained"] = {
            "data": sorted(Path(name).name for name in options["data"]["data"].split(",")),
            "people": facts["people"], "hours": facts["hours"], "parameters": facts["parameters"],
            "objectives": options["objectives"], "updates": options["train"]["updates"],
            "batch": options["train"]["batch"],
        }  # fmt: skip
    return found
