"""Gradients, integrated gradients and temporal saliency rescaling of gradients, with captum.

The gradients are those of the activity's log odds, the evidence that occlusion measures. The importance of a group in a
step is the sum of the absolute attributions of its values and motions in all frames of the step.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgehar.explanation.probe import still_features
from edgehar.explanation.result import Saliency
from edgehar.explanation.saliency import important_steps
from edgehar.signals.clip import Bools, Floats
from edgehar.signals.modality import ModalitySpec
from edgehar.signals.windows import Windows

INTEGRATION_STEPS = 32
BATCH = 64
"""Windows per forward and backward pass."""

Attribution = Callable[[dict[str, Floats], dict[str, Bools]], list[Floats]]
"""Windows (B, S, P, G, F) and their validity (B, S) -> a map (B, S, G) for each sensor."""


class _LogOdds(nn.Module):
    """Log odds (B,) of one activity as a function of the features of each sensor, then the validity of each."""

    def __init__(self, network: nn.Module, specs: Sequence[ModalitySpec], class_index: int) -> None:
        super().__init__()
        self.network, self.names, self.class_index = network, [spec.name for spec in specs], class_index

    def forward(self, *inputs: Tensor) -> Tensor:
        count = len(self.names)
        features = dict(zip(self.names, inputs[:count], strict=True))
        logits = self.network(features, dict(zip(self.names, inputs[count:], strict=True))).logits
        others = torch.cat([logits[:, : self.class_index], logits[:, self.class_index + 1 :]], 1)
        return logits[:, self.class_index] - others.logsumexp(1)


def _maps(attributions: Sequence[Tensor]) -> list[Floats]:
    """(B, S, P, G, F) -> (B, S, G)."""
    return [part.detach().abs().sum((2, 4)).numpy() for part in attributions]


def _attribution(
    network: nn.Module, windows: Windows, specs: Sequence[ModalitySpec], class_index: int, integrated: bool
) -> Attribution:
    """Gradients, or integrated gradients (Sundararajan et al., ICML 2017) from the window held still."""
    from captum.attr import IntegratedGradients
    from captum.attr import Saliency as Gradient

    function = _LogOdds(network.eval(), specs, class_index)
    still = {}
    for spec in specs:
        held = still_features(windows.features[spec.name][0], windows.valid[spec.name][0], spec)  # (G, F)
        still[spec.name] = torch.from_numpy(np.broadcast_to(held, windows.features[spec.name].shape).copy())

    def attribute(features: dict[str, Floats], valid: dict[str, Bools]) -> list[Floats]:
        parts: list[list[Floats]] = []
        for first in range(0, len(next(iter(valid.values()))), BATCH):
            rows = slice(first, first + BATCH)
            inputs = tuple(torch.from_numpy(features[spec.name][rows]).requires_grad_() for spec in specs)
            flags = tuple(torch.from_numpy(valid[spec.name][rows]) for spec in specs)
            options: dict[str, Any] = {"additional_forward_args": flags}
            if integrated:
                # A sensor's step that is missing has features of 0, as its baseline.
                baselines = tuple(
                    still[spec.name] * flag[..., None, None, None] for spec, flag in zip(specs, flags, strict=True)
                )
                method = IntegratedGradients(function)
                options |= {"baselines": baselines, "n_steps": INTEGRATION_STEPS, "internal_batch_size": BATCH}
                parts.append(_maps(method.attribute(inputs, **options)))
            else:
                parts.append(_maps(Gradient(function).attribute(inputs, abs=True, **options)))
        return [np.concatenate(maps) for maps in zip(*parts, strict=True)]

    return attribute


def _saliency(
    method: str, specs: Sequence[ModalitySpec], maps: Sequence[Floats], steps: Floats, examined: Bools
) -> Saliency:
    return Saliency(method, steps, {spec.name: part for spec, part in zip(specs, maps, strict=True)}, examined)


def gradient(
    network: nn.Module, windows: Windows, specs: Sequence[ModalitySpec], class_index: int, integrated: bool = False
) -> Saliency:
    """Absolute gradients of one window, or with `integrated` its absolute integrated gradients."""
    attribute = _attribution(network, windows, specs, class_index, integrated)
    maps = [part[0] for part in attribute(windows.features, windows.valid)]  # (S, G) each
    steps: Floats = np.stack([part.sum(axis=1) for part in maps]).sum(axis=0)
    valid: Bools = np.any([windows.valid[spec.name][0] for spec in specs], axis=0)
    name = "integrated-gradients" if integrated else "gradient"
    return _saliency(name, specs, maps, steps, valid)


def rescaled_gradient(
    network: nn.Module, windows: Windows, specs: Sequence[ModalitySpec], class_index: int
) -> Saliency:
    """Temporal saliency rescaling of gradients (Ismail et al., NeurIPS 2020, algorithm 1).

    The importance of a step is the change of all gradients when it is missing; that of a group in an important step,
    the change when it is held still there.
    """
    attribute = _attribution(network, windows, specs, class_index, integrated=False)
    names = [spec.name for spec in specs]
    valid = np.stack([windows.valid[name][0] for name in names], axis=1)  # (S, M)
    steps = np.flatnonzero(valid.any(axis=1))
    whole = attribute(windows.features, windows.valid)

    def repeated(count: int) -> tuple[dict[str, Floats], dict[str, Bools]]:
        features = {name: np.repeat(windows.features[name], count, axis=0) for name in names}
        return features, {name: np.repeat(windows.valid[name], count, axis=0) for name in names}

    def change(features: dict[str, Floats], flags: dict[str, Bools]) -> Floats:
        """Sum of the absolute changes of all attributions, (B,)."""
        pairs = zip(attribute(features, flags), whole, strict=True)
        return np.stack([np.abs(part - before).sum(axis=(1, 2)) for part, before in pairs]).sum(axis=0)

    features, flags = repeated(len(steps))
    for name in names:
        features[name][np.arange(len(steps)), steps] = 0
        flags[name][np.arange(len(steps)), steps] = False
    time: Floats = np.zeros(len(valid), np.float32)
    time[steps] = change(features, flags)
    chosen = important_steps(time, steps)
    maps: list[Floats] = []
    for column, spec in enumerate(specs):
        importance: Floats = np.zeros((len(valid), spec.groups), np.float32)
        pairs = [(step, group) for step in chosen[valid[chosen, column]] for group in range(spec.groups)]
        if pairs:
            held = still_features(windows.features[spec.name][0], windows.valid[spec.name][0], spec)
            features, flags = repeated(len(pairs))
            for row, (step, group) in enumerate(pairs):
                features[spec.name][row, step, :, group] = held[group]
            rows, columns = np.asarray(pairs).T
            importance[rows, columns] = change(features, flags) * time[rows]
        maps.append(importance)
    examined: Bools = np.zeros(len(valid), bool)
    examined[chosen] = True
    return _saliency("tsr-gradient", specs, maps, time, examined)
