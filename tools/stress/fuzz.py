"""Fuzzing of the package loader: randomly damaged packages must be refused with a named error, without a crash.

    python tools/stress/fuzz.py runs/quickstart/package --count 200 --json fuzz.json
    python tools/stress/fuzz.py runs/quickstart/package --count 2000 --structure

In half of the packages the checksums must detect the damage. In the other half the checksums are recomputed, so that
the damage reaches the checks behind them, up to onnxruntime itself. A child process opens each package, reads its
arrays and computes a prediction. With `cryptography` installed the package is signed, and half of those with outdated
checksums are opened with the key. The exit code is 2 if a package with damage that matters was accepted, ended with
an unnamed error, took longer than two seconds, brought the child above 300 MB of resident memory (Linux only), or
crashed.

With --structure the packages have recomputed checksums and a graph that is well-formed, but whose attributes, inputs,
outputs, types, shapes, numbers or names were changed (`mutate.py`): the rules must reject what onnxruntime does not
survive.
"""

import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from edgehar.command_line import Parser
from edgehar.config import Options, option, positional, seed_option
from edgehar.deploy.bench.random_signals import random_recording
from edgehar.deploy.recognizer import load
from edgehar.deploy.runtime.device import peak_resident_bytes
from edgehar.deploy.runtime.signature import make_keys, sign_package
from edgehar.entry import guarded
from edgehar.errors import EdgeharError
from edgehar.files.atomic import write_json
from edgehar.package.folder import CARD, CHECKSUM, SIGNATURE, EdgePackage, amend_package
from edgehar.provenance import portable, stamp
from tools.stress.damage import damaged, reseal, structure_spans
from tools.stress.mutate import mutated

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden" / "package_v1"
SLOWEST_S, TIMEOUT_S = 2.0, 60.0
"""Limit of the time for a package, and the timeout after which a child is killed and counted as crashed."""
MOST_MEMORY_BYTES = 8 << 30
"""Limit of the child's address space, so that a large allocation fails."""
MOST_RESIDENT_BYTES = 300_000_000
RESET_PEAK = Path("/proc/self/clear_refs")
"""Linux: "5" written to it sets the peak of the resident memory back to the present one."""


@dataclass(frozen=True)
class FuzzConfig(Options):
    """Fuzzing."""

    package: str = positional("folder of an edge package; default: the one of the tests", str(GOLDEN))
    count: int = option(1000, "number of damaged packages", at_least=1)
    seed: int = seed_option()
    structure: bool = option(False, "change the structure of graphs instead of bytes of any file")
    json: str | None = option(None, "also write the result to this file")


PARSER = Parser(FuzzConfig, "python tools/stress/fuzz.py", __doc__ or "")

Outcome = tuple[str, str, str, float, float, int]
"""Result, error, message, wall time and CPU time in seconds, peak resident memory in bytes."""


@dataclass(frozen=True)
class Case:
    """One damaged package and its outcome."""

    file: str
    damage: str
    resealed: bool
    key: bool
    precision: str
    result: str = ""
    error: str = ""
    message: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0

    @property
    def good(self) -> bool:
        """Whether it was refused with a named error, or accepted with harmless damage, within the limits."""
        harmless = self.file == CARD or (self.file == SIGNATURE and not self.key) or self.resealed
        within = self.seconds < SLOWEST_S and self.peak_bytes < MOST_RESIDENT_BYTES
        return within and (self.result == "refused" or (self.result == "accepted" and harmless))


def attempt(folder: Path, precision: str, key: Path | None) -> Outcome:
    """Open a package and use all of its files: the result is "refused", "accepted" or "unnamed" (error)."""
    if RESET_PEAK.exists():
        RESET_PEAK.write_text("5")
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    try:
        recognizer = load(folder, precision, key=key)
        for name in recognizer.manifest.files:
            if name.endswith(".npz"):
                recognizer.package.arrays(name)
        signals = random_recording(
            recognizer.manifest.modalities, recognizer.manifest.window, 1, np.random.default_rng(0)
        )
        found = recognizer.predict(signals).probabilities
        usable = found.shape == (len(recognizer.manifest.labels),) and bool(np.isfinite(found).all())
        result, error, message = ("accepted" if usable else "unnamed"), "", "" if usable else f"probabilities {found}"
    except EdgeharError as problem:
        result, error, message = "refused", type(problem).__name__, str(problem)
    except Exception as problem:  # a failure that is counted
        result, error, message = "unnamed", type(problem).__name__, str(problem)
    took_s, took_cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
    return result, error, message[:400], took_s, took_cpu_s, peak_resident_bytes() or 0


