"""Benchmark a package on this machine: latency, throughput, memory, cold start, energy, share of the peak.

    edgehar bench PACKAGE
    edgehar bench PACKAGE --precision int8 --json bench.json
    edgehar bench PACKAGE --tune --threads 4
    edgehar bench PACKAGE --fleet 1000
    edgehar bench --compare nano.json orin.json

All precisions are timed in turns, in bursts, so that temperature and load affect them equally. The signals are random:
the time of a network does not depend on its inputs. The last line of the output is one JSON document.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgehar.command_line import Parser, words_of
from edgehar.deploy.bench.compare import FORMAT, FORMAT_VERSION, compare, comparison_table
from edgehar.deploy.bench.energy import energy_of, find_meter, idle_watts
from edgehar.deploy.bench.fleet import FLEET_FORMAT, bench_fleet, fleet_table
from edgehar.deploy.bench.options import BenchConfig
from edgehar.deploy.bench.stability import core_share_warning, stability_warnings
from edgehar.deploy.bench.table import benchmark_table
from edgehar.deploy.bench.timing import (
    WARM_UP_RUNS,
    Action,
    BenchmarkTarget,
    duration_s,
    run_sustained,
    time_interleaved,
)
from edgehar.deploy.bench.tuning import tune, tuning_table
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.runtime.device import device_facts, device_state
from edgehar.deploy.runtime.onnx_format.protobuf import matmul_model
from edgehar.deploy.runtime.providers import CPU, LITERT, available_providers, choose_providers
from edgehar.deploy.runtime.session import GraphSession
from edgehar.deploy.runtime.signature import open_package
from edgehar.deploy.runtime.tuned_profile import manifest_sha256, profile_path
from edgehar.errors import PackageError
from edgehar.files.atomic import check_writable, write_json
from edgehar.files.results import print_and_store, print_and_write
from edgehar.package.folder import EdgePackage, check_result
from edgehar.package.manifest import Manifest
from edgehar.provenance import portable, portable_words, stamp

PEAK_SIZE = 512
"""Rows and columns of the matrices whose product measures the machine's peak."""
PEAK_RUNS = 50
COLD_START = [sys.executable, "-m", "edgehar.deploy.bench.cold_start"]
BARE_START = [sys.executable, "-c", "import numpy, onnxruntime; print(flush=True)"]


@dataclass(frozen=True)
class Repetitions:
    """Length of a benchmark: per precision `runs` timed after `warm_up` untimed runs, then hops for `sustain_s`."""

    runs: int
    warm_up: int
    sustain_s: float
    cold_starts: int


def macs_of(manifest: Manifest) -> dict[str, int]:
    """Multiply-adds of a window and of a stream hop."""
    hop = manifest.window.hop * manifest.macs["step"] + manifest.macs["head"]
    return {"window": manifest.macs["window"], "hop": hop}


def peak_macs_per_s(threads: int) -> float:
    """Peak multiply-adds per second: the best of several fp32 matrix products in onnxruntime."""
    generator = np.random.default_rng(0)
    left = generator.standard_normal((PEAK_SIZE, PEAK_SIZE)).astype(np.float32)
    session = GraphSession(Path("peak.onnx"), threads, (CPU,), matmul_model(left.T.copy()))
    return PEAK_SIZE**3 / min(duration_s(lambda: session.run({"left": left})) for _ in range(PEAK_RUNS))


def _first_line_s(command: list[str]) -> tuple[float, str]:
    """Seconds from the launch of a process to its first line of output, and its second line."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    # The working folder comes first on the path of -m and -c: an empty one shadows no module.
    with tempfile.TemporaryDirectory() as folder:
        start_s = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=folder) as process:
            assert process.stdout is not None
            process.stdout.readline()
            elapsed_s, line = time.perf_counter() - start_s, process.stdout.readline()
    if process.returncode:
        raise PackageError(f"{' '.join(command)} failed; run it to see the reason")
    return elapsed_s, line


def cold_start(recognizer: Recognizer, threads: int, starts: int, key: str | None = None) -> dict[str, float | None]:
    """Medians over new processes: seconds from launch to the first prediction, and memory after many predictions.

    `bare_start_s`, measured in turns with them, is the time of a process that only imports numpy and onnxruntime.
    """
    command = [*COLD_START, str(recognizer.package.path.resolve()), recognizer.precision, str(threads)]
    command += [",".join(recognizer.providers), *([] if key is None else [str(Path(key).resolve())])]
    figures: dict[str, list[float]] = {
        name: [] for name in ("bare_start_s", "cold_start_s", "resident_bytes", "peak_resident_bytes")
    }
    for _ in range(starts):
        figures["bare_start_s"].append(_first_line_s(BARE_START)[0])
        elapsed_s, line = _first_line_s(command)
        figures["cold_start_s"].append(elapsed_s)
        for name, value in json.loads(line).items():
            if name in figures and value is not None:
                figures[name].append(value)
    return {name: float(np.median(values)) if values else None for name, values in figures.items()}


def _figures(times: dict[str, dict[str, float]], limit_ms: dict[str, float]) -> dict[str, Any]:
    """Times of a window and of a hop, with their parts and the networks' share of the limit."""
    median = {name: entry["median_ms"] for name, entry in times.items()}
    encoder_ms = {"window": max(median["window_network"] - median["head"], 0.0), "hop": median["hop_encoder"]}
    prepare_ms = {
        "window": median["window_preprocess"],
        "hop": max(median["hop"] - median["hop_encoder"] - median["head"], 0.0),
    }
    return {
        kind: times[kind]
        | {"preprocess_ms": prepare_ms[kind], "encoder_ms": encoder_ms[kind], "head_ms": median["head"]}
        | {"limit_share": limit_ms[kind] / (encoder_ms[kind] + median["head"])}
        for kind in ("window", "hop")
    }


