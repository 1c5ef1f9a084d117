"""The rate that timestamps show: coarse clocks, pauses, lost and repeated samples, bursts."""

import numpy as np
import pytest

from edgehar.signals.clip import Times
from edgehar.signals.sampling_rate import sampling_rate_hz

REGULAR_S = np.arange(600) / 50


def bursts(times_s: Times) -> Times:
    """Packets of five samples a millisecond apart."""
    return times_s[::5].repeat(5)[: len(times_s)] + np.arange(len(times_s)) % 5 / 1000


@pytest.mark.parametrize(
    ("times_s", "rate_hz"),
    [
        (REGULAR_S, 50),
        (np.floor(REGULAR_S), 50),
        (np.floor(REGULAR_S + 0.7), 50),
        (np.floor(REGULAR_S[:120] + 0.7), 50),
        (np.floor(REGULAR_S * 30) / 30, 50),
        (np.round(np.arange(600) / 60, 3), 60),
        (np.append(np.floor(REGULAR_S), np.floor(REGULAR_S) + 100), 50),
        (np.append(REGULAR_S, REGULAR_S + 100), 50),
        (np.delete(REGULAR_S, np.arange(10, 600, 40)), 50),
        (np.sort(np.append(REGULAR_S, REGULAR_S[::25])), 50),
        (bursts(REGULAR_S), 50),
        (np.floor(np.arange(600) / 55 * 64) / 64, 55),
    ],
    ids=[
        "regular", "whole-seconds", "begun-within-a-second", "short", "coarse", "milliseconds", "coarse-with-a-pause",
        "pause", "lost-samples", "repeated-samples", "bursts", "ticks-of-another-length",
    ],
)  # fmt: skip
def test_the_rate_is_that_of_the_sampling(times_s: Times, rate_hz: float) -> None:
    assert sampling_rate_hz(times_s) == pytest.approx(rate_hz, rel=0.012)


def test_a_single_time_has_no_rate() -> None:
    assert sampling_rate_hz(np.zeros(5)) is None
    assert sampling_rate_hz(np.zeros(1)) is None
