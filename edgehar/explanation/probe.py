"""Evidence of a network for one activity in one window, whole and with parts of the window occluded.

A step, or a sensor in a step, is occluded by the network's own learned vector for missing data. A joint or a triaxial
sensor (a group) is held still at its mean of the window, with a motion of 0: networks have no vector for a missing
group, and features of 0 would be a posture that nobody has. Of a sensor with `lost_joints` a joint is lost instead, as
the network has a learned vector for that. The encoder sees one step at a time, so an occluded step costs a head only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import ConfigError, DataError
from edgehar.signals.clip import Bools, Floats
from edgehar.signals.modality import ModalitySpec
from edgehar.signals.windows import Windows

BATCH_STEPS = 4096
"""Steps per run of the encoder or the head; limits memory."""


class Network(Protocol):
    """What an explanation needs of a network: `edgehar.Recognizer` has it."""

    def encode(self, features: dict[str, Floats], valid: Floats) -> Floats:
        """Tokens (N, D) of steps: modality -> (N, P, G, F), and (N, M) 1.0 where a modality's step is valid."""
        ...

    def classify(self, tokens: Floats) -> Floats:
        """Logits (B, K) of windows of tokens (B, S, D)."""
        ...


@dataclass
class Cost:
    """Work done: steps through the encoder, windows through the head, and calls of either."""

    encoder_steps: int = 0
    head_windows: int = 0
    calls: int = 0


def log_odds(logits: Floats, index: int) -> Floats:
    """Logit of one class minus the log-sum-exp of all others, (B, K) -> (B,): log(p / (1 - p)) without saturation."""
    others = np.delete(logits.astype(np.float64), index, axis=1)
    highest = others.max(axis=1)
    rest = highest + np.log(np.exp(others - highest[:, None]).sum(axis=1))
    return (logits[:, index] - rest).astype(np.float32)


def still_features(features: Floats, valid: Bools, spec: ModalitySpec) -> Floats:
    """What occludes the groups of a sensor: (G, F), see the docstring of the module.

    Args:
        features: (S, P, G, F) of the window.
        valid: (S,) True where the sensor's step is valid.
        spec: the sensor.
    """
    still: Floats = np.zeros((spec.groups, spec.features), np.float32)
    if spec.lost_joints or not valid.any():
        return still
    frames = features[valid].reshape(-1, spec.groups, spec.features)  # (frames, G, F)
    known: Bools = np.any(frames != 0, axis=2)  # a lost joint has features of 0
    total = np.where(known[..., None], frames, 0).sum(axis=0)[:, : spec.group]
    still[:, : spec.group] = total / np.maximum(known.sum(axis=0), 1)[:, None]
    return still


