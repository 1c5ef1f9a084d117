"""Which training windows a student learns from, and with which labels: known ones, or what its teachers make up.

Pseudo-labels (Lee, ICML 2013 workshop on challenges in representation learning) of unlabelled windows make a strongly
augmented student that is better than its teacher (Noisy Student, arXiv 1911.04252). Here they also say which windows
may lend each other limbs and style (`edgehar.teacher.augmentation.part_swap`).
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgehar.choices import PSEUDO_LABELS
from edgehar.errors import ConfigError
from edgehar.signals.windows import UNLABELLED, Windows, stratified
from edgehar.student.distillation.ensemble import TeacherEnsemble
from edgehar.teacher.training.stage import StageData, one_hot, predict

NONE, LIKELY, EQUAL = PSEUDO_LABELS
CERTAIN = 50.0
"""Logit of a label that is known, against 0 of all others."""
ALIGNMENTS = 100

Choice = Callable[[Windows], Windows]
"""Training windows, or a faulty copy of them -> those to learn from, with the labels to learn."""


def equal_shares(logits: Tensor) -> Tensor:
    """What to add to logits (N, K) so that every class is predicted equally often on average, (K,).

    Distribution alignment (ReMixMatch, Berthelot et al., arXiv 1911.09785, section 3.1) towards equal shares, repeated
    until they are equal (Sinkhorn and Knopp, as in Asano et al., arXiv 1911.05371, section 3.1).
    """
    offset = torch.zeros_like(logits[0])
    for _ in range(ALIGNMENTS):
        offset = offset - (logits + offset).softmax(1).mean(0).log()
        offset = offset - offset.mean()
    return offset


def pseudo_labelled(windows: Windows, teachers: TeacherEnsemble, kind: str, device: torch.device) -> Windows:
    """The same windows, those without a label with the one that the teachers find most likely.

    With `EQUAL`, after the predictions of each person's windows are corrected so that every activity is equally
    frequent among them, those with a label counting as what they are: people who follow a protocol differ in how they
    move, which teachers of few labels take for other activities, and not in what they do.

    Activities of which no label is known are none of theirs. Raises ConfigError where every window has a label, or,
    with `EQUAL`, somebody whose windows lack labels has fewer than there are activities.
    """
    known = torch.as_tensor(windows.label != UNLABELLED)
    if known.all():
        raise ConfigError(
            f"--pseudo-labels {kind}: all {len(windows)} windows have a label that is used; give a smaller "
            "--label-share, or leave the option out"
        )
    labels = torch.as_tensor(windows.label)
    activities, place = labels[known].unique(return_inverse=True)
    logits = torch.as_tensor(predict(teachers, windows, device), dtype=torch.float64)[:, activities]
    logits[known] = CERTAIN * one_hot(place, len(activities), 0.0).double()
    for person in np.unique(windows.subject[~known.numpy()]) if kind == EQUAL else ():
        rows = torch.as_tensor(windows.subject == person)
        if int(rows.sum()) < logits.shape[1]:
            raise ConfigError(
                f"--pseudo-labels {EQUAL}: {person} has {int(rows.sum())} windows of {logits.shape[1]} activities, and "
                f"cannot have done each equally often; use --pseudo-labels {LIKELY}"
            )
        logits[rows] += equal_shares(logits[rows])
    return replace(windows, label=torch.where(known, labels, activities[logits.argmax(1)]).numpy())


def labelled_subset(train: Windows, share: float, draw: int) -> NDArray[np.intp]:
    """Training windows whose labels are used: the share that `finetune` takes with the same two options."""
    labelled = np.flatnonzero(train.label != UNLABELLED)
    return labelled[stratified(train.label[labelled], share, draw)]


def chosen_windows(
    data: StageData, told: NDArray[np.intp], taught: bool, kind: str, teachers: TeacherEnsemble, device: torch.device
) -> Choice:
    """Which of the training windows to learn from.

    Args:
        data: the recordings.
        told: rows of the windows whose labels are used.
        taught: whether the teachers have a say in the losses; if not, and without pseudo-labels, only `told` are left.
        kind: of `PSEUDO_LABELS`.
        teachers: who makes them up.
        device: where.

    Windows that never had a label are left where the teachers label them and recordings are pre-cut clips; in
    continuous recordings they are what lies between the activities.
    """
    train, labelled = data.train.keep_labels(told), np.flatnonzero(data.train.label != UNLABELLED)
    if kind == NONE:
        keep = labelled if taught else told
        return lambda windows: windows.keep_labels(told).take(keep)
    keep = np.arange(len(train)) if data.dataset.info.window.kind == "clip" else labelled
    known = pseudo_labelled(train.take(keep), teachers, kind, device)
    return lambda windows: replace(windows.take(keep), label=known.label)
