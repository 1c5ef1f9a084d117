"""The tokens of the newest window of a stream."""

from edgehar.deploy.stream.rows import StreamRows
from edgehar.signals.clip import Floats


class TokenWindow:
    """The tokens of the newest window of a stream.

    Args:
        absent_token: (1, D) the token of a step without sensors.
        steps: S of the window.
        rows: where the tokens are stored.
        row: the stream's row of them.

    Attributes:
        end: place after the newest token in the stream's row.
    """

    def __init__(self, absent_token: Floats, steps: int, rows: StreamRows, row: int) -> None:
        """Start at step 0, with absent sensors before it."""
        self._absent_token, self._steps, self._rows, self._row = absent_token, steps, rows, row
        self.reset(0)

    @property
    def tokens(self) -> Floats:
        """(S, D), oldest first."""
        return self._rows.tokens[self._row, self.end - self._steps : self.end]

    def reset(self, step: int) -> None:
        """Continue at this step, with absent sensors before it."""
        self._rows.tokens[self._row] = self._absent_token
        self.end = self._steps
        self._last_valid_step = step - self._steps

    def is_empty(self, step: int) -> bool:
        """Whether no sensor is valid in the window that ends before this step."""
        return step - self._last_valid_step >= self._steps

    def append(self, tokens: Floats, end: int, last_valid_step: int) -> bool:
        """Append the tokens (N, D) of the steps before `end`; whether the window that ends there has a valid step.

        `last_valid_step` is the newest step with a valid sensor; -1 if none of these has one.
        """
        if last_valid_step >= 0:
            self._last_valid_step = last_valid_step
        kept = self._rows.tokens
        if len(tokens) > self._steps:
            tokens = tokens[-self._steps :]
        first, place = self.end, self.end + len(tokens)
        if place > kept.shape[1]:  # seldom: begin again at the front
            kept[self._row, : self._steps] = self.tokens.copy()
            first, place = self._steps, self._steps + len(tokens)
        kept[self._row, first:place] = tokens
        self.end = place
        return self._last_valid_step >= end - self._steps
