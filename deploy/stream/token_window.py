"""The tokens of the newest window of a stream."""

import numpy as np

from edgehar.signals.clip import Floats


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
        self.tokens: Floats = self._absent_token.repeat(self._steps, axis=0)
        self._last_valid_step = step - self._steps

    def is_empty(self, step: int) -> bool:
        """Whether no sensor is valid in the window that ends before this step."""
        return step - self._last_valid_step >= self._steps

    def append(self, tokens: Floats, end: int, last_valid_step: int | None) -> bool:
        """Append the tokens (N, D) of the steps before `end`; whether the window that ends there has a valid step.

        `last_valid_step` is the newest step with a valid sensor; None if none of these has one.
        """
        if last_valid_step is not None:
            self._last_valid_step = last_valid_step
        self.tokens = np.concatenate([self.tokens, tokens])[-self._steps :]
        return self._last_valid_step >= end - self._steps
