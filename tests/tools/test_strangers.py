"""The page of the suite strangers: means, ranks, the best baseline, and the folds that are in."""

from pathlib import Path
from typing import Any

import pytest

from edgehar.errors import DataError
from tests.tools.result_files import put, run, score
from tools.results.render import differences, write
from tools.results.strangers import ranks

MODELS = {"nearest": 60, "minirocket": 80, "tcn": 70, "teacher": 90, "student-fp32": 75, "student": 72}


def stored(root: Path, case: str, fold: int, more: int = 0, recordings: bool = False, **changed: Any) -> None:
    """A result file in which each model has `more` correct windows of 100 than in MODELS."""
    models: dict[str, Any] = {}
    for name, correct in MODELS.items():
        found = score(correct + more, 100)
        if recordings:
            found["recordings"] = score(8, 10)
        models[name] = {"parameters": 1000 * correct, "seconds": correct / 2, "score": found}
    (root / "docs/results/strangers").mkdir(exist_ok=True)
    put(root, f"strangers/{case}-{fold}of5-seed0", run("strangers", 0, f"fold:{fold}of5", models=models) | changed)


def rows(root: Path, section: str) -> dict[str, list[str]]:
    """First cell -> other cells of each row of a section's table."""
    _, _, text = (root / "docs/strangers.md").read_text().partition(f"## {section}\n\n")
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.partition("\n\n")[0].splitlines()]
    return {line[0]: line[1:] for line in lines}


def test_models_are_compared_on_every_data_set(root: Path) -> None:
    stored(root, "watch", 0)
    stored(root, "watch", 1, more=4)
    stored(root, "body-wrist", 3, more=-10, recordings=True)
    write(root)
    assert differences(root) == []
    table = rows(root, "Per window")
    assert table["model"] == ["body-wrist", "watch", "mean", "mean rank", "parameters", "seconds"]
    assert list(table)[2:6] == ["student, INT8", "teacher", "student, fp32", "nearest neighbour"]
    assert table["student, INT8"] == ["62.0", "74.0", "68.0", "2.00", "72,000", "36"]
    assert table["teacher"] == ["**80.0**", "**92.0**", "**86.0**", "1.00", "90,000", "45"]
    assert table["TCN"] == ["60.0", "72.0", "66.0", "3.00", "70,000", "35"]
    whole = rows(root, "Per recording")
    assert whole["model"] == ["body-wrist", "mean", "mean rank", "parameters", "seconds"]
    assert whole["MiniRocket"] == ["**80.0**", "**80.0**", "2.50", "80,000", "40"]
    runs = rows(root, "Runs")
    assert runs["watch"][1:] == ["200", "", "MiniRocket", "-8.0", "+10.0"]
    links = [f"[{fold} (seed 0)](results/strangers/watch-{fold}of5-seed0.json)" for fold in (0, 1)]
    assert runs["watch"][0] == f"{', '.join(links)} of 5"
    assert runs["body-wrist"][2] == "10"
    figure = (root / "docs/images/strangers.svg").read_text()
    assert all(text in figure for text in ("body-wrist", "student, INT8", "MiniRocket"))


def test_ranks_share_places_and_do_not_compare_our_networks_with_each_other() -> None:
    figures = {"student": 80.0, "teacher": 90.0, "student-fp32": 70.0, "tcn": 80.0, "lstm": 75.0, "nearest": 75.0}
    assert ranks(figures) == {
        "student": 1.5, "teacher": 1, "student-fp32": 4, "tcn": 1.5, "lstm": 3.5, "nearest": 3.5,
    }  # fmt: skip


def test_page_without_files_says_so(root: Path) -> None:
    write(root)
    assert "No run is stored yet." in (root / "docs/strangers.md").read_text()
    assert not (root / "docs/images/strangers.svg").exists()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"suite": "folds"}, "does not tell"),
        ({"models": {"tcn": {}}}, "models lack student"),
        ({"seed": 1}, "seed 1 differs"),
    ],
)
def test_file_that_contradicts_itself_is_named(root: Path, changed: dict[str, Any], expected: str) -> None:
    stored(root, "watch", 0, **changed)
    with pytest.raises(DataError, match=rf"watch-0of5-seed0.json: .*{expected}"):
        write(root)
