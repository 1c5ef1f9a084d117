"""Counts of received and unused samples, and their summary in the log of `edgehar run`."""

from pathlib import Path

import numpy as np
import pytest

import edgehar
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.stream.sample_counts import SampleCounts
from tests.deploy.running import lines_of, run_stream
from tests.deploy.streams import Pushes, sample_by_sample, scaled, steady


def unused(counts: SampleCounts) -> dict[str, int]:
    reasons = {
        "late": counts.late,
        "rejected": counts.rejected,
        "duplicated": counts.duplicated,
        "invalid": counts.invalid,
    }
    return {reason: count for reason, count in reasons.items() if count}


def pushed(stream: edgehar.StreamRecognizer, pushes: Pushes) -> int:
    return sum(len(stream.push(*push)) for push in pushes)


def test_duplicated_and_invalid_samples_are_counted(recognizer: Recognizer) -> None:
    recording = steady(2.0)
    recording.signals["inertial"][[5, 6, 7]] = np.nan
    pushes = sample_by_sample(recording)
    twice = [push for push in pushes for _ in range(2 if push[0] == "skeleton" and 0.5 < push[2][0] < 0.7 else 1)]
    stream = edgehar.StreamRecognizer(recognizer)
    assert pushed(stream, twice)
    counts = stream.counts
    assert (counts["inertial"].received, unused(counts["inertial"])) == (101, {"invalid": 3})
    duplicated = len(twice) - len(pushes)
    assert (counts["skeleton"].received, unused(counts["skeleton"])) == (61 + duplicated, {"duplicated": duplicated})
    assert (counts["inertial"].first_s, counts["inertial"].last_s) == (0.0, pytest.approx(2.0))
    assert stream.lost == {"skeleton": 0, "inertial": 0}


def test_counts_are_a_copy(recognizer: Recognizer) -> None:
    stream = edgehar.StreamRecognizer(recognizer)
    stream.counts["inertial"].received = 7
    assert stream.counts["inertial"].received == 0


def test_sensor_before_the_start_of_the_stream_is_late(recognizer: Recognizer) -> None:
    recording = steady(2.0)
    stream = edgehar.StreamRecognizer(recognizer)
    for name, samples, times in sample_by_sample(recording):
        stream.push(name, samples, np.asarray(times) - (100.0 if name == "inertial" else 0.0))
    stream.flush()
    counts = stream.counts
    assert unused(counts["skeleton"]) == {}
    assert counts["inertial"].unused == counts["inertial"].received == 101


def test_counts_continue_after_a_restart_and_a_flush(recognizer: Recognizer) -> None:
    first, second = steady(2.0, start_s=1000.0), steady(2.0, seed=1)
    stream = edgehar.StreamRecognizer(recognizer)
    assert pushed(stream, sample_by_sample(first))
    late = sample_by_sample(first)[130]
    assert stream.push(*late) == []
    assert stream.counts[late[0]].late == 1
    assert pushed(stream, sample_by_sample(second))
    stream.flush()
    counts = stream.counts
    assert {name: one.received - (name == late[0]) for name, one in counts.items()} == {
        "skeleton": 122,
        "inertial": 202,
    }
    assert counts[late[0]].late >= 1
    assert sum(one.unused for one in counts.values()) < 0.2 * sum(one.received for one in counts.values())
    stream.reset()
    assert stream.counts == counts


@pytest.mark.parametrize("unit", [1e3, 1e6, 1e-3], ids=["milliseconds", "microseconds", "kiloseconds"])
def test_wrong_unit_of_timestamps_is_logged(sliding_package: Path, unit: float) -> None:
    code, output, log = run_stream(sliding_package, lines_of(scaled(steady(2.0), unit)))
    assert (code, len(output) < 2) == (0, True)
    assert [line.split(",")[0] for line in log[:2]] == [
        "edgehar: skeleton: 61 samples",
        "edgehar: inertial: 101 samples",
    ]
    assert ("rejected timestamp" in log[1]) == (unit > 1)
    assert f"from 0 to {2 * unit:.10g} s" in log[2]
    assert "check the unit" in log[2]


def test_missing_sensor_is_logged(sliding_package: Path) -> None:
    result = run_stream(sliding_package, [line for line in lines_of(steady(2.0)) if b"inertial" in line])
    assert result.output
    assert result.log == ["edgehar: skeleton: no samples received", "edgehar: inertial: 101 samples, all used"]
