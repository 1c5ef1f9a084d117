"""Counts of received and unused samples, and their summary in the log of `edgehar run`."""

import re
from pathlib import Path

import numpy as np
import pytest

import edgehar
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.stream.clocks.sample_counts import SampleCounts
from tests.deploy.running import lines_of, run_stream
from tests.deploy.streams import Pushes, assert_same, sample_by_sample, scaled, steady, streamed


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


@pytest.mark.parametrize(("blocks", "lateness_s"), [(2, 0.5), (4, 0.5), (4, 2.0)])
@pytest.mark.parametrize("modalities", [("inertial",), ("skeleton", "inertial")])
def test_blocks_out_of_order_are_reported_with_what_sorts_them(
    recognizer: Recognizer, blocks: int, lateness_s: float, modalities: tuple[str, ...]
) -> None:
    recording = steady(11.9)
    pushes: Pushes = []
    for first_s in np.arange(0.0, 12.0, 0.2 * blocks).tolist():
        for block in range(blocks):
            for name in modalities:  # the inertial sensor's blocks of 0.2 s arrive in reverse
                start_s = first_s + 0.2 * (block if name == "skeleton" else blocks - 1 - block)
                times = recording.times_s[name]
                inside = (times >= start_s - 1e-9) & (times < start_s + 0.2 - 1e-9)
                pushes.append((name, recording.signals[name][inside], times[inside]))
    behind_s = 0.2 * blocks - 0.02
    stream = edgehar.StreamRecognizer(recognizer, modalities, lateness_s=lateness_s, start_s=0.0)
    pushed(stream, pushes)
    (warning,) = stream.take_warnings()
    assert f"samples arrive up to {behind_s:g} s behind a newer one of the same sensor, expected at most 0 s" in warning
    cure = re.fullmatch(r".*\(--reorder-s ([\d.]+) --lateness-s ([\d.]+)\)", warning)
    assert cure is not None
    reorder_s, lateness_s = float(cure[1]), float(cure[2])
    assert reorder_s == pytest.approx(0.2 * blocks)
    stream = edgehar.StreamRecognizer(recognizer, modalities, lateness_s=lateness_s, reorder_s=reorder_s, start_s=0.0)
    expected = recognizer.predict_windows(
        {name: recording.signals[name] for name in modalities}, {name: recording.times_s[name] for name in modalities}
    )
    assert_same(streamed(stream, pushes), expected)
    assert stream.take_warnings() == []


def test_one_block_that_arrives_early_is_reported(recognizer: Recognizer) -> None:
    recording = steady(12.0)
    values, times = recording.signals["inertial"], recording.times_s["inertial"]
    order = [*range(20), 24, *range(20, 24), *range(25, 60)]
    stream = edgehar.StreamRecognizer(recognizer, ["inertial"], lateness_s=2.0)
    pushed(stream, [("inertial", values[10 * one : 10 * one + 10], times[10 * one : 10 * one + 10]) for one in order])
    assert stream.lost["inertial"] < 50
    (warning,) = stream.take_warnings()
    assert "--reorder-s 1 --lateness-s 3" in warning
