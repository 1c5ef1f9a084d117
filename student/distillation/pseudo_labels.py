"""Which training windows a student learns from, and with which labels: given labels, or pseudo-labels of its teachers.

Pseudo-labels (Lee, ICML 2013 workshop on challenges in representation learning) of unlabelled windows train a strongly
augmented student that is more accurate than its teacher (Noisy Student, arXiv 1911.04252). They also determine which
windows may exchange limbs and style (`edgehar.teacher.augmentation.part_swap`).
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgehar.choices import NO_PSEUDO_LABELS, PSEUDO_LABELS
from edgehar.errors import ConfigError
from edgehar.signals.windows import UNLABELLED, Windows, stratified
from edgehar.student.distillation.ensemble import TeacherEnsemble
from edgehar.teacher.training.stage import StageData, one_hot, predict

_, LIKELY, EQUAL = PSEUDO_LABELS
CERTAIN = 50.0
"""Logit of a given label; those of all other activities are 0."""
ALIGNMENT_STEPS = 100

Selection = Callable[[Windows], Windows]
"""Training windows, or a faulty copy of them -> the windows to learn from, with the labels to learn."""


def equal_shares(logits: Tensor) -> Tensor:
    """Offset (K,) of logits (N, K) with which every class is predicted equally often on average.

    Distribution alignment (ReMixMatch, Berthelot et al., arXiv 1911.09785, section 3.1) towards equal shares, iterated
    to convergence (Sinkhorn and Knopp, as in Asano et al., arXiv 1911.05371, section 3.1).
    """
    offset = torch.zeros_like(logits[0])
    for _ in range(ALIGNMENT_STEPS):
        offset = offset - (logits + offset).softmax(1).mean(0).log()
        offset = offset - offset.mean()
    return offset


def pseudo_labelled(windows: Windows, teachers: TeacherEnsemble, kind: str, device: torch.device) -> Windows:
    """Label every unlabelled window with the teachers' most probable activity.

    With `EQUAL`, the predictions for each subject's windows are first aligned to equal shares of all activities; given
    labels count with certainty. Subjects who follow a protocol differ in style, which teachers of few labels mistake
    for other activities, but not in what they perform.

    Activities without any given label are not predicted. Raises ConfigError if no window is unlabelled, or, with
    `EQUAL`, if a subject with unlabelled windows has fewer windows than there are activities.
    """
    given = torch.as_tensor(windows.label != UNLABELLED)
    if given.all():
        raise ConfigError(
            f"--pseudo-labels {kind}: all {len(windows)} windows have a label; give a smaller --label-share, or omit "
            "--pseudo-labels"
        )
    labels = torch.as_tensor(windows.label)
    activities, index = labels[given].unique(return_inverse=True)
    logits = torch.as_tensor(predict(teachers, windows, device), dtype=torch.float64)[:, activities]
    logits[given] = CERTAIN * one_hot(index, len(activities), 0.0).double()
    for subject in np.unique(windows.subject[~given.numpy()]) if kind == EQUAL else ():
        rows = torch.as_tensor(windows.subject == subject)
        if int(rows.sum()) < logits.shape[1]:
            raise ConfigError(
                f"--pseudo-labels {EQUAL}: subject {subject} has {int(rows.sum())} windows; expected at least one for "
                f"each of {logits.shape[1]} activities; use --pseudo-labels {LIKELY}"
            )
        logits[rows] += equal_shares(logits[rows])
    return replace(windows, label=torch.where(given, labels, activities[logits.argmax(1)]).numpy())


def labelled_subset(train: Windows, share: float, draw: int) -> NDArray[np.intp]:
    """Rows of the training windows whose labels are used, the same as in `finetune` with these options."""
    labelled = np.flatnonzero(train.label != UNLABELLED)
    return labelled[stratified(train.label[labelled], share, draw)]


def training_selection(
    data: StageData,
    labelled_rows: NDArray[np.intp],
    uses_teachers: bool,
    kind: str,
    teachers: TeacherEnsemble,
    device: torch.device,
) -> Selection:
    """The training windows to learn from, as a function that also applies to their faulty copies.

    Args:
        data: the recordings.
        labelled_rows: rows of the windows whose labels are used.
        uses_teachers: whether a loss uses the teachers; without that and pseudo-labels, only `labelled_rows` remain.
        kind: one of `PSEUDO_LABELS`.
        teachers: source of the pseudo-labels.
        device: device of the teachers.

    Windows without a label in the recordings remain only if they get a pseudo-label and the recordings are pre-cut
    clips; in continuous recordings they are the transitions between activities.
    """
    train, in_recordings = data.train.keep_labels(labelled_rows), np.flatnonzero(data.train.label != UNLABELLED)
    if kind == NO_PSEUDO_LABELS:
        rows = in_recordings if uses_teachers else labelled_rows
        return lambda windows: windows.keep_labels(labelled_rows).take(rows)
    rows = np.arange(len(train)) if data.dataset.info.window.kind == "clip" else in_recordings
    labels = pseudo_labelled(train.take(rows), teachers, kind, device).label
    return lambda windows: replace(windows.take(rows), label=labels)
