"""Fixtures of the simulator tests."""

from dataclasses import replace

import pytest

from edgehar.signals.clip import Dataset
from edgehar.simulation.dataset import SimulatorConfig, simulate
from edgehar.simulation.subjects import Subject, draw_subject


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return simulate(SimulatorConfig(subjects=2, trials=1))


@pytest.fixture(scope="session")
def subject() -> Subject:
    return replace(draw_subject(0, 2), left_handed=False, heading_deg=0.0)
