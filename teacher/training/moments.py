"""Statistics of the training windows in a checkpoint, so that a network can be pruned later without recordings.

Frame statistics, per modality (`facts["statistics"]`): mean of each channel, covariance of the channels, standard
deviation of each channel's motion. They describe posture and how channels move together. Not stored for a few windows
or a single subject.

Window moments (`moments.safetensors`): the mean window of each activity, and the principal components of the deviations
from it, over all activities. Features that an activity shows in a few windows or for a single subject have no mean of
their own: all such activities share a mean, if together they have enough windows and subjects, else that of the other
activities. No mean includes windows that another one excludes, so the difference of two means reveals no single window.
A component dominated by one window or one subject is dropped.

No window and no coordinate of a window is stored. The data is nevertheless derived from recordings: it shows how people
moved on average, and two checkpoints, trained with and without a recording, allow its reconstruction. No formal privacy
is claimed.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgehar.data.splits import groups_of, people_of
from edgehar.signals.modality import ModalitySpec
from edgehar.signals.windows import Windows

DIRECTIONS = 16
"""Largest number of components."""
MIN_WINDOWS, MIN_SUBJECTS = 8, 2
"""Smallest numbers that show a feature of an activity for a mean of its own, or a modality for frame statistics."""
MAX_WINDOW_SHARE, MAX_SUBJECT_SHARE = 1 / 4, 3 / 4
"""Largest shares of one window and of one subject in the variance along a stored component."""

Moments = dict[str, Tensor]
"""`means` (K, D) and `directions` (R, D), float16; D = all features of a window, modality by modality."""


def measure_statistics(windows: Windows, specs: tuple[ModalitySpec, ...]) -> dict[str, Any]:
    """Statistics of the valid frames of training windows, as lists for JSON.

    Empty if too few windows or subjects have one of the modalities.
    """
    statistics: dict[str, Any] = {}
    for spec in specs:
        present = windows.valid[spec.name].any(1)
        if present.sum() < MIN_WINDOWS or len(groups_of(windows.subject[present])) < MIN_SUBJECTS:
            return {}
        frames = windows.features[spec.name][windows.valid[spec.name]]  # (steps, P, G, F)
        value = frames[..., : spec.group].reshape(-1, spec.channels).astype(np.float64)
        motion = frames[..., spec.group :].reshape(-1, spec.channels).astype(np.float64)
        statistics[spec.name] = {
            "mean": np.round(value.mean(0), 4).tolist(),
            "covariance": np.round(np.cov(value.T, bias=True).reshape(spec.channels, -1), 5).tolist(),
            "motion": np.round(motion.std(0), 4).tolist(),
        }
    return statistics


def undominated(deviations: Tensor, subject: Tensor) -> Tensor:
    """(R,) bool, True for directions whose variance is not dominated by one window or one subject.

    Args:
        deviations: (N, R) of each window along each direction.
        subject: (N,) index of each window's subject.
    """
    share = deviations.square() / deviations.square().sum(0)  # (N, R)
    subject_share = torch.zeros(int(subject.max()) + 1, share.shape[1]).index_add(0, subject, share)
    return (share.amax(0) <= MAX_WINDOW_SHARE) & (subject_share.amax(0) <= MAX_SUBJECT_SHARE)


def _person(windows: Windows) -> NDArray[np.int64]:
    """(N,) index of each window's subject; people in one recording count as one subject."""
    groups = groups_of(windows.subject)
    index_of = {person: index for index, group in enumerate(groups) for person in group}
    subjects, inverse = np.unique(windows.subject, return_inverse=True)
    return np.asarray([index_of[people_of(str(one))[0]] for one in subjects], np.int64)[inverse]


def measure_moments(windows: Windows, specs: tuple[ModalitySpec, ...], classes: int) -> Moments:
    """Moments of training windows with labels below K = `classes`; invalid steps are ignored.

    Empty if there are too few windows or subjects for any mean.
    """
    flat = torch.cat([torch.as_tensor(windows.features[spec.name]).flatten(1) for spec in specs], 1)  # (N, D)
    present = torch.cat(
        [
            torch.as_tensor(windows.valid[spec.name]).repeat_interleave(spec.patch * spec.groups * spec.features, 1)
            for spec in specs
        ],
        1,
    )
    label = torch.as_tensor(windows.label)
    subject = _person(windows)
    count, total = (torch.zeros(classes, flat.shape[1]) for _ in range(2))  # windows of an activity, and their sum
    for activity in range(classes):
        chosen = label == activity
        count[activity], total[activity] = present[chosen].sum(0), (flat[chosen] * present[chosen]).sum(0)

    def shown(index: int) -> Tensor:
        """(K, D) bool: what a subject shows of each activity; all subjects together would need gigabytes."""
        rows = torch.as_tensor((subject == index) & (windows.label >= 0))
        return torch.zeros_like(count).index_add(0, label[rows], present[rows].float()) > 0

    subjects = range(int(subject.max(initial=-1)) + 1)
    own = (count >= MIN_WINDOWS) & (sum(map(shown, subjects), torch.zeros_like(count)) >= MIN_SUBJECTS)  # (K, D)
    sharing = sum(((shown(index) & ~own).any(0) for index in subjects), torch.zeros(flat.shape[1]))
    pooled = ((count * ~own).sum(0) >= MIN_WINDOWS) & (sharing >= MIN_SUBJECTS)  # (D,)
    if not (own.any() or pooled.any()):
        return {}

    def mean(activities: Tensor) -> Tensor:
        return (total * activities).sum(0) / (count * activities).sum(0).clamp(min=1)

    shared = torch.where(pooled, mean(~own), mean(own))
    means = torch.where(own, total / count.clamp(min=1), shared)
    labelled = label >= 0
    used = present[labelled] & (own | pooled)[label[labelled]]
    deviations = (flat[labelled] - means[label[labelled]]) * used
    rank = min(DIRECTIONS, len(deviations) // MIN_WINDOWS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _, lengths, directions = torch.svd_lowrank(deviations, min(rank + 8, *deviations.shape), niter=4)
    scaled = directions.T[:rank] * lengths[:rank, None] / max(len(deviations), 1) ** 0.5
    owner = torch.as_tensor(subject)[labelled]
    return {"means": means.half(), "directions": scaled[undominated(deviations @ directions[:, :rank], owner)].half()}
