"""One precision of a package under test: the pieces of a window and of a stream hop, timed one run at a time."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from deploy.example import example_recording, example_signal
from deploy.recognizer import Recognizer
from deploy.stream import StreamRecognizer
from edgehar.clip import Clip, Floats
from edgehar.windows import Windows, cut

WARM_UP_RUNS = 50
SOURCE_SAMPLES = 4096
"""Samples of the made-up signal that a timed stream goes round."""


def seconds(action: Callable[[], Any]) -> float:
    """How long a call takes."""
    start_s = time.perf_counter()
    action()
    return time.perf_counter() - start_s


def take_turns(subjects: "list[Subject]", runs: int) -> None:
    """Time every subject `runs` times, one after the other in each run, after some runs that do not count."""
    for run in range(WARM_UP_RUNS + runs):
        for subject in subjects:
            subject.run(keep=run >= WARM_UP_RUNS)


class Subject:
    """One precision under test, with everything it needs at hand, timed one run at a time."""

    def __init__(self, recognizer: Recognizer) -> None:
        """Make up the signals."""
        self.recognizer, manifest = recognizer, recognizer.manifest
        generator = np.random.default_rng(0)
        self._signals = example_recording(manifest.modalities, manifest.window, 1, generator)
        self._windows = self._prepared()
        self._stream = StreamRecognizer(self.recognizer, start_s=0.0)
        self._hops = 0
        self._sources = {spec.name: example_signal(spec, SOURCE_SAMPLES, generator) for spec in manifest.modalities}
        for _ in range(manifest.window.steps + 2):  # fills the ring, so that every timed hop gives one prediction
            self._hop()
        step = {name: features[0, :1] for name, features in self._windows.features.items()}
        valid = np.ones((1, len(manifest.modalities)), np.float32)
        self._step: tuple[dict[str, Floats], Floats] = step, valid
        self._tokens = np.zeros((1, manifest.window.steps, manifest.token_dim), np.float32)
        self.times_s: dict[str, list[float]] = {}

    def _prepared(self) -> Windows:
        manifest = self.recognizer.manifest
        valid = {name: np.ones(len(values), bool) for name, values in self._signals.items()}
        times_s = {spec.name: np.arange(len(valid[spec.name])) / spec.rate_hz for spec in manifest.modalities}
        clip = Clip("made up", "", "", self._signals, valid, times_s=times_s)
        return cut([clip], manifest.info, manifest.normalisation)

    def _hop(self) -> None:
        """Push the samples of one hop on the grid, sensor by sensor; the last push gives the prediction."""
        window = self.recognizer.manifest.window
        for spec in self.recognizer.manifest.modalities:
            place = np.arange(spec.patch * window.hop) + self._hops * spec.patch * window.hop
            samples = self._sources[spec.name][place % SOURCE_SAMPLES]
            self._stream.push(spec.name, samples, place * (window.step_s / spec.patch))
        self._hops += 1

    def run(self, keep: bool) -> None:
        """Time everything once."""
        logits_of = self.recognizer.predict_prepared
        hop = self.recognizer.manifest.window.hop
        actions: dict[str, Callable[[], Any]] = {
            "window": lambda: self.recognizer.predict(self._signals),
            "window_preprocess": self._prepared,
            "window_network": lambda: logits_of(self._windows),
            "hop": self._hop,
            "hop_encoder": lambda: [self.recognizer.encode(*self._step) for _ in range(hop)],
            "head": lambda: self.recognizer.classify(self._tokens),
        }
        for name, action in actions.items():
            elapsed_s = seconds(action)
            if keep:
                self.times_s.setdefault(name, []).append(elapsed_s)
