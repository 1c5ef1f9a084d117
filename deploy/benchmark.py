"""Measure a package on the machine at hand: latency per window and per hop, memory, cold start, and the limit.

    edgehar bench PACKAGE
    edgehar bench PACKAGE --tune --threads 4
    python deploy/benchmark.py PACKAGE --precision int8 --json bench.json

All precisions take turns within every run, so that heat and other load hit each alike. Signals are made up: the time
a network takes does not depend on what it sees. The last line is one JSON document.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deploy.choice import profile_path
from deploy.device import device_facts
from deploy.graph import DEFAULT_PROVIDERS, Graph
from deploy.recognizer import Recognizer
from deploy.timing import Subject, seconds, take_turns
from deploy.tuning import table as tuning_table
from deploy.tuning import tune
from deploy.wire import matmul_model
from edgehar.cli import guarded
from edgehar.config import option, parse, positional
from edgehar.errors import ConfigError, PackageError
from edgehar.files import write_json
from edgehar.package import EdgePackage

FEWEST_RUNS = 500
FEWEST_TUNING_RUNS = 100
COLD_STARTS = 3
PEAK_SIZE = 512
"""Side of the square matrices whose product gives the machine's peak."""
PEAK_RUNS = 50
NAMES = {"window": "whole window", "hop": "stream hop"}


@dataclass(frozen=True)
class BenchConfig:
    """Options of `edgehar bench`."""

    package: str = positional("folder of the edge package")
    precision: tuple[str, ...] = option((), "measure only these; all of the package's if none is given")
    runs: int = option(FEWEST_RUNS, f"timed runs of each precision, {FEWEST_RUNS} or more")
    threads: int = option(1, "onnxruntime's threads")
    providers: tuple[str, ...] = option(DEFAULT_PROVIDERS, "onnxruntime's providers in order of preference")
    tune: bool = option(False, "only find the fastest precision and up to --threads threads, and keep them for load")
    json: str | None = option(None, "also write the result to this file")

    def __post_init__(self) -> None:
        """Refuse too few runs for a 99th percentile, and what tuning does not take."""
        if self.tune and self.precision:
            raise ConfigError("--tune with --precision: tuning compares all of the package's; leave one of them out")
        if self.threads < 1:
            raise ConfigError(f"--threads {self.threads}: expected 1 or more")
        fewest = FEWEST_TUNING_RUNS if self.tune else FEWEST_RUNS
        if self.runs < fewest:
            raise ConfigError(f"--runs {self.runs}: expected {fewest} or more, so that the figures mean something")


def _milliseconds(times_s: list[float]) -> dict[str, float]:
    median, p95, p99 = np.percentile(times_s, [50, 95, 99]) * 1000
    return {"median_ms": float(median), "p95_ms": float(p95), "p99_ms": float(p99), "runs": len(times_s)}


