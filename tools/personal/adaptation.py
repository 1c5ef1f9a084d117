"""Measures `edgehar adapt` on each test person of a package: half of the recordings adapt it, the other half is scored.

python tools/personal/adaptation.py PACKAGE --data utd-mhad --out docs/results/personal/adaptation.json
"""

import argparse
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np

from edgehar.data import registry
from edgehar.data.columns import in_order_of
from edgehar.deploy.evaluation.recordings import scored_clips
from edgehar.deploy.learning.options import empty_personal, open_for_learning
from edgehar.deploy.learning.recordings import DRAWS as LOST_STEP_DRAWS
from edgehar.deploy.learning.recordings import with_lost_steps
from edgehar.deploy.personal.adaptation import check, learn_map
from edgehar.deploy.runtime.signature import open_package
from edgehar.files.atomic import write_json
from edgehar.provenance import portable, stamp
from edgehar.signals.clip import Floats
from edgehar.signals.windows import cut

DRAWS = 6
"""Draws of a third of the activities, to measure recordings in which activities are missing."""


def measure(features: Floats, faulty: Floats, label: Any, weight: Floats, bias: Floats) -> dict[str, Any]:
    """Right answers (out of all windows) without and with the adaptation, with the guard and without it.

    Every second recording of each activity adapts the package and the others are scored, and the other way round.
    """
    order = np.lexsort((np.arange(len(label)), label))
    first = np.zeros(len(label), bool)
    first[order[::2]] = True
    right = {"before": 0, "adapted": 0, "guarded": 0}
    reasons: list[str] = []
    seconds, peak = 0.0, 0
    for learnt_from in (first, ~first):
        held = ~learnt_from
        tracemalloc.start()
        started_s = time.monotonic()
        guard = check(features[learnt_from], faulty[learnt_from], features[:0], label[:0], weight, bias)
        scale, shift = learn_map(features[learnt_from], weight, bias)
        seconds += time.monotonic() - started_s
        peak = max(peak, tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        plain = int(((features[held] @ weight.T + bias).argmax(1) == label[held]).sum())
        adapted = int((((features[held] * scale + shift) @ weight.T + bias).argmax(1) == label[held]).sum())
        reasons.append(guard.reason)
        right["before"] += plain
        right["adapted"] += adapted
        right["guarded"] += plain if guard.reason else adapted
    return {
        "windows": len(label), **right, "refused": reasons, "seconds": round(seconds, 3), "peak_mb": peak / 2**20,
    }  # fmt: skip


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
    features = recognizer.features(windows)
    random = np.random.default_rng(0)
    faulty = np.stack([recognizer.features(with_lost_steps(windows, random)) for _ in range(LOST_STEP_DRAWS)], 1)
    weight, bias = recognizer.personal_head.weight, recognizer.personal_head.bias
    people: dict[str, Any] = {}
    for person in np.unique(windows.subject).tolist():
        rows = windows.subject == person
        whole = measure(features[rows], faulty[rows], windows.label[rows], weight, bias)
        draws: list[dict[str, Any]] = []
        labels = np.unique(windows.label[rows])
        for draw in range(DRAWS):
            chosen = np.random.default_rng(draw).permutation(labels)[: len(labels) // 3]
            few = rows & np.isin(windows.label, chosen)
            draws.append(measure(features[few], faulty[few], windows.label[few], weight, bias))
        people[person] = {"all_activities": whole, "third_of_the_activities": draws}
    command = ["python", "tools/personal/adaptation.py", *(sys.argv[1:] if argv is None else argv)]
    facts = {"parameters": package.manifest.parameters, "files": package.manifest.files}
    write_json(
        Path(options.out), {"command": portable(command), "seed": 0, **stamp(), "package": facts, "people": people}
    )
    for person, found in people.items():
        draws = found["third_of_the_activities"]
        few = {key: sum(draw[key] for draw in draws) for key in ("windows", "before", "adapted", "guarded")}
        whole = {key: value for key, value in found["all_activities"].items() if key != "peak_mb"}
        sys.stdout.write(f"{person}: all {whole}; a third {few}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
