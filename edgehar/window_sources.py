"""Which options of the windows to prune with have an effect, by the sources of windows that read them."""

from collections.abc import Collection

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
