"""Options and argument checks of a stream."""

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any, cast

from edgehar.config import Options, option
from edgehar.errors import ConfigError


@dataclass(frozen=True)
class StreamOptions(Options):
    """Stream.

    `lateness_s` and `reorder_s` may be infinite, see `edgehar.deploy.stream.recognizer.StreamRecognizer`.
    """

    smoothing: float = option(0.0, "weight of the previous prediction's probabilities", at_least=0, below=1)
    margin: float = option(0.0, "a new label must be more probable than the previous one by more than this", at_least=0)
    lateness_s: float = option(0.5, "seconds to wait for the slowest sensor, from 0; inf: without limit")
    reorder_s: float = option(
        0.0, "seconds by which samples may arrive out of order without any effect, up to --lateness-s"
    )

    def __post_init__(self) -> None:
        """Raise ConfigError for more reordering than lateness, too."""
        super().__post_init__()
        if not 0 <= self.reorder_s <= self.lateness_s:
            raise ConfigError(
                f"--reorder-s {self.reorder_s} and --lateness-s {self.lateness_s}: expected numbers from 0, and "
                "--reorder-s up to --lateness-s"
            )


def check_numbers(smoothing: Any, margin: Any, lateness_s: Any, reorder_s: Any) -> None:
    """Raise ConfigError unless these are numbers in range; see `edgehar.deploy.stream.recognizer.StreamRecognizer`."""
    given = {"smoothing": smoothing, "margin": margin, "lateness_s": lateness_s, "reorder_s": reorder_s}
    if not all(isinstance(value, Real) for value in given.values()) or not (
        0 <= smoothing < 1 and 0 <= margin < math.inf and 0 <= reorder_s <= lateness_s
    ):
        raise ConfigError(
            f"{', '.join(f'{name} {value!r}' for name, value in given.items())}: expected smoothing from 0 to below 1, "
            "the others at least 0, a finite margin, and reorder_s up to lateness_s"
        )


def check_times(start_s: Any, offsets_s: Any) -> None:
    """Raise ConfigError unless the start and the offset of every sensor are seconds; either argument may be None."""
    if not isinstance(offsets_s or {}, dict):
        raise ConfigError(f"offsets_s {offsets_s!r}: expected a dict from a sensor's name to seconds")
    given_s = {"start_s": 0.0 if start_s is None else start_s, **cast("dict[str, Any]", offsets_s or {})}
    for name, time_s in given_s.items():
        if not isinstance(time_s, Real) or not math.isfinite(time_s):
            raise ConfigError(f"{name} {time_s!r}: expected seconds, a finite number")
