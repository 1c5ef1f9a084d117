"""The page of the suite strangers: means, ranks, the best baseline, and the folds that are in."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from edgehar.errors import DataError
from tests.tools.result_files import put, run, score
from tools.results.render import differences, write
from tools.results.strangers import ranks

MODELS = {"nearest": 60, "minirocket": 80, "tcn": 70, "teacher": 90, "student-fp32": 75, "student": 72}


METHODS: dict[str, tuple[str, ...]] = {
    "nearest": ("nearest",), "minirocket": ("minirocket",), "tcn": ("tcn",),
    "pipeline": ("teacher", "student-fp32", "student"),
}  # fmt: skip


def stored(
    root: Path,
    case: str,
    fold: int,
    more: int = 0,
    recordings: bool = False,
    methods: Iterable[str] = METHODS,
    **changed: Any,
) -> None:
    """A result file of each method, in which each model has `more` correct windows of 100 than in MODELS."""
    (root / "docs/results/strangers" / case).mkdir(exist_ok=True, parents=True)
    for method in methods:
        models: dict[str, Any] = {}
        for name in METHODS[method]:
            found = score(MODELS[name] + more, 100)
            if recordings:
                found["recordings"] = score(8, 10)
            models[name] = {"parameters": 1000 * MODELS[name], "seconds": MODELS[name] / 2, "score": found}
        content = run("strangers", 0, f"fold:{fold}of5", models=models)
        put(root, f"strangers/{case}/{fold}of5-{method}-seed0", content | changed)


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
    links = [f"[{name}](results/strangers/body-wrist/3of5-{name}-seed0.json)" for name in sorted(METHODS)]
    assert runs["body-wrist"] == ["3of5", "100", "10", "MiniRocket", "-8.0", "+10.0", ", ".join(links)]
    assert "(data sets: 2, folds: 3)" in (root / "docs/strangers.md").read_text()
    figure = (root / "docs/images/strangers.svg").read_text()
    assert all(text in figure for text in ("body-wrist", "student, INT8", "MiniRocket"))


def test_methods_missing_on_a_fold_are_dashes_and_the_fold_is_in_no_mean(root: Path) -> None:
    stored(root, "watch", 0)
    stored(root, "watch", 1, more=4, methods=("nearest", "pipeline"))
    stored(root, "body", 0, more=-20, methods=("nearest", "tcn"))
    write(root)
    assert differences(root) == []
    table = rows(root, "Per window")
    assert table["model"][:4] == ["body", "watch, 0of5", "watch, 1of5", "mean"]
    assert table["TCN"] == ["**50.0**", "70.0", "-", "70.0", "3.00", "70,000", "35"]
    assert table["student, INT8"] == ["-", "72.0", "76.0", "72.0", "2.00", "72,000", "36"]
    assert "(data sets: 1, folds: 1)" in (root / "docs/strangers.md").read_text()
    runs = rows(root, "Runs")
    assert runs["body"][3:6] == ["TCN", "-", "-"]
    assert runs["watch"][:1] + runs["watch"][3:6] == ["1of5", "nearest neighbour", "+12.0", "+30.0"]


def test_models_that_no_fold_has_in_common_have_no_mean(root: Path) -> None:
    stored(root, "watch", 0, methods=("tcn",))
    stored(root, "body", 0, methods=("nearest",))
    write(root)
    assert rows(root, "Per window")["TCN"] == ["-", "**70.0**", "-", "-", "-", "-"]


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
        ({"models": {"lstm": {}}}, "found the models lstm; expected tcn"),
        ({"seed": 1}, "seed 1 differs"),
        (
            {"dataset": run("strangers", 0, "fold:0of5")["dataset"] | {"train_windows": 7}},
            "windows differ from .*minirocket",
        ),
    ],
)
def test_file_that_contradicts_itself_is_named(root: Path, changed: dict[str, Any], expected: str) -> None:
    stored(root, "watch", 0)
    stored(root, "watch", 0, methods=("tcn",), **changed)
    with pytest.raises(DataError, match=rf"watch/0of5-tcn-seed0.json: .*{expected}"):
        write(root)


def test_runs_before_the_length_of_training_was_a_choice_are_named(root: Path) -> None:
    stored(root, "watch", 0)
    stored(root, "body", 1, choices=[{"name": "length of training", "value": "6,000", "reason": ""}])
    write(root)
    assert "with 2,000 updates: watch 0of5." in (root / "docs/strangers.md").read_text()
