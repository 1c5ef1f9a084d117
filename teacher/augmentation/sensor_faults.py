"""Training windows with simulated sensor faults: delay, dropouts and noise from `edgehar.signals.faults`."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgehar.config import Options, option
from edgehar.signals.faults import faulty_copy, signal_spread
from edgehar.signals.windows import Windows, cut
from edgehar.teacher.training.batches import WindowTensors, to_tensors
from edgehar.teacher.training.stage import StageData


@dataclass(frozen=True)
class FaultConfig(Options):
    """Simulated sensor faults."""

    faulty_copies: int = option(6, "copies of the training recordings with faults of every kind", at_least=0)
    faulty_share: float = option(
        0.5, "share of the student's windows that come from a faulty copy", at_least=0, at_most=1
    )


class FaultyWindows:
    """Training windows and their faulty copies, with the same rows in each."""

    def __init__(self, clean: WindowTensors, copies: list[WindowTensors], share: float) -> None:
        """Windows of which a `share` is drawn from the copies."""
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
        """Features, validity and labels of some windows, each clean or from a random copy."""
        faulty = (torch.rand(len(rows), generator=generator) < self.share).numpy()
        copy = 1 + torch.randint(self._copies, (len(rows),), generator=generator).numpy()
        return self._all.rows(rows + len(self.clean) * np.where(faulty, copy, 0))


def faulty_windows(
    data: StageData,
    config: FaultConfig,
    seed: int,
    device: torch.device,
    select: Callable[[Windows], Windows] = Windows.labelled,
) -> FaultyWindows:
    """The training subjects' windows, clean and in faulty copies that follow from the seed.

    `select` picks the windows to keep, of every copy.
    """
    info = data.dataset.info
    clips = data.split.train_clips(data.dataset.clips)
    spread = signal_spread(clips)
    generator = np.random.default_rng([seed, config.faulty_copies])

    def tensors(windows: Windows) -> WindowTensors:
        return to_tensors(select(windows), device)

    copies = [
        tensors(cut(faulty_copy(clips, info.modalities, spread, generator), info, data.normalisation))
        for _ in range(config.faulty_copies)
    ]
    return FaultyWindows(tensors(data.train), copies, config.faulty_share)
