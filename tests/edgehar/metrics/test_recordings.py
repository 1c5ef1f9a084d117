import numpy as np
import pytest

from edgehar.metrics.recordings import RECORDING_KEYS, score_windows
from edgehar.signals.windows import Windows


def windows(label: list[int], clip: list[str]) -> Windows:
    times = np.zeros(len(label))
    return Windows({}, {}, np.asarray(label), np.asarray(["s1"] * len(label)), np.asarray(clip), times, times)


def test_recording_has_the_class_with_the_largest_sum() -> None:
    values = np.asarray([[0.6, 0.4], [0.6, 0.4], [0.0, 1.0], [0.9, 0.1], [0.4, 0.6]])
    found = score_windows(windows([1, 1, 1, 0, 0], ["a", "a", "a", "b", "b"]), values, ("still", "fall"))
    assert (found["correct"], found["total"]) == (2, 5)
    assert (found["recordings"]["correct"], found["recordings"]["total"]) == (2, 2)
    assert found["recordings"]["macro_f1"] == 1
    assert tuple(found["recordings"]) == RECORDING_KEYS


@pytest.mark.parametrize("clip", [["a", "a", "a"], ["a", "b", "c"]], ids=["several labels", "one window each"])
def test_no_score_of_recordings_that_are_not_predicted_as_a_whole(clip: list[str]) -> None:
    found = score_windows(windows([0, 1, 0], clip), np.eye(2)[[0, 1, 0]], ("still", "fall"))
    assert "recordings" not in found
    assert found["correct"] == 3
