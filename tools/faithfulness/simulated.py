"""Area under precision-recall of saliency against which limb acts and when, by the body simulator."""

from collections import defaultdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from edgehar.data.registry import DataOptions
from edgehar.errors import DataError
from edgehar.metrics.precision_recall import average_precision
from edgehar.simulation.acting import ACTING_MPS, acting_parts
from edgehar.simulation.dataset import SimulatorConfig
from edgehar.student.network.model import StudentNetwork
from edgehar.student.network.rebuild import rebuild
from edgehar.teacher.training.checkpoint import load_checkpoint
from edgehar.teacher.training.stage import load_checkpoint_data, predict
from tools.faithfulness.methods import METHODS, all_parts, summarised, timed_saliency

MOST_ACTING = 0.6
"""Windows in which a larger share of all parts acts are excluded: there every map is right."""


def measure_simulated(checkpoint_folder: Path, most: int, seed: int) -> dict[str, Any]:
    """Score every method on correctly recognised windows of the test subjects, up to `most` drawn at random.

    Scores: "parts", all groups in all steps; "skeleton", the joints in all steps; "limbs", each joint's importance
    over the window against whether it acts at all; "steps", each step's importance against whether a joint acts.
    """
    checkpoint = load_checkpoint(checkpoint_folder, ("student", "pruned"))
    info = checkpoint.info
    if info.name != "simulated":
        raise DataError(f"{checkpoint_folder}: trained on {info.name}; expected simulated recordings; choose another")
    network = cast(StudentNetwork, rebuild(checkpoint))
    windows = load_checkpoint_data(checkpoint, DataOptions()).test
    correct = predict(network, windows, torch.device("cpu")).argmax(axis=1) == windows.label
    generator = np.random.default_rng(seed)
    steps, specs = info.window.steps, info.modalities
    scores: dict[str, dict[str, list[float]]] = {method: defaultdict(list) for method in METHODS}
    seconds: dict[str, list[float]] = defaultdict(list)
    shares: dict[str, list[float]] = defaultdict(list)
    used = 0
    for row in generator.permutation(np.flatnonzero(correct)).tolist():
        acting = acting_parts(SimulatorConfig(), str(windows.clip[row]), steps)
        truth = np.concatenate([acting[spec.name].reshape(-1) for spec in specs])
        skeleton = acting["skeleton"]
        if used == most or not 0 < truth.mean() <= MOST_ACTING or not skeleton.any():
            continue
        used += 1
        truths = {
            "parts": truth,
            "skeleton": skeleton.reshape(-1),
            "limbs": skeleton.any(axis=0),
            "steps": skeleton.any(axis=1),
        }
        one = windows.take(np.array([row]))
        for name, found in truths.items():
            shares[name].append(float(found.mean()))
        for method in METHODS:
            saliency, took_s = timed_saliency(method, network, one, specs, int(windows.label[row]), generator)
            joints = saliency.groups["skeleton"]
            values = {
                "parts": all_parts(saliency, specs),
                "skeleton": joints.reshape(-1),
                "limbs": joints.sum(axis=0),
                "steps": saliency.steps,
            }
            seconds[method].append(took_s)
            for name, found in truths.items():
                scores[method][name].append(average_precision(values[name], found))
    return {
        "score": "area under precision-recall",
        "truth": f"parts that the activity moves faster than {ACTING_MPS} m/s",
        "share_true": {name: round(float(np.mean(found)), 4) for name, found in shares.items()},
        "windows": used,
        "accuracy": round(float(correct.mean()), 4),
        "methods": summarised(scores, seconds),
    }
