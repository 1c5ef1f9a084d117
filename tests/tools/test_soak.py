"""The soak test detects memory growth and latency drift, and reports its figures when interrupted."""

import itertools
import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import edgehar
from edgehar.errors import ConfigError
from tests.deploy.tiny_package import write_tiny_package
from tools.stress.soak import FAULTS, REORDER_S, START_S, Measured, SoakConfig, outcome, pushes

REPOSITORY = Path(__file__).resolve().parents[2]
HOPS = 11_000


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("soak") / "package"
    write_tiny_package(path, kind="sliding", hop=2)
    return path


def run_of(latency_ms: float, last_latency_ms: float, grown_bytes: int, hops: int = HOPS) -> Measured:
    """A run that ended after so many hops."""
    latency_s = np.full(HOPS, np.nan, np.float32)
    latency_s[:hops] = latency_ms / 1000
    latency_s[HOPS - 1_000 : hops] = last_latency_ms / 1000
    memory = {1_000: (50_000_000, 9), hops // 2: (50_000_000 + grown_bytes, 10), hops: (50_000_000, 8)}
    return Measured(latency_s, hops, busy_s=1.0, stream_s=60.0, memory_bytes=memory, cpu_s={1_000: 1.0, hops: 2.0})


def verdict(measured: Measured) -> tuple[object, object, object]:
    found = outcome(measured, SoakConfig("package", HOPS))
    return found["complete"], found["memory_steady"], found["latency_steady"]


def test_steady_run_passes() -> None:
    assert verdict(run_of(1.0, 1.05, 900_000)) == (True, True, True)


def test_temporary_memory_counts_as_growth() -> None:
    run = run_of(1.0, 1.0, 1_100_000)
    assert verdict(run) == (True, False, True)
    assert outcome(run, SoakConfig("package", HOPS))["growth_without_files_bytes"] == 1


@pytest.mark.parametrize("last_ms", [0.85, 1.15])
def test_slower_or_faster_last_tenth_is_a_drift(last_ms: float) -> None:
    assert verdict(run_of(1.0, last_ms, 0)) == (True, True, False)


def test_short_run_has_no_verdict() -> None:
    assert verdict(run_of(1.0, 1.0, 0, hops=2_000)) == (False, True, None)
    assert verdict(Measured(np.zeros(HOPS, np.float32))) == (False, None, None)
    with pytest.raises(ConfigError, match="--hops 2999"):
        SoakConfig("package", 2_999)


def test_signal_is_endless_with_every_fault_and_a_still_stretch(package: Path) -> None:
    recognizer = edgehar.load(package)
    measured, config = Measured(np.zeros(HOPS, np.float32)), SoakConfig("package", HOPS)
    feed = pushes(recognizer, measured, config)
    moving = list(itertools.islice(feed, 20_000))
    assert set(measured.faults) == {*FAULTS, "pause"}
    assert {name for name, _, _ in moving} == {"skeleton", "inertial"}
    first_s = min(times.min() for _, _, times in moving[:10])
    assert START_S <= first_s < START_S + REORDER_S
    before, measured.hops = Counter(measured.faults), HOPS // 2
    still = list(itertools.islice(feed, 2_000))[-1_000:]
    assert sum((measured.faults - before).values()) <= 2  # of the segment in progress
    for name in ("skeleton", "inertial"):
        values = np.concatenate([samples for modality, samples, _ in still if modality == name])
        assert (values == values[0]).all()


def test_interrupted_run_reports_what_was_measured(package: Path, tmp_path: Path) -> None:
    file = tmp_path / "soak.json"
    words = [sys.executable, "tools/stress/soak.py", str(package), "--hops", "100000", "--json", str(file)]
    with subprocess.Popen(
        words,
        cwd=REPOSITORY,
        env={"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell ignores SIGINT
    ) as process:
        assert process.stderr is not None
        first = process.stderr.readline()  # written after 1,000 hops
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate()
    assert process.returncode == 130, errors
    assert "hops" in first
    assert "interrupted after" in errors
    result = json.loads(output.splitlines()[-1])
    assert result == json.loads(file.read_text())
    assert not result["complete"]
    assert 1_000 <= result["hops"] < 100_000
    assert result["resident_bytes"]
