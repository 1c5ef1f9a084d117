"""Suspicious values are named wherever they are; ordinary signals are not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgehar.data.recordings.suspicions.recorded import MAX_ROWS, Recorded, channels_text
from edgehar.data.recordings.suspicions.values import (
    constant_channels,
    copies,
    frozen_samples,
    other_scale,
    outlying_codes,
    rails,
    zero_samples,
)
from edgehar.signals.modality import ModalitySpec

Doubles = NDArray[np.float64]
WATCH = ModalitySpec("watch", 9, "g", 50, 5)
SEEDS = st.integers(0, 9999)


def recorded(values: Doubles, name: str = "r", label: int | None = 0) -> Recorded:
    return Recorded(name, name, "ann", label, values.astype(np.float32), np.ones(len(values), bool), None)


def signal(seed: int, samples: int = 300) -> Doubles:
    """(T, 9) of a sensor that moves about a constant, as gravity is."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(samples, 9)) + np.repeat([0.0, 8.0, 3.0], 3)


def warnings_of(values: Doubles) -> list[str]:
    each, problems = zero_samples(WATCH, recorded(values))
    each, frozen = frozen_samples(WATCH, each)
    return [problem.message for problem in [*problems, *frozen, *rails(WATCH, each), *outlying_codes(WATCH, each)]]


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, scale=st.floats(1e-3, 1e3), decimals=st.integers(2, 5))
def test_an_ordinary_signal_is_not_suspicious(seed: int, scale: float, decimals: int) -> None:
    assert warnings_of(signal(seed).round(decimals) * scale) == []


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, first=st.integers(0, 290), rows=st.integers(1, 40))
def test_samples_of_zeros_are_counted(seed: int, first: int, rows: int) -> None:
    values = signal(seed)
    values[first : first + rows] = 0
    count = min(rows, 300 - first)
    (message,) = warnings_of(values)
    assert message.startswith(f"{count} of 300 samples are 0 in every channel, the first is sample {first + 1}")


def test_a_gyroscope_at_rest_may_be_zero() -> None:
    turning = np.random.default_rng(0).normal(size=(300, 3)) * np.linspace(0, 1, 300)[:, None] ** 2
    turning[:60] = np.round(turning[:60], 1)
    gyroscope = ModalitySpec("gyroscope", 3, "deg/s", 50, 5)
    each = recorded(turning)
    assert zero_samples(gyroscope, each) == (each, [])


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, first=st.integers(0, 200), seconds=st.floats(0.1, 1.9), decimals=st.integers(2, 4))
def test_a_sensor_that_stops_is_named(seed: int, first: int, seconds: float, decimals: int) -> None:
    values = signal(seed).round(decimals)
    rows = round(50 * seconds)
    values[first : first + rows] = values[first]
    each, problems = frozen_samples(WATCH, recorded(values))
    if rows < 50:
        assert problems == []
    else:
        text = f"{rows} of 300 samples repeat the one before for 1 s or longer, the first is sample {first + 1};"
        assert [problem.message.startswith(text) for problem in problems] == [True]
        assert int(each.valid.sum()) == 300 - rows


def test_a_coarse_sensor_at_rest_is_not_frozen() -> None:
    rest = np.zeros(600)
    rest[np.array([30, 75, 90, 160, 230, 235, 300, 410, 420, 500, 580])] = 0.1  # runs of many lengths
    values = np.cumsum(rest)[:, None] + np.arange(9)
    assert frozen_samples(WATCH, recorded(values))[1] == []


@settings(max_examples=40, deadline=None)
@given(
    seed=SEEDS,
    channel=st.integers(0, 8),
    code=st.sampled_from([-999.0, 999.0, 9999.0, 32767.0, -32768.0, 65535.0, 12345.0]),
    rows=st.sets(st.integers(0, 299), min_size=3, max_size=60),
)
def test_codes_for_lost_samples_are_named(seed: int, channel: int, code: float, rows: set[int]) -> None:
    values = signal(seed)
    values[sorted(rows), channel] = code
    (message,) = warnings_of(values)
    assert message.startswith(f"channel {channel + 1} is {code:g} in {len(rows)} samples")


