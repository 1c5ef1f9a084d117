"""Remarks of one cause as one line and a count, so that a flood of bad input does not become a flood of log lines."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from edgehar.deploy.live.network import log

REPEAT_S = 10.0
"""A repeated cause is logged again, with its count, after this long at the earliest."""
MAX_CAUSES = 32
CAUSE_CHARACTERS = 200
DETAILS = re.compile(r"'[^']*'|\"[^\"]*\"|[-+]?\d[\d.e+-]*")
"""Numbers and quoted words, in which remarks of one cause differ."""


@dataclass
class _Cause:
    logged_s: float
    unlogged: int = 0
    newest: str = ""


class Remarks:
    """Logs the first remark of each cause, and later ones of the same cause by their number.

    Args:
        now_s: the clock.
        write: where lines go.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic, write: Callable[[str], None] = log) -> None:
        """Start without causes."""
        self._now_s, self._write = now_s, write
        self._causes: dict[str, _Cause] = {}

    def add(self, origin: str, reason: str) -> None:
        """Log a remark, or count it.

        Args:
            origin: where it comes from, such as a line.
            reason: what was wrong; two reasons that differ in numbers and quoted words only have the same cause.
        """
        key = DETAILS.sub("#", reason[: 4 * CAUSE_CHARACTERS])[:CAUSE_CHARACTERS]
        if key not in self._causes and len(self._causes) >= MAX_CAUSES:
            key = ""  # all further causes together
        cause, now_s = self._causes.get(key), self._now_s()
        if cause is None:
            self._causes[key] = _Cause(now_s)
            return self._write(f"{origin}: {reason}")
        cause.unlogged += 1
        cause.newest = f"{origin}: {reason}"
        if now_s - cause.logged_s >= REPEAT_S:
            cause.logged_s = now_s
            self._report(cause)
        return None

    def close(self) -> None:
        """Log the numbers of those not yet logged."""
        for cause in self._causes.values():
            self._report(cause)

    def _report(self, cause: _Cause) -> None:
        if cause.unlogged:
            more = "" if cause.unlogged == 1 else f"{cause.unlogged} more of this kind, the last one: "
            self._write(more + cause.newest)
        cause.unlogged = 0
