"""Which recordings adapt a package and which people are the hardest, in tools/personal/adaptation.py."""

import numpy as np

from edgehar.signals.windows import Windows
from tools.personal.adaptation import first_half, hardest, recorded_minutes


def recorded(clips: list[tuple[str, int, int]]) -> Windows:
    """Windows of 2 s, each of them one second after the one before: (name, label, windows) for each recording."""
    names = np.array([name for name, _, count in clips for _ in range(count)])
    labels = np.array([label for _, label, count in clips for _ in range(count)])
    start_s = np.concatenate([np.arange(count, dtype=float) for _, _, count in clips])
    return Windows({}, {}, labels, np.full(len(names), "anna"), names, start_s, start_s + 2)


def test_every_second_recording_of_an_activity_adapts() -> None:
    windows = recorded([("a", 0, 3), ("b", 1, 2), ("c", 0, 3), ("d", 1, 2)])
    assert set(windows.clip[first_half(windows)].tolist()) == {"a", "b"}
    windows = recorded([("a", 0, 1), ("c", 0, 1), ("e", 0, 1), ("b", 1, 1), ("d", 1, 1), ("f", 1, 1)])
    assert windows.clip[first_half(windows)].tolist() == ["a", "e", "d"]


def test_of_single_recordings_the_first_half_adapts() -> None:
    windows = recorded([("walk", 0, 4), ("run", 1, 6)])
    assert first_half(windows).tolist() == [True, True, False, False, *[True] * 3, *[False] * 3]


def test_hardest_fifth_has_the_smallest_share_right() -> None:
    people = {
        name: {"all_activities": {"windows": 10, "before": before}}
        for name, before in {"a": 9, "b": 4, "c": 10, "d": 8, "e": 7}.items()
    }
    assert hardest(people) == ["b"]
    assert hardest({"a": people["a"]}) == ["a"]


def test_overlapping_windows_count_once_as_minutes() -> None:
    assert recorded_minutes(recorded([("walk", 0, 59), ("run", 1, 119)])) == 3.0
