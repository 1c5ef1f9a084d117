"""Which precision, provider and number of threads are the fastest on this machine: measured once, kept for `load`.

`edgehar bench PACKAGE --tune` writes PACKAGE.tuned.json beside the package; `deploy.load` then uses what it names, as
long as package and machine are those it was measured with.
"""

import contextlib
import warnings
from collections.abc import Sequence
from typing import Any

from edgehar.deploy.bench.timing import WARM_UP_RUNS, Action, Subject, take_turns
from edgehar.deploy.packaging.parity import SAME_ANSWER_FLOOR, agreement, parity_arrays
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.runtime.providers import CPU, LITERT
from edgehar.deploy.runtime.tuned_profile import FORMAT, FORMAT_VERSION, machine, manifest_sha256, profile_path
from edgehar.errors import ConfigError
from edgehar.files.atomic import write_json
from edgehar.package.folder import EdgePackage

Row = dict[str, Any]


def _started(package: EdgePackage, precision: str, threads: int, wanted: Sequence[str]) -> Recognizer | None:
    """The package on the first of these providers, or None if that one cannot start."""
    with warnings.catch_warnings(), contextlib.suppress(ConfigError):  # said in the table: it has no row there
        warnings.simplefilter("ignore", RuntimeWarning)
        recognizer = Recognizer(package, precision, threads, wanted)
        if recognizer.providers[0] == wanted[0]:
            return recognizer
    return None


def _candidates(package: EdgePackage, most_threads: int, providers: Sequence[str]) -> list[tuple[Row, Recognizer]]:
    """Everything to be tried, with its agreement, which is measured once per provider and precision."""
    parity = parity_arrays(package)
    fp32 = _started(package, "fp32", 1, (CPU,)) if "fp32" in package.manifest.graphs else None
    found: list[tuple[Row, Recognizer]] = []
    for place, provider in enumerate(providers):
        wanted = tuple(providers[place:])  # those behind it take what it cannot compute
        for precision in package.manifest.graphs:
            same: float | None = None
            # Threads are those of the processor's cores; another provider has its own.
            for threads in range(1, (most_threads if provider in (CPU, LITERT) else 1) + 1):
                recognizer = _started(package, precision, threads, wanted)
                if recognizer is None:
                    break
                if same is None:
                    same = 1.0 if fp32 is None else float(agreement(recognizer, fp32, parity)["same_answer"])
                row: Row = {"precision": precision, "threads": threads, "providers": list(recognizer.providers)}
                found.append((row | {"same_answer_as_fp32": same}, recognizer))
    return found


def tune(
    package: EdgePackage, most_threads: int, runs: int, providers: Sequence[str], warm_up: int = WARM_UP_RUNS
) -> dict[str, Any]:
    """Measure every precision on every provider, with 1 to `most_threads` threads, in turns, and write the profile.

    The fastest is the one with the least median time per hop of a stream among those that name the class of fp32 on
    the CPU on enough of the parity windows.

    Args:
        package: the package.
        most_threads: largest number of onnxruntime's threads to try on the CPU.
        runs: timed runs of each.
        providers: onnxruntime's providers that are there, each tried as the first; those behind it stand by.
        warm_up: runs before that do not count.

    Returns:
        The profile: format, machine, manifest's sha256, every candidate with its figures, providers that did not
        start, and the chosen candidate.

    Raises ConfigError if no candidate can run, or none agrees with fp32.
    """
    candidates = _candidates(package, most_threads, providers)
    actions: dict[tuple[int, str], Action] = {}
    for number, (_, recognizer) in enumerate(candidates):
        subject = Subject(recognizer)
        actions |= {(number, name): subject.actions[name] for name in ("window", "hop")}
    times = take_turns(actions, runs, warm_up)
    rows: list[Row] = []
    for number, (row, _) in enumerate(candidates):
        medians = {f"{name}_median_ms": times[number, name].milliseconds()["median_ms"] for name in ("hop", "window")}
        rows.append(row | medians)
    allowed = [row for row in rows if row["same_answer_as_fp32"] >= SAME_ANSWER_FLOOR]
    if not allowed:
        raise ConfigError(
            f"no precision on {', '.join(providers)} names fp32's class on {SAME_ANSWER_FLOOR:.0%} of the parity "
            "windows; expected one that does; choose other --providers or quantise again"
        )
    best = min(allowed, key=lambda row: row["hop_median_ms"])
    profile: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "machine": machine(),
        "manifest_sha256": manifest_sha256(package),
        "runs": runs,
        "candidates": rows,
        "not_started": [name for name in providers if all(row["providers"][0] != name for row in rows)],
        "chosen": {key: best[key] for key in ("precision", "threads", "providers")},
    }
    write_json(profile_path(package.path), profile)
    return profile


def table(profile: dict[str, Any]) -> str:
    """The candidates for people, the fastest first."""
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
