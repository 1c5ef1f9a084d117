"""A stream that does not end: whether its memory grows, and whether it becomes slower.

    python tools/soak_stream.py PACKAGE --hops 1000000 --json docs/results/soak-stream.json

One process is fed made-up samples of every sensor, with jitter and now and then with everything that sensors do wrong,
with stretches in which nothing moves at all, on a clock that counts from 1970; predictions become activities. After the
first 1,000 hops memory may grow by less than 1 MB, measured a hundred times, and the median latency of the last tenth
of the hops may be within 10 % of the first; the exit code is 1 otherwise. Ctrl-C ends the run early and tells what was
measured until then, with exit code 130. Needs Linux and no torch. The last line is one JSON document.
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
from edgehar.checks import check_seed
from edgehar.command_line import parse
from edgehar.config import option, positional
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
"""How often memory is read."""
START_S = 1.7e9
"""Where the sensors' clocks begin, in seconds since 1970, as a board's do."""
LATENESS_S, REORDER_S, SMOOTHING, MARGIN, SHORTEST_S = 0.5, 0.1, 0.5, 0.05, 1.0
SPELL_S, FAULT_SHARE = 2.0, 0.1
"""A tenth of a sensor's spells has a fault."""
STILL_PART = 10
"""One tenth of the hops, in one stretch, goes by without a movement or a fault, as a night does."""
FAULTS = ("lost", "gone", "twice", "reordered", "late", "nan", "leap")
LEAPS_S = (-1e6, -3600.0, -5.0, -0.7, 0.7, 5.0, 3600.0, 1e6)
BANK_SAMPLES = 4096


@dataclass(frozen=True)
class SoakConfig:
    """Options of the command."""

    package: str = positional("folder of an edge package")
    hops: int = option(1_000_000, "predictions to wait for")
    precision: str | None = option(None, "precision to run; if none is given, as bench --tune chose, or the default")
    seed: int = option(0, "of the signals and faults")
    json: str | None = option(None, "also write the result to this file")

    def __post_init__(self) -> None:
        """Refuse a run too short to compare its tenths."""
        check_seed(self.seed)
        if self.hops < FEWEST_HOPS:
            raise ConfigError(f"--hops {self.hops}: expected {FEWEST_HOPS} or more, so that tenths can be compared")


class Source:
    """One sensor's endless samples, spell by spell, in constant memory."""

    def __init__(self, spec: ModalitySpec, generator: np.random.Generator) -> None:
        """Make up a signal to go round."""
        self.spec, self._generator, self._place = spec, generator, 0
        walk = generator.standard_normal((BANK_SAMPLES, spec.channels)).cumsum(axis=0) / 5
        # The way back as well, so that nothing leaps where it begins anew.
        self._bank = np.concatenate([walk, walk[::-1]]).astype(np.float32)  # (2 * BANK_SAMPLES, C)

    def spell(self, first_s: float, still: bool, fault: str | None) -> tuple[Array, Array, Array]:
        """When samples arrive, their times and values (n,), (n,), (n, C), of `SPELL_S` seconds."""
        count, generator = round(SPELL_S * self.spec.rate_hz), self._generator
        times_s = first_s + (np.arange(count) + 0.8 * generator.random(count)) / self.spec.rate_hz
        places = (self._place + np.arange(count)) % len(self._bank)
        self._place = self._place if still else int(places[-1]) + 1
        values = self._bank[np.full(count, self._place % len(self._bank)) if still else places]  # (n, C), a copy
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
    """What a run left, complete or not.

    Attributes:
        latency_s: (hops,) how long the push took that completed each prediction; filled up to `hops`.
        memory_bytes: resident memory after so many hops, and what of it is no file's.
        cpu_s: processor time after so many hops.
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
    """Resident memory in bytes, and what of it is no file's; raises ConfigError where the system does not tell."""
    whole, own = status_bytes("VmRSS"), status_bytes("RssAnon")
    if whole is None or own is None:
        raise ConfigError("/proc/self/status tells no memory; expected Linux 4.5 or later; soak there")
    return whole, own


