"""Recognises a live stream at constant cost per hop: new steps through the encoder, one window through the head."""

import threading
from collections.abc import Iterable, Iterator
from typing import Any

from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.stream.clocks.sample_counts import SampleCounts
from edgehar.deploy.stream.hops import HopComputer
from edgehar.deploy.stream.rows import StreamRows
from edgehar.deploy.stream.settings import StreamSettings
from edgehar.deploy.stream.state import Hop, StreamState
from edgehar.signals.clip import Prediction


class StreamRecognizer:
    """Predictions of sliding windows as the samples arrive, each sensor at its own rate and clock.

    The steps of a hop are computed together, when every sensor has passed their end by one frame or when any sensor
    has passed it by `lateness_s` more; samples that arrive later are lost. As long as none is lost, the predictions do
    not depend on how the samples are divided into pushes and equal those of `Recognizer.predict_windows` on the whole
    recording. A window without a valid step has no prediction. Samples may arrive twice or out of order; a sample too
    late for its step is lost. Different samples with one timestamp are spread until the next one
    (`edgehar.signals.coarse_clock`). Clock jumps are handled by `edgehar.deploy.stream.clocks.clock`, drift by
    `edgehar.deploy.stream.clocks.drift`.

    Several threads may use one stream, such as one for each sensor: a call waits until the other threads' calls have
    returned. A prediction is returned by the call that completes its window, whichever thread that is.

    Args:
        recognizer: the opened package; one of kind "clip" slides here with the manifest's `step_s` and `hop`.
        modalities: sensors that are connected; the stream waits for these only. All of the package's if empty.
        smoothing: weight of the previous prediction's probabilities, 0 (none) to below 1.
        margin: a new class replaces the previous one only if it is more probable by more than this.
        lateness_s: how long to wait for the slowest sensor, in seconds of the stream, and the smallest clock jump that
            is detected; infinity waits forever and accepts every timestamp.
        reorder_s: how far a sample may arrive behind a newer one of its sensor without any effect; delays each step by
            as much.
        start_s: start of the first step on the stream's clock; the first timestamp pushed if None.
        offsets_s: modality -> seconds added to its timestamps, to bring its clock to the stream's.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        modalities: Iterable[str] = (),
        smoothing: float = 0.0,
        margin: float = 0.0,
        lateness_s: float = 0.5,
        reorder_s: float = 0.0,
        start_s: float | None = None,
        offsets_s: dict[str, float] | None = None,
    ) -> None:
        """Check the arguments and start without samples."""
        self._settings = StreamSettings(
            recognizer, modalities, smoothing, margin, lateness_s, reorder_s, start_s, offsets_s
        )
        self._computer = HopComputer(recognizer)
        rows = StreamRows(recognizer.manifest, self._settings.specs)
        self._state = StreamState(self._settings, self._computer.absent_token, rows)
        self._lock = threading.Lock()

    def reset(self) -> None:
        """Discard all samples and state except the counts; the next sample starts a new stream."""
        with self._lock:
            self._state.reset()

    def push(self, modality: str, samples: Any, times_s: Any) -> list[Prediction]:
        """Add the next samples of one sensor.

        Args:
            modality: name of the sensor.
            samples: (n, C), or (n, G, 3) for a skeleton; a value that is not finite marks a missing sample.
            times_s: (n,) seconds on the sensor's clock.

        Returns:
            The predictions that these samples complete, in order; often none.

        Raises:
            DataError: unknown modality, wrong shape or invalid timestamps; the stream is then unchanged.
            ConfigError: the sensor is not among those the stream was opened for.
        """
        chunk = self._settings.checked(modality, samples, times_s)
        with self._lock:
            return self._computed(self._state.receive(chunk))

    def flush(self) -> list[Prediction]:
        """Compute the whole steps that remain at the end of a recording, then reset the stream."""
        with self._lock:
            return self._computed(self._state.flush())

    def _computed(self, hops: Iterator[Hop] | None) -> list[Prediction]:
        if hops is None:
            return []
        return [one for hop in hops if (one := self._computer.compute_one(hop)) is not None]

    @property
    def lost(self) -> dict[str, int]:
        """Modality -> number of samples that arrived after their step was computed or had a rejected timestamp."""
        return {name: one.late + one.rejected for name, one in self.counts.items()}

    def take_warnings(self) -> list[str]:
        """What was found about the sensors' clocks since the last call: one line each, at most 100."""
        with self._lock:
            return self._state.take_warnings()

    @property
    def counts(self) -> dict[str, SampleCounts]:
        """Modality -> counts of received and unused samples since the stream was created."""
        with self._lock:
            return self._state.counts
