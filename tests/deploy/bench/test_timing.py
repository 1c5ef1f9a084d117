"""Tests of the timing loops."""

from collections import Counter
from itertools import groupby
from pathlib import Path

import pytest

import edgehar
from edgehar.deploy.bench.timing import BURST_RUNS, BenchmarkTarget, RunTimes, run_sustained, time_interleaved


def test_actions_are_timed_in_bursts_after_untimed_runs() -> None:
    called: list[str] = []
    runs = 4 * BURST_RUNS + 3
    times = time_interleaved({name: lambda name=name: called.append(name) for name in "ab"}, runs, warm_up=2)
    assert {name: (len(found.wall_s), len(found.cpu_s)) for name, found in times.items()} == dict.fromkeys(
        "ab", (runs, runs)
    )
    bursts = [(name, len(list(group))) for name, group in groupby(called)]
    assert sorted(Counter(called).items()) == [("a", runs + 5 * 2), ("b", runs + 5 * 2)]
    assert {length % (BURST_RUNS + 2) for _, length in bursts} == {0, 5}  # no burst is interrupted


def test_percentiles_are_computed_from_wall_time() -> None:
    times = RunTimes([run / 1000 for run in range(101)], [0.002] * 101)
    figures = times.milliseconds()
    assert figures == {
        "median_ms": pytest.approx(50),
        "p95_ms": pytest.approx(95),
        "p99_ms": pytest.approx(99),
        "cpu_median_ms": pytest.approx(2),
        "runs": 101,
    }


def test_sustained_run_counts_whole_runs() -> None:
    called: list[int] = []
    found = run_sustained(lambda: called.append(1), 0.001)
    assert found.runs == len(called) >= 1
    assert found.wall_s >= 0.001
    assert found.per_s == found.runs / found.wall_s
    assert 0 <= found.core_share <= 1.1


def test_each_timed_hop_gives_one_prediction(sliding_package: Path) -> None:
    target = BenchmarkTarget(edgehar.load(sliding_package))
    assert [len(target.hop()) for _ in range(5)] == [1] * 5
