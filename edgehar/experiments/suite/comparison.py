"""Stages that measure other methods: the baselines, and the default pipeline beside them."""

from pathlib import Path

from edgehar.data.registry import DataOptions
from edgehar.experiments.recipe import Recipe
from edgehar.experiments.stage import Stage, baseline_stage, data_settings

BASELINES = ("nearest", "minirocket", "lstm", "tcn")
"""Baselines of the suite baselines."""
ALL_BASELINES = ("nearest", "minirocket", "multirocket-hydra", "lstm", "tcn", "deepconvlstm", "tinierhar")
"""Baselines of the suite strangers."""


def baseline_stages(
    recipe: Recipe, folder: Path, data: DataOptions, seed: int, kinds: tuple[str, ...] = BASELINES
) -> list[Stage]:
    """The baselines on the same windows."""
    return [baseline_stage(folder, data, kind, recipe.base_settings(), seed) for kind in kinds]


def stranger_stages(recipe: Recipe, folder: Path, data: DataOptions, seed: int) -> list[Stage]:
    """All baselines, then `edgehar pipeline` without an option other than preset, data, split and seed.

    The pipeline is last, so that the baselines are kept when it is run again.
    """
    out = folder / "pipeline"
    settings = recipe.base_settings() | data_settings(data) | {"seed": seed, "out": str(out)}
    pipeline = Stage("pipeline", "pipeline", {}, settings, (out / "results.json",))
    return [*baseline_stages(recipe, folder, data, seed, ALL_BASELINES), pipeline]
