"""Argument checks for the Python API."""

from collections.abc import Iterable
from numbers import Integral
from typing import Any, cast

from edgehar.errors import ConfigError

MAX_THREADS = 1024
"""No board has as many cores; each thread needs memory."""
MAX_SHOWN = 80
"""Characters of a value shown in a message."""


def check_threads(threads: Any, name: str = "--threads") -> None:
    """Raise ConfigError unless this is a usable number of threads, or None."""
    if threads is None:
        return
    if type(threads) is bool or not isinstance(threads, Integral) or not 1 <= int(threads) <= MAX_THREADS:
        raise ConfigError(f"{name} {repr(threads)[:MAX_SHOWN]}: expected a whole number from 1 to {MAX_THREADS}")


def check_seed(*seeds: int, name: str = "seed") -> None:
    """Raise ConfigError unless numpy and torch both accept every seed."""
    if any(not 0 <= seed < 2**31 for seed in seeds):
        raise ConfigError(f"--{name} {','.join(map(str, seeds))}: expected whole numbers from 0 to 2^31 - 1")


def as_name_tuple(values: Any, what: str) -> tuple[str, ...]:
    """A list of names as a tuple; raises ConfigError for a single text or items that are not texts."""
    shown = repr(values)[:MAX_SHOWN]
    if isinstance(values, str):
        raise ConfigError(f"{what} {shown}: a text; expected a list of names; give [{shown}]")
    if not isinstance(values, Iterable):
        raise ConfigError(f"{what} {shown}: expected a list of names")
    names = tuple(cast("Iterable[Any]", values))
    if not all(isinstance(name, str) for name in names):
        raise ConfigError(f"{what} {repr(names)[:MAX_SHOWN]}: expected a list of names, each a text")
    return names
