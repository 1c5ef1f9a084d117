"""What a suite does not begin: what could not be measured or kept, or would replace what was."""

import json
import subprocess
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
from edgehar.verbs import check
from tests.edgehar.test_suite import SHORT, command, simulated, write_out_of_fold


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("refused")
    recordings.write(simulated(), folder / "own")
    return folder


def refused(place: Path, *arguments: str) -> str:
    """What a suite says that begins nothing."""
    words = [*command("accuracy", "--seeds", "4", *SHORT), *arguments]
    done = subprocess.run(words, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert not (place / "runs").exists()
    return done.stderr


def test_answers_that_do_not_fit_are_refused_before_anything_is_trained(place: Path) -> None:
    (place / "broken.npz").write_bytes(b"PK\x03\x04")
    assert "broken.npz: not readable arrays" in refused(place, "--out-of-fold-nano", "broken.npz")
    assert "no.npz: no such file" in refused(place, "--out-of-fold", "no.npz")
    write_out_of_fold(place / "fitting.npz")
    assert "is a test subject of own" in refused(place, "--out-of-fold", "fitting.npz", "--split", "list:s2,s4:s1,s3")


def test_another_result_is_not_replaced_unasked(place: Path) -> None:
    data = DataOptions(str(place / "own"), split="odd-even", modalities=("skeleton", "wrist"))
    (run,) = plan_runs(SuiteOptions(("accuracy",), seeds=(4,), data=data, recipe=Recipe("tiny", 0.1)), data.load())
    path = place / "results" / f"{run.name}.json"
    path.parent.mkdir(exist_ok=True)
    for content, said in (
        ({"format": "edgehar-run", "dataset": {}, "key": "k", "command": "edgehar evaluate"}, "measured with: edgehar"),
        ({"format": "edgehar-run"}, "no result of a suite, or a damaged one"),
        ([], "no result of a suite"),
    ):
        path.write_text(json.dumps(content))
        message = refused(place)
        assert said in message
        assert "--replace" in message
        assert json.loads(path.read_text()) == content


def test_results_that_could_not_be_written_are_refused_first(place: Path) -> None:
    assert "/dev/null" in refused(place, "--results", "/dev/null/results")


def test_activities_to_detect_must_be_among_those_of_the_test(tmp_path: Path) -> None:
    dataset = simulated()
    kept = [clip for clip in dataset.clips if clip.subject in ("s1", "s3") or clip.label == 0]
    options = SuiteOptions(("unknown",), seeds=(0,), left_out=1, results=str(tmp_path))
    runs = plan_runs(options, dataset)
    check_runs(options, runs, dataset)
    assert runs[0].data.without != (dataset.info.labels[0],)
    with pytest.raises(DataError, match=rf"leaves out {runs[0].data.without[0]}, which no test subject shows"):
        check_runs(options, runs, replace(dataset, clips=kept))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: SuiteOptions(("acuracy",)), "--suite acuracy"),
        (lambda: SuiteOptions(("accuracy",), seeds=(-1,)), "--seeds -1"),
        (lambda: SuiteOptions(("loso",), data=DataOptions(split="odd-even")), "make their own"),
        (lambda: SuiteOptions(("compression",), kept=(1.0,)), "--kept"),
        (lambda: SuiteOptions(("compression",), kept=(0.5, 0.5)), "--kept"),
        (lambda: SuiteOptions(("accuracy",), seeds=(0, 0)), "--seeds 0,0"),
        (lambda: SuiteOptions(("accuracy",), recipe=Recipe(prune="--rounds 9")), "only compression"),
        (lambda: SuiteOptions(("compression",), recipe=Recipe(prune="--macs 0.2")), "this run sets --macs itself"),
        (
            lambda: SuiteOptions(("compression",), recipe=Recipe(prune="--generator-steps 9")),
            "do not prune with, which are inverted, means, recordings",
        ),
        (
            lambda: SuiteOptions(("ablation",), sources=("noise",), recipe=Recipe(prune="--people=9")),
            "do not prune with, which are noise",
        ),
        (lambda: SuiteOptions(("ablation",), criteria=("luck",)), "--criteria luck: expected some of l1, l2"),
        (lambda: SuiteOptions(("ablation",), sources=()), "--sources : expected some of means"),
        (lambda: SuiteOptions(("labels",), shares=(1.5,)), "--shares"),
        (lambda: SuiteOptions(("labels",), recipe=Recipe(pretraining=False)), "--no-pretraining with --suite labels"),
        (lambda: SuiteOptions(("accuracy",), only=("s1",)), "--only with --suite accuracy: only sensors, loso, folds"),
        (lambda: SuiteOptions(("loso",), out_of_fold="a.npz"), "--out-of-fold with --suite loso"),
        (lambda: SuiteOptions(("folds",), folds=1), "--folds 1: expected 2"),
        (lambda: SuiteOptions(("labels",), student_shares=(0.3,)), "--student-shares .*expected some of --shares"),
        (lambda: SuiteOptions(("labels",), pseudo_labels="equal"), r"--pseudo-labels equal with --student-shares \(\)"),
        (
            lambda: SuiteOptions(("labels",), pseudo_labels="likely", student_shares=(1.0,)),
            "expected one or more below 1",
        ),
        (lambda: SuiteOptions(("labels",), pseudo_labels="maybe", student_shares=(0.1,)), "--pseudo-labels maybe"),
        (lambda: plan_runs(SuiteOptions(("loso",), only=("s9",)), simulated()), "--only s9"),
        (
            lambda: plan_runs(SuiteOptions(("unknown",)), simulated()),
            "--left-out 3: expected 1 or more of 4 activities",
        ),
    ],
)
def test_what_no_suite_can_do_is_refused(wrong: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        wrong()


def test_each_pruning_of_a_suite_gets_the_options_of_its_own_windows() -> None:
    recipe = Recipe("tiny", prune="--updates 40 --people 1 --inverted=8 --no-width --noisy-sensor 0.2")
    options = SuiteOptions(("compression",), seeds=(0,), kept=(0.5,), recipe=recipe)
    (run,) = plan_runs(options, simulated())
    given = {stage.name.split("-")[3]: stage.arguments for stage in run.stages if stage.verb == "prune"}
    assert list(given) == ["means", "inverted", "recordings"]
    for source, words in given.items():
        assert {"--updates", "40", "--no-width"} <= set(words)
        assert ("--people" in words) == ("1" in words) == ("--inverted=8" in words) == (source == "inverted")
        assert ("--noisy-sensor" in words) == (source != "recordings")
        check("prune", list(words))
