"""The two sequence networks everybody knows, an LSTM and a TCN, at the size of the student.

Both see what the student sees: one vector per step, made of every sensor that is there and a learned one for each that
is not. Both read the mean of their outputs over the window, as the student's head does, so that what differs is how
steps are put in relation to each other.
"""

from copy import deepcopy
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from edgehar.config import option
from edgehar.errors import ConfigError
from edgehar.signals.modality import ModalitySpec
from edgehar.teacher.network.layers import count_macs


@dataclass(frozen=True)
class LstmConfig:
    """Sizes of the LSTM."""

    lstm_stem: int = option(56, "channels of the vector a step becomes (lstm)")
    lstm_units: int = option(64, "units of a layer (lstm)")
    lstm_layers: int = option(2, "layers (lstm)")

    def __post_init__(self) -> None:
        """Refuse sizes no network has."""
        if min(self.lstm_stem, self.lstm_units, self.lstm_layers) < 1:
            raise ConfigError(
                f"--lstm-stem {self.lstm_stem}, --lstm-units {self.lstm_units}, --lstm-layers {self.lstm_layers}: "
                "expected each above 0"
            )


@dataclass(frozen=True)
class TcnConfig:
    """Sizes of the TCN; it looks 2 (kernel - 1) (2^blocks - 1) steps back, 28 as it stands."""

    tcn_channels: int = option(58, "channels of a step (tcn)")
    tcn_blocks: int = option(3, "residual blocks, each with twice the dilation of the one before (tcn)")
    tcn_kernel: int = option(3, "steps under a convolution (tcn)")

    def __post_init__(self) -> None:
        """Refuse sizes no network has."""
        if min(self.tcn_channels, self.tcn_blocks, self.tcn_kernel) < 1 or self.tcn_blocks > 16:
            raise ConfigError(
                f"--tcn-channels {self.tcn_channels}, --tcn-blocks {self.tcn_blocks}, --tcn-kernel {self.tcn_kernel}: "
                "expected each above 0 and at most 16 blocks"
            )


class BaselineOutput(NamedTuple):
    """What a baseline network says of a batch.

    Attributes:
        logits: (B, K).
    """

    logits: Tensor


class Stem(nn.Module):
    """One step of every modality -> one vector: a linear layer each, or a learned vector where it is missing."""

    def __init__(self, specs: tuple[ModalitySpec, ...], width: int) -> None:
        """D = `width`."""
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
    """Long short-term memory (Hochreiter and Schmidhuber 1997; with forget gates, Gers et al. 2000), one direction."""

    def __init__(self, config: LstmConfig, specs: tuple[ModalitySpec, ...], classes: int) -> None:
        """K = `classes`."""
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
        """Equal channels in and out, so that the way around needs no layer."""
        super().__init__()
        self.before = (kernel - 1) * dilation
        self.first = weight_norm(nn.Conv1d(channels, channels, kernel, dilation=dilation))
        self.second = weight_norm(nn.Conv1d(channels, channels, kernel, dilation=dilation))

    def forward(self, signal: Tensor) -> Tensor:
        """(B, D, S) -> (B, D, S)."""
        inner = functional.relu(self.first(functional.pad(signal, (self.before, 0))))
        inner = functional.relu(self.second(functional.pad(inner, (self.before, 0))))
        return functional.relu(signal + inner)


class Tcn(nn.Module):
    """Temporal convolutional network (Bai, Kolter and Koltun 2018, arXiv 1803.01271).

    Without the paper's dropout: augmentation and mixup do its work here, as they do for the student, which has none.
    """

    def __init__(self, config: TcnConfig, specs: tuple[ModalitySpec, ...], classes: int) -> None:
        """K = `classes`."""
        super().__init__()
        self.stem = Stem(specs, config.tcn_channels)
        self.blocks = nn.Sequential(
            *(TemporalBlock(config.tcn_channels, config.tcn_kernel, 2**place) for place in range(config.tcn_blocks))
        )
        self.classifier = nn.Linear(config.tcn_channels, classes)

    def forward(self, features: dict[str, Tensor], valid: dict[str, Tensor]) -> BaselineOutput:
        """Classify windows; modality -> (B, S, P, G, F) and (B, S) bool."""
        signal = self.blocks(self.stem(features, valid).transpose(1, 2))  # (B, D, S)
        return BaselineOutput(self.classifier(signal.mean(2)))


def count_window_macs(model: nn.Module, specs: tuple[ModalitySpec, ...], steps: int) -> int:
    """Multiply-adds of one window in matrix products and convolutions.

    Counted on torch's meta device: on a CPU or GPU the LSTM is one fused call, which torch's counter does not see into.
    """
    features = {
        spec.name: torch.zeros(1, steps, spec.patch, spec.groups, spec.features, device="meta") for spec in specs
    }
    valid = {spec.name: torch.ones(1, steps, dtype=torch.bool, device="meta") for spec in specs}
    return count_macs(deepcopy(model).to("meta"), features, valid)
