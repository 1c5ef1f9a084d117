"""Damage a package in a thousand ways and see that each is refused by name, at once, without a crash.

    python tools/fuzz_packages.py runs/quickstart/package --count 200 --json fuzz.json

Half of the packages are only damaged: their checksums must tell. In the other half the checksums are made right again,
so that the damage reaches what comes after them, up to onnxruntime itself. Each package is opened, its arrays are read
and it is asked for a prediction, in a child process. With `cryptography` installed the package is signed, and half of
the first kind are opened with the key. The exit code is 2 if one damage was accepted that matters, ended with an error
without a name, took longer than two seconds, or crashed.
"""

import hashlib
import json
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

from edgehar.command_line import parse
from edgehar.config import option, positional
from edgehar.deploy.bench.random_signals import random_recording
from edgehar.deploy.recognizer import load
from edgehar.deploy.runtime.onnx_format.protobuf import fields
from edgehar.deploy.runtime.signature import make_keys, sign_package
from edgehar.entry import guarded
from edgehar.errors import EdgeharError
from edgehar.files.atomic import write_json
from edgehar.package.folder import CARD, CHECKSUM, MANIFEST, SIGNATURE, EdgePackage, amend_package
from edgehar.provenance import portable, stamp

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden" / "package_v1"
SLOWEST_S, LOST_S = 2.0, 60.0
"""The longest a package may take, and after how long a child without an answer is ended and counted as a crash."""
MOST_MEMORY_BYTES = 8 << 30
"""Address space of the child; beyond it an allocation fails instead of harming the machine."""
LONG_BYTES = 64
"""Constants of a graph from this size on are its flesh; the bytes between them are its bones."""


@dataclass(frozen=True)
class FuzzConfig:
    """Options of the tool."""

    package: str = positional("folder of an edge package; the one of the tests if none is given", str(GOLDEN))
    count: int = option(1000, "damaged packages")
    seed: int = option(0, "reproduces the damages")
    json: str | None = option(None, "also write the result to this file")


Outcome = tuple[str, str, str, float, float]
"""Result, error, message, seconds on the clock, and seconds of the processor (fewer if others keep it busy)."""


@dataclass(frozen=True)
class Case:
    """One damaged package, and how it ended."""

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

    @property
    def good(self) -> bool:
        """Refused by name, or accepted where nothing depends on the damage, in time."""
        harmless = self.file == CARD or (self.file == SIGNATURE and not self.key) or self.resealed
        return (self.result == "refused" or (self.result == "accepted" and harmless)) and self.seconds < SLOWEST_S


def bones(data: bytes) -> list[tuple[int, int]]:
    """Spans of an ONNX file between its long constants: names, operators, shapes."""
    long = [
        content
        for number, graph in fields(data) if number == 7 and isinstance(graph, bytes)
        for part, tensor in fields(graph) if part == 5 and isinstance(tensor, bytes)
        for place, content in fields(tensor) if place == 9 and isinstance(content, bytes) and len(content) >= LONG_BYTES
    ]  # fmt: skip
    spans: list[tuple[int, int]] = []
    start = 0
    for content in long:
        place = data.find(content, start)
        if place > start:
            spans.append((start, place))
            start = place + len(content)
    return [*spans, (start, len(data))]


def damaged(data: bytes, generator: np.random.Generator, spans: list[tuple[int, int]]) -> tuple[bytes, str]:
    """The bytes with one kind of damage somewhere in the spans, and what it is called."""
    weights = np.asarray([end - start for start, end in spans], float)

    def place() -> int:
        start, end = spans[int(generator.choice(len(spans), p=weights / weights.sum()))]
        return int(generator.integers(start, end))

    changed = bytearray(data)
    kind = str(generator.choice(["flips", "bytes", "cut", "gap", "repeat", "insert", "zeros"]))
    first, length = place(), int(generator.integers(1, 64))
    match kind:
        case "flips":
            for _ in range(int(generator.integers(1, 9))):
                changed[place()] ^= 1 << int(generator.integers(8))
        case "bytes":
            for _ in range(int(generator.integers(1, 9))):
                changed[place()] = int(generator.integers(256))
        case "cut":
            del changed[first:]
        case "gap":
            del changed[first : first + length]
        case "repeat":
            changed[first:first] = changed[first : first + length]
        case "insert":
            changed[first:first] = generator.bytes(length)
        case _:
            changed[first : first + length] = bytes(min(length, len(changed) - first))
    return bytes(changed), kind


def reseal(folder: Path) -> None:
    """Make the checksums of a package right again, as who damages it on purpose would."""
    path = folder / MANIFEST
    try:
        entry = json.loads(path.read_bytes())
        for name, facts in entry["files"].items():
            data = (folder / name).read_bytes()
            facts.update(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
        path.write_text(json.dumps(entry))
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError):
        pass  # the manifest itself is damaged
    (folder / CHECKSUM).write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {MANIFEST}\n")


def attempt(folder: Path, precision: str, key: Path | None) -> Outcome:
    """Open a package and use all of it: the result is "refused", "accepted" or "unnamed" (error)."""
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
        result, error, message = ("accepted" if usable else "unnamed"), "", "" if usable else f"answered {found}"
    except EdgeharError as problem:
        result, error, message = "refused", type(problem).__name__, str(problem)
    except Exception as problem:  # what must not happen, and is counted
        result, error, message = "unnamed", type(problem).__name__, str(problem)
    return result, error, message[:400], time.perf_counter() - start_s, time.process_time() - start_cpu_s


