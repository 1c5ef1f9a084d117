"""Soft targets from a file: out-of-fold predictions of a teacher of any kind for the training windows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgehar.errors import DataError
from edgehar.metrics.calibration import softmax
from edgehar.metrics.out_of_fold import OutOfFold, read_out_of_fold, recordings_digest
from edgehar.signals.clip import Floats
from edgehar.signals.windows import Windows
from edgehar.teacher.training.stage import StageData

SUFFIX = ".npz"
"""Ending of such a file; other paths are folders of checkpoints."""
MIN_PROBABILITY = 1e-8
"""Smaller target probabilities are raised to this: the losses need finite logarithms."""
CURE = "make it again: edgehar baseline KIND --out-of-fold FILE, or edgehar crossvalidate --outer SPLIT"


@dataclass(frozen=True)
class StoredTargets:
    """The weighted mean of the probabilities of all files.

    Attributes:
        probabilities: (N, K) for the training windows.
        weight: share of the files among all teachers, 0 to 1.
    """

    probabilities: Tensor
    weight: float

    def to(self, device: torch.device) -> "StoredTargets":
        """The same on a device."""
        return StoredTargets(self.probabilities.to(device), self.weight)

    def combine(self, logits: Tensor, stored: Tensor) -> Tensor:
        """Logarithms (B, K) of the mean probabilities of checkpoints and files.

        Args:
            logits: (B, K) of the checkpoints.
            stored: (B, K) probabilities of the same windows from the files, mixed by mixup as the windows are.
        """
        mean = (1 - self.weight) * logits.softmax(1) + self.weight * stored
        return mean.clamp(min=MIN_PROBABILITY).log()


def _in_order_of(path: Path, found: OutOfFold, windows: Windows) -> Floats:
    """Probabilities (N, K) of these windows; raises DataError if one is missing or has another label."""
    if found.start_s is None:
        raise DataError(f"{path}: found no starts of windows, as in files of earlier versions; {CURE}")
    keys = zip(found.clip.tolist(), found.start_s.round(6).tolist(), strict=True)
    rows = {key: row for row, key in enumerate(keys)}
    wanted = list(zip(windows.clip.tolist(), windows.start_s.round(6).tolist(), strict=True))
    missing = [key for key in wanted if key not in rows]
    if missing:
        clip, start_s = missing[0]
        raise DataError(
            f"{path}: has no prediction for {len(missing)} of {len(wanted)} training windows, such as {clip} from "
            f"{start_s:g} s; expected all windows that the student learns from; {CURE}"
        )
    order = np.asarray([rows[key] for key in wanted], np.intp)
    other = np.flatnonzero(found.label[order] != windows.label)
    if len(other):
        raise DataError(
            f"{path}: {len(other)} of {len(wanted)} windows have another label than in the recordings, such as "
            f"{windows.clip[other[0]]}; expected predictions for these recordings; {CURE}"
        )
    return softmax(found.logits[order])


def load_targets(
    files: Sequence[Path], weights: Sequence[float], checkpoint_weight: float, data: StageData, windows: Windows
) -> StoredTargets:
    """Read the files' predictions for the windows that the student learns from.

    Args:
        files: one or more, see `edgehar.metrics.out_of_fold`.
        weights: weight of each file.
        checkpoint_weight: sum of the weights of the teachers that are checkpoints.
        data: the student's recordings and split.
        windows: N labelled windows.

    Raises DataError for a file of other recordings, labels, sensors or people, or without some of the windows.
    """
    info, split = data.dataset.info, data.split
    digest = recordings_digest(split.train_clips(data.dataset.clips))
    mean = np.zeros((len(windows), len(info.labels)))
    for path, weight in zip(files, weights, strict=True):
        found = read_out_of_fold(path)
        names = [spec.name for spec in info.modalities]
        try:
            found.check(info.labels, names, split.train, split.test, "the student", split.train_recordings)
        except DataError as problem:
            raise DataError(f"{path}: {problem}") from None
        mean += weight * _in_order_of(path, found, windows)
        if found.recordings != digest:
            raise DataError(f"{path}: was made from other signals of these recordings; expected the same; {CURE}")
    total = sum(weights)
    probabilities = torch.as_tensor(mean / total if total else mean, dtype=torch.float32)
    return StoredTargets(probabilities, total / (total + checkpoint_weight))