def test_a_single_peak_is_no_code_but_a_lost_decimal_point_is_named() -> None:
    values = signal(0)
    values[100, 4] = 60.0  # a fall
    assert warnings_of(values) == []
    values[100, 4] = 81234.0  # of 8.1234
    (message,) = warnings_of(values)
    assert message.startswith("channel 5 is 81234 in sample 101, far from all other values")


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, channel=st.integers(0, 8), limit=st.floats(0.4, 1.2))
def test_cut_peaks_are_named(seed: int, channel: int, limit: float) -> None:
    smooth = np.sin(np.linspace(0, 60, 600) + seed) + 0.02 * np.random.default_rng(seed).normal(size=600)
    values = signal(seed, 600)
    values[:, channel] = np.minimum(2 * smooth, 2 * limit)
    expected = [f"channel {channel + 1}: peaks are cut off at {np.float32(2 * limit):.4g}"] if limit < 0.95 else []
    found = [text for text in warnings_of(values) if "cut off" in text]
    if limit < 0.95 or limit > 1.1:  # in between the noise decides
        assert [text.partition(";")[0] for text in found] == expected


def test_constant_channels_are_named_once() -> None:
    files = [signal(seed) for seed in range(4)]
    for values in files:
        values[:, 6:] = 0
    found = constant_channels("watch", WATCH, [recorded(values, f"r{number}") for number, values in enumerate(files)])
    assert [str(problem) for problem in found] == [
        "watch: warning: channels 7 to 9 are 0 in every recording; leave them out"
    ]
    files[2][:, :3] = 1.5
    found = constant_channels("watch", WATCH, [recorded(values, f"r{number}") for number, values in enumerate(files)])
    assert [problem.file for problem in found] == ["watch", "r2"]
    assert found[1].message.startswith("channels 1 to 3 stay at 1.5 throughout, but not in the other recordings")


def test_constant_values_are_listed_in_the_order_of_the_channels() -> None:
    files = [signal(seed) for seed in range(4)]
    files[1][:, :6] = [3, -1, -0.0, 7, 5, 4]
    (found,) = constant_channels(
        "watch", WATCH, [recorded(values, f"r{number}") for number, values in enumerate(files)]
    )
    assert found.message.startswith("channels 1 to 6 stay at 3, -1, 0, 7, 5, 4 throughout")
    files[1][:] = np.arange(9)
    (found,) = constant_channels(
        "watch", WATCH, [recorded(values, f"r{number}") for number, values in enumerate(files)]
    )
    assert found.message.startswith("channels 1 to 9 stay at 0, 1, 2, 3, 4, 5 and 3 more values throughout")


def test_a_switch_may_stay_as_it_is() -> None:
    switch = ModalitySpec("door", 1, "open", 10, 1, group=1)
    files = [recorded(np.full((50, 1), float(number % 2)), f"r{number}") for number in range(3)]
    files.append(recorded((np.arange(50) > 20).astype(np.float64)[:, None], "r3"))
    assert constant_channels("door", switch, files) == []


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, kept=st.integers(256, 300))
def test_a_copy_is_named_even_if_it_is_shorter(seed: int, kept: int) -> None:
    files = [recorded(signal(seed + number), f"r{number}") for number in range(3)]
    assert copies(files) == []
    (problem,) = copies([*files, recorded(signal(seed + 1)[:kept], "again")])
    assert (problem.file, problem.message.partition(";")[0]) == ("again", "the same samples as r1")


@pytest.mark.parametrize("factor", [1000.0, 1e-3, 1e6])
def test_another_scale_is_named(factor: float) -> None:
    files = [recorded(signal(number) * (factor if number == 2 else 1), f"r{number}") for number in range(4)]
    assert {problem.file for problem in other_scale(WATCH, files)} == {"r2"}


def test_a_long_recording_is_measured_in_blocks() -> None:
    values = np.zeros((10 * MAX_ROWS, 1))
    blocks = recorded(values).blocks
    assert len(blocks) == MAX_ROWS
    assert channels_text(WATCH, [8, 6, 7]) == "channels 7 to 9"
    assert channels_text(WATCH, [0, 4]) == "channels 1, 5"
