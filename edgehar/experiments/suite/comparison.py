"""Stages that measure other methods: the baselines, and the default pipeline beside them."""

from pathlib import Path

from edgehar.data.registry import DataOptions
from edgehar.experiments.recipe import Recipe
from edgehar.experiments.stage import Stage, baseline_stage, data_settings

BASELINES = ("nearest", "minirocket", "lstm", "tcn")
"""Baselines of the suite baselines."""
PIPELINE = "pipeline"
METHODS = ("nearest", "minirocket", "multirocket-hydra", PIPELINE, "lstm", "tcn", "tinierhar", "deepconvlstm")
"""The default pipeline and all baselines, in the order in which the suite strangers runs them: the slowest last."""


def baseline_stages(recipe: Recipe, folder: Path, data: DataOptions, seed: int) -> list[Stage]:
    """The baselines on the same windows."""
    return [baseline_stage(folder, data, kind, recipe.base_settings(), seed) for kind in BASELINES]


def method_stage(recipe: Recipe, folder: Path, data: DataOptions, seed: int, method: str) -> Stage:
    """A baseline, or `edgehar pipeline` without an option other than preset, data, split and seed."""
    if method != PIPELINE:
        return baseline_stage(folder, data, method, recipe.base_settings(), seed)
    out = folder / "pipeline"
    settings = recipe.base_settings() | data_settings(data) | {"seed": seed, "out": str(out)}
    return Stage(PIPELINE, "pipeline", {}, settings, (out / "results.json",))


def method_of(stage: Stage) -> str:
    """The method that a stage measures."""
    return str(stage.positional.get("kind", PIPELINE))
