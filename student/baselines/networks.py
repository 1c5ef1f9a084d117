"""LSTM and TCN baselines with as many parameters as the student.

Both get the student's inputs: one vector per step, from all present sensors and a learned vector for each missing one.
Both classify the mean of their outputs over the window, as the student's head does, so they differ only in how they
relate the steps to each other.
"""

from copy import deepcopy
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from edgehar.config import Options, option
from edgehar.signals.modality import ModalitySpec
from edgehar.teacher.network.layers import count_macs


@dataclass(frozen=True)
class LstmConfig(Options):
    """LSTM size."""

    lstm_stem: int = option(56, "channels of a step's vector", at_least=1)
    lstm_units: int = option(64, "units per layer", at_least=1)
    lstm_layers: int = option(2, "layers", at_least=1)


@dataclass(frozen=True)
class TcnConfig(Options):
    """TCN size.

    The receptive field is 2 (kernel - 1) (2^blocks - 1) past steps, 28 by default.
    """

    tcn_channels: int = option(58, "channels per step", at_least=1)
    tcn_blocks: int = option(3, "residual blocks, the dilation doubles from one to the next", at_least=1, at_most=16)
    tcn_kernel: int = option(3, "kernel size of the convolutions, in steps", at_least=1)


class BaselineOutput(NamedTuple):
    """Output of a baseline network.

    Attributes:
        logits: (B, K).
    """

    logits: Tensor


class Stem(nn.Module):
    """One step of every modality -> one vector: a linear layer each, or a learned vector if it is missing."""

    def __init__(self, specs: tuple[ModalitySpec, ...], width: int) -> None:
        """A stem of these modalities with vectors of D = `width`."""
        super().__init__()
        sizes = {spec.name: spec.patch * spec.groups * spec.features for spec in specs}
        self.linear = nn.ModuleDict({name: nn.Linear(size, width) for name, size in sizes.items()})
        self.missing = nn.ParameterDict({name: nn.Parameter(torch.zeros(width)) for name in sizes})

    def forward(self, features: dict[str, Tensor], valid: dict[str, Tensor]) -> Tensor:
        """Modality -> (B, S, P, G, F) and (B, S) bool -> (B, S, D)."""
        parts = [
            torch.where(valid[name][..., None], linear(features[name].flatten(2)), self.missing[name])
            for name, linear in self.linear.items()
        ]
        return reduce(torch.add, parts)


class Lstm(nn.Module):
    """Unidirectional LSTM (Hochreiter and Schmidhuber 1997; with forget gates, Gers et al. 2000)."""

    def __init__(self, config: LstmConfig, specs: tuple[ModalitySpec, ...], classes: int) -> None:
        """A network for these modalities and K = `classes`."""
        super().__init__()
        self.stem = Stem(specs, config.lstm_stem)
        self.lstm = nn.LSTM(config.lstm_stem, config.lstm_units, config.lstm_layers, batch_first=True)
        self.classifier = nn.Linear(config.lstm_units, classes)

    def forward(self, features: dict[str, Tensor], valid: dict[str, Tensor]) -> BaselineOutput:
        """Classify windows; modality -> (B, S, P, G, F) and (B, S) bool."""
        states, _ = self.lstm(self.stem(features, valid))  # (B, S, D)
        return BaselineOutput(self.classifier(states.mean(1)))


class TemporalBlock(nn.Module):
    """Two causal dilated convolutions with weight normalisation, added to their input (arXiv 1803.01271, figure 1b)."""

    def __init__(self, channels: int, kernel: int, dilation: int) -> None:
        """A block with as many input as output channels, so the skip connection needs no layer."""
        super().__init__()
        self.padding = (kernel - 1) * dilation
        self.first = weight_norm(nn.Conv1d(channels, channels, kernel, dilation=dilation))
        self.second = weight_norm(nn.Conv1d(channels, channels, kernel, dilation=dilation))

    def forward(self, signal: Tensor) -> Tensor:
        """(B, D, S) -> (B, D, S)."""
        residual = functional.relu(self.first(functional.pad(signal, (self.padding, 0))))
        residual = functional.relu(self.second(functional.pad(residual, (self.padding, 0))))
        return functional.relu(signal + residual)


class Tcn(nn.Module):
    """Temporal convolutional network (Bai, Kolter and Koltun 2018, arXiv 1803.01271).

    Without the paper's dropout: augmentation and mixup regularise it, as they do the student.
    """

    def __init__(self, config: TcnConfig, specs: tuple[ModalitySpec, ...], classes: int) -> None:
        """A network for these modalities and K = `classes`."""
        super().__init__()
        self.stem = Stem(specs, config.tcn_channels)
        self.blocks = nn.Sequential(
            *(TemporalBlock(config.tcn_channels, config.tcn_kernel, 2**index) for index in range(config.tcn_blocks))
        )
        self.classifier = nn.Linear(config.tcn_channels, classes)

    def forward(self, features: dict[str, Tensor], valid: dict[str, Tensor]) -> BaselineOutput:
        """Classify windows; modality -> (B, S, P, G, F) and (B, S) bool."""
        signal = self.blocks(self.stem(features, valid).transpose(1, 2))  # (B, D, S)
        return BaselineOutput(self.classifier(signal.mean(2)))


def count_window_macs(model: nn.Module, specs: tuple[ModalitySpec, ...], steps: int) -> int:
    """Multiply-adds of one window in matrix products and convolutions.

    Counted on torch's meta device: on CPU and GPU the LSTM is one fused call whose products torch cannot count.
    """
    features = {
        spec.name: torch.zeros(1, steps, spec.patch, spec.groups, spec.features, device="meta") for spec in specs
    }
    valid = {spec.name: torch.ones(1, steps, dtype=torch.bool, device="meta") for spec in specs}
    return count_macs(deepcopy(model).to("meta"), features, valid)
