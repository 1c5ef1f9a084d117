"""Soak test of a stream: memory growth and latency drift over many hops.

    python tools/stress/soak.py runs/quickstart/package --hops 1000000 --json soak.json

One process receives random samples of every sensor with jitter, every kind of sensor fault and stretches without
motion, with timestamps in seconds since 1970; predictions are merged into activities. After the first 1,000 hops,
memory may grow by less than 1 MB (100 readings), and the median latency of the last tenth of the hops may differ from
the first tenth's by 10 %; the exit code is 1 otherwise. Ctrl-C ends the run with exit code 130 and the figures
measured so far. Needs Linux, not torch. The last line is one JSON document.
"""

import importlib.util
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edgehar
from edgehar.command_line import Parser
from edgehar.config import Options, option, positional, seed_option
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.runtime.device import device_facts, status_bytes
from edgehar.entry import guarded
from edgehar.errors import ConfigError
from edgehar.files.atomic import write_json
from edgehar.provenance import portable, stamp
from edgehar.signals.modality import ModalitySpec

Array = NDArray[Any]
WARM_UP_HOPS = 1_000
FEWEST_HOPS = 3 * WARM_UP_HOPS
MOST_GROWTH_BYTES = 1_000_000
MOST_DRIFT = 0.1
READINGS = 100
"""Number of readings of the memory after the first."""
START_S = 1.7e9
"""First timestamp of the sensors, in seconds since 1970."""
LATENESS_S, REORDER_S, SMOOTHING, MARGIN, SHORTEST_S = 0.5, 0.1, 0.5, 0.05, 1.0
SEGMENT_S, FAULT_SHARE = 2.0, 0.1
"""Length of a segment of the signal, and share of a sensor's segments that have a fault."""
STILL_PART = 10
"""One tenth of the hops, in one stretch, has no motion and no fault, like a night."""
FAULTS = ("lost", "gone", "twice", "reordered", "late", "nan", "leap")
LEAPS_S = (-1e6, -3600.0, -5.0, -0.7, 0.7, 5.0, 3600.0, 1e6)
BANK_SAMPLES = 4096


@dataclass(frozen=True)
class SoakConfig(Options):
    """Soak test."""

    package: str = positional("folder of an edge package")
    hops: int = option(1_000_000, "number of predictions", at_least=FEWEST_HOPS)
    precision: str | None = option(None, "precision to run; default: the one tuned for this board, or the package's")
    seed: int = seed_option("random seed of the signals and faults")
    json: str | None = option(None, "also write the result to this file")


PARSER = Parser(SoakConfig, "python tools/stress/soak.py", __doc__ or "")


class EndlessSignal:
    """One sensor's samples without end, in constant memory."""

    def __init__(self, spec: ModalitySpec, generator: np.random.Generator) -> None:
        """Generate a random signal to repeat."""
        self.spec, self._generator, self._position = spec, generator, 0
        walk = generator.standard_normal((BANK_SAMPLES, spec.channels)).cumsum(axis=0) / 5
        # Forwards and backwards, so that repeating it causes no jump.
        self._bank = np.concatenate([walk, walk[::-1]]).astype(np.float32)  # (2 * BANK_SAMPLES, C)

    def segment(self, first_s: float, still: bool, fault: str | None) -> tuple[Array, Array, Array]:
        """Arrival times (n,), timestamps (n,) and values (n, C) of the next `SEGMENT_S` seconds."""
        count, generator = round(SEGMENT_S * self.spec.rate_hz), self._generator
        times_s = first_s + (np.arange(count) + 0.8 * generator.random(count)) / self.spec.rate_hz
        index = (self._position + np.arange(count)) % len(self._bank)
        self._position = self._position if still else int(index[-1]) + 1
        values = self._bank[np.full(count, self._position % len(self._bank)) if still else index]  # (n, C), a copy
        arrives_s, some = times_s.copy(), generator.random(count) < 0.3
        match fault:
            case "lost":
                return arrives_s[~some], times_s[~some], values[~some]
            case "gone":
                return arrives_s[:0], times_s[:0], values[:0]
            case "twice":
                order = np.sort(np.concatenate([np.arange(count), np.flatnonzero(some)]))
                return arrives_s[order], times_s[order], values[order]
            case "reordered":
                arrives_s += generator.uniform(0, REORDER_S, count)
            case "late":
                arrives_s[some] += generator.exponential(0.5, int(some.sum()))
            case "nan":
                values[some, 0] = np.nan
            case "leap":
                times_s += generator.choice(LEAPS_S)
        return arrives_s, times_s, values


