"""Encodes the steps of a stream and classifies the window of the newest tokens."""

import numpy as np

from edgehar.deploy.recognizer import Recognizer
from edgehar.signals.clip import Bools, Floats


def _last_true(flags: Bools) -> int:
    """Index of the last True, which is nearly always the last element; -1 if there is none."""
    if flags[-1]:
        return len(flags) - 1
    indices = flags.nonzero()[0]
    return int(indices[-1]) if len(indices) else -1


class TokenWindow:
    """The tokens of the newest window of a stream.

    A step without a valid sensor gets the token of absent sensors without a call of the encoder.

    Args:
        recognizer: the opened package.
    """

    def __init__(self, recognizer: Recognizer) -> None:
        """Start at step 0, with absent sensors before it."""
        self._recognizer, self._manifest = recognizer, recognizer.manifest
        self._absent_token = self._encode({}, 1)  # (1, D)
        self.reset(0)

    def reset(self, step: int) -> None:
        """Continue at this step, with absent sensors before it."""
        self._tokens = self._absent_token.repeat(self._manifest.window.steps, axis=0)  # (S, D), oldest first
        self._last_valid_step = step - self._manifest.window.steps

    def is_empty(self, step: int) -> bool:
        """Whether no sensor is valid in the window that ends before this step."""
        return step - self._last_valid_step >= self._manifest.window.steps

    def append(self, inputs: dict[str, tuple[Floats, Bools]], first: int, end: int) -> Floats | None:
        """Encode the steps `first` to `end`, exclusive, and classify the window that they complete.

        Args:
            inputs: modality -> features (N, P, G, F) and (N,) which steps are valid, for the connected sensors.
            first: the first step.
            end: the step after the last one.

        Returns:
            Probabilities (K,), or None for a window without a valid step.
        """
        steps = self._manifest.window.steps
        last_valid = max([_last_true(valid) for _, valid in inputs.values()])
        if last_valid >= 0:
            self._last_valid_step = first + last_valid
            tokens = self._encode(inputs, end - first)  # (N, D)
        else:
            tokens = self._absent_token.repeat(end - first, axis=0)
        self._tokens = np.concatenate([self._tokens, tokens])[-steps:]
        if self._last_valid_step < end - steps:
            return None
        return self._recognizer.probabilities(self._recognizer.classify(self._tokens[None]))[0]

    def _encode(self, inputs: dict[str, tuple[Floats, Bools]], steps: int) -> Floats:
        """Tokens (N, D) of steps; a sensor that is not connected is absent."""
        specs = self._manifest.modalities
        features, valid = dict[str, Floats](), np.zeros((steps, len(specs)), np.float32)
        for column, spec in enumerate(specs):
            if spec.name in inputs:
                features[spec.name], valid[:, column] = inputs[spec.name]
            else:
                features[spec.name] = np.zeros((steps, spec.patch, spec.groups, spec.features), np.float32)
        return self._recognizer.encode(features, valid)
