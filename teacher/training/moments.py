"""What a checkpoint keeps of its training windows, so that a network can be shrunk later without any of them.

Of single frames, per modality (`facts["statistics"]`): the mean of each channel, the covariance of the channels, and
the spread of each channel's motion. They say how people stood and how strongly channels move together. Of few windows
or a single person nothing is kept.

Of whole windows (`moments.safetensors`): per activity the mean window, and for all activities together the few
directions in which windows stray most from the mean of theirs (principal components). What too few windows or a single
person show of an activity is not kept: all such activities share a mean, if together they are enough, and else that of
the others. No mean includes what another leaves out, so no difference of two tells a single window. A direction of
which one window or one person makes up too much is not kept either: it would be that window's.

No window is kept and no coordinate of one. It is data derived from recordings all the same: how people moved on
average can be looked at, who has two checkpoints, trained with a recording and without, can work out the recording,
and no formal privacy is claimed.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgehar.signals.modality import ModalitySpec
from edgehar.signals.windows import Windows

DIRECTIONS = 16
FEWEST_WINDOWS, FEWEST_SUBJECTS = 8, 2
"""Of an activity, feature by feature, for a mean of its own; of all that there is, for statistics of frames."""
MOST_OF_WINDOW, MOST_OF_PERSON = 1 / 4, 3 / 4
"""Shares of what windows stray along a direction that is kept."""

Moments = dict[str, Tensor]
"""`means` (K, D) and `directions` (R, D), float16; D counts every feature of a window, modality after modality."""


def measure_statistics(windows: Windows, specs: tuple[ModalitySpec, ...]) -> dict[str, Any]:
    """Moments of the valid frames of prepared training windows, as plain lists for JSON.

    Empty if too few windows or people show one of the modalities.
    """
    statistics: dict[str, Any] = {}
    for spec in specs:
        showing = windows.valid[spec.name].any(1)
        if showing.sum() < FEWEST_WINDOWS or len(np.unique(windows.subject[showing])) < FEWEST_SUBJECTS:
            return {}
        used = windows.features[spec.name][windows.valid[spec.name]]  # (steps, P, G, F)
        value = used[..., : spec.group].reshape(-1, spec.channels).astype(np.float64)
        motion = used[..., spec.group :].reshape(-1, spec.channels).astype(np.float64)
        statistics[spec.name] = {
            "mean": np.round(value.mean(0), 4).tolist(),
            "covariance": np.round(np.cov(value.T, bias=True).reshape(spec.channels, -1), 5).tolist(),
            "motion": np.round(motion.std(0), 4).tolist(),
        }
    return statistics


def of_many(strays: Tensor, person: Tensor) -> Tensor:
    """(R,) True for directions of which no window and no person makes up too much.

    Args:
        strays: (N, R) how far every window strays along each.
        person: (N,) whose window it is, from 0.
    """
    share = strays.square() / strays.square().sum(0)  # (N, R)
    of_person = torch.zeros(int(person.max()) + 1, share.shape[1]).index_add(0, person, share)
    return (share.amax(0) <= MOST_OF_WINDOW) & (of_person.amax(0) <= MOST_OF_PERSON)


def measure_moments(windows: Windows, specs: tuple[ModalitySpec, ...], classes: int) -> Moments:
    """Moments of prepared training windows, of which K = `classes` activities are named; steps not valid count not.

    Empty if so few windows or people show anything that nothing may be kept.
    """
    flat = torch.cat([torch.as_tensor(windows.features[spec.name]).flatten(1) for spec in specs], 1)  # (N, D)
    there = torch.cat(
        [
            torch.as_tensor(windows.valid[spec.name]).repeat_interleave(spec.patch * spec.groups * spec.features, 1)
            for spec in specs
        ],
        1,
    )
    label = torch.as_tensor(windows.label)
    people, person = np.unique(windows.subject, return_inverse=True)
    seen, total = (torch.zeros(classes, flat.shape[1]) for _ in range(2))  # windows of an activity, and their sum
    shown = torch.zeros(len(people), classes, flat.shape[1], dtype=torch.bool)
    for activity in range(classes):
        chosen = label == activity
        seen[activity], total[activity] = there[chosen].sum(0), (flat[chosen] * there[chosen]).sum(0)
        for one in range(len(people)):
            shown[one, activity] = there[chosen & torch.as_tensor(person == one)].any(0)
    own = (seen >= FEWEST_WINDOWS) & (shown.sum(0) >= FEWEST_SUBJECTS)  # (K, D)
    pooled = ((seen * ~own).sum(0) >= FEWEST_WINDOWS) & ((shown & ~own).any(1).sum(0) >= FEWEST_SUBJECTS)  # (D,)
    if not (own.any() or pooled.any()):
        return {}

    def mean(of: Tensor) -> Tensor:
        return (total * of).sum(0) / (seen * of).sum(0).clamp(min=1)

    shared = torch.where(pooled, mean(~own), mean(own))
    means = torch.where(own, total / seen.clamp(min=1), shared)
    labelled = label >= 0
    kept = there[labelled] & (own | pooled)[label[labelled]]
    strays = (flat[labelled] - means[label[labelled]]) * kept
    most = min(DIRECTIONS, len(strays) // FEWEST_WINDOWS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _, lengths, directions = torch.svd_lowrank(strays, min(most + 8, *strays.shape), niter=4)
    scaled = directions.T[:most] * lengths[:most, None] / max(len(strays), 1) ** 0.5
    owners = torch.as_tensor(person)[labelled]
    return {"means": means.half(), "directions": scaled[of_many(strays @ directions[:, :most], owners)].half()}
