"""The suite strangers finds its data sets by content, runs the default pipeline on each, and compares it."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgehar.data import recordings
from edgehar.errors import ConfigError, DataError, SplitError
from edgehar.experiments.suite.collect import collect
from edgehar.experiments.suite.command import PARSER, command_of, summary
from edgehar.experiments.suite.comparison import ALL_BASELINES
from edgehar.experiments.suite.options import SuiteOptions
from edgehar.experiments.suite.plan import Run, plan_runs
from edgehar.experiments.suite.strangers import case_name, expanded
from edgehar.simulation.dataset import SimulatorConfig, simulate
from edgehar.student.baseline import KINDS


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    dataset = simulate(SimulatorConfig(subjects=4, trials=1, activities=("wave", "squat")))
    for name in ("selfback", "never-seen"):
        recordings.write(dataset, folder / name)
    for name in ("sp-sw-har", "no-recordings"):
        (folder / name).mkdir()
    (folder / "README.md").write_text("notes")
    return folder


def options(root: Path, *more: str) -> SuiteOptions:
    return PARSER.parse(["--suite", "strangers", "--root", str(root), *more])


def run_of(root: Path, *more: str) -> tuple[Run, SuiteOptions]:
    (part,) = expanded(options(root, "--folds", "2", *more))
    (run,) = plan_runs(part, part.data.load())
    return run, part


def test_every_data_set_is_found_with_all_sensors_and_with_some(root: Path) -> None:
    parts = expanded(options(root))
    assert [case_name(part.data) for part in parts] == ["never-seen", "selfback", "selfback-wrist", "sp-sw-har"]
    assert [part.data.root for part in parts] == [None, None, None, str(root)]
    assert {part.results for part in parts} == {str(Path("docs/results/strangers"))}


def test_only_chooses_data_sets_and_folds(root: Path) -> None:
    run, part = run_of(root, "--only", "selfback-wrist,1of2")
    assert run.name == "selfback-wrist-1of2-seed0"
    assert (run.data.split, part.only) == ("fold:1of2", ("1of2",))
    assert command_of(run, part) == (
        "edgehar evaluate --suite strangers --only selfback-wrist,1of2 --preset base --folds 2 --seeds 0"
    )


def test_all_baselines_and_the_pipeline_without_an_option_have_the_same_data(root: Path) -> None:
    run, _ = run_of(root, "--only", "never-seen,0of2")
    assert set(ALL_BASELINES) == set(KINDS)
    assert [stage.name for stage in run.stages] == [*(f"baseline-{kind}" for kind in ALL_BASELINES), "pipeline"]
    pipeline, data = run.stages[-1], {"data": str(root / "never-seen"), "split": "fold:0of2"}
    common = {"preset": "base", "seed": 0} | data
    assert pipeline.settings == common | {"out": str(run.folder / "pipeline")}
    assert all(stage.settings | common == stage.settings for stage in run.stages)
    assert pipeline.options().data.modalities == ()


def test_folds_of_few_people_are_as_many_as_people(root: Path) -> None:
    (part,) = expanded(options(root, "--only", "never-seen", "--folds", "7"))
    assert [run.data.split for run in plan_runs(part, part.data.load())] == [f"fold:{fold}of4" for fold in range(4)]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--data", "utd-mhad"], "runs alone"),
        (["--modalities", "wrist"], "runs alone"),
        (["--no-pretraining"], "default of edgehar pipeline"),
        (["--finetune=--updates 5"], "default of edgehar pipeline"),
        (["--only", "umafall"], "some of never-seen, selfback"),
    ],
)
def test_options_that_change_what_is_compared_are_refused(root: Path, more: list[str], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        expanded(options(root, *more))


def test_folder_without_data_sets_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="found no data set"):
        expanded(options(root / "no-recordings"))
    monkeypatch.delenv("EDGEHAR_DATA", raising=False)
    with pytest.raises(DataError, match="set EDGEHAR_DATA"):
        expanded(PARSER.parse(["--suite", "strangers"]))


def test_fold_that_does_not_exist_is_refused(root: Path) -> None:
    (part,) = expanded(options(root, "--only", "never-seen,8of9"))
    with pytest.raises((ConfigError, SplitError), match="8of9"):
        plan_runs(part, part.data.load())


def score(correct: int) -> dict[str, Any]:
    whole = {"correct": 3, "total": 4, "accuracy": 0.75, "macro_f1": 0.7}
    counts = {"correct": correct, "total": 20, "accuracy": correct / 20, "macro_f1": correct / 25}
    return counts | {"confusion": [[0]], "per_subject": {}, "recordings": whole}


def test_every_model_has_scores_size_and_seconds(root: Path, tmp_path: Path) -> None:
    run, _ = run_of(root, "--only", "never-seen,0of2", "--runs", str(tmp_path))
    for stage in run.stages[:-1]:
        stage.products[0].parent.mkdir(parents=True, exist_ok=True)
        facts = {"parameters": 7, "seconds": 2.0, "fitted_windows": 9}
        stage.products[0].write_text(json.dumps(facts | {"scores": {"skeleton+wrist": score(15), "wrist": score(1)}}))
    times = (("pretrain", 4.0), ("finetune", 5.0), ("distill", 6.0), ("export", 1.0))
    stages = [{"name": name, "seconds": seconds, "parameters": int(100 * seconds)} for name, seconds in times]
    evaluation = {"teacher": score(18), "student": score(17), "student-int8": score(16)}
    run.stages[-1].products[0].parent.mkdir()
    choices = [{"name": "pretraining", "value": "off"}]
    results = {"stages": stages, "evaluation": evaluation, "choices": choices}
    run.stages[-1].products[0].write_text(json.dumps(results))
    found = collect(run)
    assert (found["test_windows"], found["choices"]) == (20, choices)
    models = found["models"]
    assert list(models) == [*ALL_BASELINES, "teacher", "student-fp32", "student"]
    assert [models[name]["score"]["correct"] for name in ("tcn", "teacher", "student-fp32", "student")] == [
        15,
        18,
        17,
        16,
    ]
    assert (models["tcn"]["parameters"], models["tcn"]["fitted_windows"]) == (7, 9)
    assert [(models[name]["seconds"], models[name]["parameters"]) for name in ("teacher", "student")] == [
        (9.0, 500),
        (15.0, 100),
    ]
    assert set(models["student"]["score"]) == {
        "correct", "total", "accuracy", "per_subject", "macro_f1", "recordings",
    }  # fmt: skip
    assert "16/20 windows, F1 64.0; 3/4 recordings, F1 70.0; 100 parameters; 15 s" in summary(found)
