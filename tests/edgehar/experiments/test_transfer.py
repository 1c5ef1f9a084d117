"""The suite transfer: few labels, from scratch and from weights that other data sets pretrained."""

import json
from pathlib import Path

import pytest

from edgehar.data import recordings
from edgehar.errors import ConfigError
from edgehar.experiments.suite.options import SuiteOptions
from edgehar.simulation.dataset import SimulatorConfig, simulate
from tests.edgehar.experiments.in_process import edgehar

SHORT = ("--preset", "tiny", "--update-share", "0.04")


def test_every_method_is_scored_on_the_same_draws(tmp_path: Path):
    own = simulate(SimulatorConfig(subjects=4, trials=2, activities=("walk", "wave", "squat")))
    other = simulate(SimulatorConfig(subjects=3, trials=1, activities=("clap", "jump"), seed=1))
    recordings.write(own, tmp_path / "own")
    recordings.write(other, tmp_path / "other")
    words = ("pretrain", "--data", "other", "--frame-rate", "40", "--modalities", "skeleton,wrist", *SHORT)
    done = edgehar(*words, "--out", "weights", folder=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    words = ("evaluate", "--suite", "transfer", "--data", "own", "--modalities", "wrist", "--split", "odd-even", *SHORT)
    options = ("--few", "1:1,2:all", "--draws", "2", "--pretrained", "weights", "--results", "results")
    done = edgehar(*words, *options, folder=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    (path,) = (tmp_path / "results").glob("*.json")
    result = json.loads(path.read_text())
    entries = result["transfer"]
    methods = ["minirocket", "scratch", "own", "pretrained"]
    assert [entry["method"] for entry in entries] == methods * 4
    assert [entry["draw"] for entry in entries] == [0] * 4 + [1] * 4 + [0] * 4 + [1] * 4
    assert [entry["train_windows"] for entry in entries] == [3] * 8 + [12] * 8
    assert {entry["score"]["total"] for entry in entries} == {12}
    assert result["pretrained"]["data"] == ["other"]
    assert result["pretrained"]["people"] == 2
    assert "--few 1:1,2:all" in result["command"]
    assert str(tmp_path) not in path.read_text()


def test_people_of_pretraining_are_not_tested(tmp_path: Path):
    recordings.write(simulate(SimulatorConfig(subjects=4, trials=1, activities=("walk", "wave"))), tmp_path / "own")
    words = (
        "pretrain",
        "--data",
        "own",
        "--modalities",
        "wrist",
        *SHORT,
        "--split",
        "list:s1,s2:s3",
        "--out",
        "weights",
    )
    assert edgehar(*words, folder=tmp_path).returncode == 0
    words = (
        "finetune",
        "--pretrained",
        "weights",
        "--data",
        "own",
        "--modalities",
        "wrist",
        *SHORT,
        "--out",
        "teacher",
    )
    done = edgehar(*words, "--split", "odd-even", folder=tmp_path)
    assert done.returncode == 2
    assert "tests on subject s2 of" in done.stderr
    assert edgehar(*words, "--split", "list:s1:s4", folder=tmp_path).returncode == 0
    # Without --data, the recordings of pretraining, its split among them.
    again = edgehar("finetune", "--pretrained", "weights", *SHORT, "--out", "again", folder=tmp_path)
    assert again.returncode == 0, again.stderr[-3000:]
    stored = json.loads((tmp_path / "again/checkpoint.json").read_text())["data"]
    assert (stored["split"], "frame_rate" in stored) == ("list:s1,s2:s3", False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"suite": ("transfer",), "few": ("2",)}, "expected PEOPLE:RECORDINGS"),
        ({"suite": ("loso",), "pretrained": "weights"}, "--pretrained with --suite loso: only transfer take it"),
    ],
)
def test_other_options_are_refused(options: dict[str, tuple[str, ...]], message: str):
    with pytest.raises(ConfigError, match=message):
        SuiteOptions(**options)  # pyright: ignore[reportArgumentType]
