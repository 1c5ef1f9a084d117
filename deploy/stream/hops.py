"""Computes the hops of one or many streams: new steps through the encoder, the newest windows through the head.

The encoder computes each step, and the head each window, without regard to the others of a batch. Whether the last
bit is the same, too, depends on the kernels. Those of onnxruntime 1.31 for x86 give a row the same bits in every batch
of two or more, but have shortcuts for a batch of one: for a mean over the steps of a window, as in heads exported
before 0.2.0, and for products with weights that are not packed, as in INT8 graphs. A window is therefore classified
twice where the head's kernels have such a shortcut, and a `Fleet` encodes no step alone.
"""

from collections.abc import Sequence

import numpy as np

from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.stream.features import FeatureTaker
from edgehar.deploy.stream.state import Hop, StreamState
from edgehar.signals.clip import Floats, Prediction

MAX_BATCH_STEPS = 256
"""Steps that are computed at once; more are no faster per step and take more memory."""
PROBES = 8
"""Windows that show whether the head has a shortcut for a batch of one: its bits differ in 999 windows of 1,000."""


class HopComputer:
    """Computes hops with one package.

    A step without a valid sensor gets the token of absent sensors without a call of the encoder.

    Args:
        recognizer: the opened package.
        min_steps: smallest batch of the encoder, 1 or 2; with 2, the tokens do not depend on the number of steps.

    Attributes:
        absent_token: (1, D) the token of a step without sensors.
    """

    def __init__(self, recognizer: Recognizer, min_steps: int = 1) -> None:
        """Compute the token of a step without sensors."""
        self._recognizer, self._manifest, self._min_steps = recognizer, recognizer.manifest, min_steps
        self._features, window = FeatureTaker(recognizer.manifest), recognizer.manifest.window
        self._usual_rows = max(window.hop, min_steps)
        self._are_usual_alone = self._usual_rows == window.hop
        self._usual_features, self._usual_inputs = self._empty(self._usual_rows)
        self._encode = recognizer.bind("encoder", self._usual_inputs)
        windows = 1 if self._alone_as_together() else 2
        self._windows: Floats = np.zeros((windows, window.steps, recognizer.manifest.token_dim), np.float32)
        self._classify = recognizer.bind("head", {"tokens": self._windows})
        empty = self._empty(min_steps)[1]
        self.absent_token = recognizer.encode(empty, empty["valid"])[:1]

    def _alone_as_together(self) -> bool:
        """Whether the head gives a window alone the same bits as among others; if not, nearly all differ."""
        shape = PROBES, self._manifest.window.steps, self._manifest.token_dim
        tokens: Floats = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        together = self._recognizer.classify(tokens)
        return all(np.array_equal(self._recognizer.classify(tokens[i : i + 1])[0], together[i]) for i in range(PROBES))

    def compute(self, hops: Sequence[Hop]) -> list[Prediction | None]:
        """The predictions of the windows that these hops of different streams complete; None if nothing is valid.

        Hops are computed together, except with dynamic quantisation, whose scales depend on all rows of a batch.
        """
        if len(hops) == 1:
            return [self.compute_one(hops[0])]
        most = 1 if self._recognizer.is_dynamic else MAX_BATCH_STEPS
        found: list[Prediction | None] = []
        batch, steps = list[Hop](), 0
        for hop in hops:
            if batch and steps + hop.end - hop.first > most:
                found += self._compute(batch)
                batch, steps = [], 0
            batch.append(hop)
            steps += hop.end - hop.first
        return found + self._compute(batch) if batch else found

    def compute_one(self, hop: Hop) -> Prediction | None:
        """`compute` for one hop."""
        if self._are_usual_alone and self._features.try_take(hop, self._usual_features):
            self._usual_inputs["valid"].fill(1)
            tokens, newest = self._encode(), hop.end - 1
        else:
            tokens, (newest,) = self._tokens([hop])
        if not self._append(hop, tokens, newest):
            return None
        return self._prediction(hop, self._probabilities(hop.state))

    def _compute(self, hops: Sequence[Hop]) -> list[Prediction | None]:
        """`compute` for one batch."""
        tokens, newest_valid = self._tokens(hops)
        complete: list[int] = []
        first = 0
        for index, (hop, newest) in enumerate(zip(hops, newest_valid, strict=True)):
            steps = hop.end - hop.first
            if self._append(hop, tokens[first : first + steps], newest):
                complete.append(index)
            first += steps
        predictions: list[Prediction | None] = [None] * len(hops)
        if complete:
            rows = self._probabilities_of_all([hops[index].state for index in complete])
            for index, row in zip(complete, rows, strict=True):
                predictions[index] = self._prediction(hops[index], row)
        return predictions

    def _append(self, hop: Hop, tokens: Floats, newest: int) -> bool:
        """Append the tokens of a hop to its window; whether that has a valid step; see `_tokens` for `newest`."""
        if newest < 0:
            tokens[:] = self.absent_token
        return hop.state.window.append(tokens, hop.end, newest)

    def _prediction(self, hop: Hop, probabilities: Floats) -> Prediction:
        probabilities, best = hop.state.smoother.smooth(probabilities)
        window = self._manifest.window
        start_s = (hop.state.origin_s or 0.0) + (hop.end - window.steps) * window.step_s
        return self._recognizer.prediction(probabilities, start_s, start_s + window.length_s, best)

    def _probabilities(self, state: StreamState) -> Floats:
        """Probabilities (K,) of the window of a stream."""
        self._windows[:] = state.window.tokens
        return self._recognizer.probabilities(self._classify()[0])

    def _probabilities_of_all(self, states: list[StreamState]) -> list[Floats]:
        """Probabilities (K,) of the windows of these streams."""
        if len(states) == 1:
            return [self._probabilities(states[0])]
        rows, ends = np.array([(state.row, state.window.end) for state in states]).T[:, :, None]  # (B, 1) each
        tokens = states[0].rows.tokens[rows, ends + np.arange(-self._manifest.window.steps, 0)]  # (B, S, D)
        probabilities = self._recognizer.probabilities(self._recognizer.classify(tokens))
        return [row.copy() for row in probabilities]  # a view would keep the whole batch

    def _empty(self, rows: int) -> tuple[Floats, dict[str, Floats]]:
        """The encoder's inputs for so many steps without sensors, and all features of them as one array (F,)."""
        specs = self._manifest.modalities
        sizes = {spec.name: rows * spec.patch * spec.groups * spec.features for spec in specs}
        features: Floats = np.zeros(sum(sizes.values()), np.float32)
        inputs, first = {"valid": np.zeros((rows, len(specs)), np.float32)}, 0
        for name, size in sizes.items():
            inputs[name], first = features[first : first + size].reshape(rows, -1), first + size
        return features, inputs

    def _tokens(self, hops: Sequence[Hop]) -> tuple[Floats, list[int]]:
        """Tokens (N, D) of the steps of all hops, and the newest step with a valid sensor of each hop, or -1.

        The tokens of a hop without one mean nothing.
        """
        steps = sum([hop.end - hop.first for hop in hops])
        rows = max(steps, self._min_steps)
        is_usual = rows == self._usual_rows
        inputs = self._usual_inputs if is_usual else self._empty(rows)[1]
        newest_valid = self._features.take(hops, inputs)
        if rows > steps:  # one step, which is not encoded alone
            for array in inputs.values():
                array[1:] = array[:1]
        if max(newest_valid) < 0:
            return self.absent_token.repeat(steps, axis=0), newest_valid
        tokens = self._encode() if is_usual else self._recognizer.encode(inputs, inputs["valid"])
        return tokens[:steps], newest_valid
