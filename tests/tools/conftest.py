"""A repository with three runs of the suite accuracy."""

import json
from pathlib import Path

import pytest

from tests.tools.result_files import PUBLISHED, accuracy, put
from tools.results.render import END, START


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "docs/results").mkdir(parents=True)
    (tmp_path / "README.md").write_text(f"before\n{START}\n{END}\nafter\n")
    (tmp_path / "docs/published.json").write_text(json.dumps(PUBLISHED))
    for seed, correct in enumerate((420, 422, 424)):
        put(tmp_path, f"accuracy-{seed}", accuracy(seed, correct))
    return tmp_path
