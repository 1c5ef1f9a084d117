"""Times hops of one revision of edgehar on request; run by `revisions.py`, with that revision on the path.

    python tools/speed/hop_worker.py PACKAGE PRECISION PUSHES

It uses what all revisions have, and therefore nothing else of this one. Each line of standard input is a number of
hops; the answer is a line of JSON: microseconds of a hop, of the encoder and of the head, and the sum of the squared
probabilities.
"""

import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

SAMPLES, FILLING, WARM_UP = 4096, 60, 30
QUANTILE = 0.2
"""Of the times of one request: what other processes cost is mostly above it."""


def opened(package: str, precision: str) -> tuple[Any, Any]:
    """A recogniser and a stream, by the names of the present layout or of the one before it."""
    package_name = "edgehar.deploy" if find_spec("edgehar.deploy") else "deploy"
    load = import_module(f"{package_name}.recognizer").load
    try:
        stream = import_module(f"{package_name}.stream.recognizer")
    except ModuleNotFoundError:
        stream = import_module(package_name)
    recognizer: Any = load(package, precision=precision, threads=1, providers=("CPUExecutionProvider",))
    return recognizer, stream.StreamRecognizer(recognizer, start_s=0.0)


def pushes_of(manifest: Any, parts: int) -> Iterator[list[tuple[str, Any, Any]]]:
    """The pushes of each hop: the samples of each sensor in this many parts, in order of time."""
    generator, hop, step_s = np.random.default_rng(0), manifest.window.hop, manifest.window.step_s
    signals = {
        spec.name: (generator.standard_normal((SAMPLES, spec.channels)).cumsum(0) / 10).astype(np.float32)
        for spec in manifest.modalities
    }
    number = 0
    while True:
        pushes: list[tuple[float, str, Any, Any]] = []
        for spec in manifest.modalities:
            count = spec.patch * hop
            first = number * count % (SAMPLES - count)
            samples = signals[spec.name][first : first + count]
            times_s = (np.arange(count) + number * count) * (step_s / spec.patch)
            edges = [part * count // parts for part in range(parts + 1)]
            pushes += [
                (times_s[start], spec.name, samples[start:end], times_s[start:end])
                for start, end in itertools.pairwise(edges)
                if end > start
            ]
        pushes.sort(key=lambda push: push[0])
        yield [push[1:] for push in pushes]
        number += 1


def quantile_us(action: Callable[[], float], runs: int) -> float:
    """A low quantile of the seconds that an action returns, in microseconds."""
    return 1e6 * float(np.quantile([action() for _ in range(runs)], QUANTILE))


def main(argv: list[str] | None = None) -> int:
    """Fill the window, then answer requests until the input ends."""
    package, precision, parts = sys.argv[1:] if argv is None else argv
    recognizer, stream = opened(package, precision)
    manifest, total = recognizer.manifest, 0.0
    hops = pushes_of(manifest, int(parts))

    def hop() -> float:
        nonlocal total
        pushes = next(hops)
        start_s = time.perf_counter()
        found = [prediction for push in pushes for prediction in stream.push(*push)]
        elapsed_s = time.perf_counter() - start_s
        total += sum(float((prediction.probabilities**2).sum()) for prediction in found)
        return elapsed_s

    generator, window = np.random.default_rng(1), manifest.window
    features = {
        spec.name: generator.standard_normal((window.hop, spec.patch * spec.groups * spec.features)).astype(np.float32)
        for spec in manifest.modalities
    }
    valid = np.ones((window.hop, len(manifest.modalities)), np.float32)
    tokens = np.zeros((1, window.steps, manifest.token_dim), np.float32)

    def timed(action: Callable[[], Any]) -> float:
        start_s = time.perf_counter()
        action()
        return time.perf_counter() - start_s

    quantile_us(hop, FILLING)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        total, runs = 0.0, int(line)
        quantile_us(hop, WARM_UP)
        times_us = [quantile_us(hop, runs)]
        for part in (lambda: recognizer.encode(features, valid), lambda: recognizer.classify(tokens)):
            quantile_us(lambda part=part: timed(part), WARM_UP)
            times_us.append(quantile_us(lambda part=part: timed(part), runs))
        sys.stdout.write(json.dumps([*times_us, total]) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
