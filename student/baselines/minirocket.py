"""MiniRocket on prepared windows: features of fixed convolutions and a ridge classifier.

Dempster, Schmidt and Webb 2021 (arXiv 2012.08791), with aeon's implementation and the authors' classifier for small
data sets: ridge regression with leave-one-out selection of its strength on the training windows.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from edgehar.errors import ConfigError, DataError
from edgehar.signals.clip import Floats
from edgehar.signals.windows import Windows

KERNEL_LENGTH = 9
"""Length of MiniRocket's kernels, in frames."""
KERNELS = 84
"""Number of MiniRocket's kernels; it computes at least one feature of each."""


class MiniRocketResult(NamedTuple):
    """Predictions of MiniRocket for the test windows, and its size.

    Attributes:
        predicted: (N,) classes.
        parameters: numbers fitted to the training windows: thresholds, scales and weights.
    """

    predicted: NDArray[np.int64]
    parameters: int


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


def minirocket(train: Windows, test: Windows, kernels: int, seed: int) -> MiniRocketResult:
    """Fit on labelled windows and predict others.

    Args:
        train: labelled windows; nothing is fitted to others.
        test: windows of the same modalities.
        kernels: number of features, rounded down to a multiple of 84.
        seed: random seed of the channel combinations and thresholds.

    Raises:
        ConfigError: fewer features than MiniRocket has kernels.
        DataError: windows shorter than its kernels.
        ModuleNotFoundError: aeon is not installed.
    """
    if kernels < KERNELS:
        raise ConfigError(f"--kernels {kernels}: expected {KERNELS} or more; 10000 is usual")
    from aeon.transformations.collection.convolution_based import MiniRocket  # pyright: ignore[reportMissingImports]
    from sklearn.linear_model import RidgeClassifierCV  # pyright: ignore[reportMissingImports]
    from sklearn.preprocessing import StandardScaler  # pyright: ignore[reportMissingImports]

    signals = stacked(train)
    if signals.shape[2] < KERNEL_LENGTH:
        raise DataError(
            f"minirocket: found windows of {signals.shape[2]} frames; expected {KERNEL_LENGTH} or more; use longer "
            "windows"
        )
    transform: Any = MiniRocket(n_kernels=kernels, random_state=seed)
    scaler: Any = StandardScaler(with_mean=False)
    ridge: Any = RidgeClassifierCV(alphas=np.logspace(-3, 3, 10))
    threads = torch.get_num_threads()
    try:
        ridge.fit(scaler.fit_transform(transform.fit_transform(signals)), train.label)
        predicted = ridge.predict(scaler.transform(transform.transform(stacked(test))))
    finally:
        torch.set_num_threads(threads)  # numba changes the thread count of the OpenMP runtime that torch uses, too
    fitted = (transform.parameters[-1], scaler.scale_, ridge.coef_, ridge.intercept_)
    return MiniRocketResult(np.asarray(predicted, np.int64), int(sum(np.size(array) for array in fitted)))
