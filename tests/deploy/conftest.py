"""Packages shared by tests of the board side; a test that changes one copies it first."""

import shutil
from pathlib import Path

import pytest

import edgehar
from edgehar.deploy.packaging.quantize import quantize
from edgehar.deploy.recognizer import Recognizer
from edgehar.signals.clip import Prediction
from tests.deploy.running import lines_of
from tests.deploy.streams import steady
from tests.deploy.tiny_package import write_tiny_package


@pytest.fixture(scope="session")
def clip_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An fp32 package for pre-cut clips."""
    path = tmp_path_factory.mktemp("packages") / "clip"
    write_tiny_package(path)
    return path


@pytest.fixture(scope="session")
def sliding_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An fp32 package for continuous recordings, a window every two steps."""
    path = tmp_path_factory.mktemp("packages") / "sliding"
    write_tiny_package(path, kind="sliding", hop=2)
    return path


@pytest.fixture(scope="session")
def int8_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with fp32 and INT8 graphs."""
    path = tmp_path_factory.mktemp("packages") / "int8"
    write_tiny_package(path)
    quantize(path)
    return path


@pytest.fixture
def victim(tmp_path: Path, clip_package: Path) -> Path:
    """A copy of a valid package, to be changed."""
    return Path(shutil.copytree(clip_package, tmp_path / "package"))


@pytest.fixture(scope="module")
def recognizer(sliding_package: Path) -> Recognizer:
    """The opened package for continuous recordings; a test file may override this fixture."""
    return edgehar.load(sliding_package)


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    """Two quiet seconds of both sensors, as a source receives them."""
    return lines_of(steady(2.0))


@pytest.fixture(scope="module")
def expected(recognizer: Recognizer) -> list[Prediction]:
    """The predictions for the recording of the fixture `lines`, without a stream."""
    recording = steady(2.0)
    return recognizer.predict_windows(recording.signals, recording.times_s)
