"""Equal timestamps: packets, whole seconds, rows that were written twice."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgehar.signals.coarse_clock import BLOCK_RUNS, is_last, spread

Array = NDArray[np.float64]
RATE_HZ = 50.0


def noise(rows: int, channels: int = 3) -> Array:
    return np.random.default_rng(0).standard_normal((rows, channels))


def true_times(rows: int, rate_hz: float = RATE_HZ) -> Array:
    return np.arange(rows) / rate_hz


def packets(times_s: Array, size: int) -> Array:
    """The first time of each packet of `size` samples."""
    return times_s[np.arange(len(times_s)) // size * size]


@pytest.mark.parametrize(
    ("stamps", "true_s", "rate_hz"),
    [
        (np.floor(true_times(1000)), true_times(1000), RATE_HZ),
        (packets(true_times(960), 16), true_times(960), RATE_HZ),
        (packets(true_times(960), 4), true_times(960), RATE_HZ),
        (np.floor(true_times(900, 400) * 100 + 1e-6) / 100, true_times(900, 400), 400),
        (1.7e9 + packets(true_times(960), 8), 1.7e9 + true_times(960), RATE_HZ),
        (np.floor(true_times(40, 4)), true_times(40, 4), 4),
    ],
    ids=["seconds", "packets of 16", "packets of 4", "hundredths at 400 Hz", "clock time", "four per second"],
)
def test_samples_are_spread_to_their_true_times(stamps: Array, true_s: Array, rate_hz: float) -> None:
    times_s, keep = spread(stamps, noise(len(stamps)), rate_hz)
    assert keep.all()
    np.testing.assert_allclose(times_s, true_s, atol=1e-6)


def test_a_pause_after_a_packet_is_not_filled() -> None:
    times_s, _ = spread(np.array([0, 0, 0, 0, 1, 1, 1, 1], float), noise(8), RATE_HZ)
    np.testing.assert_allclose(times_s, [0, 0.02, 0.04, 0.06, 1, 1.02, 1.04, 1.06])


def test_packets_of_several_lengths_fill_the_time_between_them() -> None:
    stamps = np.repeat([0.0, 0.1, 0.13, 0.2], [5, 2, 3, 1])
    times_s, keep = spread(stamps, noise(11), RATE_HZ)
    assert keep.all()
    expected = [0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.115, 0.13, 0.13 + 0.07 / 3, 0.13 + 0.14 / 3, 0.2]
    np.testing.assert_allclose(times_s, expected)


def test_a_row_that_was_written_twice_counts_once() -> None:
    once = noise(20)
    once[3] = np.nan
    times_s, keep = spread(np.repeat(true_times(20), 2), np.repeat(once, 2, axis=0), RATE_HZ)
    np.testing.assert_array_equal(times_s[keep], true_times(20))
    assert keep.sum() == 20


def test_packets_of_a_sensor_at_rest_keep_their_samples() -> None:
    """Otherwise a still watch would have a sample per second, too few to be used."""
    times_s, keep = spread(np.floor(true_times(500)), np.full((500, 3), 9.8), RATE_HZ)
    assert keep[:450].all()
    np.testing.assert_allclose(times_s[:450], true_times(450))


def test_increasing_times_are_unchanged() -> None:
    times_s, keep = spread(true_times(9), noise(9), RATE_HZ)
    np.testing.assert_array_equal(times_s, true_times(9))
    assert keep.all()
    assert len(spread(np.zeros(0), np.zeros((0, 3)), RATE_HZ)[0]) == 0


stamps_of_packets = st.lists(st.tuples(st.integers(1, 9), st.floats(1e-3, 3)), min_size=1, max_size=20)


def recorded(runs: list[tuple[int, float]]) -> tuple[Array, Array]:
    """Timestamps of runs of equal stamps, each with the seconds until the next; and samples."""
    starts_s = np.cumsum([0.0, *(gap_s for _, gap_s in runs[:-1])])
    stamps = np.repeat(starts_s, [count for count, _ in runs])
    return stamps, noise(len(stamps))


@given(stamps_of_packets, st.floats(0.5, 400))
def test_times_increase_and_no_sample_is_lost(runs: list[tuple[int, float]], rate_hz: float) -> None:
    stamps, values = recorded(runs)
    times_s, keep = spread(stamps, values, rate_hz)
    assert keep.all()
    assert (np.diff(times_s) > 0).all()
    assert (times_s >= stamps).all()
    assert np.isin(stamps, times_s).all()


@given(stamps_of_packets, st.integers(0, 20), st.booleans())
def test_a_run_depends_on_the_next_time_only(runs: list[tuple[int, float]], place: int, still: bool) -> None:
    """So that a stream can spread it before it has seen the rest of a recording."""
    stamps, values = recorded(runs)
    values = np.zeros_like(values) if still else values
    starts = np.flatnonzero(is_last(stamps)) + 1
    end = int(starts[min(place, len(starts) - 1)])
    whole: Any = spread(stamps, values, RATE_HZ)
    next_s = float(stamps[end]) if end < len(stamps) else np.inf
    begun: Any = spread(stamps[:end], values[:end], RATE_HZ, next_s)
    rest: Any = spread(stamps[end:], values[end:], RATE_HZ)
    for first, second, expected in zip(begun, rest, whole, strict=True):
        np.testing.assert_array_equal(np.concatenate([first, second]), expected)


def test_a_long_recording_is_spread_like_a_short_one() -> None:
    true_s = true_times(3 * BLOCK_RUNS * 2 + 1)
    times_s, keep = spread(packets(true_s, 2), noise(len(true_s)), RATE_HZ)
    assert keep.all()
    np.testing.assert_allclose(times_s, true_s, atol=1e-9)
