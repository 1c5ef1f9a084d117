"""One precision of a package under test: the pieces of a window and of a stream hop, timed one run at a time.

Wall time is what a user waits; the processor's time beside it tells whether the process was kept waiting by others.
"""

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from edgehar.deploy.bench.random_signals import example_recording, example_signal
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.stream.recognizer import StreamRecognizer
from edgehar.signals.clip import Clip, Floats, Prediction
from edgehar.signals.windows import Windows, cut

WARM_UP_RUNS = 50
"""Runs of an action before a burst of timed ones: they bring its weights and code into the processor's caches."""
BURST_RUNS = 50
"""Timed runs of an action before another has its turn."""
SOURCE_SAMPLES = 4096
"""Samples of the made-up signal that a timed stream goes round."""

Action = Callable[[], Any]
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Times:
    """Every run of one action, in order: wall time, and the time that processors worked for this process."""

    wall_s: list[float] = field(default_factory=lambda: list[float]())
    cpu_s: list[float] = field(default_factory=lambda: list[float]())

    def milliseconds(self) -> dict[str, float]:
        """Median, 95th and 99th percentile of the wall time, median of the processors' time, and how many runs."""
        median, p95, p99 = np.percentile(self.wall_s, [50, 95, 99]) * 1000
        return {
            "median_ms": float(median),
            "p95_ms": float(p95),
            "p99_ms": float(p99),
            "cpu_median_ms": float(np.median(self.cpu_s)) * 1000,
            "runs": len(self.wall_s),
        }


@dataclass(frozen=True)
class Sustained:
    """An action repeated without pause."""

    runs: int
    wall_s: float
    cpu_s: float

    @property
    def per_s(self) -> float:
        """Runs per second."""
        return self.runs / self.wall_s

    @property
    def core_share(self) -> float:
        """How much of one core the process had, on average; above 1 with several threads."""
        return self.cpu_s / self.wall_s


def seconds(action: Action) -> float:
    """How long a call takes."""
    start_s = time.perf_counter()
    action()
    return time.perf_counter() - start_s


def take_turns(actions: Mapping[Key, Action], runs: int, warm_up: int = WARM_UP_RUNS) -> dict[Key, Times]:
    """Time every action `runs` times, warm: in bursts, each after runs that do not count, in another order each round.

    Rounds let heat and other load hit each alike. Within a round an action runs several times in a row, as nothing
    else uses the processor's caches on a board that does this one thing, and whoever ran before it makes no difference.
    """
    generator, keys = np.random.default_rng(0), list(actions)
    times = {key: Times() for key in keys}
    for first in range(0, runs, BURST_RUNS):
        for place in generator.permutation(len(keys)):
            key = keys[int(place)]
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


def sustain(action: Action, for_s: float) -> Sustained:
    """Repeat an action without pause for at least this long."""
    runs, start_s, cpu_s = 0, time.perf_counter(), time.process_time()
    while True:
        action()
        runs += 1
        wall_s = time.perf_counter() - start_s
        if wall_s >= for_s:
            return Sustained(runs, wall_s, time.process_time() - cpu_s)


class Subject:
    """One precision under test, with everything it needs at hand.

    Attributes:
        recognizer: what is timed.
        signals: a made-up recording of one window.
        windows: its features.
        actions: name -> what a run of it calls. "window" is a recording of one window, from samples to prediction;
            its parts are "window_preprocess" and "window_network". "hop" is what a stream does from one prediction to
            the next, with the hop's samples pushed at once, sensor by sensor; its parts are "hop_encoder" and "head".
    """

    def __init__(self, recognizer: Recognizer) -> None:
        """Make up the signals."""
        self.recognizer, manifest = recognizer, recognizer.manifest
        generator = np.random.default_rng(0)
        self.signals = example_recording(manifest.modalities, manifest.window, 1, generator)
        self.windows = self.prepared()
        self._stream = StreamRecognizer(self.recognizer, start_s=0.0)
        self._hops = 0
        self._sources = {spec.name: example_signal(spec, SOURCE_SAMPLES, generator) for spec in manifest.modalities}
        self._times_s = {
            spec.name: np.arange(spec.patch * manifest.window.hop) * (manifest.window.step_s / spec.patch)
            for spec in manifest.modalities
        }
        for _ in range(manifest.window.steps + 2):  # fills the ring, so that every timed hop gives one prediction
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
        """The features of one window, from its samples."""
        manifest = self.recognizer.manifest
        valid = {name: np.ones(len(values), bool) for name, values in self.signals.items()}
        times_s = {spec.name: np.arange(len(valid[spec.name])) / spec.rate_hz for spec in manifest.modalities}
        clip = Clip("made up", "", "", self.signals, valid, times_s=times_s)
        return cut([clip], manifest.info, manifest.normalisation)

    def hop(self) -> list[Prediction]:
        """Push the samples of one hop on the grid, sensor by sensor; the last push gives the prediction."""
        window, predictions = self.recognizer.manifest.window, list[Prediction]()
        for spec in self.recognizer.manifest.modalities:
            count = spec.patch * window.hop
            source = self._sources[spec.name]
            first = self._hops * count % (len(source) - count)
            times_s = self._times_s[spec.name] + self._hops * window.hop * window.step_s
            predictions += self._stream.push(spec.name, source[first : first + count], times_s)
        self._hops += 1
        return predictions
