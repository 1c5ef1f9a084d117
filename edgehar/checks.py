"""What a caller hands over by mistake is refused by name; apart from the command line, which programs do not load."""

from collections.abc import Iterable
from numbers import Integral
from typing import Any, cast

from edgehar.errors import ConfigError

MOST_THREADS = 1024
"""More than any board has cores; many times as many fill its memory."""
MOST_SHOWN = 80
"""Characters of a value that a message repeats."""


def check_threads(threads: Any, name: str = "--threads") -> None:
    """Raise ConfigError unless this is a number of threads that a machine can have, or None."""
    if threads is None:
        return
    if type(threads) is bool or not isinstance(threads, Integral) or not 1 <= int(threads) <= MOST_THREADS:
        raise ConfigError(f"{name} {repr(threads)[:MOST_SHOWN]}: expected a whole number from 1 to {MOST_THREADS}")


def check_seed(*seeds: int, name: str = "seed") -> None:
    """Raise ConfigError unless every seed is one that numpy and torch both accept."""
    if any(not 0 <= seed < 2**31 for seed in seeds):
        raise ConfigError(f"--{name} {','.join(map(str, seeds))}: expected 0 or more, below 2^31")


def names_of(values: Any, what: str) -> tuple[str, ...]:
    """A caller's list of names as a tuple; raises ConfigError for a lone text, whose letters are no names."""
    shown = repr(values)[:MOST_SHOWN]
    if isinstance(values, str):
        raise ConfigError(f"{what} {shown}: a text; expected a list of names; give [{shown}]")
    if not isinstance(values, Iterable):
        raise ConfigError(f"{what} {shown}: expected a list of names")
    names = tuple(cast("Iterable[Any]", values))
    if not all(isinstance(name, str) for name in names):
        raise ConfigError(f"{what} {repr(names)[:MOST_SHOWN]}: expected a list of names, each a text")
    return names
