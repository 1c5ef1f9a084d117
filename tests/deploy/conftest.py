"""Packages that several tests of the board side read; a test that changes one copies it first."""

import shutil
from pathlib import Path

import pytest

from deploy.quantize import quantize
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
    """A copy of a good package, to be harmed."""
    return Path(shutil.copytree(clip_package, tmp_path / "package"))
