"""DeepConvLSTM and TinierHAR, two published networks that convolve every channel of the signals over time.

Both read the values of the student's windows, not their motions, on one grid of frames; missing sensors are 0. Sizes
and dropout are those of the papers; the training is that of the other baselines.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgehar.config import Options, option
from edgehar.errors import DataError
from edgehar.signals.modality import ModalitySpec
from edgehar.student.baselines.networks import BaselineOutput

KERNEL = 5
"""Length of the convolutions of both networks, in frames."""
DEEP_LAYERS, DEEP_DROPOUT = 4, 0.5
"""DeepConvLSTM: convolutions, and dropout before each of its two recurrent layers."""
TINIER_MAPS, TINIER_BLOCKS, TINIER_UNITS, TINIER_DROPOUT = 4, 4, 16, 0.3
"""TinierHAR: maps of the first block (the others have twice as many), blocks that keep the length, units, dropout."""


@dataclass(frozen=True)
class DeepConvLstmConfig(Options):
    """DeepConvLSTM size."""

    deepconvlstm_maps: int = option(64, "feature maps of each convolution", at_least=1)
    deepconvlstm_units: int = option(128, "units per LSTM layer", at_least=1)


class FrameGrid(nn.Module):
    """The values of all sensors as channels on the frames of the finest sensor, by linear interpolation."""

    def __init__(self, specs: tuple[ModalitySpec, ...], steps: int) -> None:
        """A grid for windows of S = `steps`."""
        super().__init__()
        self.values = {spec.name: spec.group for spec in specs}
        self.channels = sum(spec.channels for spec in specs)
        self.frames = steps * max(spec.patch for spec in specs)

    def forward(self, features: dict[str, Tensor], valid: dict[str, Tensor]) -> Tensor:
        """Modality -> (B, S, P, G, F) and (B, S) bool -> (B, 1, L, C)."""
        parts: list[Tensor] = []
        for name, values in self.values.items():
            known = features[name][..., :values] * valid[name][:, :, None, None, None]
            channels = known.flatten(3).flatten(1, 2).transpose(1, 2)  # (B, C, S P)
            parts.append(functional.interpolate(channels, self.frames, mode="linear", align_corners=True))
        return torch.cat(parts, 1).transpose(1, 2)[:, None]


class DeepConvLstm(nn.Module):
    """Four convolutions and two LSTM layers; the last state is classified (Ordonez and Roggen 2016, Sensors 16(1):115).

    As in the paper, the convolutions are not padded and share their weights over the channels.
    """

    def __init__(self, config: DeepConvLstmConfig, specs: tuple[ModalitySpec, ...], steps: int, classes: int) -> None:
        """A network for windows of S = `steps` of these modalities and K = `classes`.

        Raises DataError for windows shorter than the four convolutions.
        """
        super().__init__()
        self.grid = FrameGrid(specs, steps)
        least = DEEP_LAYERS * (KERNEL - 1) + 1
        if self.grid.frames < least:
            raise DataError(
                f"deepconvlstm: found windows of {self.grid.frames} frames; expected {least} or more; use longer ones"
            )
        units, maps = config.deepconvlstm_units, [1, *[config.deepconvlstm_maps] * DEEP_LAYERS]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(maps[layer], maps[layer + 1], (KERNEL, 1)) for layer in range(DEEP_LAYERS)
        )
        self.dropout = nn.Dropout(DEEP_DROPOUT)
        self.first = nn.LSTM(maps[-1] * self.grid.channels, units, batch_first=True)
        self.second = nn.LSTM(units, units, batch_first=True)
        self.classifier = nn.Linear(units, classes)

    def forward(self, features: dict[str, Tensor], valid: dict[str, Tensor]) -> BaselineOutput:
        """Classify windows; modality -> (B, S, P, G, F) and (B, S) bool."""
        # This memory layout takes a quarter less time on CPUs.
        maps = self.grid(features, valid).contiguous(memory_format=torch.channels_last)  # (B, 1, L, C)
        for convolution in self.convolutions:
            maps = functional.relu(convolution(maps))
        states = maps.transpose(1, 2).flatten(2)  # (B, L, D C)
        states, _ = self.first(self.dropout(states))
        states, _ = self.second(self.dropout(states))
        return BaselineOutput(self.classifier(states[:, -1]))


class SeparableBlock(nn.Module):
    """Convolution of every map over time, then across maps, added to the input; half the length if it pools."""

    def __init__(self, maps_in: int, maps_out: int, pools: bool) -> None:
        """A block from `maps_in` to `maps_out` maps."""
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(maps_in, maps_in, (KERNEL, 1), padding=(KERNEL // 2, 0), groups=maps_in),
            nn.Conv2d(maps_in, maps_out, 1),
            nn.BatchNorm2d(maps_out),
            nn.ReLU(),
        )
        same = maps_in == maps_out
        self.shortcut = (
            nn.Identity() if same else nn.Sequential(nn.Conv2d(maps_in, maps_out, 1), nn.BatchNorm2d(maps_out))
        )
        # Incomplete pairs are kept, so that a window of any length leaves a frame.
        self.pool = nn.MaxPool2d((2, 1), ceil_mode=True) if pools else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        """(B, D, L, C) -> (B, D', L or L / 2, C)."""
        return self.pool(self.residual(maps)) + self.pool(self.shortcut(maps))


class TinierHar(nn.Module):
    """Separable convolutions, a bidirectional GRU and attention pooling (arXiv 2507.07949)."""

    def __init__(self, specs: tuple[ModalitySpec, ...], steps: int, classes: int) -> None:
        """A network for windows of S = `steps` of these modalities and K = `classes`."""
        super().__init__()
        self.grid = FrameGrid(specs, steps)
        maps = 2 * TINIER_MAPS
        self.blocks = nn.Sequential(
            SeparableBlock(1, TINIER_MAPS, pools=True),
            SeparableBlock(TINIER_MAPS, maps, pools=True),
            *(SeparableBlock(maps, maps, pools=False) for _ in range(TINIER_BLOCKS)),
        )
        self.dropout = nn.Dropout(TINIER_DROPOUT)
        self.gru = nn.GRU(maps * self.grid.channels, TINIER_UNITS, batch_first=True, bidirectional=True)
        self.attention = nn.Linear(2 * TINIER_UNITS, 1)
        self.classifier = nn.Linear(2 * TINIER_UNITS, classes)

    def forward(self, features: dict[str, Tensor], valid: dict[str, Tensor]) -> BaselineOutput:
        """Classify windows; modality -> (B, S, P, G, F) and (B, S) bool."""
        maps = self.blocks(self.grid(features, valid))  # (B, D, L / 4, C)
        states, _ = self.gru(self.dropout(maps.transpose(1, 2).flatten(2)))  # (B, L / 4, 2 U)
        weights = self.attention(states).softmax(dim=1)
        return BaselineOutput(self.classifier((weights * states).sum(1)))
