"""Training windows and faulty copies of them: late, lost and noisy sensors, as `edgehar.signals.faults` makes them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgehar.config import option
from edgehar.errors import ConfigError
from edgehar.signals.faults import faulty_copy, signal_spread
from edgehar.signals.windows import Windows, cut
from edgehar.teacher.training.batches import WindowTensors, to_tensors
from edgehar.teacher.training.stage import StageData


@dataclass(frozen=True)
class FaultConfig:
    """How much of what the student sees comes from faulty sensors."""

    faulty_copies: int = option(6, "copies of the training recordings with faults of every kind; 0 makes none")
    faulty_share: float = option(0.5, "share of the windows the student sees in a faulty copy")

    def __post_init__(self) -> None:
        """Refuse numbers out of range."""
        if self.faulty_copies < 0 or not 0 <= self.faulty_share <= 1:
            raise ConfigError(
                f"--faulty-copies {self.faulty_copies}, --faulty-share {self.faulty_share}: "
                "expected a whole number from 0, and 0 to 1"
            )


class FaultyWindows:
    """Training windows, sound and in faulty copies, row by row the same."""

    def __init__(self, clean: WindowTensors, copies: list[WindowTensors], share: float) -> None:
        """`share` of the rows asked for come from a copy."""
        self.clean, self.share = clean, share if copies else 0.0
        self._copies = max(len(copies), 1)
        parts = [clean, *copies]
        self._all = WindowTensors(
            {name: torch.cat([part.features[name] for part in parts]) for name in clean.features},
            {name: torch.cat([part.valid[name] for part in parts]) for name in clean.valid},
            clean.label.repeat(len(parts)),
        )

    def rows(
        self, rows: NDArray[np.intp], generator: torch.Generator
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
        """Features, validity and labels of some windows, each sound or from one of the copies."""
        faulty = (torch.rand(len(rows), generator=generator) < self.share).numpy()
        copy = 1 + torch.randint(self._copies, (len(rows),), generator=generator).numpy()
        return self._all.rows(rows + len(self.clean) * np.where(faulty, copy, 0))


def faulty_windows(
    data: StageData,
    config: FaultConfig,
    seed: int,
    device: torch.device,
    chosen: Callable[[Windows], Windows] = Windows.labelled,
) -> FaultyWindows:
    """The windows of the training subjects that are `chosen`, and their faulty copies, which follow from the seed."""
    info = data.dataset.info
    clips = [clip for clip in data.dataset.clips if clip.subject in data.split.train]
    spread = signal_spread(clips)
    generator = np.random.default_rng([seed, config.faulty_copies])

    def tensors(windows: Windows) -> WindowTensors:
        return to_tensors(chosen(windows), device)

    copies = [
        tensors(cut(faulty_copy(clips, info.modalities, spread, generator), info, data.normalisation))
        for _ in range(config.faulty_copies)
    ]
    return FaultyWindows(tensors(data.train), copies, config.faulty_share)
