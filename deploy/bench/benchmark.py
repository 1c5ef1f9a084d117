"""Measure a package on the machine at hand: latency, throughput, memory, cold start, energy, and the limit.

    edgehar bench PACKAGE
    edgehar bench PACKAGE --tune --threads 4
    edgehar bench --compare nano.json orin.json
    python deploy/bench/benchmark.py PACKAGE --precision int8 --json bench.json

All precisions take turns, in bursts, so that heat and other load hit each alike. Signals are made up: the time that a
network takes does not depend on what it sees. The last line is one JSON document.
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

from edgehar.checks import check_threads
from edgehar.command_line import Parser
from edgehar.config import option, positional
from edgehar.deploy.bench.compare import FORMAT, FORMAT_VERSION, compare
from edgehar.deploy.bench.compare import table as comparison_table
from edgehar.deploy.bench.energy import energy_of, find_meter, idle_watts
from edgehar.deploy.bench.stability import core_share_warning, stability_warnings
from edgehar.deploy.bench.table import table
from edgehar.deploy.bench.timing import WARM_UP_RUNS, Action, BenchmarkTarget, seconds, run_sustained, time_interleaved
from edgehar.deploy.bench.tuning import table as tuning_table
from edgehar.deploy.bench.tuning import tune
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.runtime.device import device_facts, device_state
from edgehar.deploy.runtime.onnx_format.protobuf import matmul_model
from edgehar.deploy.runtime.providers import CPU, LITERT, PROVIDERS_HELP, choose_providers, available_providers
from edgehar.deploy.runtime.session import GraphSession
from edgehar.deploy.runtime.tuned_profile import manifest_sha256, profile_path
from edgehar.entry import guarded
from edgehar.errors import ConfigError, PackageError
from edgehar.files.atomic import check_writable, write_json
from edgehar.package.folder import EdgePackage, check_result
from edgehar.package.manifest import Manifest
from edgehar.provenance import portable, stamp

FEWEST_RUNS = 500
FEWEST_TUNING_RUNS = 100
PEAK_SIZE = 512
"""Side of the square matrices whose product gives the machine's peak."""
PEAK_RUNS = 50
COLD_START = Path(__file__).with_name("cold_start.py")
BARE_START = [sys.executable, "-c", "import numpy, onnxruntime; print(flush=True)"]


@dataclass(frozen=True)
class BenchConfig:
    """Options of `edgehar bench`."""

    package: str | None = positional("folder of the edge package", None)
    precision: tuple[str, ...] = option((), "measure only these; all of the package's if none is given")
    runs: int = option(FEWEST_RUNS, f"timed runs of each precision, {FEWEST_RUNS} or more")
    sustain_s: float = option(2.0, "seconds of hops without pause, of each precision; a minute shows throttling")
    cold_starts: int = option(3, "fresh processes of each precision, of which the median counts")
    threads: int = option(1, "onnxruntime's threads")
    providers: tuple[str, ...] = option((), PROVIDERS_HELP)
    tune: bool = option(False, "only find the fastest precision, provider and threads up to --threads, kept for load")
    compare: tuple[str, ...] = option((), "only show these results of --json side by side", words=True)
    json: str | None = option(None, "also write the result to this file")

    def __post_init__(self) -> None:
        """Refuse too few runs for a 99th percentile, and options that do not go together."""
        if bool(self.compare) == (self.package is not None):
            found = f"a package and --compare {' '.join(self.compare)}" if self.compare else "no package"
            raise ConfigError(f"{found}; expected edgehar bench PACKAGE, or edgehar bench --compare A.json B.json")
        if self.compare and self.tune:
            raise ConfigError("--compare with --tune: one shows what was measured, the other measures; leave one out")
        if self.tune and self.precision:
            raise ConfigError("--tune with --precision: tuning compares all of the package's; leave one of them out")
        check_threads(self.threads)
        if self.cold_starts < 1:
            raise ConfigError(f"--cold-starts {self.cold_starts}: expected 1 or more")
        if not 0 < self.sustain_s <= 86_400:
            raise ConfigError(f"--sustain-s {self.sustain_s}: expected seconds, above 0 and up to a day")
        fewest = FEWEST_TUNING_RUNS if self.tune else FEWEST_RUNS
        if self.runs < fewest:
            raise ConfigError(f"--runs {self.runs}: expected {fewest} or more, so that the figures mean something")


@dataclass(frozen=True)
class Repetitions:
    """How much is measured: of each precision `runs` in turns after `warm_up` more, then hops for `sustain_s`."""

    runs: int
    warm_up: int
    sustain_s: float
    cold_starts: int


def macs_of(manifest: Manifest) -> dict[str, int]:
    """Multiply-adds of a whole window, and of a hop of a stream."""
    hop = manifest.window.hop * manifest.macs["step"] + manifest.macs["head"]
    return {"window": manifest.macs["window"], "hop": hop}


