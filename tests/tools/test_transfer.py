"""The page of the suite transfer: means over draws, and gains paired by draw."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from edgehar.errors import DataError
from tests.tools.result_files import put, run
from tools.results.render import differences, write
from tools.results.transfer import gain


def entry(method: str, draw: int, macro_f1: float) -> dict[str, Any]:
    score = {"correct": 50, "total": 100, "accuracy": 0.5, "macro_f1": macro_f1}
    return {
        "method": method, "people": 2, "recordings_per_activity": 5, "draw": draw, "train_windows": 60, "score": score,
    }  # fmt: skip


def measured(data: list[str], seed: int = 0) -> dict[str, Any]:
    scores = {"minirocket": (0.6, 0.7), "scratch": (0.5, 0.62), "pretrained": (0.62, 0.7)}
    entries = [entry(method, draw, found[draw]) for method, found in scores.items() for draw in range(2)]
    weights = {"data": data, "people": 12, "hours": 3.5, "parameters": 400_000, "updates": 100, "batch": 64}
    return run("transfer", seed, transfer=entries, pretrained=weights)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    repository = Path(__file__).parents[2]
    (tmp_path / "docs/results/transfer").mkdir(parents=True)
    (tmp_path / "docs/images").mkdir()
    for name in ("docs/published.json", "README.md"):
        shutil.copy(repository / name, tmp_path / name)
    return tmp_path


def test_gains_are_paired_by_draw(root: Path) -> None:
    put(root, "transfer/utd-mhad-transfer-seed0", measured(["other"]))
    write(root)
    text = (root / "docs/transfer.md").read_text()
    row = next(line for line in text.splitlines() if line.startswith("| utd-mhad, skeleton+inertial | 2 | 5 |"))
    assert row.split(" | ")[4:11] == ["2", "65.0", "56.0", "-", "66.0", "+10.0 ± 2.0", "+1.0 ± 1.0"]
    assert "Weights of 400,000 parameters from other: 12 people, 3.5 hours, 100 updates of 64 windows." in text
    assert differences(root) == []


def test_mean_over_several_rows_is_stated(root: Path) -> None:
    for seed in range(2):
        put(root, f"transfer/utd-mhad-transfer-seed{seed}", measured(["other"], seed))
    write(root)
    text = (root / "docs/transfer.md").read_text()
    assert "mean over 2 rows +10.0 over scratch (least +10.0), +1.0 over MiniRocket." in text


def test_weights_that_have_seen_the_data_set_are_refused(root: Path) -> None:
    put(root, "transfer/utd-mhad-transfer-seed0", measured(["other", "utd-mhad"]))
    with pytest.raises(DataError, match="pretrained on this data set"):
        write(root)


def test_gain_of_one_draw_has_no_error() -> None:
    assert gain({0: 0.7}, {0: 0.6, 1: 0.2}) == "+10.0"
    assert gain({1: 0.7}, {0: 0.6}) == "-"
