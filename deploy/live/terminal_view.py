"""The live view: one terminal line with label, score, time, hops per second and latency, redrawn in place."""

import os
import time
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TextIO

from edgehar.deploy.live.json_lines import StreamMessage
from edgehar.deploy.live.network import is_writable
from edgehar.signals.clip import Prediction

REDRAW_S = 0.1
RATE_S = 5.0
"""Interval over which hops per second are measured."""
SILENT_S = 2.0
MAX_STARTS = 256
"""People whose start is remembered."""
MAX_PERSON_COLUMNS = 12
LONGEST_BAR = 30
SHORTEST_BAR = 5


def display_width(text: str) -> int:
    """Terminal columns of a text: two for a wide East Asian character, none for a combining one."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def fit_width(text: str, columns: int) -> str:
    """Truncate or pad a text to this many columns."""
    while display_width(text) > columns:
        text = text[:-1]
    return text + " " * (columns - display_width(text))


def view_line(label: str, score: float, details: str, columns: int, blocks: str) -> str:
    """Format the line: details if they fit, the label truncated if necessary, the bar in the remaining columns.

    Args:
        label: label of the newest prediction.
        score: probability of that label.
        details: text at the right.
        columns: width of the line.
        blocks: the characters of the full and the empty part of the bar.
    """
    spare = columns - display_width(label) - display_width(details) - 4  # two spaces on either side of the bar
    bar = min(spare, LONGEST_BAR)
    if bar < SHORTEST_BAR:
        return fit_width(
            f"{fit_width(label, max(min(display_width(label), columns - display_width(details) - 2), 0))}  {details}",
            columns,
        )
    filled = round(min(max(score, 0.0), 1.0) * bar)
    return fit_width(f"{label}  {blocks[0] * filled}{blocks[1] * (bar - filled)}  {details}", columns)


class LiveView:
    """Shows the newest prediction on a terminal.

    Args:
        terminal: where to draw; the bar uses # and . if the encoding has no block characters.
        labels: all labels, which set the width of the label column.
    """

    def __init__(self, terminal: TextIO, labels: tuple[str, ...]) -> None:
        """Choose the characters; nothing is drawn."""
        self._terminal = terminal
        self._label_columns = min(max(map(display_width, labels), default=0), 24)
        self._encoding = terminal.encoding or "ascii"
        try:
            "█░".encode(self._encoding)
            self._blocks = "█░"
        except UnicodeEncodeError:
            self._blocks = "#."
        self._newest: Prediction | None = None
        self._person: str | None = None
        self._starts_s = dict[str | None, float]()  # person -> start of the stream
        self._latency_s = 0.0
        self._shown_s = self._drawn_s = -float("inf")
        self._hops_s: deque[float] = deque(maxlen=10_000)
        self._status: Callable[[], str] = str

    def watch(
        self, messages: Iterable[StreamMessage | None], status: Callable[[], str]
    ) -> Iterator[StreamMessage | None]:
        """Pass messages through and redraw after each; `status` is shown while there are no predictions."""
        self._status = status
        for message in messages:
            yield message
            self.draw()

    def show(self, prediction: Prediction, arrived_s: float | None, person: str | None = None) -> None:
        """Show a prediction, given the arrival of the line that completed it, if any; drawn every REDRAW_S at most."""
        self._shown_s = time.monotonic()
        start_s = min(self._starts_s.pop(person, prediction.start_s), prediction.start_s)
        self._starts_s[person] = start_s
        if len(self._starts_s) > MAX_STARTS:
            del self._starts_s[next(iter(self._starts_s))]
        self._person = person
        self._newest, self._latency_s = prediction, self._shown_s - (arrived_s or self._shown_s)
        self._hops_s.append(self._shown_s)
        self.draw()

    def draw(self, force: bool = False) -> None:
        """Redraw the line, at most every REDRAW_S unless forced; also called while nothing arrives."""
        now_s = time.monotonic()
        if not (force or now_s - self._drawn_s >= REDRAW_S):
            return
        self._drawn_s = now_s
        if self._newest is None:
            return self._write(f"\r{fit_width(f'no prediction yet  {self._status()}', self._columns() - 1)}")
        while self._hops_s[0] < now_s - RATE_S and len(self._hops_s) > 1:
            self._hops_s.popleft()
        span_s = self._hops_s[-1] - self._hops_s[0]
        rate = f"{(len(self._hops_s) - 1) / span_s if span_s else 0.0:7.1f} hops/s"
        if now_s - self._shown_s > SILENT_S:
            rate = f"silent {now_s - self._shown_s:5.0f} s  {self._status()}"
        details = (
            f"{self._newest.score:4.2f}  {self._newest.end_s - self._starts_s[self._person]:8.1f} s  {rate}  "
            f"{1e3 * self._latency_s:7.1f} ms"
        )
        label = self._newest.label if self._person is None else f"{self._person}: {self._newest.label}"
        label = "".join(char if char.isprintable() else "?" for char in label)
        label = label.encode(self._encoding, "replace").decode(self._encoding)
        columns = self._label_columns + (MAX_PERSON_COLUMNS if self._person else 0)
        label = fit_width(label, columns)
        line = view_line(label, self._newest.score, details, self._columns() - 1, self._blocks)
        self._write(f"\r{line}")

    def close(self) -> None:
        """Draw the final state and end the line."""
        if self._drawn_s > -float("inf"):
            self.draw(force=True)
            self._write("\n")

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._terminal.fileno()).columns or 80
        except OSError:
            return 80

    def _write(self, text: str) -> None:
        try:
            if not is_writable(self._terminal):
                return  # the terminal is paused
            self._terminal.write(text)
            self._terminal.flush()
        except OSError:
            return  # the terminal was closed; recognition continues