def command_words(config: BenchConfig) -> list[str]:
    """The command line of a measurement, for its result."""
    words = ["edgehar", "bench", str(config.package), "--runs", str(config.runs), "--sustain-s", str(config.sustain_s)]
    words += ["--threads", str(config.threads), "--cold-starts", str(config.cold_starts)]
    words += [] if config.fleet is None else ["--fleet", str(config.fleet)]
    words += ["--precision", ",".join(config.precision)] if config.precision else []
    return words + (["--providers", ",".join(config.providers)] if config.providers else [])


def bench(config: BenchConfig, repetitions: Repetitions | None = None) -> dict[str, Any]:
    """Run the benchmark and return the JSON document; the repetitions are by default those of the options."""
    repetitions = repetitions or Repetitions(config.runs, WARM_UP_RUNS, config.sustain_s, config.cold_starts)
    assert config.package is not None
    package = open_package(config.package, config.key)
    manifest = package.manifest
    before = device_state()
    meter = find_meter()
    idle_w = idle_watts(meter, repetitions.sustain_s)
    targets = {
        precision: BenchmarkTarget(Recognizer(package, precision, config.threads, config.providers))
        for precision in config.precision or tuple(manifest.graphs)
    }
    peak = peak_macs_per_s(config.threads)
    actions: dict[tuple[str, str], Action] = {}
    for precision, target in targets.items():
        actions |= {(precision, name): action for name, action in target.actions.items()}
    times = time_interleaved(actions, repetitions.runs, repetitions.warm_up)
    peak = max(peak, peak_macs_per_s(config.threads))
    macs = macs_of(manifest)
    limit_ms = {name: count / peak * 1000 for name, count in macs.items()}
    results: dict[str, Any] = {}
    core_warnings: list[str | None] = []
    for precision, target in targets.items():
        of_precision = {name: times[precision, name].milliseconds() for name in target.actions}
        sustained = run_sustained(target.hop, repetitions.sustain_s)
        if target.recognizer.providers[0] in (CPU, LITERT):
            core_warnings.append(core_share_warning(precision, sustained.core_share))
        results[precision] = _figures(of_precision, limit_ms) | {
            "hops_per_s": sustained.per_s,
            "sustained": {"hops": sustained.runs, "seconds": sustained.wall_s, "core_share": sustained.core_share},
            "times_real_time": sustained.per_s * manifest.window.hop * manifest.window.step_s,
            "energy": energy_of(meter, idle_w, target.hop, repetitions.sustain_s),
            "graph_bytes": sum(manifest.files[name]["bytes"] for name in manifest.graphs[precision].values()),
            "providers": list(target.recognizer.providers),
        }
    after = device_state()  # before the machine cools down
    for precision, target in targets.items():
        results[precision] |= cold_start(target.recognizer, config.threads, repetitions.cold_starts, config.key)
    device = device_facts()
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        **_about(config, package),
        "macs": macs,
        "fp32_peak_macs_per_s": peak,
        "limit_ms": limit_ms,
        "precisions": results,
        "remarks": [*stability_warnings(before, after, device["cores"] or 1), *filter(None, core_warnings)],
        "before": before,
        "after": after,
        "device": device,
    }


def _about(config: BenchConfig, package: EdgePackage) -> dict[str, Any]:
    """The command, the package and what computes it."""
    return {
        "command": portable(command_words(config)),
        **stamp(),
        "package": portable_words([str(package.path)])[0],
        "manifest_sha256": manifest_sha256(package),
        "name": package.manifest.name,
        "threads": config.threads,
        "parameters": package.manifest.parameters,
    }


PARSER = Parser(BenchConfig, "edgehar bench", (__doc__ or "").partition("\n")[0])


def run(config: BenchConfig) -> int:
    """Measure, tune or compare; print a table, and the JSON document as the last line."""
    check_result(config.json, config.package)
    if config.tune:
        return run_tuning(config)
    if config.package is None:
        document = compare([Path(path) for path in config.compare])
        text = comparison_table(document)
    elif config.fleet is not None:
        package = open_package(config.package, config.key)
        measured = bench_fleet(
            package, config.precision, config.threads, config.providers, config.fleet, config.sustain_s
        )
        document = {"format": FLEET_FORMAT, "format_version": FORMAT_VERSION, **_about(config, package), **measured}
        text = fleet_table(document)
    else:
        document = bench(config)
        text = benchmark_table(document)
    print_and_write(f"{text}\n{json.dumps(document)}\n", config.json, document)
    return 0


def run_tuning(config: BenchConfig) -> int:
    """Find the fastest settings, print them, and store them beside the package."""
    assert config.package is not None
    package = open_package(config.package, config.key)
    path = profile_path(package.path)
    check_writable(path, "--tune")
    providers = choose_providers(config.providers)
    if not config.providers and LITERT in available_providers():
        providers = (LITERT, *providers)
    document = tune(package, config.threads, config.runs, providers)
    lines = [tuning_table(document), f"profile: {path}"]
    if config.key is not None:
        chosen = words_of(document["chosen"] | {"providers": tuple(document["chosen"]["providers"])})
        lines.append(f"commands with --key ignore it, as no signature covers it; give them {' '.join(chosen)}")
    text = "\n".join([*lines, json.dumps(document)]) + "\n"
    try:
        print_and_store(text, partial(write_json, path, document))
    finally:
        if config.json is not None:
            write_json(Path(config.json), document)
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))