def peak_macs_per_s(threads: int) -> float:
    """Multiply-adds per second of onnxruntime's best fp32 matrix product of several: what a network cannot beat."""
    generator = np.random.default_rng(0)
    left = generator.standard_normal((PEAK_SIZE, PEAK_SIZE)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "peak.onnx"
        path.write_bytes(matmul_model(left.T.copy(), PEAK_SIZE))
        graph = GraphSession(path, threads, (CPU,))
    return PEAK_SIZE**3 / min(seconds(lambda: graph.run({"left": left})) for _ in range(PEAK_RUNS))


def _first_line_s(command: list[str]) -> tuple[float, str]:
    """Seconds from the launch of a process to its first line, and the line after that."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    start_s = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        process.stdout.readline()
        taken_s, line = time.perf_counter() - start_s, process.stdout.readline()
    if process.returncode:
        raise PackageError(f"{' '.join(command)} failed; call it by hand to see why")
    return taken_s, line


def cold_start(recognizer: Recognizer, threads: int, starts: int) -> dict[str, float | None]:
    """Medians over fresh processes: seconds from launch to the first prediction, and memory after many of them.

    `bare_start_s` is measured in turns with them: a process that does nothing but import numpy and onnxruntime, which
    is the machine's share of a cold start.
    """
    command = [sys.executable, str(COLD_START), str(recognizer.package.path.resolve()), recognizer.precision]
    command += [str(threads), ",".join(recognizer.providers)]
    figures: dict[str, list[float]] = {
        name: [] for name in ("bare_start_s", "cold_start_s", "resident_bytes", "peak_resident_bytes")
    }
    for _ in range(starts):
        figures["bare_start_s"].append(_first_line_s(BARE_START)[0])
        taken_s, line = _first_line_s(command)
        figures["cold_start_s"].append(taken_s)
        for name, value in json.loads(line).items():
            if name in figures and value is not None:
                figures[name].append(value)
    return {name: float(np.median(values)) if values else None for name, values in figures.items()}


def _figures(times: dict[str, dict[str, float]], limit_ms: dict[str, float]) -> dict[str, Any]:
    """A window's and a hop's times, with their parts and the share of the limit that the networks reach."""
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


def words_of(config: BenchConfig) -> list[str]:
    """What to type for this measurement."""
    words = ["edgehar", "bench", str(config.package), "--runs", str(config.runs), "--sustain-s", str(config.sustain_s)]
    words += ["--threads", str(config.threads), "--cold-starts", str(config.cold_starts)]
    words += ["--precision", ",".join(config.precision)] if config.precision else []
    return words + (["--providers", ",".join(config.providers)] if config.providers else [])


def bench(config: BenchConfig, effort: Repetitions | None = None) -> dict[str, Any]:
    """Measure; returns the JSON document. The effort is the configuration's if none is given."""
    effort = effort or Repetitions(config.runs, WARM_UP_RUNS, config.sustain_s, config.cold_starts)
    assert config.package is not None
    package = EdgePackage.open(config.package)
    manifest = package.manifest
    before = device_state()
    meter = find_meter()
    idle_w = idle_watts(meter, effort.sustain_s)
    subjects = {
        precision: BenchmarkTarget(Recognizer(package, precision, config.threads, config.providers))
        for precision in config.precision or tuple(manifest.graphs)
    }
    peak = peak_macs_per_s(config.threads)
    actions: dict[tuple[str, str], Action] = {}
    for precision, subject in subjects.items():
        actions |= {(precision, name): action for name, action in subject.actions.items()}
    times = time_interleaved(actions, effort.runs, effort.warm_up)
    peak = max(peak, peak_macs_per_s(config.threads))
    macs = macs_of(manifest)
    limit_ms = {name: count / peak * 1000 for name, count in macs.items()}
    results: dict[str, Any] = {}
    waited: list[str | None] = []
    for precision, subject in subjects.items():
        of_precision = {name: times[precision, name].milliseconds() for name in subject.actions}
        sustained = run_sustained(subject.hop, effort.sustain_s)
        if subject.recognizer.providers[0] in (CPU, LITERT):
            waited.append(core_share_warning(precision, sustained.core_share))
        results[precision] = _figures(of_precision, limit_ms) | {
            "hops_per_s": sustained.per_s,
            "sustained": {"hops": sustained.runs, "seconds": sustained.wall_s, "core_share": sustained.core_share},
            "times_real_time": sustained.per_s * manifest.window.hop * manifest.window.step_s,
            "energy": energy_of(meter, idle_w, subject.hop, effort.sustain_s),
            "graph_bytes": sum(manifest.files[name]["bytes"] for name in manifest.graphs[precision].values()),
            "providers": list(subject.recognizer.providers),
        }
    after = device_state()  # while the machine is still warm
    for precision, subject in subjects.items():
        results[precision] |= cold_start(subject.recognizer, config.threads, effort.cold_starts)
    device = device_facts()
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "command": portable(words_of(config)),
        **stamp(),
        "package": portable([config.package]),
        "manifest_sha256": manifest_sha256(package),
        "name": manifest.name,
        "threads": config.threads,
        "parameters": manifest.parameters,
        "macs": macs,
        "fp32_peak_macs_per_s": peak,
        "limit_ms": limit_ms,
        "precisions": results,
        "remarks": [*stability_warnings(before, after, device["cores"] or 1), *(remark for remark in waited if remark)],
        "before": before,
        "after": after,
        "device": device,
    }


PARSER = Parser(BenchConfig, "edgehar bench", (__doc__ or "").partition("\n")[0])


def run(config: BenchConfig) -> int:
    """Measure, or compare; print the table, then the JSON document as the last line."""
    check_result(config.json, config.package)
    if config.package is None:
        document = compare([Path(path) for path in config.compare])
        text = comparison_table(document)
    elif config.tune:
        package = EdgePackage.open(config.package)
        check_writable(profile_path(package.path), "--tune")
        providers = choose_providers(config.providers)
        if not config.providers and LITERT in available_providers():
            providers = (LITERT, *providers)
        document = tune(package, config.threads, config.runs, providers)
        text = f"{tuning_table(document)}\nkept in {profile_path(package.path)}"
    else:
        document = bench(config)
        text = table(document)
    if config.json is not None:
        write_json(Path(config.json), document)
    sys.stdout.write(text + "\n" + json.dumps(document) + "\n")
    return 0


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