def _child(pipe: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    attempt(GOLDEN, "fp32", None)  # loads the libraries
    while True:
        pipe.send(attempt(*pipe.recv()))


class Opener:
    """A child process that opens packages; a new one replaces it when it dies."""

    def __init__(self) -> None:
        """Start the child."""
        self._context = multiprocessing.get_context("spawn")
        self._start()

    def _start(self) -> None:
        self._pipe, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_child, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def open(self, folder: Path, precision: str, key: Path | None) -> Outcome:
        """As `attempt`; the result is "crashed" if the child died or timed out."""
        start_s = time.perf_counter()
        try:
            self._pipe.send((folder, precision, key))
            if self._pipe.poll(TIMEOUT_S):
                return self._pipe.recv()
            reason = f"no result within {TIMEOUT_S:g} s"
        except (EOFError, OSError):
            self._process.join(TIMEOUT_S)
            reason = f"exit code {self._process.exitcode}"
        self.close()
        self._start()
        return "crashed", "", reason, time.perf_counter() - start_s, 0.0, 0

    def close(self) -> None:
        """End the child."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _change(
    content: dict[str, bytes], resealed: bool, structure: bool, generator: np.random.Generator
) -> tuple[str, bytes, str]:
    """One file of a package, its damaged content, and the name of the damage."""
    if structure:
        name = str(generator.choice([name for name in content if name.endswith(".onnx")]))
        return name, *mutated(content[name], generator)
    # Damage behind the checksums is tested in graphs, arrays and the manifest only.
    name = str(generator.choice([name for name in content if not resealed or name not in (CARD, CHECKSUM, SIGNATURE)]))
    data = content[name]
    within = name.endswith(".onnx") and generator.random() < 0.5
    changed, damage = damaged(data, generator, structure_spans(data) if within else [(0, len(data))])
    if changed == data:
        changed, damage = data[:-1], "cut"
    return name, changed, f"{damage}, structure" if within else damage


def cases(source: Path, work: Path, count: int, seed: int, structure: bool = False) -> Iterator[Case]:
    """Damage copies of a package, or the structure of its graphs, and open each."""
    whole = work / "whole"
    shutil.copytree(source, whole)
    amend_package(whole, {})  # older packages lack the checksum of the manifest
    key = None
    try:
        private, key, _ = make_keys(work / "keys")
        sign_package(whole, private)
    except ModuleNotFoundError:
        sys.stderr.write("packages are not signed: signatures need pip install 'edgehar[sign]'\n")
    content = {path.name: path.read_bytes() for path in sorted(whole.iterdir())}
    graphs = EdgePackage.open(whole).manifest.graphs
    precisions = list(graphs)
    opener = Opener()
    for number in range(count):
        generator = np.random.default_rng([seed, number])
        resealed = structure or bool(generator.random() < 0.5)
        name, changed, where = _change(content, resealed, structure, generator)
        folder = work / "damaged"
        shutil.copytree(whole, folder)
        (folder / name).write_bytes(changed)
        if resealed:
            reseal(folder)
        used_key = None if resealed or generator.random() < 0.5 else key
        used = [precision for precision in precisions if name in graphs[precision].values()]
        precision = used[0] if used else precisions[number % len(precisions)]
        result, error, message, wall_s, cpu_s, peak = opener.open(folder, precision, used_key)
        message = message.replace(str(folder), "PACKAGE")
        damage = (name, where, resealed, used_key is not None, precision)
        yield Case(*damage, result, error, message, wall_s, cpu_s, peak)
        shutil.rmtree(folder)
    opener.close()


def table(found: list[Case]) -> str:
    """Counts by file and by whether the checksums were recomputed."""
    columns = ("refused", "accepted", "unnamed", "crashed")
    heads = "".join(f"{name:>10}" for name in columns)
    lines = [f"{'file':<24}{'checksums':<12}{heads}{'slowest s':>11}{'CPU s':>8}"]
    for resealed in (False, True):
        for name in sorted({case.file for case in found if case.resealed == resealed}):
            these = [case for case in found if case.file == name and case.resealed == resealed]
            counts = Counter(case.result for case in these)
            shown = "".join(f"{counts[column]:>10}" for column in columns)
            slowest, cpu = max(case.seconds for case in these), max(case.cpu_seconds for case in these)
            checksums = "recomputed" if resealed else "outdated"
            lines.append(f"{name:<24}{checksums:<13}{shown[1:]}{slowest:>11.3f}{cpu:>8.3f}")
    errors = Counter(case.error for case in found if case.result == "refused")
    bad = [case for case in found if not case.good]
    lines.append(f"{len(found)} packages, refused with {dict(errors)}, {len(bad)} unexpected results")
    return "\n".join(lines + [f"  {case}" for case in bad[:20]])


def document(config: FuzzConfig, found: list[Case]) -> dict[str, Any]:
    """The counts, and every case with an unexpected result."""
    words = ["tools/stress/fuzz.py", config.package, "--count", str(config.count), "--seed", str(config.seed)]
    words += ["--structure"] if config.structure else []
    return {
        "format": "edgehar-fuzz",
        "command": portable(["python", *words]),
        **stamp(),
        "packages": len(found),
        "results": Counter(case.result for case in found),
        "slowest_s": max(case.seconds for case in found),
        "peak_resident_bytes": max(case.peak_bytes for case in found),
        "not_as_they_should": [asdict(case) for case in found if not case.good],
    }


def main(argv: list[str] | None = None) -> int:
    """Print the table; exit code 2 if a case has an unexpected result."""
    config = PARSER.parse(argv)
    with tempfile.TemporaryDirectory() as folder:
        found = list(cases(Path(config.package), Path(folder), config.count, config.seed, config.structure))
    if config.json is not None:
        write_json(Path(config.json), document(config, found))
    sys.stdout.write(table(found) + "\n")
    return 0 if all(case.good for case in found) else 2


if __name__ == "__main__":
    sys.exit(guarded(main))
