"""What all tests share: where the real recordings are, a finished quickstart, and who runs beside whom."""

import os
import subprocess
import sys
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several processes, what shares a costly fixture stays in one of them; the longest begins first."""

    def group(item: pytest.Item) -> str:
        return "quickstart" if "newcomer" in getattr(item, "fixturenames", ()) else str(item.path)

    items.sort(key=lambda item: group(item) != "quickstart")
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item)))


@pytest.fixture(scope="session")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `edgehar quickstart` was run."""
    folder = tmp_path_factory.mktemp("newcomer")
    done = subprocess.run(
        [sys.executable, "-m", "edgehar.cli", "quickstart"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder
