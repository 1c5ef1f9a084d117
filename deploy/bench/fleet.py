"""Benchmarks many people on one core: a `Fleet` against a loop over streams of their own, in one run.

The chunks of the people arrive evenly spread over the hop. Time is that of the stream, and a computation takes its CPU
time, so that nothing waits for a clock and other processes do not count: at each tick its chunks are pushed and the
fleet is polled, or later if the ticks before it are not done.
"""

import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgehar.deploy.bench.random_signals import random_signal
from edgehar.deploy.bench.stability import stability_warnings
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.runtime.device import device_facts, device_state, peak_resident_bytes, resident_bytes
from edgehar.deploy.stream.fleet import Fleet
from edgehar.deploy.stream.recognizer import StreamRecognizer
from edgehar.package.folder import EdgePackage
from edgehar.signals.clip import Floats, Prediction, Times

FLEET_FORMAT = "edgehar-bench-fleet"
TICKS = 8
"""Polls per hop."""
SIGNALS = 16
"""Different signals, which the people share."""
SIGNAL_HOPS = 64
"""Hops after which a signal is repeated."""
MAX_LOOP_PEOPLE = 100
"""Most people of the loop; the time of one of its hops does not depend on their number."""
CLOCK_STEP_S = 1000.0
"""Difference between the clocks of two people."""

Chunk = tuple[str, Floats, Times]
"""Sensor, samples and times."""


@dataclass
class _Side:
    """The fleet, or the loop.

    Attributes:
        push_s: CPU seconds in `push`.
        poll_s: CPU seconds in `poll`; the loop has none.
        waits_s: seconds from the arrival of the last sample to each prediction.
        found: person -> predictions.
    """

    push_s: float = 0.0
    poll_s: float = 0.0
    waits_s: list[float] = field(default_factory=lambda: list[float]())
    found: dict[int, list[Prediction]] = field(default_factory=lambda: dict[int, list[Prediction]]())

    def add(self, person: int, prediction: Prediction) -> None:
        """Store a prediction."""
        self.found.setdefault(person, []).append(prediction)

    def figures(self, hop_s: float) -> dict[str, float]:
        """Microseconds of CPU time per hop, and how many people one core computes in real time."""
        hops = max(sum(map(len, self.found.values())), 1)
        us = 1e6 / hops
        total_us = (self.push_s + self.poll_s) * us
        return {
            "hops": hops,
            "cpu_us_per_hop": total_us,
            "push_us_per_hop": self.push_s * us,
            "poll_us_per_hop": self.poll_s * us,
            "people_per_core": 1e6 * hop_s / total_us,
        }