def _child(pipe: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    attempt(GOLDEN, "fp32", None)  # the first one loads libraries
    while True:
        pipe.send(attempt(*pipe.recv()))


class Opener:
    """A child process that opens packages, replaced whenever it dies."""

    def __init__(self) -> None:
        """Start the first one."""
        self._context = multiprocessing.get_context("spawn")
        self._start()

    def _start(self) -> None:
        self._pipe, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_child, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def open(self, folder: Path, precision: str, key: Path | None) -> Outcome:
        """As `attempt`; the result is "crashed" if the child died or never answered."""
        start_s = time.perf_counter()
        try:
            self._pipe.send((folder, precision, key))
            if self._pipe.poll(LOST_S):
                return self._pipe.recv()
            reason = f"no answer within {LOST_S:g} s"
        except (EOFError, OSError):
            self._process.join(LOST_S)
            reason = f"exit code {self._process.exitcode}"
        self.close()
        self._start()
        return "crashed", "", reason, time.perf_counter() - start_s, 0.0

    def close(self) -> None:
        """End the child."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


def cases(source: Path, work: Path, count: int, seed: int) -> Iterator[Case]:
    """Damage copies of a package, one after the other, and open each."""
    whole = work / "whole"
    shutil.copytree(source, whole)
    amend_package(whole, {})  # an older one gets the checksum of its manifest
    key = None
    try:
        private, key, _ = make_keys(work / "maker")
        sign_package(whole, private)
    except ModuleNotFoundError:
        sys.stderr.write("no signatures: pip install 'edgehar[sign]' for them\n")
    content = {path.name: path.read_bytes() for path in sorted(whole.iterdir())}
    precisions = list(EdgePackage.open(whole).manifest.graphs)
    opener = Opener()
    for number in range(count):
        generator = np.random.default_rng([seed, number])
        resealed = bool(generator.random() < 0.5)
        # What lies behind the checksums is mostly in the graphs and the manifest.
        names = [name for name in content if not resealed or name not in (CARD, CHECKSUM, SIGNATURE)]
        name = str(generator.choice(names))
        data = content[name]
        structure = name.endswith(".onnx") and generator.random() < 0.5
        changed, damage = damaged(data, generator, bones(data) if structure else [(0, len(data))])
        if changed == data:
            changed, damage = data[:-1], "cut"
        folder = work / "damaged"
        shutil.copytree(whole, folder)
        (folder / name).write_bytes(changed)
        if resealed:
            reseal(folder)
        asked = None if resealed or generator.random() < 0.5 else key
        graphs = EdgePackage.open(whole).manifest.graphs
        used = [precision for precision in precisions if name in graphs[precision].values()]
        precision = used[0] if used else precisions[number % len(precisions)]
        result, error, message, seconds, cpu_seconds = opener.open(folder, precision, asked)
        message = message.replace(str(folder), "PACKAGE")
        where = f"{damage}, bones" if structure else damage
        yield Case(name, where, resealed, asked is not None, precision, result, error, message, seconds, cpu_seconds)
        shutil.rmtree(folder)
    opener.close()


def table(found: list[Case]) -> str:
    """Counts by file and by whether the checksums were made right again."""
    columns = ("refused", "accepted", "unnamed", "crashed")
    heads = "".join(f"{name:>10}" for name in columns)
    lines = [f"{'file':<24}{'checksums':<12}{heads}{'slowest s':>11}{'CPU s':>8}"]
    for resealed in (False, True):
        for name in sorted({case.file for case in found if case.resealed == resealed}):
            these = [case for case in found if case.file == name and case.resealed == resealed]
            counts = Counter(case.result for case in these)
            shown = "".join(f"{counts[column]:>10}" for column in columns)
            slowest, cpu = max(case.seconds for case in these), max(case.cpu_seconds for case in these)
            right = "made right" if resealed else "as they were"
            lines.append(f"{name:<24}{right:<13}{shown[1:]}{slowest:>11.3f}{cpu:>8.3f}")
    errors = Counter(case.error for case in found if case.result == "refused")
    bad = [case for case in found if not case.good]
    lines.append(f"{len(found)} packages, refused with {dict(errors)}, {len(bad)} not as they should")
    return "\n".join(lines + [f"  {case}" for case in bad[:20]])


def document(config: FuzzConfig, found: list[Case]) -> dict[str, Any]:
    """The counts, and every case that did not end as it should."""
    words = ["tools/fuzz_packages.py", config.package, "--count", str(config.count), "--seed", str(config.seed)]
    return {
        "format": "edgehar-fuzz",
        "command": portable(["python", *words]),
        **stamp(),
        "packages": len(found),
        "results": Counter(case.result for case in found),
        "slowest_s": max(case.seconds for case in found),
        "not_as_they_should": [asdict(case) for case in found if not case.good],
    }


def main(argv: list[str] | None = None) -> int:
    """Print the table; exit code 2 if one case is not as it should be."""
    config = parse(FuzzConfig, argv, "python tools/fuzz_packages.py", (__doc__ or "").partition("\n")[0])
    with tempfile.TemporaryDirectory() as folder:
        found = list(cases(Path(config.package), Path(folder), config.count, config.seed))
    if config.json is not None:
        write_json(Path(config.json), document(config, found))
    sys.stdout.write(table(found) + "\n")
    return 0 if all(case.good for case in found) else 2


if __name__ == "__main__":
    sys.exit(guarded(main))
