"""Windows of recordings that declare none."""

import pytest

from edgehar.data.recordings.window import CLIP_STEP_S, MOST_STEPS, frames_per_step, window_of
from edgehar.signals.modality import WindowSpec


@pytest.mark.parametrize(
    ("median_s", "steps"), [(0.8, 16), (2.2, 16), (4.8, 16), (5.0, 24), (8.0, 32), (15.0, 48), (60.0, 48)]
)
def test_long_clips_get_more_steps(median_s: float, steps: int) -> None:
    window = window_of("clips", [median_s / 3, median_s, 3 * median_s], [], {})
    assert (window.kind, window.steps) == ("clip", steps)
    assert window.length_s == pytest.approx(median_s, abs=1e-2)
    assert window.step_s <= CLIP_STEP_S or steps == MOST_STEPS


def test_what_is_declared_counts() -> None:
    assert window_of("clips", [15.0], [], {"steps": 20}) == WindowSpec("clip", 20, 0.75, 1)
    assert window_of("clips", [15.0], [], {"step_s": 0.5}).step_s == 0.5
    assert window_of("continuous", [900.0], [], {"steps": 32, "hop": 16}) == WindowSpec("sliding", 32, 0.16, 16)
    assert window_of("continuous", [900.0], [], {"step_s": 0.1}) == WindowSpec("sliding", 16, 0.1, 4)


@pytest.mark.parametrize(
    ("durations_s", "spans_s", "length_s"),
    [
        ([900.0], [], 2.56),
        ([900.0], [0.5, 30.0, 60.0], 2.56),
        ([900.0], [1.8, 2.0, 30.0], 2.0),
        ([900.0], [0.5, 0.6, 0.7], 1.6),
        ([900.0, 2.2], [], 2.2),
        ([900.0, 1.0], [], 1.6),
        ([], [], 2.56),
    ],
)
def test_sliding_windows_are_no_longer_than_the_activities(
    durations_s: list[float], spans_s: list[float], length_s: float
) -> None:
    window = window_of("continuous", durations_s, spans_s, {})
    assert (window.kind, window.steps, window.hop) == ("sliding", 16, 4)
    assert window.length_s == pytest.approx(length_s)


def test_clips_without_a_duration_have_short_windows() -> None:
    assert window_of("clips", [0.0, 0.0], [], {}) == WindowSpec("clip", 16, 0.1, 1)


def test_frames_of_a_slow_sensor_are_interpolated() -> None:
    assert [frames_per_step(rate_hz, 0.1) for rate_hz in (2.0, 15.0, 30.0, 50.0)] == [3, 3, 3, 5]
