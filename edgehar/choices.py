"""Names that options accept, shared by several verbs: window sources, pruning criteria, pseudo-labels."""

from collections.abc import Collection

from edgehar.errors import ConfigError

NO_PSEUDO_LABELS = "none"

PSEUDO_LABELS = (NO_PSEUDO_LABELS, "likely", "equal")
"""No labels are made up; every window's most likely one; that once all are equally frequent in everyone's windows."""


def check_label_share(share: float, draw: int) -> None:
    """Raise ConfigError unless a share of the labels and its draw can be taken, see `windows.stratified`."""
    if not 0 < share <= 1 or draw < 0:
        raise ConfigError(
            f"--label-share {share}, --label-draw {draw}: expected above 0 up to 1, and a whole number from 0"
        )


def check_pseudo_labels(kind: str) -> None:
    """Raise ConfigError unless teachers can make up labels so, see `edgehar.student.distillation.pseudo_labels`."""
    if kind not in PSEUDO_LABELS:
        raise ConfigError(f"--pseudo-labels {kind}: expected one of {', '.join(PSEUDO_LABELS)}")


STORED, FREE, REAL = "means", "inverted", "recordings"
"""Windows to prune with that need what the checkpoint keeps, nothing of the data, and the data itself."""

SOURCES = (STORED, "smooth", "simulated", FREE, "generated", "noise", REAL)

CRITERION = "l2"

CRITERIA = ("l1", CRITERION, "lamp", "taylor", "hessian", "overlap", "gates", "random")


TAKEN_BY = {
    "people": ("simulated", "inverted"),
    **dict.fromkeys(("slowest", "fastest", "waves", "still", "spread"), ("smooth",)),
    "noisy_sensor": ("means", "smooth", "simulated", "inverted", "generated"),
    **dict.fromkeys(("inverted", "inversion_steps", "inversion_rate", "variation", "distance"), ("inverted",)),
    **dict.fromkeys(("generator_steps", "generator_rate", "disagreement", "roughness"), ("generated",)),
}
"""Option -> the sources that take it; what is not among them is for all sources."""


def without_effect(names: Collection[str], sources: Collection[str]) -> list[str]:
    """Of these options those that none of the sources takes."""
    return [name for name in names if name in TAKEN_BY and not set(TAKEN_BY[name]) & set(sources)]


def effective(words: tuple[str, ...], sources: Collection[str]) -> tuple[str, ...]:
    """Words of a command line without the options, and their values, that none of the sources takes."""
    kept: list[str] = []
    left = iter(words)
    for word in left:
        name, sign, _ = word.removeprefix("--").replace("-", "_").partition("=")
        if not (word.startswith("--") and without_effect([name], sources)):
            kept.append(word)
        elif not sign:
            next(left, None)  # its value
    return tuple(kept)
