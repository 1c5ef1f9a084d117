"""The suite strangers finds its data sets by content, runs the default pipeline on each, and compares it."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgehar.data import recordings
from edgehar.errors import ConfigError, DataError
from edgehar.experiments.suite.collect import collect
from edgehar.experiments.suite.command import PARSER, command_of, summary
from edgehar.experiments.suite.comparison import METHODS
from edgehar.experiments.suite.options import SuiteOptions
from edgehar.experiments.suite.plan import Run, plan_runs
from edgehar.experiments.suite.strangers import case_name, expanded
from edgehar.simulation.dataset import SimulatorConfig, simulate
from edgehar.student.baseline import KINDS
from tests.edgehar.experiments.in_process import edgehar


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


def planned(root: Path, *more: str) -> list[Run]:
    (part,) = expanded(options(root, "--folds", "2", *more))
    return plan_runs(part, part.data.load())


def run_of(root: Path, *more: str) -> tuple[Run, SuiteOptions]:
    (part,) = expanded(options(root, "--folds", "2", *more))
    (run,) = plan_runs(part, part.data.load())
    return run, part


def test_every_data_set_is_found_with_all_sensors_and_with_some(root: Path) -> None:
    parts = expanded(options(root))
    assert [case_name(part.data) for part in parts] == ["never-seen", "selfback", "selfback-wrist", "sp-sw-har"]
    assert [part.data.root for part in parts] == [None, None, None, str(root)]
    assert [part.results for part in parts] == [
        f"docs/results/strangers/{name}" for name in ("never-seen", "selfback", "selfback-wrist", "sp-sw-har")
    ]


def test_only_chooses_data_sets_folds_and_methods(root: Path) -> None:
    run, part = run_of(root, "--only", "selfback-wrist,1of2,multirocket-hydra")
    assert (run.name, run.data.split) == ("1of2-multirocket-hydra-seed0", "fold:1of2")
    assert run.folder == Path("runs/suite/strangers/selfback-wrist") / run.name
    assert command_of(run, part) == (
        "edgehar evaluate --suite strangers --only selfback-wrist,1of2,multirocket-hydra --preset base --folds 2 "
        "--seeds 0"
    )


def test_quick_methods_come_first_and_have_the_same_data_as_the_pipeline_without_an_option(root: Path) -> None:
    assert set(METHODS) == {*KINDS, "pipeline"}
    runs = planned(root, "--only", "never-seen")
    assert [run.name for run in runs] == [f"{fold}of2-{method}-seed0" for method in METHODS for fold in (0, 1)]
    stages = {run.name: stage for run in runs for stage in run.stages}
    assert len(stages) == len({run.folder for run in runs}) == 2 * len(METHODS)
    common = {"preset": "base", "seed": 0, "data": str(root / "never-seen")}
    for name, stage in stages.items():
        assert stage.settings | common | {"split": f"fold:{name[:4]}"} == stage.settings
    pipeline = stages["0of2-pipeline-seed0"]
    assert set(pipeline.settings) == {*common, "split", "out"}
    assert pipeline.options().data.modalities == ()


def test_folds_of_few_people_are_as_many_as_people(root: Path) -> None:
    runs = planned(root, "--only", "never-seen,tcn", "--folds", "7")
    assert [run.data.split for run in runs] == [f"fold:{fold}of4" for fold in range(4)]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--data", "utd-mhad"], "runs alone"),
        (["--modalities", "wrist"], "runs alone"),
        (["--no-pretraining"], "default of edgehar pipeline"),
        (["--finetune=--updates 5"], "default of edgehar pipeline"),
        (["--only", "umafall,tcn"], r"umafall: expected data sets \(never-seen, selfback,.* methods \(nearest, "),
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
    with pytest.raises(ConfigError, match="8of9: never-seen has the folds 0of2, 1of2"):
        planned(root, "--only", "never-seen,0of2,8of9")


def score(correct: int) -> dict[str, Any]:
    whole = {"correct": 3, "total": 4, "accuracy": 0.75, "macro_f1": 0.7}
    counts = {"correct": correct, "total": 20, "accuracy": correct / 20, "macro_f1": correct / 25}
    return counts | {"confusion": [[0]], "per_subject": {}, "recordings": whole}


def collected(run: Run, product: dict[str, Any]) -> dict[str, Any]:
    """What a result file has if the run's only stage writes this."""
    (path,) = run.stages[0].products
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(product))
    return collect(run)


def test_result_of_a_baseline_has_its_score_with_all_sensors(root: Path, tmp_path: Path) -> None:
    run, _ = run_of(root, "--only", "never-seen,0of2,tcn", "--runs", str(tmp_path))
    facts = {"parameters": 7, "seconds": 2.0, "fitted_windows": 9}
    found = collected(run, facts | {"scores": {"skeleton+wrist": score(15), "wrist": score(1)}})
    stored = {name: value for name, value in score(15).items() if name != "confusion"}
    assert found == {"models": {"tcn": facts | {"score": stored}}, "test_windows": 20}


def test_result_of_the_pipeline_has_its_networks_and_choices(root: Path, tmp_path: Path) -> None:
    run, _ = run_of(root, "--only", "never-seen,0of2,pipeline", "--runs", str(tmp_path))
    times = (("pretrain", 4.0), ("finetune", 5.0), ("distill", 6.0), ("export", 1.0))
    stages = [{"name": name, "seconds": seconds, "parameters": int(100 * seconds)} for name, seconds in times]
    evaluation = {"teacher": score(18), "student": score(17), "student-int8": score(16)}
    choices = [{"name": "pretraining", "value": "off"}]
    found = collected(run, {"stages": stages, "evaluation": evaluation, "choices": choices})
    assert (found["test_windows"], found["choices"]) == (20, choices)
    models = found["models"]
    figures = {name: (one["score"]["correct"], one["seconds"], one["parameters"]) for name, one in models.items()}
    assert figures == {"teacher": (18, 9.0, 500), "student-fp32": (17, 15.0, 100), "student": (16, 15.0, 100)}
    assert set(models["student"]["score"]) == {
        "correct", "total", "accuracy", "per_subject", "macro_f1", "recordings",
    }  # fmt: skip
    assert "16/20 windows, F1 64.0; 3/4 recordings, F1 70.0; 100 parameters; 15 s" in summary(found)


def test_only_methods_without_a_result_are_measured(root: Path, tmp_path: Path) -> None:
    def evaluate(methods: str) -> str:
        chosen = ("--only", f"selfback-wrist,0of2,{methods}", "--folds", "2", "--preset", "tiny")
        done = edgehar("evaluate", "--suite", "strangers", "--root", str(root), *chosen, folder=tmp_path)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    results = tmp_path / "docs/results/strangers/selfback-wrist"
    evaluate("nearest")
    assert [path.name for path in results.glob("*.json")] == ["0of2-nearest-tiny-seed0.json"]
    first = (results / "0of2-nearest-tiny-seed0.json").read_bytes()
    lines = evaluate("tcn,nearest").splitlines()
    assert [line for line in lines if line.startswith("(1/2)") and line.endswith("(measured before)")]
    assert (results / "0of2-nearest-tiny-seed0.json").read_bytes() == first
    stored = json.loads((results / "0of2-tcn-tiny-seed0.json").read_text())
    assert list(stored["models"]) == ["tcn"]
    assert stored["dataset"] == json.loads(first)["dataset"]
