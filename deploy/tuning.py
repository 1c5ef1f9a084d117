"""Which precision and how many threads are the fastest on this machine: measured once, kept beside the package.

`edgehar bench PACKAGE --tune` writes PACKAGE.tuned.json; `deploy.load` then uses what it names, as long as package and
machine are those it was measured with.
"""

from typing import Any

import numpy as np

from deploy.agreement import SAME_ANSWER_FLOOR, agreement, parity_arrays
from deploy.choice import FORMAT, FORMAT_VERSION, machine, manifest_sha256, profile_path
from deploy.recognizer import Recognizer
from deploy.timing import Subject, take_turns
from edgehar.files import write_json
from edgehar.package import EdgePackage


def tune(package: EdgePackage, most_threads: int, runs: int, providers: tuple[str, ...]) -> dict[str, Any]:
    """Measure every precision with 1 to `most_threads` threads, in turns, and write the profile.

    The fastest is the one with the least median time per hop of a stream among those that name fp32's class on
    enough of the parity windows; fp32 itself always does.

    Args:
        package: the package.
        most_threads: largest number of onnxruntime's threads to try.
        runs: timed runs of each.
        providers: onnxruntime's providers in order of preference.

    Returns:
        The profile: format, machine, manifest's sha256, every candidate with its figures, and the chosen one.
    """
    parity = parity_arrays(package)
    fp32 = Recognizer(package, "fp32", 1, providers) if "fp32" in package.manifest.graphs else None
    candidates: list[tuple[dict[str, Any], Subject]] = []
    for precision in package.manifest.graphs:
        same = 1.0
        for threads in range(1, most_threads + 1):
            recognizer = Recognizer(package, precision, threads, providers)
            if threads == 1 and fp32 is not None:
                same = agreement(recognizer, fp32, parity)["same_answer"]
            facts = {"precision": precision, "threads": threads, "same_answer_as_fp32": same}
            candidates.append((facts | {"providers": list(recognizer.providers)}, Subject(recognizer)))
    take_turns([subject for _, subject in candidates], runs)
    rows: list[dict[str, Any]] = []
    for facts, subject in candidates:
        milliseconds = {
            f"{kind}_median_ms": float(np.median(subject.times_s[kind])) * 1000 for kind in ("hop", "window")
        }
        rows.append(facts | milliseconds)
    allowed = [row for row in rows if row["same_answer_as_fp32"] >= SAME_ANSWER_FLOOR]
    best = min(allowed, key=lambda row: row["hop_median_ms"])
    profile: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "machine": machine(),
        "manifest_sha256": manifest_sha256(package),
        "runs": runs,
        "candidates": rows,
        "chosen": {key: best[key] for key in ("precision", "threads", "providers")},
    }
    write_json(profile_path(package.path), profile)
    return profile


def table(profile: dict[str, Any]) -> str:
    """The candidates for people, the fastest first."""
    lines = [f"{'precision':<14}{'threads':>8}{'hop ms':>10}{'window ms':>11}{'as fp32':>9}"]
    for row in sorted(profile["candidates"], key=lambda row: row["hop_median_ms"]):
        lines.append(
            f"{row['precision']:<14}{row['threads']:>8}{row['hop_median_ms']:>10.3f}{row['window_median_ms']:>11.3f}"
            f"{row['same_answer_as_fp32']:>9.1%}"
        )
    chosen = profile["chosen"]
    lines.append(f"chosen for this machine: {chosen['precision']}, {chosen['threads']} thread(s)")
    return "\n".join(lines)