class Probe:
    """One window of a network, whose parts can be occluded.

    Args:
        network: an encoder and a head.
        windows: exactly one prepared window.
        specs: its sensors, in the network's order.
        class_index: the activity whose evidence is measured; the most probable one if None.
        temperature: by which logits are divided.

    Attributes:
        logits: (K,) of the whole window.
        class_index: the activity.
        evidence: its log odds in the whole window.
        valid: (S, M) True where a sensor's step is valid.
        cost: work done so far.

    Raises:
        DataError: not exactly one window, or it has no valid step.
        ConfigError: the network knows one activity only, or has none of this index.
    """

    def __init__(
        self,
        network: Network,
        windows: Windows,
        specs: Sequence[ModalitySpec],
        class_index: int | None = None,
        temperature: float = 1.0,
    ) -> None:
        """Classify the whole window."""
        if len(windows) != 1:
            raise DataError(f"{len(windows)} windows; expected one window to explain; choose one")
        self._network, self.specs, self._temperature = network, tuple(specs), temperature
        self.cost = Cost()
        self.features = {spec.name: windows.features[spec.name][0] for spec in specs}
        self.valid: Bools = np.stack([windows.valid[spec.name][0] for spec in specs], axis=1)  # (S, M)
        if not self.valid.any():
            raise DataError("no valid step in the window; expected usable samples of a sensor; choose another window")
        self.still = {
            spec.name: still_features(self.features[spec.name], self.valid[:, column], spec)
            for column, spec in enumerate(specs)
        }
        blank = {spec.name: np.zeros((1, spec.patch, spec.groups, spec.features), np.float32) for spec in specs}
        batch = {name: np.concatenate([array, blank[name]]) for name, array in self.features.items()}
        tokens = self.encode(batch, np.concatenate([self.valid, np.zeros_like(self.valid[:1])]))
        self.tokens, self.missing = tokens[:-1], tokens[-1]  # (S, D), (D,)
        self.logits = self.classify(self.tokens[None])[0]
        if len(self.logits) < 2:
            raise ConfigError("the network knows one activity only; expected two or more, so that there is a choice")
        self.class_index = int(self.logits.argmax()) if class_index is None else class_index
        if not 0 <= self.class_index < len(self.logits):
            raise ConfigError(f"class {class_index}: expected an index from 0 to {len(self.logits) - 1}")
        self.evidence = float(log_odds(self.logits[None], self.class_index)[0])

    @property
    def steps(self) -> NDArray[np.intp]:
        """Steps with a valid sensor, in order."""
        return np.flatnonzero(self.valid.any(axis=1))

    def encode(self, features: dict[str, Floats], valid: Bools) -> Floats:
        """Tokens (N, D) of steps, in batches."""
        flags = valid.astype(np.float32)
        parts: list[Floats] = []
        for first in range(0, len(flags), BATCH_STEPS):
            rows = slice(first, first + BATCH_STEPS)
            parts.append(self._network.encode({name: array[rows] for name, array in features.items()}, flags[rows]))
            self.cost.calls += 1
        self.cost.encoder_steps += len(flags)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def classify(self, tokens: Floats) -> Floats:
        """Logits (B, K) of windows of tokens (B, S, D), divided by the temperature, in batches."""
        most = max(1, BATCH_STEPS // tokens.shape[1])
        parts: list[Floats] = []
        for first in range(0, len(tokens), most):
            logits = self._network.classify(tokens[first : first + most]) / np.float32(self._temperature)
            parts.append(logits.astype(np.float32, copy=False))
            self.cost.calls += 1
        self.cost.head_windows += len(tokens)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def evidence_of(self, tokens: Floats) -> Floats:
        """Log odds (B,) of windows of tokens (B, S, D)."""
        return log_odds(self.classify(tokens), self.class_index)

    def with_token(self, steps: NDArray[np.intp], tokens: Floats) -> Floats:
        """Windows (B, S, D) in each of which one step has another token (B, D)."""
        windows = np.repeat(self.tokens[None], len(steps), axis=0)
        windows[np.arange(len(steps)), steps] = tokens
        return windows

    def without_sensor(self, column: int) -> Floats:
        """Tokens (S, D) of all steps with one sensor missing."""
        valid = self.valid.copy()
        valid[:, column] = False
        features = self.features | {self.specs[column].name: np.zeros_like(self.features[self.specs[column].name])}
        return self.encode(features, valid)

    def occluded(self, column: int, steps: NDArray[np.intp], parts: Sequence[tuple[int, int | None]]) -> Floats:
        """Tokens of steps with parts of a sensor occluded.

        Args:
            column: the sensor.
            steps: n steps in which it is valid.
            parts: (group, channel of the group); the whole group if the channel is None.

        Returns:
            (parts, n, D).
        """
        spec, count = self.specs[column], len(parts)
        features = {name: np.repeat(array[steps][None], count, axis=0) for name, array in self.features.items()}
        still = self.still[spec.name]
        for row, (group, channel) in enumerate(parts):
            target = features[spec.name][row, :, :, group]  # (n, P, F)
            chosen = slice(None) if channel is None else [channel, channel + spec.group]
            if channel is None or not spec.lost_joints:
                target[..., chosen] = still[group, chosen]
            else:  # one channel of a joint cannot be lost
                target[..., channel] = target[..., channel].mean()
                target[..., channel + spec.group] = 0
        flat = {name: array.reshape(count * len(steps), *array.shape[2:]) for name, array in features.items()}
        tokens = self.encode(flat, np.tile(self.valid[steps], (count, 1)))
        return tokens.reshape(count, len(steps), -1)
