"""A stream tells what became of the samples it was given, also over a restart, and what is wrong if no answer came."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgehar
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.stream.sample_counts import SampleCounts
from tests.deploy.test_run import lines_of, run_stream
from tests.deploy.test_stream import Recording, sample_by_sample, steady


def in_milliseconds(recording: Recording) -> Recording:
    return replace(recording, times_s={name: 1000 * times for name, times in recording.times_s.items()})


def unused(counts: SampleCounts) -> dict[str, int]:
    reasons = {
        "late": counts.late,
        "rejected": counts.rejected,
        "duplicated": counts.duplicated,
        "invalid": counts.invalid,
    }
    return {reason: count for reason, count in reasons.items() if count}


def pushed(stream: edgehar.StreamRecognizer, pushes: list[tuple[str, Any, Any]]) -> int:
    return sum(len(stream.push(*push)) for push in pushes)


def test_what_came_twice_or_was_lost_is_counted(recognizer: Recognizer) -> None:
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


def test_counts_are_not_the_stream_s_own(recognizer: Recognizer) -> None:
    stream = edgehar.StreamRecognizer(recognizer)
    stream.counts["inertial"].received = 7
    assert stream.counts["inertial"].received == 0


def test_a_sensor_that_begins_before_the_stream_is_too_late(recognizer: Recognizer) -> None:
    recording = steady(2.0)
    stream = edgehar.StreamRecognizer(recognizer)
    for name, samples, times in sample_by_sample(recording):
        stream.push(name, samples, np.asarray(times) - (100.0 if name == "inertial" else 0.0))
    stream.flush()
    counts = stream.counts
    assert unused(counts["skeleton"]) == {}
    assert counts["inertial"].unused == counts["inertial"].received == 101


def test_counts_go_on_when_all_clocks_are_set_back_and_after_the_end(recognizer: Recognizer) -> None:
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
def test_times_that_are_no_seconds_are_told_of(sliding_package: Path, unit: float) -> None:
    recording = steady(2.0)
    scaled = replace(recording, times_s={name: unit * times for name, times in recording.times_s.items()})
    answer = run_stream(sliding_package, "\n".join(lines_of(scaled)))
    assert (answer.returncode, answer.stdout.count(b"\n") < 2) == (0, True)
    log = answer.stderr.decode().splitlines()
    assert [remark.split(",")[0] for remark in log[:2]] == [
        "edgehar: skeleton: 61 samples",
        "edgehar: inertial: 101 samples",
    ]
    assert ("rejected timestamp" in log[1]) == (unit > 1)
    assert f"from 0 to {2 * unit:.10g} s" in log[2]
    assert "check the unit" in log[2]


def test_a_sensor_that_is_not_there_is_told_of(sliding_package: Path) -> None:
    lines = [line for line in lines_of(steady(2.0)) if "inertial" in line]
    answer = run_stream(sliding_package, "\n".join(lines))
    assert answer.stdout
    assert answer.stderr == b"edgehar: skeleton: no samples received\nedgehar: inertial: 101 samples, all used\n"
