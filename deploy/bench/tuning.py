"""Finds the fastest precision, provider and number of threads on this machine.

`edgehar bench PACKAGE --tune` writes PACKAGE.tuned.json beside the package; `edgehar.load` applies it while the package
and the machine are unchanged.
"""

import contextlib
import warnings
from collections.abc import Sequence
from typing import Any

from edgehar.deploy.bench.timing import WARM_UP_RUNS, Action, BenchmarkTarget, time_interleaved
from edgehar.deploy.packaging.parity import AGREEMENT_FLOOR, agreement, parity_arrays
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.runtime.providers import CPU, LITERT
from edgehar.deploy.runtime.tuned_profile import FORMAT, FORMAT_VERSION, machine, manifest_sha256
from edgehar.errors import ConfigError
from edgehar.package.folder import EdgePackage

Row = dict[str, Any]


def _open(package: EdgePackage, precision: str, threads: int, providers: Sequence[str]) -> Recognizer | None:
    """The package on the first of these providers, or None if that one cannot start."""
    with warnings.catch_warnings(), contextlib.suppress(ConfigError):  # the table lists it as not started
        warnings.simplefilter("ignore", RuntimeWarning)
        recognizer = Recognizer(package, precision, threads, providers)
        if recognizer.providers[0] == providers[0]:
            return recognizer
    return None


def _candidates(package: EdgePackage, max_threads: int, providers: Sequence[str]) -> list[tuple[Row, Recognizer]]:
    """Every combination to measure, with its agreement, which is computed once per provider and precision."""
    parity = parity_arrays(package)
    fp32 = _open(package, "fp32", 1, (CPU,)) if "fp32" in package.manifest.graphs else None
    candidates: list[tuple[Row, Recognizer]] = []
    for index, provider in enumerate(providers):
        fallbacks = tuple(providers[index:])  # the later ones compute the operators it lacks
        for precision in package.manifest.graphs:
            same: float | None = None
            # The option is for providers on the CPU; others have their own threads.
            for threads in range(1, (max_threads if provider in (CPU, LITERT) else 1) + 1):
                recognizer = _open(package, precision, threads, fallbacks)
                if recognizer is None:
                    break
                if same is None:
                    same = 1.0 if fp32 is None else float(agreement(recognizer, fp32, parity)["same_answer"])
                row: Row = {"precision": precision, "threads": threads, "providers": list(recognizer.providers)}
                candidates.append((row | {"same_answer_as_fp32": same}, recognizer))
    return candidates


def tune(
    package: EdgePackage, max_threads: int, runs: int, providers: Sequence[str], warm_up: int = WARM_UP_RUNS
) -> dict[str, Any]:
    """Measure every precision on every provider, with 1 to `max_threads` threads.

    The fastest candidate has the lowest median time per stream hop among those whose agreement with fp32 on the CPU is
    at least `AGREEMENT_FLOOR`.

    Args:
        package: the package.
        max_threads: largest number of threads to try on the CPU.
        runs: timed runs of each candidate.
        providers: available providers; each is tried with the ones after it as fallbacks.
        warm_up: untimed runs before each burst.

    Returns:
        The profile: format, machine, manifest's sha256, every candidate with its figures, providers that did not
        start, and the chosen candidate.

    Raises ConfigError if no candidate can run, or none agrees with fp32.
    """
    candidates = _candidates(package, max_threads, providers)
    actions: dict[tuple[int, str], Action] = {}
    for index, (_, recognizer) in enumerate(candidates):
        target = BenchmarkTarget(recognizer)
        actions |= {(index, name): target.actions[name] for name in ("window", "hop")}
    times = time_interleaved(actions, runs, warm_up)
    rows: list[Row] = []
    for index, (row, _) in enumerate(candidates):
        medians = {f"{name}_median_ms": times[index, name].milliseconds()["median_ms"] for name in ("hop", "window")}
        rows.append(row | medians)
    allowed = [row for row in rows if row["same_answer_as_fp32"] >= AGREEMENT_FLOOR]
    if not allowed:
        raise ConfigError(
            f"no precision on {', '.join(providers)} predicts fp32's class on {AGREEMENT_FLOOR:.0%} of the parity "
            "windows; expected one or more; choose other --providers or quantise again"
        )
    best = min(allowed, key=lambda row: row["hop_median_ms"])
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "machine": machine(),
        "manifest_sha256": manifest_sha256(package),
        "runs": runs,
        "candidates": rows,
        "not_started": [name for name in providers if all(row["providers"][0] != name for row in rows)],
        "chosen": {key: best[key] for key in ("precision", "threads", "providers")},
    }


def tuning_table(profile: dict[str, Any]) -> str:
    """The candidates as text, the fastest first."""
    lines = [f"{'precision':<14}{'threads':>8}{'hop ms':>10}{'window ms':>11}{'as fp32':>9}  provider"]
    for row in sorted(profile["candidates"], key=lambda row: row["hop_median_ms"]):
        lines.append(
            f"{row['precision']:<14}{row['threads']:>8}{row['hop_median_ms']:>10.3f}{row['window_median_ms']:>11.3f}"
            f"{row['same_answer_as_fp32']:>9.1%}  {row['providers'][0]}"
        )
    lines += [f"{name} did not start" for name in profile["not_started"]]
    chosen = profile["chosen"]
    lines.append(
        f"chosen for this machine: {chosen['precision']}, {chosen['threads']} thread(s), {chosen['providers'][0]}"
    )
    return "\n".join(lines)
