"""Fixtures shared by all tests: where the real recordings are."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder with the real recordings (utd-mhad/, sp-sw-har/); the test is skipped where it is absent."""
    given = os.environ.get("EDGEHAR_DATA")
    root = Path(given) if given else REPOSITORY.parent / "shared" / "data"
    if not (root / "utd-mhad").is_dir() or not (root / "sp-sw-har").is_dir():
        pytest.skip(f"real recordings not found at {root}; set EDGEHAR_DATA to a folder with utd-mhad/ and sp-sw-har/")
    return root
