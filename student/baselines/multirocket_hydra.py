"""MultiRocket-Hydra on prepared windows: features of two sets of random convolutions and a ridge classifier.

Hydra (Dempster, Schmidt and Webb 2023, arXiv 2203.13652) counts which kernel of a group fits best at each frame;
MultiRocket (Tan, Dempster, Bergmeir and Webb 2022, arXiv 2102.00457) pools its convolutions, and those of the
differences, in four ways. Both are aeon's, joined as in its MultiRocketHydraClassifier.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from edgehar.config import Options, option
from edgehar.signals.clip import Floats
from edgehar.signals.windows import Windows
from edgehar.student.baselines.minirocket import KERNEL_LENGTH, KERNELS, RocketResult, check_length, stacked
from edgehar.student.baselines.ridge import BLOCK, drawn_rows, fit_ridge

BATCH = 512
"""Windows that are transformed at once."""


@dataclass(frozen=True)
class RocketConfig(Options):
    """Random convolutions (minirocket, multirocket-hydra)."""

    multirocket_kernels: int = option(6250, "kernels of MultiRocket (multirocket-hydra)", at_least=KERNELS)
    hydra_groups: int = option(64, "groups of Hydra's kernels per dilation (multirocket-hydra)", at_least=1)
    max_windows: int = option(
        8000, "training windows to fit to; of more, as many are drawn by activity and person", at_least=2
    )


@dataclass(frozen=True)
class _Transform:
    """Unscaled features of signals.

    Attributes:
        hydra: fitted HydraTransformer.
        rocket: fitted MultiRocket.
    """

    hydra: Any
    rocket: Any

    def parts(self, signals: Floats) -> tuple[Floats, Floats]:
        """Roots of Hydra's counts (N, H) and MultiRocket's features (N, M) of signals (N, channels, L)."""
        counts = np.asarray(self.hydra.transform(signals), np.float32)
        return np.sqrt(counts.clip(min=0)), np.asarray(self.rocket.transform(signals), np.float32)

    def apply(self, signals: Floats) -> tuple[Floats, int]:
        """Features (N, H + M) of signals (N, channels, L), some windows at a time, and H."""
        features, counted = np.empty((0, 0), np.float32), 0
        for row in range(0, len(signals), BATCH):
            parts = self.parts(signals[row : row + BATCH])
            if not row:
                counted = parts[0].shape[1]
                features = np.empty((len(signals), counted + parts[1].shape[1]), np.float32)
            np.concatenate(parts, axis=1, out=features[row : row + BATCH])
        return features, counted


@dataclass(frozen=True)
class _Scaler:
    """Scales features to mean 0 and deviation 1; of Hydra's counts, zeros stay 0 (as in arXiv 2203.13652).

    Attributes:
        counted: number of features H that are roots of counts.
        mean: (H + M,).
        deviation: (H + M,); of counts, larger for those that are rarely above 0.
    """

    counted: int
    mean: Floats
    deviation: Floats

    @staticmethod
    def fit(features: Floats, counted: int) -> "_Scaler":
        """Measure features (N, H + M)."""
        mean, deviation = np.empty((2, features.shape[1]), np.float32)
        for start in range(0, features.shape[1], BLOCK):
            span = slice(start, start + BLOCK)
            mean[span], deviation[span] = features[:, span].mean(axis=0), features[:, span].std(axis=0)
        zero = np.asarray([np.count_nonzero(column == 0) for column in features[:, :counted].T]) / len(features)
        deviation[:counted] += zero**4 + 1e-8
        deviation[deviation == 0] = 1
        return _Scaler(counted, mean, deviation)

    def apply(self, features: Floats) -> Floats:
        """Scale features (N, H + M) in place and return them."""
        for row in range(0, len(features), BATCH):
            part = features[row : row + BATCH]
            absent = part[:, : self.counted] == 0
            part -= self.mean
            part[:, : self.counted][absent] = 0
            part /= self.deviation
        return features


def multirocket_hydra(train: Windows, test: Windows, classes: int, config: RocketConfig, seed: int) -> RocketResult:
    """Fit on labelled windows and predict others.

    Args:
        train: labelled windows; nothing is fitted to others.
        test: windows of the same modalities.
        classes: number of classes K.
        config: numbers of kernels and of training windows.
        seed: random seed of the draw and of the convolutions.

    Raises:
        DataError: windows shorter than the kernels.
        ModuleNotFoundError: aeon is not installed.
    """
    from aeon.transformations.collection.convolution_based import (  # pyright: ignore[reportMissingImports]
        HydraTransformer,
        MultiRocket,
    )

    fitted = train.take(drawn_rows(train, config.max_windows, seed))
    signals = stacked(fitted)
    check_length("multirocket-hydra", signals, KERNEL_LENGTH + 1)
    hydra: Any = HydraTransformer(n_groups=config.hydra_groups, random_state=seed, output_type="numpy")
    rocket: Any = MultiRocket(n_kernels=config.multirocket_kernels, random_state=seed)
    threads = torch.get_num_threads()
    try:
        transform = _Transform(hydra.fit(signals), rocket.fit(signals))
        features, counted = transform.apply(signals)
        scaler = _Scaler.fit(features, counted)
        ridge = fit_ridge(scaler.apply(features), fitted.label, classes)
        del features
        values: list[Floats] = []
        for row in range(0, len(test), BATCH):
            signals = stacked(test.take(np.arange(row, min(row + BATCH, len(test)))))
            values.append(ridge.decide(scaler.apply(transform.apply(signals)[0])))
    finally:
        torch.set_num_threads(threads)  # aeon sets it
    # Thresholds of MultiRocket on the signals and on their differences, two numbers per feature to scale it, and the
    # classifier.
    thresholds = sum(np.size(found[-1]) for found in (rocket.parameter, rocket.parameter1))
    parameters = thresholds + 2 * len(scaler.mean) + ridge.parameters
    return RocketResult(np.concatenate(values), parameters, len(fitted))
