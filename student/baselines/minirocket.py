"""MiniRocket on prepared windows: features of fixed convolutions and a ridge classifier.

Dempster, Schmidt and Webb 2021 (arXiv 2012.08791), with aeon's implementation and the authors' classifier for small
data sets: ridge regression with leave-one-out selection of its strength on the training windows.
"""

from typing import Any, NamedTuple

import numpy as np
import torch

from edgehar.errors import ConfigError, DataError
from edgehar.signals.clip import Floats
from edgehar.signals.windows import Windows
from edgehar.student.baselines.ridge import BLOCK, drawn_rows, fit_ridge

KERNEL_LENGTH = 9
"""Length of MiniRocket's kernels, in frames."""
KERNELS = 84
"""Number of MiniRocket's kernels; it computes at least one feature of each."""


class RocketResult(NamedTuple):
    """Decision values of a classifier on convolutional features for the test windows, and its size.

    Attributes:
        values: (N, K) decision values of the ridge classifier.
        parameters: numbers fitted to the training windows: thresholds, scales and weights.
        fitted_windows: number of training windows it was fitted to.
    """

    values: Floats
    parameters: int
    fitted_windows: int


def stacked(windows: Windows) -> Floats:
    """All channels of all modalities on one time grid (N, channels, L), as MiniRocket expects.

    The windows of all modalities span the same time, so each is interpolated linearly to the number of frames of the
    finest. Features of missing steps stay 0.
    """
    frames_out = max(array.shape[1] * array.shape[2] for array in windows.features.values())
    parts: list[Floats] = []
    for array in windows.features.values():
        frames = array.reshape(len(array), array.shape[1] * array.shape[2], -1).transpose(0, 2, 1)  # (N, G*F, L)
        length = frames.shape[2]
        position = np.linspace(0, length - 1, frames_out)
        left = np.minimum(position.astype(np.intp), max(length - 2, 0))
        right = np.minimum(left + 1, length - 1)
        weight = (position - left).astype(np.float32)
        interpolated = frames[..., left] * (1 - weight) + frames[..., right] * weight
        parts.append(interpolated.astype(np.float32, copy=False))
    return np.concatenate(parts, 1)


def check_length(kind: str, signals: Floats, least: int = KERNEL_LENGTH) -> None:
    """Raise DataError for windows (N, channels, L) of fewer frames."""
    if signals.shape[2] < least:
        raise DataError(
            f"{kind}: found windows of {signals.shape[2]} frames; expected {least} or more; use longer windows"
        )


def minirocket(train: Windows, test: Windows, classes: int, kernels: int, most: int, seed: int) -> RocketResult:
    """Fit on labelled windows and predict others.

    Args:
        train: labelled windows; nothing is fitted to others.
        test: windows of the same modalities.
        classes: number of classes K.
        kernels: number of features, rounded down to a multiple of 84.
        most: training windows to fit to; of more, as many are drawn, see `drawn_rows`.
        seed: random seed of the draw, the channel combinations and thresholds.

    Raises:
        ConfigError: fewer features than MiniRocket has kernels.
        DataError: windows shorter than its kernels.
        ModuleNotFoundError: aeon is not installed.
    """
    if kernels < KERNELS:
        raise ConfigError(f"--kernels {kernels}: expected {KERNELS} or more; 10000 is usual")
    from aeon.transformations.collection.convolution_based import MiniRocket  # pyright: ignore[reportMissingImports]

    fitted = train.take(drawn_rows(train, most, seed))
    signals = stacked(fitted)
    check_length("minirocket", signals)
    transform: Any = MiniRocket(n_kernels=kernels, random_state=seed)
    threads = torch.get_num_threads()
    try:
        features: Floats = transform.fit_transform(signals)
        scale = features.std(axis=0)
        scale[scale == 0] = 1
        features /= scale
        ridge = fit_ridge(features, fitted.label, classes)
        del features
        values: list[Floats] = []
        for row in range(0, len(test), BLOCK):
            signals = stacked(test.take(np.arange(row, min(row + BLOCK, len(test)))))
            values.append(ridge.decide(transform.transform(signals) / scale))
    finally:
        torch.set_num_threads(threads)  # numba changes the thread count of the OpenMP runtime that torch uses, too
    parameters = np.size(transform.parameters[-1]) + len(scale) + ridge.parameters
    return RocketResult(np.concatenate(values), parameters, len(fitted))
