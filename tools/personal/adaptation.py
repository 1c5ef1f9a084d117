"""Measures `edgehar adapt` on each test person of a package: half of the recordings adapt it, the other half is scored.

    python tools/personal/adaptation.py PACKAGE --data utd-mhad --out docs/results/personal/adaptation.json
    python tools/personal/adaptation.py PACKAGE --data selfback --split fold:0of5 --out adaptation.json

The hardest people are the fifth of the test people of whom the package recognises the smallest share without it.
"""

import argparse
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edgehar.data import registry
from edgehar.data.columns import in_order_of
from edgehar.deploy.evaluation.recordings import scored_clips
from edgehar.deploy.learning.options import empty_personal, open_for_learning
from edgehar.deploy.learning.recordings import DRAWS as LOST_STEP_DRAWS
from edgehar.deploy.learning.recordings import ThinnedWindows, with_lost_steps
from edgehar.deploy.personal.adaptation import check, learn_map
from edgehar.deploy.runtime.signature import open_package
from edgehar.files.atomic import write_json
from edgehar.provenance import portable, stamp
from edgehar.signals.clip import Bools, Floats
from edgehar.signals.windows import Windows, cut

DRAWS = 6
"""Draws of a third of the activities, to measure recordings in which activities are missing."""
LEAST_ACTIVITIES = 9
"""With fewer, a third of them is hardly a choice and is not measured."""


HARDEST = 0.2
"""Share of the people that counts as the hardest."""


def first_half(windows: Windows) -> Bools:
    """Half of one person's windows, (N,) True: every second recording of each activity, in order of the activities.

    A recording belongs to its most frequent activity. If a person has only one of an activity, it is the first half of
    each recording instead.
    """
    names, rows = np.unique(windows.clip, return_inverse=True)
    activity = np.array([np.bincount(windows.label[rows == clip]).argmax() for clip in range(len(names))])
    first = np.zeros(len(windows), bool)
    if np.bincount(activity)[np.unique(activity)].min() > 1:
        start = np.array([np.flatnonzero(rows == clip)[0] for clip in range(len(names))])
        first[np.isin(rows, np.lexsort((start, activity))[::2])] = True
        return first
    for clip in range(len(names)):
        own = np.flatnonzero(rows == clip)
        first[own[np.argsort(windows.start_s[own], kind="stable")][: len(own) // 2]] = True
    return first


def recorded_minutes(windows: Windows) -> float:
    """Length of the recordings between their first and last window, of which many may overlap."""
    recordings = [windows.clip == name for name in np.unique(windows.clip)]
    return sum(float(windows.end_s[rows].max() - windows.start_s[rows].min()) for rows in recordings) / 60


def measure(windows: Windows, features: Floats, weight: Floats, bias: Floats) -> dict[str, Any]:
    """Right answers (out of all windows) of one person without and with the adaptation, guarded and not.

    One half of the recordings adapts the package and the other one is scored, and the other way round. Of more than
    512 windows every second, fourth, ... adapts, as in `edgehar adapt`.

    Args:
        windows: N windows of the person.
        features: (N, 1 + D, F), theirs and those of D draws of lost steps.
        weight: (K, F) of the classifier.
        bias: (K,) of the classifier.
    """
    label, first = windows.label, first_half(windows)
    right = {"before": 0, "adapted": 0, "guarded": 0}
    reasons: list[str] = []
    seconds, peak = 0.0, 0
    for learnt_from in (first, ~first):
        held = features[~learnt_from, 0]
        tracemalloc.start()
        started_s = time.monotonic()
        thinned = ThinnedWindows()
        thinned.add(features[learnt_from])
        kept = thinned.kept()
        guard = check(kept[:, 0], kept[:, 1:], kept[:0, 0], label[:0], weight, bias)
        scale, shift = learn_map(kept[:, 0], weight, bias)
        seconds += time.monotonic() - started_s
        peak = max(peak, tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        plain = int(((held @ weight.T + bias).argmax(1) == label[~learnt_from]).sum())
        adapted = int((((held * scale + shift) @ weight.T + bias).argmax(1) == label[~learnt_from]).sum())
        reasons.append(guard.reason)
        right["before"] += plain
        right["adapted"] += adapted
        right["guarded"] += plain if guard.reason else adapted
    return {
        "windows": len(label), **right, "refused": reasons, "seconds": round(seconds, 3), "peak_mb": peak / 2**20,
    }  # fmt: skip


def hardest(people: dict[str, dict[str, Any]]) -> list[str]:
    """The fifth of the people with the smallest share of right windows before the adaptation, the worst one first."""
    share = {
        name: found["all_activities"]["before"] / found["all_activities"]["windows"] for name, found in people.items()
    }
    return sorted(share, key=lambda name: share[name])[: max(1, round(HARDEST * len(share)))]


def main(argv: list[str] | None = None) -> int:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package")
    parser.add_argument("--data", default="utd-mhad")
    parser.add_argument("--root")
    parser.add_argument("--split", default="odd-even")
    parser.add_argument("--out", required=True)
    options = parser.parse_args(argv)
    package = open_package(options.package, None)
    recognizer = open_for_learning(package, None, empty_personal(package))
    dataset = in_order_of(registry.load(options.data, options.root), package.manifest.modalities)
    used = tuple(spec.name for spec in package.manifest.modalities)
    clips = scored_clips(recognizer, dataset, options.split, used)
    windows = cut(clips, package.manifest.info, package.manifest.normalisation).labelled()
    random = np.random.default_rng(0)
    started_s = time.monotonic()
    views = [recognizer.features(windows)]
    views += [recognizer.features(with_lost_steps(windows, random)) for _ in range(LOST_STEP_DRAWS)]
    features_s = (time.monotonic() - started_s) / recorded_minutes(windows)
    features: Floats = np.stack(views, 1)  # (N, 1 + D, F)
    weight, bias = recognizer.personal_head.weight, recognizer.personal_head.bias
    people: dict[str, Any] = {}
    for person in np.unique(windows.subject).tolist():
        rows = windows.subject == person
        own = windows.take(rows)
        whole = measure(own, features[rows], weight, bias)
        whole["minutes"] = round(recorded_minutes(own), 2)
        draws: list[dict[str, Any]] = []
        labels = np.unique(own.label)
        for draw in range(DRAWS if len(labels) >= LEAST_ACTIVITIES else 0):
            chosen = np.random.default_rng(draw).permutation(labels)[: len(labels) // 3]
            few = cast(NDArray[np.bool_], rows & np.isin(windows.label, chosen))
            draws.append(measure(windows.take(few), features[few], weight, bias))
        people[person] = {"all_activities": whole, "third_of_the_activities": draws}
    command = ["python", "tools/personal/adaptation.py", *(sys.argv[1:] if argv is None else argv)]
    facts = {"parameters": package.manifest.parameters, "files": package.manifest.files}
    result = {
        "command": portable(command), "seed": 0, **stamp(), "package": facts, "split": options.split,
        "hardest": hardest(people), "features_seconds_per_minute": round(features_s, 4), "people": people,
    }  # fmt: skip
    write_json(Path(options.out), result)
    sys.stdout.write(f"hardest: {', '.join(hardest(people))}; features {features_s:.3f} s per minute\n")
    for person, found in people.items():
        draws = found["third_of_the_activities"]
        few = {key: sum(draw[key] for draw in draws) for key in ("windows", "before", "adapted", "guarded")}
        whole = {key: value for key, value in found["all_activities"].items() if key != "peak_mb"}
        sys.stdout.write(f"{person}: all {whole}; a third {few}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
