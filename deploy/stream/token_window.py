"""The tokens of the newest window of a stream."""

from edgehar.signals.clip import Floats

KEPT_WINDOWS = 4
"""Windows whose tokens are kept in one array, so that nearly every hop only writes its own."""


class TokenWindow:
    """The tokens of the newest window of a stream.

    Args:
        absent_token: (1, D) the token of a step without sensors.
        steps: S of the window.

    Attributes:
        tokens: (S, D), oldest first.
    """

    def __init__(self, absent_token: Floats, steps: int) -> None:
        """Start at step 0, with absent sensors before it."""
        self._absent_token, self._steps = absent_token, steps
        self.reset(0)

    def reset(self, step: int) -> None:
        """Continue at this step, with absent sensors before it."""
        self._kept: Floats = self._absent_token.repeat(KEPT_WINDOWS * self._steps, axis=0)
        self._end = self._steps
        self.tokens = self._kept[: self._end]
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
        tokens = tokens[-self._steps :]
        if self._end + len(tokens) > len(self._kept):  # seldom: begin again at the front
            self._kept[: self._steps], self._end = self.tokens.copy(), self._steps
        first, self._end = self._end, self._end + len(tokens)
        self._kept[first : self._end] = tokens
        self.tokens = self._kept[self._end - self._steps : self._end]
        return self._last_valid_step >= end - self._steps