@dataclass
class Measured:
    """Measurements of a run, complete or interrupted.

    Attributes:
        latency_s: (hops,) duration of the push that completed each prediction; filled up to `hops`.
        memory_bytes: number of hops -> resident memory, and the anonymous part of it.
        cpu_s: number of hops -> CPU time.
    """

    latency_s: Array
    hops: int = 0
    pushes: int = 0
    samples: int = 0
    activities: int = 0
    busy_s: float = 0.0
    stream_s: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    lost: dict[str, int] = field(default_factory=dict)
    memory_bytes: dict[int, tuple[int, int]] = field(default_factory=dict)
    cpu_s: dict[int, float] = field(default_factory=dict)


def resident() -> tuple[int, int]:
    """Resident memory in bytes and its anonymous part; raises ConfigError where the system does not report them."""
    whole, own = status_bytes("VmRSS"), status_bytes("RssAnon")
    if whole is None or own is None:
        raise ConfigError("/proc/self/status lacks VmRSS or RssAnon; expected Linux 4.5 or later; run the test there")
    return whole, own


def pushes(recognizer: Recognizer, measured: Measured, config: SoakConfig) -> Iterator[tuple[str, Array, Array]]:
    """Endless chunks of samples of one sensor each, in order of arrival."""
    generator = np.random.default_rng(config.seed)
    signals = [EndlessSignal(spec, generator) for spec in recognizer.manifest.modalities]
    segments = 0
    while True:
        share = measured.hops / config.hops
        still = 0.5 <= share < 0.5 + 1 / STILL_PART
        chunks: list[tuple[float, str, Array, Array]] = []
        pause = not still and generator.random() < FAULT_SHARE / 10
        measured.faults.update(["pause"] if pause else [])
        for signal in [] if pause else signals:
            fault = str(generator.choice(FAULTS)) if not still and generator.random() < FAULT_SHARE else None
            measured.faults.update([fault] if fault else [])
            arrives_s, times_s, values = signal.segment(START_S + segments * SEGMENT_S, still, fault)
            order = np.argsort(arrives_s, kind="stable")
            while len(order):
                chunk, order = np.split(order, [int(generator.integers(1, 11))])
                chunks.append((float(arrives_s[chunk[-1]]), signal.spec.name, values[chunk], times_s[chunk]))
        for chunk in sorted(chunks, key=lambda chunk: chunk[0]):
            yield chunk[1:]
        segments += 1
        measured.stream_s = segments * SEGMENT_S