class FleetBenchmark:
    """People each of whose sensors send one chunk per hop.

    Args:
        recognizer: the opened package.
        people: number of people in the fleet.
    """

    def __init__(self, recognizer: Recognizer, people: int) -> None:
        """Fill the windows of all people; measures the memory of the fleet before the loop exists."""
        window, self._specs = recognizer.manifest.window, recognizer.manifest.modalities
        self._hop_s, self._people, self._hops, self._ready_s = window.hop * window.step_s, people, 0, 0.0
        generator = np.random.default_rng(0)
        self._signals = [
            {
                spec.name: random_signal(spec, math.ceil(SIGNAL_HOPS * self._hop_s * spec.rate_hz), generator)
                for spec in self._specs
            }
            for _ in range(SIGNALS)
        ]
        before = resident_bytes() or 0
        self._fleet, self._fleet_side = Fleet(recognizer, max_people=people), _Side()
        filling = math.ceil(window.steps / window.hop) + 2
        for _ in range(filling):
            self._fleet_hop()
        self.memory = {
            "resident_bytes": resident_bytes(),
            "peak_resident_bytes": peak_resident_bytes(),
            "bytes_per_person": ((resident_bytes() or 0) - before) / people,
        }
        self._loop, self._loop_side = (
            [StreamRecognizer(recognizer) for _ in range(min(people, MAX_LOOP_PEOPLE))],
            _Side(),
        )
        for hop in range(filling):
            self._loop_hop(hop)

    def run(self, seconds: float) -> dict[str, Any]:
        """Measure this many seconds of the streams, the fleet and the loop in turns."""
        self._fleet_side, self._loop_side, self._ready_s = _Side(), _Side(), 0.0
        for _ in range(max(math.ceil(seconds / self._hop_s), 1)):
            self._loop_hop(self._hops)
            self._fleet_hop()
        fleet, loop = self._fleet_side.figures(self._hop_s), self._loop_side.figures(self._hop_s)
        waits_ms = np.percentile(self._fleet_side.waits_s, [50, 95, 99]) * 1000
        return {
            "hop_s": self._hop_s,
            "fleet": fleet
            | self.memory
            | {
                "core_share": self._people * fleet["cpu_us_per_hop"] / 1e6 / self._hop_s,
                "wait_ms": dict(zip(("median", "p95", "p99"), waits_ms.tolist(), strict=True)),
            },
            "loop": loop | {"people": len(self._loop)},
            "loop_over_fleet": loop["cpu_us_per_hop"] / fleet["cpu_us_per_hop"],
            "agreement": self._agreement(),
        }

    def _chunks(self, person: int, hop: int) -> Iterator[Chunk]:
        for spec in self._specs:
            first, end = (math.ceil(edge * self._hop_s * spec.rate_hz - 1e-6) for edge in (hop, hop + 1))
            indices = np.arange(first, end)
            if len(indices):
                samples = self._signals[person % SIGNALS][spec.name].take(indices, axis=0, mode="wrap")
                yield spec.name, samples, CLOCK_STEP_S * person + indices / spec.rate_hz

    def _fleet_hop(self) -> None:
        side, edges = self._fleet_side, [self._people * tick // TICKS for tick in range(TICKS + 1)]
        for tick, (first, end) in enumerate(itertools.pairwise(edges)):
            pushes = [(f"{one}", *chunk) for one in range(first, end) for chunk in self._chunks(one, self._hops)]
            arrived_s = (self._hops + (tick + 1) / TICKS) * self._hop_s
            start_s = time.process_time()
            self._fleet.push_all(pushes)
            pushed_s = time.process_time()
            found = self._fleet.poll()
            polled_s = time.process_time()
            self._ready_s = max(self._ready_s, arrived_s) + polled_s - start_s
            side.push_s, side.poll_s = side.push_s + pushed_s - start_s, side.poll_s + polled_s - pushed_s
            side.waits_s += [self._ready_s - arrived_s] * len(found)
            for person, prediction in found:
                side.add(int(person or 0), prediction)
        self._hops += 1

    def _loop_hop(self, hop: int) -> None:
        pushes = [(person, chunk) for person in range(len(self._loop)) for chunk in self._chunks(person, hop)]
        start_s = time.process_time()
        found = [(person, one) for person, chunk in pushes for one in self._loop[person].push(*chunk)]
        self._loop_side.push_s += time.process_time() - start_s
        for person, prediction in found:
            self._loop_side.add(person, prediction)

    def _agreement(self) -> dict[str, float]:
        """How the probabilities of the people in both differ."""
        pairs = [
            (one.probabilities, other.probabilities)
            for person, found in self._loop_side.found.items()
            for one, other in zip(self._fleet_side.found[person], found, strict=True)
        ]
        return {
            "predictions": len(pairs),
            "identical": float(np.mean([np.array_equal(*pair) for pair in pairs])),
            "largest_difference": float(max(np.abs(one - other).max() for one, other in pairs)),
        }


def bench_fleet(
    package: EdgePackage,
    precisions: tuple[str, ...],
    threads: int,
    providers: tuple[str, ...],
    people: int,
    seconds: float,
) -> dict[str, Any]:
    """Measure a fleet of so many people over so many seconds of their streams; by default the default precision."""
    before, results = device_state(), dict[str, Any]()
    for precision in precisions or (package.manifest.default_precision,):
        recognizer = Recognizer(package, precision, threads, providers)
        results[precision] = FleetBenchmark(recognizer, people).run(seconds)
        results[precision]["providers"] = list(recognizer.providers)
    after, device = device_state(), device_facts()
    remarks = stability_warnings(before, after, device["cores"] or 1)
    return {"people": people, "precisions": results, "remarks": remarks} | {
        "before": before,
        "after": after,
        "device": device,
    }


def fleet_table(document: dict[str, Any]) -> str:
    """The result of `edgehar bench --fleet` as text."""
    lines = [f"{document['name']}: {document['people']} people, {document['threads']} thread(s)"]
    for precision, entry in document["precisions"].items():
        fleet, loop, agreement = entry["fleet"], entry["loop"], entry["agreement"]
        wait_ms, memory_mib = fleet["wait_ms"], (fleet["resident_bytes"] or 0) / 2**20
        lines += [
            f"{precision}, a hop every {entry['hop_s']:.3f} s",
            f"  fleet  {fleet['cpu_us_per_hop']:7.1f} us per hop (push {fleet['push_us_per_hop']:.1f}, poll "
            f"{fleet['poll_us_per_hop']:.1f}), {fleet['core_share']:.0%} of a core in real time",
            f"  loop   {loop['cpu_us_per_hop']:7.1f} us per hop, {entry['loop_over_fleet']:.2f} times the fleet's",
            f"  last sample to prediction: median {wait_ms['median']:.1f} ms, p99 {wait_ms['p99']:.1f} ms",
            f"  memory {memory_mib:.0f} MiB, {fleet['bytes_per_person'] / 1024:.0f} KiB per person",
            f"  {agreement['identical']:.1%} of {agreement['predictions']} predictions are the loop's bits; largest "
            f"difference {agreement['largest_difference']:.2g}",
        ]
    return "\n".join([*lines, *(f"warning: {remark}" for remark in document["remarks"])])
