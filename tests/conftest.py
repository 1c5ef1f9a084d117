"""Fixtures of all tests: real recordings, a finished quickstart; groups of tests for parallel runs."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
LONGEST = (
    "test_quickstart.py",
    "test_tutorial.py",
    "test_suite.py",
    "test_pipeline.py",
    "test_crossvalidate.py",
    "test_prune.py",
    "test_litert.py",
    "test_export.py",
)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder with the real recordings (utd-mhad/, sp-sw-har/); the test is skipped where it is absent."""
    given = os.environ.get("EDGEHAR_DATA")
    root = Path(given) if given else REPOSITORY.parent / "shared" / "data"
    if not (root / "utd-mhad").is_dir() or not (root / "sp-sw-har").is_dir():
        pytest.skip(f"real recordings not found at {root}; set EDGEHAR_DATA to a folder with utd-mhad/ and sp-sw-har/")
    return root


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first: with `--dist loadfile` the processes then end at about the same time."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