def soak(recognizer: Recognizer, config: SoakConfig, measured: Measured, report: Callable[[], None]) -> None:
    """Feed a stream until it has made `hops` predictions; `measured` is valid after an interruption, too."""
    stream = edgehar.StreamRecognizer(
        recognizer, smoothing=SMOOTHING, margin=MARGIN, lateness_s=LATENESS_S, reorder_s=REORDER_S
    )
    segmenter = edgehar.Segmenter(SHORTEST_S)
    readings = [WARM_UP_HOPS + (config.hops - WARM_UP_HOPS) * part // READINGS for part in range(READINGS + 1)]
    due = 0
    for name, samples, times_s in pushes(recognizer, measured, config):
        started_s = time.perf_counter()
        predictions = stream.push(name, samples, times_s)
        activities = segmenter.push(predictions)
        took_s = time.perf_counter() - started_s
        measured.busy_s += took_s
        measured.pushes += 1
        measured.samples += len(times_s)
        if not predictions:
            continue
        last = min(measured.hops + len(predictions), config.hops)
        measured.latency_s[measured.hops : last] = took_s / len(predictions)
        measured.hops, measured.lost = last, stream.lost
        measured.activities += len(activities)
        if last >= readings[due]:
            measured.memory_bytes[last], measured.cpu_s[last] = resident(), time.process_time()
            report()
            due += 1
        if last >= config.hops:
            return


def tenths_ms(measured: Measured) -> list[float]:
    """Median latency of each tenth of the hops after the warm-up, in ms; empty if there are too few hops."""
    if measured.hops < FEWEST_HOPS:
        return []
    parts = np.array_split(measured.latency_s[WARM_UP_HOPS : measured.hops], 10)
    return [float(np.median(part)) * 1000 for part in parts]


def cpu_ms(measured: Measured) -> list[float]:
    """CPU time per hop between every tenth of the readings, in ms, including the generation of samples."""
    at = list(measured.cpu_s)[:: READINGS // 10]
    return [
        (measured.cpu_s[last] - measured.cpu_s[first]) / (last - first) * 1000 for first, last in itertools.pairwise(at)
    ]


def outcome(measured: Measured, config: SoakConfig) -> dict[str, Any]:
    """The figures and whether they are within the limits; None where the run was too short."""
    tenths, memory = tenths_ms(measured), np.asarray([*measured.memory_bytes.values()]).reshape(-1, 2)
    growth, own_growth = (memory[1:].max(axis=0) - memory[0]).tolist() if len(memory) > 1 else (None, None)
    drift = tenths[-1] / tenths[0] - 1 if tenths else None
    return {
        "hops": measured.hops,
        "complete": measured.hops >= config.hops,
        "memory_steady": None if growth is None else growth < MOST_GROWTH_BYTES,
        "latency_steady": None if drift is None else abs(drift) <= MOST_DRIFT,
        "growth_bytes": growth,
        "growth_without_files_bytes": own_growth,
        "latency_drift": drift,
        "median_latency_ms": tenths,
        "cpu_ms_per_hop": cpu_ms(measured),
        "stream_ms_per_hop": measured.busy_s / measured.hops * 1000 if measured.hops else None,
        "stream_s": measured.stream_s,
        "times_real_time": measured.stream_s / measured.busy_s if measured.busy_s else None,
        "pushes": measured.pushes,
        "samples": measured.samples,
        "samples_lost": measured.lost,
        "faults": dict(sorted(measured.faults.items())),
        "activities": measured.activities,
        "resident_bytes": measured.memory_bytes,
    }


def progress(measured: Measured, config: SoakConfig) -> Callable[[], None]:
    """A function that reports progress: a bar on a terminal with tqdm, otherwise a line at every tenth reading."""
    started_s = time.perf_counter()
    if sys.stderr.isatty() and importlib.util.find_spec("tqdm") is not None:
        from tqdm import tqdm

        bar = tqdm(total=config.hops, unit="hop")

        def update_bar() -> None:
            bar.update(measured.hops - bar.n)

        return update_bar

    def write_line() -> None:
        if len(measured.memory_bytes) % (READINGS // 10) == 1:
            left_s = (time.perf_counter() - started_s) * (config.hops / measured.hops - 1)
            last = list(measured.memory_bytes.values())[-1][0]
            sys.stderr.write(f"{measured.hops} hops, {last / 1e6:.2f} MB, about {left_s:.0f} s left\n")
            sys.stderr.flush()

    return write_line


def main(argv: list[str] | None = None) -> int:
    """Run the test and print the figures as JSON; exit code 1 above a limit, 130 if interrupted."""
    config = PARSER.parse(argv)
    recognizer = edgehar.load(config.package, config.precision)
    resident()  # raises here instead of after 1,000 hops
    # Allocated and touched in advance, so that it does not count as growth.
    measured = Measured(np.full(config.hops, np.nan, np.float32))
    try:
        soak(recognizer, config, measured, progress(measured, config))
        interrupted = False
    except KeyboardInterrupt:
        interrupted = True
    words = ["python", "tools/stress/soak.py", config.package, "--hops", str(config.hops), "--seed", str(config.seed)]
    words += [] if config.precision is None else ["--precision", config.precision]
    result = {
        "format": "edgehar-soak",
        "command": portable(words),
        **stamp(),
        "device": device_facts(),
        "precision": recognizer.precision,
        **outcome(measured, config),
    }
    if config.json is not None:
        write_json(Path(config.json), result)
    sys.stdout.write(json.dumps(result) + "\n")
    if interrupted:
        sys.stderr.write(f"interrupted after {measured.hops} of {config.hops} hops: figures are incomplete\n")
        return 130
    return 0 if result["memory_steady"] and result["latency_steady"] else 1


if __name__ == "__main__":
    sys.exit(guarded(main))
