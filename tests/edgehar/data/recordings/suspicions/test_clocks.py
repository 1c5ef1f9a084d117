"""Rates, gaps, zeros and drift are told from the timestamps alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgehar.data.recordings.suspicions.clocks import (
    drift_ppm,
    held_values,
    lost_share,
    rates,
    untimed_durations,
    zeros,
)
from edgehar.data.recordings.suspicions.recorded import Recorded
from edgehar.signals.modality import ModalitySpec, WindowSpec

Doubles = NDArray[np.float64]
WATCH = ModalitySpec("watch", 3, "g", 50, 5)
PHONE = ModalitySpec("phone", 3, "g", 20, 2)
WINDOW = WindowSpec("sliding", 8, 0.1)


def recorded(times_s: Doubles | None, name: str = "r1", samples: int = 0, seed: int = 0) -> Recorded:
    count = samples if times_s is None else len(times_s)
    values = np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)
    return Recorded(name, name, "ann", 0, values, np.ones(count, bool), times_s)


@settings(max_examples=60, deadline=None)
@given(
    rate_hz=st.floats(0.5, 400),
    jitter=st.floats(0, 0.4),
    clock_s=st.sampled_from([0.0, 0.001]),
    gap_s=st.floats(0, 100),
    seed=st.integers(0, 999),
)
def test_the_rate_is_that_outside_of_gaps(
    rate_hz: float, jitter: float, clock_s: float, gap_s: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    times_s = (np.arange(400) + rng.uniform(-jitter, jitter, 400)) / rate_hz + 1
    times_s[200:] += gap_s
    if clock_s:
        times_s = np.round(times_s / clock_s) * clock_s
    assert recorded(times_s).true_rate_hz == pytest.approx(rate_hz, rel=0.05)


def test_too_few_samples_have_no_rate() -> None:
    assert recorded(np.array([0.0, 0.1, 0.2])).true_rate_hz is None
    assert recorded(np.zeros(9)).true_rate_hz is None
    assert recorded(None, samples=9).true_rate_hz is None


@settings(max_examples=40, deadline=None)
@given(true_hz=st.floats(0.5, 300), declared_hz=st.sampled_from([1.0, 5.0, 50.0, 100.0]))
def test_a_rate_is_accepted_named_or_refused(true_hz: float, declared_hz: float) -> None:
    spec = ModalitySpec("watch", 3, "g", declared_hz, max(1, round(declared_hz * WINDOW.step_s)))
    found = rates("watch", spec, WINDOW, [recorded(np.arange(200) / true_hz)])
    frame_s = WINDOW.step_s / spec.patch
    if 1 / true_hz > 8 * max(frame_s, 1 / declared_hz) + 1e-9:  # longer than the longest gap
        assert [problem.is_warning for problem in found] == [False]
        assert f"rate_hz {declared_hz:g}" in found[0].message
    elif abs(true_hz / declared_hz - 1) > 0.03 + 1e-9:
        assert [problem.is_warning for problem in found] == [True]
    else:
        assert found == []


@pytest.mark.parametrize(("jitter", "declared_hz", "named"), [
    (0.0, 53.0, True), (0.0, 51.0, False), (0.3, 53.0, False), (0.3, 65.0, True),
])  # fmt: skip
def test_exact_stamps_deny_a_rate_that_is_nearly_right(jitter: float, declared_hz: float, named: bool) -> None:
    spec = ModalitySpec("watch", 3, "g", declared_hz, 5)
    times_s = (np.arange(400) + np.random.default_rng(0).uniform(-jitter, jitter, 400)) / 50 + 0.02
    found = rates("watch", spec, WINDOW, [recorded(times_s)])
    assert [f"Hz, rate_hz {declared_hz:g}: frames are" in problem.message for problem in found] == [True] * named


def test_one_file_of_another_rate_is_named() -> None:
    files = [recorded(np.arange(200) / (40 if number == 3 else 50), f"r{number}") for number in range(6)]
    (problem,) = rates("watch", WATCH, WINDOW, files)
    assert (problem.file, problem.is_warning) == ("r3", True)
    assert "timestamps say 40 Hz, those of the other recordings 50 Hz" in problem.message


def test_most_of_the_time_in_gaps_is_named() -> None:
    bursts = (np.arange(30)[:, None] + np.arange(8) / 800).reshape(-1)  # 8 samples in 10 ms, each second
    (problem,) = rates("watch", WATCH, WINDOW, [recorded(bursts)])
    assert not problem.is_warning
    half = np.concatenate([np.arange(100) / 50, np.arange(100) / 50 + 8])
    (problem,) = rates("watch", WATCH, WINDOW, [recorded(half)])
    assert problem.is_warning
    assert lost_share(half, 0.16) == pytest.approx(0.602, abs=0.01)
    assert "60% of the time lies in gaps longer than 0.16 s" in problem.message


def test_files_without_timestamps_are_compared_with_the_other_sensors() -> None:
    def folder(samples: int) -> list[dict[str, Recorded]]:
        return [{"watch": recorded(None, samples=samples), "phone": recorded(np.arange(400) / 20, "p")}]

    assert untimed_durations(WATCH, {"watch": 50, "phone": 20}, folder(1000), stretched=False) == []
    (problem,) = untimed_durations(WATCH, {"watch": 50, "phone": 20}, folder(800), stretched=False)
    assert "800 samples last 16 s at rate_hz 50, the other sensors 20 s" in problem.message
    # Clips of two unsynchronised sensors may differ, and differ from clip to clip.
    clips = [{"watch": recorded(None, samples=n), "phone": recorded(None, samples=80)} for n in (150, 300, 220)]
    assert untimed_durations(WATCH, {"watch": 50, "phone": 20}, clips, stretched=True) == []


def test_clocks_with_different_zeros_are_named() -> None:
    times_s = np.arange(500) / 50
    assert zeros(WINDOW, {"watch": recorded(times_s), "phone": recorded(times_s)}) == []
    assert zeros(WINDOW, {"watch": recorded(times_s), "phone": recorded(times_s[200:])}) == []  # started late
    (problem,) = zeros(WINDOW, {"watch": recorded(times_s), "phone": recorded(times_s + 4, "phone")})
    assert (problem.file, "begins and ends 4 s after watch" in problem.message) == ("phone", True)
    (problem,) = zeros(WINDOW, {"watch": recorded(times_s + 1800)})
    assert "time starts at 1800 s" in problem.message


@pytest.mark.parametrize("ppm", [500.0, -200.0, 0.0])
def test_drift_is_measured_over_minutes(ppm: float) -> None:
    minutes = 60 * 60
    watch = recorded(np.arange(int(50 * minutes)) / 50)
    phone = recorded(None, samples=round(20 * minutes * (1 + ppm * 1e-6)))
    assert drift_ppm((WATCH, PHONE), [{"watch": watch, "phone": phone}])["phone"] == pytest.approx(ppm, abs=20)
    short = {"watch": recorded(None, samples=100), "phone": recorded(None, samples=40)}
    assert drift_ppm((WATCH, PHONE), [short]) == {}


@pytest.mark.parametrize("times", [1, 2, 5])
def test_values_written_several_times_are_named(times: int) -> None:
    slow = recorded(None, samples=200)
    values = np.repeat(slow.values, times, axis=0)
    found = held_values(WATCH, Recorded("r", "r", "ann", 0, values, np.ones(len(values), bool), None))
    assert [f"seems to give {50 / times:g} Hz" in problem.message for problem in found] == [True] * (times > 1)
