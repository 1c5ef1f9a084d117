"""Deletion and insertion curves: the probability of the answer as the most important parts are removed or added.

Petsiuk et al., RISE, BMVC 2018. A part is a group in a step; a removed part is held still, as in
`edgehar.explanation.probe`. The score is the area under the curve: low for deletion and high for insertion where the
important parts come first. Removing is what occlusion measures, so it may be favoured; integrated gradients start from
the same still window.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from edgehar.data.registry import DataOptions
from edgehar.explanation.probe import still_features
from edgehar.metrics.calibration import softmax
from edgehar.signals.modality import ModalitySpec
from edgehar.signals.windows import Windows
from edgehar.student.network.model import StudentNetwork
from edgehar.student.network.rebuild import rebuild
from edgehar.teacher.training.checkpoint import load_checkpoint
from edgehar.teacher.training.stage import load_checkpoint_data, predict
from tools.faithfulness.methods import METHODS, all_parts, summarised, timed_saliency

POINTS = 20


def curve_windows(window: Windows, specs: Sequence[ModalitySpec], order: NDArray[np.intp], insertion: bool) -> Windows:
    """POINTS + 1 copies of a window: in copy i, the first i / POINTS of the parts in `order` are still (or kept).

    Args:
        window: one window.
        specs: its sensors.
        order: indices of all parts as in `edgehar` maps: sensor by sensor, step by step, group by group.
        insertion: start from the still window and add parts.
    """
    counts = np.linspace(0, len(order), POINTS + 1).round().astype(int)
    rank = np.empty(len(order), np.intp)
    rank[order] = np.arange(len(order))
    copies = window.take(np.zeros(POINTS + 1, np.intp))
    features, first = dict(copies.features), 0
    for spec in specs:
        steps = copies.valid[spec.name].shape[1]
        ranks = rank[first : first + steps * spec.groups].reshape(steps, spec.groups)
        first += steps * spec.groups
        reached = ranks[None] < counts[:, None, None]  # (points, S, G)
        still = still_features(window.features[spec.name][0], window.valid[spec.name][0], spec)  # (G, F)
        valid = copies.valid[spec.name][..., None]
        removed = (reached != insertion) & valid
        features[spec.name] = np.where(removed[:, :, None, :, None], still, copies.features[spec.name])
    return replace(copies, features=features)


def measure_deletion(checkpoint_folder: Path, root: str | None, most: int, seed: int) -> dict[str, Any]:
    """Score every method on correctly recognised windows of the test subjects, up to `most` drawn at random."""
    checkpoint = load_checkpoint(checkpoint_folder, ("student", "pruned"))
    network, specs = cast(StudentNetwork, rebuild(checkpoint)), checkpoint.info.modalities
    windows = load_checkpoint_data(checkpoint, DataOptions(root=root)).test
    device = torch.device("cpu")
    correct = predict(network, windows, device).argmax(axis=1) == windows.label
    generator = np.random.default_rng(seed)
    rows: list[int] = generator.permutation(np.flatnonzero(correct))[:most].tolist()
    scores: dict[str, dict[str, list[float]]] = {method: defaultdict(list) for method in METHODS}
    seconds: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        one, label = windows.take(np.array([row])), int(windows.label[row])
        for method in METHODS:
            saliency, took_s = timed_saliency(method, network, one, specs, label, generator)
            seconds[method].append(took_s)
            # Parts of equal importance come in random order.
            parts = all_parts(saliency, specs)
            order = np.lexsort((generator.random(len(parts)), -parts))
            for name, insertion in (("deletion", False), ("insertion", True)):
                logits = predict(network, curve_windows(one, specs, order, insertion), device)
                curve = softmax(logits)[:, label]
                scores[method][name].append(float(np.trapezoid(curve, dx=1 / POINTS)))
    return {
        "data": checkpoint.info.name,
        "score": "area under the probability of the activity as parts are deleted (low is good) or inserted",
        "windows": len(rows),
        "accuracy": round(float(correct.mean()), 4),
        "methods": summarised(scores, seconds, ("deletion",)),
    }
