"""Times the parts of a window and of a stream hop, one run at a time.

Wall time is what a user waits; CPU time beside it tells whether other processes interrupted this one.
"""

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from edgehar.deploy.bench.random_signals import random_recording, random_signal
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.stream.recognizer import StreamRecognizer
from edgehar.signals.clip import Clip, Floats, Prediction
from edgehar.signals.windows import Windows, cut

WARM_UP_RUNS = 50
"""Untimed runs of an action before each burst; they load its weights and code into the CPU caches."""
BURST_RUNS = 50
"""Timed runs of an action in a row."""
SIGNAL_SAMPLES = 4096
"""Length of the random signal that a timed stream repeats."""

Action = Callable[[], Any]
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class RunTimes:
    """Wall time and CPU time of every run of one action, in order."""

    wall_s: list[float] = field(default_factory=lambda: list[float]())
    cpu_s: list[float] = field(default_factory=lambda: list[float]())

    def milliseconds(self) -> dict[str, float]:
        """Median, 95th and 99th percentile of the wall time, median of the CPU time, and the number of runs."""
        median, p95, p99 = np.percentile(self.wall_s, [50, 95, 99]) * 1000
        return {
            "median_ms": float(median),
            "p95_ms": float(p95),
            "p99_ms": float(p99),
            "cpu_median_ms": float(np.median(self.cpu_s)) * 1000,
            "runs": len(self.wall_s),
        }


@dataclass(frozen=True)
class SustainedRun:
    """The result of repeating an action without pause."""

    runs: int
    wall_s: float
    cpu_s: float

    @property
    def per_s(self) -> float:
        """Runs per second."""
        return self.runs / self.wall_s

    @property
    def core_share(self) -> float:
        """CPU time divided by wall time; above 1 with several threads."""
        return self.cpu_s / self.wall_s


def duration_s(action: Action) -> float:
    """Wall time of one call."""
    start_s = time.perf_counter()
    action()
    return time.perf_counter() - start_s


def time_interleaved(actions: Mapping[Key, Action], runs: int, warm_up: int = WARM_UP_RUNS) -> dict[Key, RunTimes]:
    """Time every action `runs` times, in rounds of bursts; each burst follows untimed runs, each round has a new order.

    Rounds spread temperature and load evenly over the actions. Bursts keep an action's data in the CPU caches, as on a
    board that runs nothing else, and remove the influence of the preceding action.
    """
    generator, keys = np.random.default_rng(0), list(actions)
    times = {key: RunTimes() for key in keys}
    for first in range(0, runs, BURST_RUNS):
        for index in generator.permutation(len(keys)):
            key = keys[int(index)]
            action = actions[key]
            for _ in range(warm_up):
                action()
            for _ in range(min(BURST_RUNS, runs - first)):
                start_s, cpu_s = time.perf_counter(), time.process_time()
                action()
                cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - start_s
                times[key].wall_s.append(wall_s)
                times[key].cpu_s.append(cpu_s)
    return times


def run_sustained(action: Action, for_s: float) -> SustainedRun:
    """Repeat an action without pause for at least this long."""
    runs, start_s, cpu_s = 0, time.perf_counter(), time.process_time()
    while True:
        action()
        runs += 1
        wall_s = time.perf_counter() - start_s
        if wall_s >= for_s:
            return SustainedRun(runs, wall_s, time.process_time() - cpu_s)


class BenchmarkTarget:
    """One precision of a package with the inputs to benchmark it.

    Attributes:
        recognizer: the package, opened.
        signals: a random recording of one window.
        windows: its features.
        actions: name -> function to time. "window" predicts a recording of one window from its samples; its parts are
            "window_preprocess" and "window_network". "hop" is a stream's work from one prediction to the next, with
            the hop's samples pushed at once, sensor by sensor; its parts are "hop_encoder" and "head".
    """

    def __init__(self, recognizer: Recognizer) -> None:
        """Generate the signals and fill the stream's window."""
        self.recognizer, manifest = recognizer, recognizer.manifest
        generator = np.random.default_rng(0)
        self.signals = random_recording(manifest.modalities, manifest.window, 1, generator)
        self.windows = self.prepared()
        self._stream = StreamRecognizer(self.recognizer, start_s=0.0)
        self._hops = 0
        self._signals = {spec.name: random_signal(spec, SIGNAL_SAMPLES, generator) for spec in manifest.modalities}
        self._times_s = {
            spec.name: np.arange(spec.patch * manifest.window.hop) * (manifest.window.step_s / spec.patch)
            for spec in manifest.modalities
        }
        for _ in range(manifest.window.steps + 2):  # fill the window: every timed hop gives one prediction
            self.hop()
        hop = manifest.window.hop
        steps = {name: features[0, :hop] for name, features in self.windows.features.items()}
        valid: Floats = np.ones((hop, len(manifest.modalities)), np.float32)
        tokens: Floats = np.zeros((1, manifest.window.steps, manifest.token_dim), np.float32)
        self.actions: dict[str, Action] = {
            "window": lambda: recognizer.predict(self.signals),
            "window_preprocess": self.prepared,
            "window_network": lambda: recognizer.predict_prepared(self.windows),
            "hop": self.hop,
            "hop_encoder": lambda: recognizer.encode(steps, valid),
            "head": lambda: recognizer.classify(tokens),
        }

    def prepared(self) -> Windows:
        """The features of one window, computed from its samples."""
        manifest = self.recognizer.manifest
        valid = {name: np.ones(len(values), bool) for name, values in self.signals.items()}
        times_s = {spec.name: np.arange(len(valid[spec.name])) / spec.rate_hz for spec in manifest.modalities}
        clip = Clip("random", "", "", self.signals, valid, times_s=times_s)
        return cut([clip], manifest.info, manifest.normalisation)

    def hop(self) -> list[Prediction]:
        """Push the samples of one hop, sensor by sensor; the last push returns the prediction."""
        window, predictions = self.recognizer.manifest.window, list[Prediction]()
        for spec in self.recognizer.manifest.modalities:
            count = spec.patch * window.hop
            signal = self._signals[spec.name]
            first = self._hops * count % (len(signal) - count)
            times_s = self._times_s[spec.name] + self._hops * window.hop * window.step_s
            predictions += self._stream.push(spec.name, signal[first : first + count], times_s)
        self._hops += 1
        return predictions
