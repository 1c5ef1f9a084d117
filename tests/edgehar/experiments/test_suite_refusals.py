"""Suites refuse, before any training, runs that could not be measured or stored, or would replace other results."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgehar.data import recordings
from edgehar.data.registry import DataOptions
from edgehar.errors import ConfigError, DataError
from edgehar.experiments.recipe import Recipe
from edgehar.experiments.suite.command import check_runs
from edgehar.experiments.suite.options import SuiteOptions
from edgehar.experiments.suite.plan import plan_runs
from tests.edgehar.experiments.in_process import edgehar
from tests.edgehar.experiments.test_suite import SHORT, command, simulated, write_out_of_fold


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("refused")
    recordings.write(simulated(), folder / "own")
    return folder


def refused(workspace: Path, *arguments: str) -> str:
    """The message of a suite that starts no training."""
    done = edgehar(*command("accuracy", "--seeds", "4", *SHORT), *arguments, folder=workspace)
    assert done.returncode == 2
    assert not (workspace / "runs").exists()
    return done.stderr


def test_unsuitable_out_of_fold_predictions_are_refused_before_any_training(workspace: Path) -> None:
    (workspace / "broken.npz").write_bytes(b"PK\x03\x04")
    assert "broken.npz" in refused(workspace, "--out-of-fold-nano", "broken.npz")
    assert "no.npz" in refused(workspace, "--out-of-fold", "no.npz")
    write_out_of_fold(workspace / "fitting.npz")
    assert "test subject" in refused(workspace, "--out-of-fold", "fitting.npz", "--split", "list:s2,s4:s1,s3")


def test_result_of_another_configuration_is_replaced_only_with_the_option(workspace: Path) -> None:
    data = DataOptions(str(workspace / "own"), split="odd-even", modalities=("skeleton", "wrist"))
    (run,) = plan_runs(SuiteOptions(("accuracy",), seeds=(4,), data=data, recipe=Recipe("tiny", 0.1)), data.load())
    path = workspace / "results" / f"{run.name}.json"
    path.parent.mkdir(exist_ok=True)
    for content, expected in (
        ({"format": "edgehar-run", "dataset": {}, "key": "k", "command": "edgehar evaluate"}, "edgehar evaluate"),
        ({"format": "edgehar-run"}, "damaged"),
        ([], "damaged"),
    ):
        path.write_text(json.dumps(content))
        message = refused(workspace)
        assert expected in message
        assert "--replace" in message
        assert json.loads(path.read_text()) == content


def test_results_folder_that_cannot_be_written_is_refused_first(workspace: Path) -> None:
    assert "/dev/null" in refused(workspace, "--results", "/dev/null/results")


@pytest.mark.parametrize("option", ["--results", "--runs"])
def test_folder_within_the_recordings_is_refused_first(option: str, workspace: Path) -> None:
    before = sorted((workspace / "own").rglob("*"))
    for folder in ("own", "own/deeper/results"):
        message = refused(workspace, option, folder)
        assert f"{option} {folder}: lies within the recordings" in message
    assert sorted((workspace / "own").rglob("*")) == before


def test_excluded_activities_must_be_in_the_test_recordings(tmp_path: Path) -> None:
    dataset = simulated()
    kept = [clip for clip in dataset.clips if clip.subject in ("s1", "s3") or clip.label == 0]
    options = SuiteOptions(("unknown",), seeds=(0,), left_out=1, results=str(tmp_path))
    runs = plan_runs(options, dataset)
    check_runs(options, runs, dataset)
    assert runs[0].data.without != (dataset.info.labels[0],)
    with pytest.raises(DataError, match=runs[0].data.without[0]):
        check_runs(options, runs, replace(dataset, clips=kept))


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (lambda: SuiteOptions(("acuracy",)), "--suite acuracy"),
        (lambda: SuiteOptions(("accuracy",), seeds=(-1,)), "--seeds -1"),
        (lambda: SuiteOptions(("loso",), data=DataOptions(split="odd-even")), "--split odd-even"),
        (lambda: SuiteOptions(("compression",), kept=(1.0,)), "--kept"),
        (lambda: SuiteOptions(("compression",), kept=(0.5, 0.5)), "--kept"),
        (lambda: SuiteOptions(("accuracy",), seeds=(0, 0)), "--seeds 0,0"),
        (lambda: SuiteOptions(("accuracy",), recipe=Recipe(prune="--rounds 9")), "--prune with --suite accuracy"),
        (lambda: SuiteOptions(("compression",), recipe=Recipe(prune="--macs 0.2")), "--macs"),
        (lambda: Recipe(prune="student --rounds 9"), "--prune='student --rounds 9': found the word 'student'"),
        (
            lambda: SuiteOptions(("compression",), recipe=Recipe(prune="--generator-steps 9")),
            "--generator-steps .* inverted, means, recordings",
        ),
        (
            lambda: SuiteOptions(("ablation",), sources=("noise",), recipe=Recipe(prune="--people=9")),
            "--people .* noise",
        ),
        (lambda: SuiteOptions(("ablation",), criteria=("luck",)), "--criteria luck"),
        (lambda: SuiteOptions(()), "--suite: found no value; expected one or more of accuracy, sensors"),
        (lambda: SuiteOptions(("ablation",), sources=()), "--sources: found no value; expected one or more of means"),
        (lambda: SuiteOptions(("labels",), shares=()), "--shares: .* one or more, each a number above 0 and up to 1"),
        (lambda: SuiteOptions(("labels",), shares=(1.5,)), "--shares"),
        (lambda: SuiteOptions(("labels",), recipe=Recipe(pretraining=False)), "--no-pretraining with --suite labels"),
        (lambda: SuiteOptions(("accuracy",), only=("s1",)), "--only with --suite accuracy"),
        (lambda: SuiteOptions(("loso",), out_of_fold="a.npz"), "--out-of-fold with --suite loso"),
        (lambda: SuiteOptions(("folds",), folds=1), "--folds 1"),
        (lambda: SuiteOptions(("labels",), student_shares=(0.3,)), "--student-shares 0.3"),
        (lambda: SuiteOptions(("labels",), pseudo_labels="equal"), "--pseudo-labels equal with --student-shares"),
        (
            lambda: SuiteOptions(("labels",), pseudo_labels="likely", student_shares=(1.0,)),
            "--pseudo-labels likely with --student-shares 1.0",
        ),
        (lambda: SuiteOptions(("labels",), pseudo_labels="maybe", student_shares=(0.1,)), "--pseudo-labels maybe"),
        (lambda: plan_runs(SuiteOptions(("loso",), only=("s9",)), simulated()), "--only s9"),
        (
            lambda: plan_runs(SuiteOptions(("unknown",)), simulated()),
            "--left-out 3",
        ),
    ],
)
def test_impossible_options_are_refused(wrong: Any, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        wrong()


def test_each_pruning_of_a_suite_gets_the_options_of_its_own_source() -> None:
    recipe = Recipe("tiny", prune="--updates 40 --people 1 --inverted=8 --no-width --noisy-sensor 0.2")
    options = SuiteOptions(("compression",), seeds=(0,), kept=(0.5,), recipe=recipe)
    (run,) = plan_runs(options, simulated())
    prunings = {stage.name.split("-")[3]: stage for stage in run.stages if stage.verb == "prune"}
    assert list(prunings) == ["means", "inverted", "recordings"]
    for source, stage in prunings.items():
        settings = stage.settings
        assert (settings["updates"], settings["width"]) == (40, False)
        assert (settings.get("people"), settings.get("inverted")) == ((1, 8) if source == "inverted" else (None, None))
        assert ("noisy_sensor" in settings) == (source != "recordings")
        assert stage.options().inputs.source == (source,)
