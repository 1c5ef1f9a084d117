"""Names that options accept, shared by several verbs: presets, window sources, pruning criteria, pseudo-labels."""

from collections.abc import Collection
from pathlib import Path

SHIPPED = "shipped"
"""The pretrained weights that edgehar comes with."""

PRETRAINED_HELP = f"folder of a pretrained checkpoint, or {SHIPPED} for the weights that edgehar comes with"

PRESET_NAMES = ("tiny", "base", "large")
"""Presets of every training."""

QUICK_BASELINE = "minirocket"
"""The quickest of the accurate baselines (arXiv 2012.08791), which the pipeline scores and the report compares with."""

NO_PSEUDO_LABELS = "none"

PSEUDO_LABELS = (NO_PSEUDO_LABELS, "likely", "equal")
"""No pseudo-labels; the most probable one of each window; those with equal frequencies in each subject's windows."""

MEANS, INVERTED, RECORDINGS = "means", "inverted", "recordings"
"""Sources that need statistics stored in the checkpoint, no training data at all, and the recordings themselves."""

SOURCES = (MEANS, "smooth", "simulated", INVERTED, "generated", "noise", RECORDINGS)
"""Sources of the windows a network is pruned and recovered on."""

DEFAULT_CRITERION = "l2"

CRITERIA = ("l1", DEFAULT_CRITERION, "lamp", "taylor", "hessian", "overlap", "gates", "random")
"""Criteria of structured pruning."""

SOURCES_BY_OPTION = {
    "people": ("simulated", "inverted"),
    **dict.fromkeys(("slowest", "fastest", "waves", "still", "spread"), ("smooth",)),
    "noisy_sensor": ("means", "smooth", "simulated", "inverted", "generated"),
    **dict.fromkeys(("inverted", "inversion_steps", "inversion_rate", "variation", "distance"), ("inverted",)),
    **dict.fromkeys(("generator_steps", "generator_rate", "disagreement", "roughness"), ("generated",)),
}
"""Option of a source -> the sources that use it; options that are not listed apply to all sources."""


def unused_options(names: Collection[str], sources: Collection[str]) -> list[str]:
    """Those of the options that none of the sources uses."""
    return [name for name in names if name in SOURCES_BY_OPTION and not set(SOURCES_BY_OPTION[name]) & set(sources)]


def pretrained_folder(name: str) -> Path:
    """The folder of a pretrained checkpoint, given by its path or as `SHIPPED`."""
    return Path(__file__).parent / "teacher" / "pretraining" / "shipped" if name == SHIPPED else Path(name)
