"""Clocks that run at different rates are followed, or reported at once."""

import numpy as np
import pytest

from edgehar import StreamRecognizer
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.stream.clocks.drift import DriftFollower
from tests.deploy.streams import LATENESS_S, Recording, assert_same, sample_by_sample, steady, streamed

BATCH_S = 0.2


def pushed_for(stream: StreamRecognizer, seconds: float, drift: float) -> list[tuple[float, str]]:
    """Push both sensors in batches, the inertial one with a clock that gains `drift`; warnings and when they came."""
    found: list[tuple[float, str]] = []
    for batch in range(int(seconds / BATCH_S)):
        start_s = batch * BATCH_S
        stream.push("skeleton", np.zeros((6, 60)), start_s + np.arange(6) / 30)
        stream.push("inertial", np.zeros((10, 6)), (start_s + np.arange(10) / 50) * (1 + drift))
        found += [(start_s, warning) for warning in stream.take_warnings()]
    return found


def lost(stream: StreamRecognizer) -> int:
    return sum(stream.lost.values())


@pytest.mark.parametrize(("drift", "seconds"), [(-1e-3, 700.0), (1e-3, 700.0), (5e-4, 1100.0)])
def test_drift_of_more_than_the_lateness_loses_no_sample(recognizer: Recognizer, drift: float, seconds: float) -> None:
    stream = StreamRecognizer(recognizer, lateness_s=LATENESS_S)
    assert abs(drift) * seconds > LATENESS_S
    warnings = pushed_for(stream, seconds, drift)
    assert lost(stream) == 0
    assert len(warnings) == 1
    assert ("gains" if drift > 0 else "loses") in warnings[0][1]
    assert "on skeleton's; its timestamps are corrected from now on" in warnings[0][1]


@pytest.mark.parametrize("drift", [4e-3, -4e-3])
def test_drift_beyond_the_limit_is_reported_before_a_sample_is_lost(recognizer: Recognizer, drift: float) -> None:
    stream = StreamRecognizer(recognizer, lateness_s=LATENESS_S)
    pushed_for(stream, 70.0, drift)
    assert lost(stream) == 0
    stream.reset()
    (first_s, first), (last_s, last) = pushed_for(stream, 300.0, drift)
    assert "ppm on skeleton's; expected at most 2000 ppm" in first
    assert "samples were lost; the newest timestamp is 0." in last
    assert first_s < 70.0 < last_s


def test_clock_that_is_apart_from_the_beginning_is_reported_within_seconds(recognizer: Recognizer) -> None:
    recording = steady(14.0)
    stream = StreamRecognizer(recognizer, start_s=0.0)
    warnings: list[tuple[float, str]] = []
    for name, samples, times in sample_by_sample(recording):
        stream.push(name, samples, [times[0] - 3.0 if name == "inertial" else times[0]])
        warnings += [(times[0], warning) for warning in stream.take_warnings()]
    assert len(warnings) == 1
    assert warnings[0][0] < 6.0
    assert "inertial: 250 of the last 250 samples were lost; the newest timestamp is 2.99 s behind" in warnings[0][1]


def test_recordings_are_never_corrected(recognizer: Recognizer) -> None:
    recording = steady(130.0)
    drifting = Recording(recording.signals, recording.times_s | {"inertial": recording.times_s["inertial"] * 1.003})
    stream = StreamRecognizer(recognizer, lateness_s=float("inf"), start_s=0.0)
    found = streamed(stream, sample_by_sample(drifting))
    assert stream.take_warnings() == []
    assert_same(found, recognizer.predict_windows(drifting.signals, drifting.times_s))


class Network:
    """Two sensors whose samples arrive late by a random and changing delay, for a follower without a stream.

    Args:
        seed: of the delays.
        drift: what the second sensor's clock gains.
        step_s: a change of the second sensor's delay after a third of the time.
    """

    def __init__(self, seed: int, drift: float, step_s: float = 0.0) -> None:
        generator = np.random.default_rng(seed)
        events: list[tuple[float, str, float]] = []
        self.seconds = 3600.0
        for name, interval_s in (("first", 0.1), ("second", 0.2)):
            sent_s = np.arange(interval_s, self.seconds, interval_s)
            delay_s = 0.02 + generator.exponential(0.02, len(sent_s))
            if name == "second":
                delay_s[sent_s > self.seconds / 3] += step_s
            arrives_s = np.maximum.accumulate(sent_s + delay_s)
            own_s = sent_s * (1 + drift) if name == "second" else sent_s
            events += zip(arrives_s.tolist(), [name] * len(sent_s), own_s.tolist(), strict=True)
        self.events = sorted(events)
        self.follower = DriftFollower(("first", "second"), LATENESS_S)

    def run(self) -> tuple[list[str], float]:
        """The warnings, and the greatest difference of the corrected clocks, without the delays."""
        newest_s = {"first": -np.inf, "second": -np.inf}
        warnings: list[str] = []
        worst_s = 0.0
        for _, name, own_s in self.events:
            sensor = self.follower.sensors[name]
            newest_s[name] = max(newest_s[name], sensor.corrected([own_s])[0])
            warning = self.follower.observe(sensor, [own_s], newest_s[name], 0.0)
            warnings += [warning] if warning else []
            if name == "second":
                worst_s = max(worst_s, abs(newest_s["first"] - newest_s["second"]))
        return warnings, worst_s


@pytest.mark.parametrize("drift", [100e-6, -500e-6, 1000e-6, -1500e-6])
def test_clocks_stay_together_for_an_hour(drift: float) -> None:
    warnings, worst_s = Network(0, drift).run()
    assert len(warnings) == 1
    assert worst_s < LATENESS_S


@pytest.mark.parametrize("step_s", [0.0, 0.1, 0.3])
def test_a_delay_that_changes_corrects_nothing(step_s: float) -> None:
    network = Network(0, 0.0, step_s)
    assert network.run()[0] == []
    sensor = network.follower.sensors["second"]
    assert not sensor.is_corrected
    assert sensor.corrected([10.0, 5000.0]) == [10.0, 5000.0]


def test_clock_that_seemed_too_fast_is_followed_when_measured_within_the_limit() -> None:
    follower, newest_s, warnings = DriftFollower(("first", "second"), LATENESS_S), [-np.inf, -np.inf], list[str]()
    for step in range(1, 12_000):
        time_s = 0.1 * step
        gained_s = 3e-3 * min(time_s, 100.0) + 1e-3 * max(time_s - 100.0, 0.0)
        for index, (name, own_s) in enumerate((("first", time_s), ("second", time_s + gained_s))):
            sensor = follower.sensors[name]
            newest_s[index] = max(newest_s[index], sensor.corrected([own_s])[0])
            warning = follower.observe(sensor, [own_s], newest_s[index], 0.0)
            warnings += [warning] if warning else []
    assert ["expected at most 2000 ppm" in warning for warning in warnings] == [True, False]
    assert warnings[1].endswith("its timestamps are corrected from now on")
    assert abs(newest_s[1] - newest_s[0]) < LATENESS_S
