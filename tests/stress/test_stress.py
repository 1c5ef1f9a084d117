"""Streams and packages under load: many hops, schedules of sensor faults and damaged packages. Run by `make stress`."""

from pathlib import Path

import numpy as np
import pytest
from bodies import exportable_checkpoint

import edgehar
from edgehar.deploy.packaging.quantize import quantize
from edgehar.student.export import export_package
from tests.deploy.tiny_package import write_tiny_package
from tools.stress.chaos import ChaosConfig, violated_invariant
from tools.stress.fuzz import GOLDEN, cases
from tools.stress.soak import Measured, SoakConfig, outcome, soak

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> edgehar.Recognizer:
    path = tmp_path_factory.mktemp("stress") / "package"
    write_tiny_package(path, kind="sliding", hop=2)
    return edgehar.load(path)


def test_memory_is_steady_over_many_hops(recognizer: edgehar.Recognizer) -> None:
    config = SoakConfig("", hops=100_000)
    measured = Measured(np.full(config.hops, np.nan, np.float32))
    soak(recognizer, config, measured, lambda: None)
    found = outcome(measured, config)
    assert found["complete"]
    assert found["memory_steady"], found["growth_bytes"]


def test_no_random_schedule_of_sensor_faults_violates_an_invariant(recognizer: edgehar.Recognizer) -> None:
    config = ChaosConfig("", count=2_000)
    found = {number: violated_invariant(recognizer, number, config)[0] for number in range(config.count)}
    assert {number: violation for number, violation in found.items() if violation is not None} == {}


def test_every_damaged_package_is_refused_or_harmless(tmp_path: Path) -> None:
    assert [case for case in cases(GOLDEN, tmp_path, 1_000, 0) if not case.good] == []


@pytest.mark.parametrize("kind", ["tiny", "student", "pruned"])
def test_every_graph_with_another_structure_is_refused_or_harmless(kind: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    if kind == "tiny":
        write_tiny_package(source)
    else:
        export_package(exportable_checkpoint(kind), source, "model", windows=4, seed=0)
    quantize(source)
    assert [case for case in cases(source, tmp_path, 1_000, 0, structure=True) if not case.good] == []
