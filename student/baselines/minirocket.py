"""MiniRocket on prepared windows: ten thousand fixed convolutions and a linear classifier, nothing trained by descent.

Dempster, Schmidt and Webb 2021 (arXiv 2012.08791), as in aeon, with the authors' classifier for small sets: a ridge
whose strength is chosen by leave-one-out within the training windows.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import ConfigError, DataError
from edgehar.signals.clip import Floats
from edgehar.signals.windows import Windows

SHORTEST = 9
"""Length of MiniRocket's convolutions, in frames."""
FEWEST = 84
"""MiniRocket has 84 patterns of weights and computes at least one feature of each."""


class MiniRocketResult(NamedTuple):
    """What MiniRocket says of the test windows.

    Attributes:
        predicted: (N,) classes.
        parameters: numbers fitted to the training windows: thresholds, scales, weights.
    """

    predicted: NDArray[np.int64]
    parameters: int


def stacked(windows: Windows) -> Floats:
    """Every channel of every modality on one grid (N, channels, L), as MiniRocket takes them.

    The windows of all modalities cover the same span, so that each is brought to the number of frames of the finest by
    straight lines between its frames. A step without a sensor stays what it is in the features: 0.
    """
    longest = max(array.shape[1] * array.shape[2] for array in windows.features.values())
    parts: list[Floats] = []
    for array in windows.features.values():
        frames = array.reshape(len(array), array.shape[1] * array.shape[2], -1).transpose(0, 2, 1)  # (N, G*F, L)
        length = frames.shape[2]
        position = np.linspace(0, length - 1, longest)
        left = np.minimum(position.astype(np.intp), max(length - 2, 0))
        right = np.minimum(left + 1, length - 1)
        weight = (position - left).astype(np.float32)
        between = frames[..., left] * (1 - weight) + frames[..., right] * weight
        parts.append(between.astype(np.float32, copy=False))
    return np.concatenate(parts, 1)


def minirocket(train: Windows, test: Windows, kernels: int, seed: int) -> MiniRocketResult:
    """Fit on labelled windows, answer for others.

    Args:
        train: labelled windows; the only ones anything is fitted to.
        test: windows of the same modalities.
        kernels: features to compute, rounded down to a multiple of 84.
        seed: which channels are combined, and which windows give the thresholds.

    Raises:
        ConfigError: fewer kernels than MiniRocket has patterns.
        DataError: windows shorter than its convolutions.
        ModuleNotFoundError: aeon is not installed.
    """
    if kernels < FEWEST:
        raise ConfigError(f"--kernels {kernels}: expected {FEWEST} or more; 10000 is usual")
    from aeon.transformations.collection.convolution_based import MiniRocket  # pyright: ignore[reportMissingImports]
    from sklearn.linear_model import RidgeClassifierCV  # pyright: ignore[reportMissingImports]
    from sklearn.preprocessing import StandardScaler  # pyright: ignore[reportMissingImports]

    signals = stacked(train)
    if signals.shape[2] < SHORTEST:
        raise DataError(f"windows of {signals.shape[2]} frames; expected {SHORTEST} or more; give longer windows")
    transform: Any = MiniRocket(n_kernels=kernels, random_state=seed)
    scaler: Any = StandardScaler(with_mean=False)
    ridge: Any = RidgeClassifierCV(alphas=np.logspace(-3, 3, 10))
    ridge.fit(scaler.fit_transform(transform.fit_transform(signals)), train.label)
    predicted = ridge.predict(scaler.transform(transform.transform(stacked(test))))
    fitted = (transform.parameters[-1], scaler.scale_, ridge.coef_, ridge.intercept_)
    return MiniRocketResult(np.asarray(predicted, np.int64), int(sum(np.size(array) for array in fitted)))
