"""Remarks of one cause as one line and a count, so that a flood of bad input does not become a flood of log lines."""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from edgehar.deploy.live.network import log

REPEAT_S, MAX_REPEAT_S = 10.0, 600.0
"""A repeated cause is logged again, with its count, after this long at the earliest: first, and after many times."""
MAX_STATUS_LINES = 5
"""Connections and disconnections of one kind that are logged in full before they are counted."""
MAX_CAUSES = 32
CAUSE_CHARACTERS = 200
DETAILS = re.compile(r"'[^']*'|\"[^\"]*\"|[-+]?\d[\d.e+-]*")
"""Numbers and quoted words, in which remarks of one cause differ."""


@dataclass
class _Cause:
    at_once: int
    logged_s: float
    added_s: float
    interval_s: float = REPEAT_S
    unlogged: int = 0
    newest: str = ""


class Remarks:
    """Logs the first remark of each cause, and later ones of the same cause by their number.

    The number is logged after REPEAT_S, then after twice as long each time, up to MAX_REPEAT_S. A cause that did not
    occur for twice as long is logged as the first time. Safe for several threads.

    Args:
        now_s: the clock.
        write: where lines go.
        at_once: how many remarks of one cause are logged in full before they are counted.
    """

    def __init__(
        self, now_s: Callable[[], float] = time.monotonic, write: Callable[[str], None] = log, at_once: int = 1
    ) -> None:
        """Start without causes."""
        self._now_s, self._write, self._at_once = now_s, write, at_once
        self._causes: dict[str, _Cause] = {}
        self._lock = threading.Lock()

    def add(self, origin: str, reason: str) -> None:
        """Log a remark, or count it.

        Args:
            origin: where it comes from, such as a line; not part of the cause; may be empty.
            reason: what was wrong; two reasons that differ in numbers and quoted words only have the same cause.
        """
        text = f"{origin}: {reason}" if origin else reason
        key = DETAILS.sub("#", reason[: 4 * CAUSE_CHARACTERS])[:CAUSE_CHARACTERS]
        with self._lock:
            if key not in self._causes and len(self._causes) >= MAX_CAUSES:
                key = ""  # all further causes together
            now_s = self._now_s()
            cause = self._causes.get(key)
            if cause is None or now_s - cause.added_s > 2 * cause.interval_s:
                if cause is not None:
                    self._report(cause)
                cause = self._causes[key] = _Cause(self._at_once, now_s, now_s)
            cause.unlogged, cause.newest, cause.added_s = cause.unlogged + 1, text, now_s
            if cause.at_once:
                cause.at_once -= 1
            elif now_s - cause.logged_s < cause.interval_s:
                return
            else:
                cause.interval_s = min(2 * cause.interval_s, MAX_REPEAT_S)
            cause.logged_s = now_s
            self._report(cause)

    def close(self) -> None:
        """Log the numbers of those not yet logged."""
        with self._lock:
            for cause in self._causes.values():
                self._report(cause)

    def _report(self, cause: _Cause) -> None:
        if cause.unlogged:
            more = "" if cause.unlogged == 1 else f"{cause.unlogged} more of this kind, the last one: "
            self._write(more + cause.newest)
        cause.unlogged = 0
