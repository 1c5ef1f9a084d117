"""What training will see of a data set: usable steps after resampling, and why the others are not."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from edgehar.signals.clip import Bools, Clip, Dataset, DatasetInfo, Times
from edgehar.signals.modality import ModalitySpec
from edgehar.signals.preprocess import Normalisation
from edgehar.signals.resampling import clip_span_s
from edgehar.signals.steps import ContinuousSteps, Steps, clip_steps

REASONS = ("absent", "marked invalid", "gap", "starts late", "ends early")
"""Why a step of a sensor is not usable."""
BLOCK_STEPS = 4096


def usable_steps(dataset: Dataset) -> dict[str, dict[str, float]]:
    """Shares of the steps of each sensor.

    Returns:
        sensor -> "usable", each of `REASONS`: shares of all steps; "lost_joints": share of the joints of usable steps
        that are lost.
    """
    identity = Normalisation.identity(dataset.info.modalities)
    counts = {spec.name: Counter[str]() for spec in dataset.info.modalities}
    for clip in dataset.clips:
        for steps, centre_s in _blocks(clip, dataset.info, identity):
            for spec in dataset.info.modalities:
                valid, count = steps.valid[spec.name], counts[spec.name]
                count["steps"] += len(valid)
                count["usable"] += int(valid.sum())
                for reason, number in _reasons(clip, spec, centre_s[~valid]).items():
                    count[reason] += number
                if spec.lost_joints:
                    known = (steps.features[spec.name][valid] != 0).any(axis=(1, 3))  # (n, G)
                    count["joints"] += known.size
                    count["lost"] += known.size - int(known.sum())
    shares: dict[str, dict[str, float]] = {}
    for name, count in counts.items():
        shares[name] = {key: count[key] / max(count["steps"], 1) for key in ("usable", *REASONS)}
        shares[name]["lost_joints"] = count["lost"] / max(count["joints"], 1)
    return shares


def _blocks(clip: Clip, info: DatasetInfo, identity: Normalisation) -> list[tuple[Steps, Times]]:
    """Steps of a recording and the seconds (n,) of their centres, block by block."""
    if info.window.kind == "clip":
        steps, start_s, end_s = clip_steps(clip, info, identity)
        share = (np.arange(info.window.steps, dtype=np.float64) + 0.5) / info.window.steps
        return [(steps, start_s + share * (end_s - start_s))]
    whole = ContinuousSteps.of(clip, info, identity)
    blocks: list[tuple[Steps, Times]] = []
    for first in range(0, whole.count, BLOCK_STEPS):
        end = min(first + BLOCK_STEPS, whole.count)
        blocks.append((whole.between(first, end), (np.arange(first, end, dtype=np.float64) + 0.5) * info.window.step_s))
    return blocks


def _reasons(clip: Clip, spec: ModalitySpec, centre_s: Times) -> dict[str, int]:
    """Numbers of the unusable steps at these seconds, by reason."""
    if not len(centre_s):
        return {}
    if spec.name not in clip.signals:
        return {"absent": len(centre_s)}
    valid = clip.valid[spec.name]
    times_s = clip.times_s.get(spec.name)
    if times_s is None:  # stretched over the whole clip
        start_s, end_s = clip_span_s(clip) or (0.0, len(valid) / spec.rate_hz)
        times_s = np.linspace(start_s, end_s, len(valid))
    return {reason: int(found.sum()) for reason, found in _masks(centre_s, times_s, valid).items()}


def _masks(centre_s: Times, times_s: Times, valid: Bools) -> dict[str, Bools]:
    used_s = times_s[valid]
    if not len(used_s):
        return {"marked invalid": np.ones(len(centre_s), bool)}
    edges = np.concatenate([[-np.inf], used_s, [np.inf]])
    right = edges.searchsorted(centre_s)
    rows: NDArray[np.intp] = times_s.searchsorted(edges[right]) - times_s.searchsorted(edges[right - 1], side="right")
    marked = rows > 0
    before, after = centre_s < used_s[0], centre_s > used_s[-1]
    return {
        "marked invalid": marked,
        "starts late": before & ~marked,
        "ends early": after & ~marked,
        "gap": ~(before | after | marked),
    }