def pushes(recognizer: Recognizer, measured: Measured, config: SoakConfig) -> Iterator[tuple[str, Array, Array]]:
    """Samples for ever, in chunks of one sensor, in order of arrival."""
    generator = np.random.default_rng(config.seed)
    sources = [Source(spec, generator) for spec in recognizer.manifest.modalities]
    spells = 0
    while True:
        share = measured.hops / config.hops
        still = 0.5 <= share < 0.5 + 1 / STILL_PART
        chunks: list[tuple[float, str, Array, Array]] = []
        pause = not still and generator.random() < FAULT_SHARE / 10
        measured.faults.update(["pause"] if pause else [])
        for source in [] if pause else sources:
            fault = str(generator.choice(FAULTS)) if not still and generator.random() < FAULT_SHARE else None
            measured.faults.update([fault] if fault else [])
            arrives_s, times_s, values = source.spell(START_S + spells * SPELL_S, still, fault)
            order = np.argsort(arrives_s, kind="stable")
            while len(order):
                some, order = np.split(order, [int(generator.integers(1, 11))])
                chunks.append((float(arrives_s[some[-1]]), source.spec.name, values[some], times_s[some]))
        for chunk in sorted(chunks, key=lambda chunk: chunk[0]):
            yield chunk[1:]
        spells += 1
        measured.stream_s = spells * SPELL_S


def soak(recognizer: Recognizer, config: SoakConfig, measured: Measured, tell: Callable[[], None]) -> None:
    """Feed a stream until it has made its predictions; what was measured is in `measured`, also when interrupted."""
    stream = edgehar.StreamRecognizer(
        recognizer, smoothing=SMOOTHING, margin=MARGIN, lateness_s=LATENESS_S, reorder_s=REORDER_S
    )
    segmenter = edgehar.Segmenter(SHORTEST_S)
    readings = [WARM_UP_HOPS + (config.hops - WARM_UP_HOPS) * part // READINGS for part in range(READINGS + 1)]
    due = 0
    for name, samples, times_s in pushes(recognizer, measured, config):
        began_s = time.perf_counter()
        predictions = stream.push(name, samples, times_s)
        activities = segmenter.push(predictions)
        took_s = time.perf_counter() - began_s
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
            tell()
            due += 1
        if last >= config.hops:
            return


def tenths_ms(measured: Measured) -> list[float]:
    """Median latency of each tenth of the hops after the warm-up, in ms; empty if there are too few."""
    if measured.hops < FEWEST_HOPS:
        return []
    parts = np.array_split(measured.latency_s[WARM_UP_HOPS : measured.hops], 10)
    return [float(np.median(part)) * 1000 for part in parts]


def cpu_ms(measured: Measured) -> list[float]:
    """Processor time per hop between every tenth of the readings, in ms, the making up of the samples included."""
    at = list(measured.cpu_s)[:: READINGS // 10]
    return [
        (measured.cpu_s[last] - measured.cpu_s[first]) / (last - first) * 1000 for first, last in itertools.pairwise(at)
    ]


def outcome(measured: Measured, config: SoakConfig) -> dict[str, Any]:
    """The figures, and whether they are what they should be; None where the run was too short to tell."""
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
    """What tells how far the run is: a bar on a terminal that has tqdm, else a line at every tenth reading."""
    began_s = time.perf_counter()
    if sys.stderr.isatty() and importlib.util.find_spec("tqdm") is not None:
        from tqdm import tqdm

        bar = tqdm(total=config.hops, unit="hop")

        def draw() -> None:
            bar.update(measured.hops - bar.n)

        return draw

    def line() -> None:
        if len(measured.memory_bytes) % (READINGS // 10) == 1:
            left_s = (time.perf_counter() - began_s) * (config.hops / measured.hops - 1)
            last = list(measured.memory_bytes.values())[-1][0]
            sys.stderr.write(f"{measured.hops} hops, {last / 1e6:.2f} MB, about {left_s:.0f} s left\n")
            sys.stderr.flush()

    return line


def main(argv: list[str] | None = None) -> int:
    """Soak, print the figures as JSON; exit code 1 if something grew, 130 if the run was interrupted."""
    config = parse(SoakConfig, argv, "python tools/soak_stream.py", __doc__ or "")
    recognizer = edgehar.load(config.package, config.precision)
    resident()  # better now than after a thousand hops
    # Every page of it is touched now, so that it does not count as growth.
    measured = Measured(np.full(config.hops, np.nan, np.float32))
    try:
        soak(recognizer, config, measured, progress(measured, config))
        interrupted = False
    except KeyboardInterrupt:
        interrupted = True
    words = ["python", "tools/soak_stream.py", config.package, "--hops", str(config.hops), "--seed", str(config.seed)]
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
        sys.stderr.write(f"interrupted after {measured.hops} of {config.hops} hops: the figures are incomplete\n")
        return 130
    return 0 if result["memory_steady"] and result["latency_steady"] else 1


if __name__ == "__main__":
    sys.exit(guarded(main))
