"""Robustness suite: accuracy of a package with late, lossy, noisy and missing sensors.

The scenarios are in `edgehar.signals.faults`, their definitions in docs/robustness.md.
"""

from typing import Any

import numpy as np

from edgehar.data.registry import select
from edgehar.data.splits import make_split
from edgehar.deploy.evaluation.recordings import ALL_SUBJECTS, check_dataset
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import SplitError
from edgehar.metrics.classification import score
from edgehar.signals.clip import Dataset
from edgehar.signals.faults import CATEGORIES, apply, scenarios, signal_spread
from edgehar.signals.windows import cut

WORST_SHOWN = 3


def robustness(recognizer: Recognizer, dataset: Dataset, split: str, seed: int = 0) -> dict[str, Any]:
    """Score the labelled windows of a split's test subjects in every scenario.

    The windows are the same in every scenario, so that counts are comparable. Without any sensor the network predicts
    a prior, the same class for every window, which is correct for that class's share of them (about one in K for
    balanced classes); it is counted like any other prediction.

    Args:
        recognizer: the package.
        dataset: the recordings.
        split: name of a split; noise is relative to the signals of its training subjects.
        seed: seeds the random numbers, together with the indices of scenario and recording.

    Returns:
        Plain numbers for JSON: seed, scenarios [{name, category, correct, total, accuracy}], categories {category: mean
        accuracy of its scenarios} and overall, the mean of the categories other than clean.

    Raises:
        DataError: the recordings do not fit the package.
        SplitError: the split does not fit the data set or has no training subjects.
    """
    manifest = recognizer.manifest
    names = tuple(spec.name for spec in manifest.modalities)
    check_dataset(recognizer, dataset, names)
    if split == ALL_SUBJECTS:
        raise SplitError(
            f"split {split}: no training subjects; expected some, since noise is relative to their signals; "
            "give a split such as the one that the package was trained on"
        )
    clips = select(dataset, names).clips
    sides = make_split(split, clips)
    spread = signal_spread(sides.train_clips(clips))
    test = {clip.name for clip in sides.test_clips(clips)}
    tested = [(index, clip) for index, clip in enumerate(clips) if clip.name in test]
    rows: list[dict[str, Any]] = []
    for number, scenario in enumerate(scenarios(manifest.modalities)):
        faulty = (
            apply(clip, scenario.faults, spread, np.random.default_rng((seed, number, index))) for index, clip in tested
        )
        windows = cut(faulty, manifest.info, manifest.normalisation).labelled()
        predicted = recognizer.predict_prepared(windows).argmax(axis=1)  # (N,)
        scored = score(windows.label, predicted, windows.subject, manifest.labels)
        counts = {key: scored[key] for key in ("correct", "total", "accuracy")}
        rows.append({"name": scenario.name, "category": scenario.category, **counts})
    categories = {
        category: float(np.mean([row["accuracy"] for row in rows if row["category"] == category]))
        for category in CATEGORIES
    }
    overall = float(np.mean([mean for category, mean in categories.items() if category != "clean"]))
    return {"seed": seed, "scenarios": rows, "categories": categories, "overall": overall}


def summary(result: dict[str, Any]) -> str:
    """Format the result of `robustness` as text: category means, their mean and the worst scenarios."""
    lines = [f"robustness, {len(result['scenarios'])} scenarios, seed {result['seed']}"]
    lines += [f"  {category:<28}{mean:>8.2%}" for category, mean in result["categories"].items()]
    lines += [f"  {'overall (without clean)':<28}{result['overall']:>8.2%}", "  worst:"]
    for row in sorted(result["scenarios"], key=lambda row: row["accuracy"])[:WORST_SHOWN]:
        lines.append(f"    {row['name']:<26}{row['accuracy']:>8.2%}  {row['correct']} of {row['total']}")
    return "\n".join(lines)