def peak_macs_per_s(threads: int) -> float:
    """Multiply-adds per second of onnxruntime's best fp32 matrix product of several: what a network cannot beat."""
    generator = np.random.default_rng(0)
    left = generator.standard_normal((PEAK_SIZE, PEAK_SIZE)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "peak.onnx"
        path.write_bytes(matmul_model(left.T.copy(), PEAK_SIZE))
        graph = Graph(path, threads)
    return PEAK_SIZE**3 / min(seconds(lambda: graph.run({"left": left})) for _ in range(PEAK_RUNS))


def cold_start(recognizer: Recognizer, threads: int) -> dict[str, float | None]:
    """Median over fresh processes of the seconds from launch to the first prediction, and of peak memory."""
    command = [sys.executable, "-m", "deploy.cold_start", str(recognizer.package.path.resolve())]
    command += ["--precision", recognizer.precision, "--threads", str(threads)]
    command += ["--providers", ",".join(recognizer.providers)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    taken_s: list[float] = []
    peaks: list[int] = []
    for _ in range(COLD_STARTS):
        start_s = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            line = process.stdout.readline() if process.stdout else ""  # written right after the prediction
            taken_s.append(time.perf_counter() - start_s)
        if process.returncode:
            raise PackageError(f"{recognizer.package.path}: {' '.join(command)} failed; call it by hand to see why")
        peak = json.loads(line)["peak_resident_bytes"]
        peaks += [peak] if peak is not None else []
    return {
        "cold_start_s": float(np.median(taken_s)),
        "peak_resident_bytes": float(np.median(peaks)) if peaks else None,
    }


def bench(config: BenchConfig) -> dict[str, Any]:
    """Measure; returns the JSON document."""
    package = EdgePackage.open(config.package)
    manifest = package.manifest
    subjects = [
        Subject(Recognizer(package, precision, config.threads, config.providers))
        for precision in config.precision or tuple(manifest.graphs)
    ]
    peak = peak_macs_per_s(config.threads)
    take_turns(subjects, config.runs)
    macs = {
        "window": manifest.macs["window"],
        "hop": manifest.window.hop * manifest.macs["step"] + manifest.macs["head"],
    }
    results: dict[str, Any] = {}
    for subject in subjects:
        precision = subject.recognizer.precision
        times = {name: _milliseconds(values) for name, values in subject.times_s.items()}
        median = {name: entry["median_ms"] for name, entry in times.items()}
        window_encoder = max(median["window_network"] - median["head"], 0.0)
        hop_rest = max(median["hop"] - median["hop_encoder"] - median["head"], 0.0)
        results[precision] = {
            "window": times["window"]
            | {"preprocess_ms": median["window_preprocess"], "encoder_ms": window_encoder, "head_ms": median["head"]},
            "hop": times["hop"]
            | {"preprocess_ms": hop_rest, "encoder_ms": median["hop_encoder"], "head_ms": median["head"]},
            "hops_per_s": 1000 / median["hop"],
            "graph_bytes": sum(manifest.files[name]["bytes"] for name in manifest.graphs[precision].values()),
            "providers": list(subject.recognizer.providers),
            **cold_start(subject.recognizer, config.threads),
        }
    return {
        "package": config.package,
        "name": manifest.name,
        "threads": config.threads,
        "parameters": manifest.parameters,
        "macs": macs,
        "fp32_peak_macs_per_s": peak,
        "limit_ms": {name: count / peak * 1000 for name, count in macs.items()},
        "precisions": results,
        "device": device_facts(),
    }


def table(document: dict[str, Any]) -> str:
    """The document for people."""
    lines = [f"{document['name']}: {document['parameters']} parameters, {document['threads']} thread(s)"]
    for key in ("cpu", "board", "power_mode", "governor", "system", "python", "numpy", "onnxruntime"):
        lines.append(f"  {key:<12}{document['device'][key]}")
    header = f"{'':<16}{'median':>9}{'p95':>9}{'p99':>9}{'prepare':>9}{'encoder':>9}{'head':>9}   (ms)"
    for precision, entry in document["precisions"].items():
        lines += ["", f"{precision} on {', '.join(entry['providers'])}", header]
        for kind, name in NAMES.items():
            keys = ("median_ms", "p95_ms", "p99_ms", "preprocess_ms", "encoder_ms", "head_ms")
            lines.append(f"{name:<16}" + "".join(f"{entry[kind][key]:>9.3f}" for key in keys))
        peak_bytes = entry["peak_resident_bytes"]
        memory = "unknown" if peak_bytes is None else f"{peak_bytes / 2**20:.1f} MiB"
        lines.append(
            f"{entry['hops_per_s']:.0f} hops/s, cold start {entry['cold_start_s']:.3f} s, peak memory {memory}, "
            f"graphs {entry['graph_bytes']} bytes"
        )
    limits = ", ".join(f"{NAMES[kind]} {value:.4f} ms" for kind, value in document["limit_ms"].items())
    peak = document["fp32_peak_macs_per_s"] / 1e9
    lines += ["", f"limit at this machine's fp32 matrix peak ({peak:.1f} G multiply-adds/s): {limits}"]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Measure, print the table, then the JSON document as the last line."""
    config = parse(BenchConfig, argv, "edgehar bench", (__doc__ or "").partition("\n")[0])
    if config.tune:
        package = EdgePackage.open(config.package)
        document = tune(package, config.threads, config.runs, config.providers)
        text = f"{tuning_table(document)}\nkept in {profile_path(package.path)}"
    else:
        document = bench(config)
        text = table(document)
    if config.json is not None:
        write_json(Path(config.json), document)
    sys.stdout.write(text + "\n" + json.dumps(document) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
