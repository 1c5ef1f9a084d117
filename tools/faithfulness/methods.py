"""The methods that are compared, two controls that look at no network among them, and a summary of their scores."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.explanation.probe import still_features
from edgehar.explanation.result import Saliency
from edgehar.signals.clip import Floats
from edgehar.signals.modality import ModalitySpec
from edgehar.signals.windows import Windows
from edgehar.student.explain import saliency_of
from edgehar.student.network.model import StudentNetwork

RANDOM = "random"
MOTION = "motion"
METHODS = (RANDOM, MOTION, "gradient", "integrated-gradients", "tsr-gradient", "occlusion", "tsr")
RESAMPLES = 2000


def random_saliency(windows: Windows, specs: Sequence[ModalitySpec], generator: np.random.Generator) -> Saliency:
    """Uniform random importance of every group in every step."""
    steps = windows.valid[specs[0].name].shape[1]
    groups: dict[str, Floats] = {spec.name: generator.random((steps, spec.groups), dtype=np.float32) for spec in specs}
    time_importance: Floats = np.stack([part.sum(axis=1) for part in groups.values()]).sum(axis=0)
    return Saliency(RANDOM, time_importance, groups, np.ones(steps, bool))


def motion_saliency(windows: Windows, specs: Sequence[ModalitySpec]) -> Saliency:
    """How far each group is from the window held still, in each step: a control that looks at no network."""
    groups: dict[str, Floats] = {}
    for spec in specs:
        features, valid = windows.features[spec.name][0], windows.valid[spec.name][0]
        away = np.abs(features - still_features(features, valid, spec)).sum(axis=(1, 3))  # (S, G)
        groups[spec.name] = away * valid[:, None]
    time_importance: Floats = np.stack([part.sum(axis=1) for part in groups.values()]).sum(axis=0)
    return Saliency(MOTION, time_importance, groups, np.ones(len(time_importance), bool))


def timed_saliency(
    method: str,
    network: StudentNetwork,
    windows: Windows,
    specs: tuple[ModalitySpec, ...],
    class_index: int,
    generator: np.random.Generator,
) -> tuple[Saliency, float]:
    """The saliency of one window by a method, and the seconds it took."""
    started_s = time.perf_counter()
    if method == RANDOM:
        saliency = random_saliency(windows, specs, generator)
    elif method == MOTION:
        saliency = motion_saliency(windows, specs)
    else:
        saliency = saliency_of(network, windows, specs, class_index, method)
    return saliency, time.perf_counter() - started_s


def all_parts(saliency: Saliency, specs: Sequence[ModalitySpec]) -> Floats:
    """Importance of every group of every sensor in every step, (S * all G,), sensor by sensor."""
    return np.concatenate([saliency.groups[spec.name].reshape(-1) for spec in specs])


def summarised(
    scores: Mapping[str, Mapping[str, Sequence[float]]],
    seconds: Mapping[str, Sequence[float]],
    lower_is_better: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Mean of each score of each method, and whether it is better than random importance on the same windows.

    The interval is a bootstrap over windows of the mean difference to random importance (percentiles 2.5 and 97.5).

    Args:
        scores: method -> score -> one value per window; RANDOM among the methods.
        seconds: method -> one value per window.
        lower_is_better: scores that are better when they are lower.
    """
    rng = np.random.default_rng(0)
    entries: dict[str, Any] = {}
    for method, found in scores.items():
        entry: dict[str, Any] = {"seconds": round(float(np.median(seconds[method])), 5)}
        for name, values in found.items():
            entry[name] = {"mean": round(float(np.mean(values)), 4)}
            if method == RANDOM:
                continue
            gain: NDArray[np.float64] = np.asarray(values) - np.asarray(scores[RANDOM][name])
            gain = -gain if name in lower_is_better else gain
            means = gain[rng.integers(0, len(gain), (RESAMPLES, len(gain)))].mean(axis=1)
            low, high = np.percentile(means, [2.5, 97.5])
            entry[name] |= {
                "over_random": round(float(gain.mean()), 4),
                "interval95": [round(float(low), 4), round(float(high), 4)],
                "better_than_random": bool(low > 0),
            }
        entries[method] = entry
    return entries
