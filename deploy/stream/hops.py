"""Computes the hops of one or many streams: new steps through the encoder, the newest windows through the head.

The encoder computes each step, and the head each window, without regard to the others of a batch. Whether the last
bit is the same, too, depends on the kernels. Those of onnxruntime 1.31 for x86 give a row the same bits in every batch
of two or more, but have shortcuts for a batch of one: for the mean over the steps of a window, and for products with
weights that are not packed, as in INT8 graphs. A window is therefore never classified alone, and a `Fleet` encodes no
step alone.
"""

from collections.abc import Sequence

import numpy as np

from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.stream.features import Take, take_all
from edgehar.deploy.stream.state import Hop
from edgehar.signals.clip import Bools, Floats, Prediction, all_true

MAX_BATCH_STEPS = 256
"""Steps that are computed at once; more are no faster per step and take more memory."""


def _last_true(flags: Bools) -> int:
    """Index of the last True, which is nearly always the last element; -1 if there is none."""
    if flags[-1]:
        return len(flags) - 1
    indices = flags.nonzero()[0]
    return int(indices[-1]) if len(indices) else -1


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
        self.absent_token = self._encode({}, 1)

    def compute(self, hops: Sequence[Hop]) -> list[Prediction | None]:
        """The predictions of the windows that these hops of different streams complete; None if nothing is valid.

        Hops are computed together, except with dynamic quantisation, whose scales depend on all rows of a batch.
        """
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

    def _compute(self, hops: list[Hop]) -> list[Prediction | None]:
        """`compute` for one batch."""
        complete: list[int] = []
        for index, (hop, (tokens, last_valid)) in enumerate(zip(hops, self._tokens(hops), strict=True)):
            newest = None if last_valid < 0 else hop.first + last_valid
            if hop.state.window.append(tokens, hop.end, newest):
                complete.append(index)
        predictions: list[Prediction | None] = [None] * len(hops)
        if complete:
            rows = self._classify([hops[index].state.window.tokens for index in complete])
            for index, probabilities in zip(complete, rows, strict=True):
                predictions[index] = self._prediction(hops[index], probabilities)
        return predictions

    def _prediction(self, hop: Hop, probabilities: Floats) -> Prediction:
        probabilities, best = hop.state.smoother.smooth(probabilities)
        window = self._manifest.window
        start_s = (hop.state.origin_s or 0.0) + (hop.end - window.steps) * window.step_s
        return self._recognizer.prediction(probabilities, start_s, start_s + window.length_s, best)

    def _classify(self, windows: list[Floats]) -> list[Floats]:
        """Probabilities (K,) of windows (S, D) each."""
        count = len(windows)
        if count == 1:
            windows = windows * 2
        tokens = np.concatenate(windows).reshape(len(windows), *windows[0].shape)
        logits = self._recognizer.classify(tokens)[:count]
        return [row.copy() for row in self._recognizer.probabilities(logits)]  # a view would keep the whole batch

    def _tokens(self, hops: list[Hop]) -> list[tuple[Floats, int]]:
        """Tokens (N, D) of each hop, and the index of its last step with a valid sensor, or -1."""
        if len(hops) == 1:
            return [self._tokens_of(hops[0])]
        inputs = {
            name: take_all([Take(hop.state.sensors[name], hop.first, hop.end, hop.now_s) for hop in hops])
            for name in hops[0].state.sensors
        }
        any_valid: Bools = np.logical_or.reduce([valid for _, valid in inputs.values()])
        counts = [hop.end - hop.first for hop in hops]
        ends = np.cumsum(counts).tolist()
        last_valid = [_last_true(any_valid[end - count : end]) for count, end in zip(counts, ends, strict=True)]
        encoded = np.repeat([last >= 0 for last in last_valid], counts)
        tokens: Floats = self.absent_token.repeat(len(encoded), axis=0)
        if all_true(encoded):
            tokens = self._encode(inputs, len(encoded))
        elif encoded.any():
            used = {name: (features[encoded], valid[encoded]) for name, (features, valid) in inputs.items()}
            tokens[encoded] = self._encode(used, int(np.count_nonzero(encoded)))
        return [(tokens[end - count : end], last) for count, end, last in zip(counts, ends, last_valid, strict=True)]

    def _tokens_of(self, hop: Hop) -> tuple[Floats, int]:
        """`_tokens` of a single hop, without the detour."""
        steps = hop.end - hop.first
        inputs = {name: sensor.take(hop.first, hop.end, hop.now_s) for name, sensor in hop.state.sensors.items()}
        last_valid = max([_last_true(valid) for _, valid in inputs.values()])
        if last_valid < 0:
            return self.absent_token.repeat(steps, axis=0), last_valid
        return self._encode(inputs, steps), last_valid

    def _encode(self, inputs: dict[str, tuple[Floats, Bools]], steps: int) -> Floats:
        """Tokens (N, D) of steps, given features (N, P, G, F) and (N,) validity; a missing sensor is absent."""
        specs, rows = self._manifest.modalities, max(steps, self._min_steps)
        features, valid = dict[str, Floats](), np.zeros((rows, len(specs)), np.float32)
        for column, spec in enumerate(specs):
            if spec.name in inputs:
                features[spec.name], valid[:, column] = inputs[spec.name]
                if rows > steps:
                    features[spec.name] = features[spec.name].repeat(rows, axis=0)
            else:
                features[spec.name] = np.zeros((rows, spec.patch, spec.groups, spec.features), np.float32)
        return self._recognizer.encode(features, valid)[:steps]
