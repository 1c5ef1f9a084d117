"""What a checkpoint keeps of its training windows, so that a network can be shrunk later without any of them.

Of single frames, per modality (`facts["statistics"]`): the mean of each channel, the covariance of the channels, and
the spread of each channel's motion. They say how people stood and how strongly channels move together.

Of whole windows (`moments.safetensors`): per activity the mean window, and for all activities together the few
directions in which windows stray most from the mean of theirs (principal components). An activity that few windows or
a single person show shares the mean of all, as its own would be close to a recording.

No window is kept and no coordinate of one, so none can be read back. It is data derived from recordings all the same:
how people moved on average can be looked at.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgehar.modality import ModalitySpec
from edgehar.windows import Windows

DIRECTIONS = 16
FEWEST_WINDOWS, FEWEST_SUBJECTS = 8, 2
"""Of an activity, for a mean of its own."""

Moments = dict[str, Tensor]
"""`means` (K, D) and `directions` (R, D), float16; D counts every feature of a window, modality after modality."""


def measure_statistics(windows: Windows, specs: tuple[ModalitySpec, ...]) -> dict[str, Any]:
    """Moments of the valid frames of prepared training windows, as plain lists for JSON."""
    statistics: dict[str, Any] = {}
    for spec in specs:
        used = windows.features[spec.name][windows.valid[spec.name]]  # (steps, P, G, F)
        value = used[..., : spec.group].reshape(-1, spec.channels).astype(np.float64)
        motion = used[..., spec.group :].reshape(-1, spec.channels).astype(np.float64)
        if not len(value):
            value = motion = np.zeros((1, spec.channels))
        statistics[spec.name] = {
            "mean": np.round(value.mean(0), 4).tolist(),
            "covariance": np.round(np.cov(value.T, bias=True).reshape(spec.channels, -1), 5).tolist(),
            "motion": np.round(motion.std(0), 4).tolist(),
        }
    return statistics


def measure_moments(windows: Windows, specs: tuple[ModalitySpec, ...], classes: int) -> Moments:
    """Moments of prepared training windows, of which K = `classes` activities are named; steps not valid count not."""
    flat = torch.cat([torch.as_tensor(windows.features[spec.name]).flatten(1) for spec in specs], 1)  # (N, D)
    there = torch.cat(
        [
            torch.as_tensor(windows.valid[spec.name]).repeat_interleave(spec.patch * spec.groups * spec.features, 1)
            for spec in specs
        ],
        1,
    )
    label = torch.as_tensor(windows.label)

    def mean(chosen: Tensor) -> Tensor:
        seen = there[chosen]
        return (flat[chosen] * seen).sum(0) / seen.sum(0).clamp(min=1)

    means = mean(label >= 0).repeat(classes, 1)
    for activity in range(classes):
        chosen = label == activity
        people = set(windows.subject[chosen.numpy()].tolist())
        if int(chosen.sum()) >= FEWEST_WINDOWS and len(people) >= FEWEST_SUBJECTS:
            means[activity] = mean(chosen)
    labelled = label >= 0
    strays = (flat[labelled] - means[label[labelled]]) * there[labelled]
    most = min(DIRECTIONS, len(strays) // FEWEST_WINDOWS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _, lengths, directions = torch.svd_lowrank(strays, min(most + 8, *strays.shape), niter=4)
    scaled = directions.T[:most] * lengths[:most, None] / max(len(strays), 1) ** 0.5
    return {"means": means.half(), "directions": scaled.half()}
