"""A live view is one line of a terminal, redrawn in place: label, score, seconds, hops per second, latency."""

import os
import time
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TextIO

from edgehar.deploy.live.json_lines import Message
from edgehar.signals.clip import Prediction

REDRAW_S = 0.1
RATE_S = 5.0
"""Hops per second are those of the last so many seconds."""
SILENT_S = 2.0
LONGEST_BAR = 30
SHORTEST_BAR = 5


def cells(text: str) -> int:
    """Columns of a terminal that a text takes: two for a wide East Asian character, none for a combining one."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def fitted(text: str, columns: int) -> str:
    """The text in exactly so many columns: cut, or filled with spaces."""
    while cells(text) > columns:
        text = text[:-1]
    return text + " " * (columns - cells(text))


def view_line(label: str, score: float, facts: str, columns: int, blocks: str) -> str:
    """The line: the facts are always there if they fit, the label is cut if need be, the bar takes what is left.

    Args:
        label: of the newest prediction.
        score: its probability.
        facts: what stands at the right.
        columns: of the terminal that may be used.
        blocks: the two characters of the bar, full and empty.
    """
    spare = columns - cells(label) - cells(facts) - 4  # two spaces on either side of the bar
    bar = min(spare, LONGEST_BAR)
    if bar < SHORTEST_BAR:
        return fitted(f"{fitted(label, max(min(cells(label), columns - cells(facts) - 2), 0))}  {facts}", columns)
    full = round(min(max(score, 0.0), 1.0) * bar)
    return fitted(f"{label}  {blocks[0] * full}{blocks[1] * (bar - full)}  {facts}", columns)


class LiveView:
    """The newest prediction on a terminal.

    Args:
        terminal: where to draw; blocks are drawn as # and . if its encoding lacks them.
        labels: all that may come, so that the line does not jump.
    """

    def __init__(self, terminal: TextIO, labels: tuple[str, ...]) -> None:
        """Draw nothing yet."""
        self._terminal = terminal
        self._label_columns = min(max(map(cells, labels), default=0), 24)
        self._encoding = terminal.encoding or "ascii"
        try:
            "█░".encode(self._encoding)
            self._blocks = "█░"
        except UnicodeEncodeError:
            self._blocks = "#."
        self._newest: Prediction | None = None
        self._began_s = 0.0  # of the stream
        self._latency_s = 0.0
        self._shown_s = self._drawn_s = -float("inf")
        self._hops_s: deque[float] = deque(maxlen=10_000)
        self._heard: Callable[[], str] = str

    def watch(self, messages: Iterable[Message], heard: Callable[[], str]) -> Iterator[Message]:
        """The same messages, with the line brought up to date as they come; while no answer does, it tells `heard`."""
        self._heard = heard
        for message in messages:
            yield message
            self.draw()

    def show(self, prediction: Prediction, arrived_s: float) -> None:
        """Take a prediction and when the line that completed it arrived; drawn at once unless one just was."""
        self._shown_s = time.monotonic()
        if self._newest is None or prediction.start_s < self._began_s:
            self._began_s = prediction.start_s
        self._newest, self._latency_s = prediction, self._shown_s - arrived_s
        self._hops_s.append(self._shown_s)
        self.draw()

    def draw(self, at_once: bool = False) -> None:
        """Bring the line up to date; called also while nothing arrives."""
        now_s = time.monotonic()
        if not (at_once or now_s - self._drawn_s >= REDRAW_S):
            return
        self._drawn_s = now_s
        if self._newest is None:
            return self._write(f"\r{fitted(f'no answer yet  {self._heard()}', self._columns() - 1)}")
        while self._hops_s[0] < now_s - RATE_S and len(self._hops_s) > 1:
            self._hops_s.popleft()
        span_s = self._hops_s[-1] - self._hops_s[0]
        pace = f"{(len(self._hops_s) - 1) / span_s if span_s else 0.0:7.1f} hops/s"
        if now_s - self._shown_s > SILENT_S:
            pace = f"silent {now_s - self._shown_s:5.0f} s  {self._heard()}"
        facts = (
            f"{self._newest.score:4.2f}  {self._newest.end_s - self._began_s:8.1f} s  {pace}  "
            f"{1e3 * self._latency_s:7.1f} ms"
        )
        label = "".join(char if char.isprintable() else "?" for char in self._newest.label)
        label = label.encode(self._encoding, "replace").decode(self._encoding)
        line = view_line(
            fitted(label, self._label_columns), self._newest.score, facts, self._columns() - 1, self._blocks
        )
        self._write(f"\r{line}")

    def close(self) -> None:
        """Draw the newest state and leave the line."""
        if self._drawn_s > -float("inf"):
            self.draw(at_once=True)
            self._write("\n")

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._terminal.fileno()).columns or 80
        except OSError:
            return 80

    def _write(self, text: str) -> None:
        try:
            self._terminal.write(text)
            self._terminal.flush()
        except OSError:
            return  # the terminal was closed; recognition goes on
