"""Suites train, measure and write one file per run, once; training and test subjects are disjoint."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgehar.command_line import words_of
from edgehar.data import recordings
from edgehar.data.registry import DataOptions
from edgehar.experiments.recipe import Recipe
from edgehar.experiments.suite.key import contents_of, key_of
from edgehar.experiments.suite.options import SEEDS, SuiteOptions
from edgehar.experiments.suite.plan import drawn_activities, plan_runs
from edgehar.signals.clip import Dataset
from edgehar.simulation.activities import ACTIVITIES
from edgehar.simulation.dataset import SimulatorConfig, simulate
from tests.edgehar.experiments.in_process import edgehar

LABELS = ("walk", "wave", "squat", "clap")
SIMULATOR = SimulatorConfig(subjects=4, trials=2, activities=LABELS)
SHORT = ("--preset", "tiny", "--update-share", "0.1", "--split", "odd-even", "--modalities", "skeleton,wrist")


@cache
def simulated() -> Dataset:
    return simulate(SIMULATOR)


def command(*arguments: str) -> list[str]:
    return ["evaluate", "--suite", *arguments, "--data", "own", "--results", "results"]


def suite(folder: Path, *arguments: str) -> str:
    done = edgehar(*command(*arguments), folder=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def only_result(folder: Path, pattern: str) -> dict[str, Any]:
    (path,) = (folder / "results").glob(pattern)
    return json.loads(path.read_text())


def write_out_of_fold(path: Path) -> None:
    """Out-of-fold predictions of 75 % accuracy and much higher confidence."""
    label = np.arange(16) % 4
    predicted = np.where(np.arange(16) < 12, label, (label + 1) % 4)
    np.savez(
        path,
        logits=20 * np.eye(4, dtype=np.float32)[predicted],
        label=label.astype(np.int64),
        subject=np.asarray(["s1", "s3"] * 8),
        clip=np.asarray([f"clip{row}" for row in range(16)]),
        labels=np.asarray(LABELS),
        modalities=np.asarray(["skeleton", "wrist"]),
    )


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suite")
    recordings.write(simulated(), folder / "own")
    return folder


@pytest.fixture(scope="module")
def accuracy(workspace: Path) -> dict[str, Any]:
    write_out_of_fold(workspace / "answers.npz")
    suite(workspace, "accuracy", "--seeds", "3", *SHORT, "--out-of-fold", "answers.npz")
    return only_result(workspace, "*-accuracy-*.json")


def test_result_has_every_network_with_all_sensors_and_each_alone(accuracy: dict[str, Any]) -> None:
    assert set(accuracy["networks"]) == {"teacher", "student", "student-fp32", "nano"}
    for network in accuracy["networks"].values():
        assert set(network["scores"]) == {"skeleton+wrist", "skeleton", "wrist"}
        for found in network["scores"].values():
            assert found["total"] == accuracy["dataset"]["test_windows"] == 2 * 4 * 2
            assert set(found["per_subject"]) == {"s2", "s4"}
            assert sum(one["correct"] for one in found["per_class"].values()) == found["correct"]
            assert sum(pair["count"] for pair in found["confused"]) == found["total"] - found["correct"]
            assert 0 <= found["ece"] <= 1
    sizes = {name: network["parameters"] for name, network in accuracy["networks"].items()}
    assert sizes["nano"] < sizes["student"] < sizes["teacher"]
    assert accuracy["networks"]["student"]["bytes"] < accuracy["networks"]["student-fp32"]["bytes"]
    for name in ("student", "nano"):
        assert len(accuracy["networks"][name]["faults"]["scenarios"]) == 25


def test_result_has_the_command_versions_and_subjects(accuracy: dict[str, Any]) -> None:
    assert accuracy["format"] == "edgehar-run"
    assert accuracy["seed"] == 3
    assert accuracy["command"].startswith("edgehar evaluate --suite accuracy --data own --split odd-even")
    assert "--seeds 3" in accuracy["command"]
    assert accuracy["config"]["trainings"]["distill"]["train"]["updates"] > 0
    assert accuracy["dataset"]["train_subjects"] == ["s1", "s3"]
    assert accuracy["dataset"]["train_windows"] == 2 * 4 * 2
    assert {"python", "numpy", "torch"} <= set(accuracy["versions"])
    assert all(stage["seconds"] > 0 for stage in accuracy["stages"])
    assert accuracy["peak_resident_mb"] > 100


def test_only_the_network_with_out_of_fold_predictions_is_calibrated(accuracy: dict[str, Any]) -> None:
    found = {name: network["scores"]["skeleton+wrist"] for name, network in accuracy["networks"].items()}
    assert found["student"]["temperature"] > 1
    assert found["nano"]["temperature"] == 1


def test_key_depends_on_the_recordings_and_not_on_their_folder(tmp_path: Path) -> None:
    def key(folder: str, dataset: Dataset) -> str:
        path = tmp_path / folder / "own"
        recordings.write(dataset, path)
        options = SuiteOptions(("sensors",), seeds=(0,), data=DataOptions(str(path), split="odd-even"))
        loaded = options.data.load()
        return key_of(plan_runs(options, loaded)[0], options, contents_of(loaded))

    first = key("a", simulated())
    assert key("b", simulated()) == first
    clip = simulated().clips[0]
    longer = {name: np.concatenate([part, part[-1:]]) for name, part in clip.signals.items()}
    valid = {name: np.append(part, True) for name, part in clip.valid.items()}
    changed = (replace(clip, signals=longer, valid=valid), *simulated().clips[1:])
    assert key("c", replace(simulated(), clips=changed)) != first


def test_finished_run_is_skipped_and_replace_repeats_only_the_collecting(
    workspace: Path, accuracy: dict[str, Any]
) -> None:
    (path,) = (workspace / "results").glob("*-accuracy-*.json")
    before = path.stat().st_mtime_ns
    output = suite(workspace, "accuracy", "--seeds", "3", *SHORT, "--out-of-fold", "answers.npz")
    assert "measured before" in output
    assert path.stat().st_mtime_ns == before
    output = suite(workspace, "accuracy", "--seeds", "3", *SHORT, "--out-of-fold", "answers.npz", "--replace")
    assert output.count("(done before)") == len(accuracy["stages"])
    assert path.stat().st_mtime_ns > before
    again = json.loads(path.read_text())
    assert again["networks"] == accuracy["networks"]
    assert again["peak_resident_mb"] == accuracy["peak_resident_mb"]
    assert again["key"] == accuracy["key"]
    assert again["stages"] == accuracy["stages"]  # with the dates of the trainings


def test_killed_suite_resumes_and_labels_are_counted(workspace: Path) -> None:
    words = [sys.executable, "-m", "edgehar", *command("labels", *SHORT, "--shares", "0.25,1.0", "--draws", "1")]
    with (workspace / "log").open("w") as log:
        victim = subprocess.Popen(words, cwd=workspace, stdout=log, stderr=log)
    while not list((workspace / "runs/suite").glob("*-labels-*/.finetune-0.25-0-scratch.lock")):
        assert victim.poll() is None, (workspace / "log").read_text()[-3000:]
        time.sleep(0.01)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    assert not list((workspace / "results").glob("*-labels-*"))
    students = ("--student-shares", "0.25", "--pseudo-labels", "equal")
    output = suite(workspace, "labels", *SHORT, "--shares", "0.25,1.0", "--draws", "1", *students)
    assert output.count("(done before)") == 2
    entries = only_result(workspace, "*-labels-*.json")["labels"]
    kinds = [(entry["network"], entry["share"], entry["pretrained"], entry["train_windows"]) for entry in entries]
    assert kinds == [
        ("teacher", 0.25, True, 4),
        ("teacher", 0.25, False, 4),
        ("teacher", 1.0, True, 16),
        ("teacher", 1.0, False, 16),
        ("student", 0.25, True, 4),
        ("student", 0.25, True, 4),
    ]
    assert [(entry["distilled"], entry["pseudo_labels"]) for entry in entries[4:]] == [(False, "none"), (True, "equal")]
    commands = [line for line in output.splitlines() if "edgehar distill" in line]
    assert ["--pseudo-labels equal" in line for line in commands] == [False, True]
    assert [line.count("-scratch") for line in commands] == [0, 1]  # by both teachers
    assert all(entry["accuracy"] == entry["correct"] / entry["total"] for entry in entries)


def test_suites_of_pruning_and_distillation_reuse_the_networks_of_the_suite_accuracy(
    workspace: Path, accuracy: dict[str, Any]
) -> None:
    few = "--updates 40 --batch 4 --inverted 8 --inversion-steps 2 --people 1"
    suites = ("compression", "compression-teacher", "distillation", "ablation")
    pruning = ("--kept", "0.5", "--sources", "noise,recordings", "--criteria", "l1,random", f"--prune={few}")
    output = suite(workspace, ",".join(suites), "--seeds", "3", *SHORT, *pruning)
    assert output.count("(done before)") == 3 * len(suites)  # pretrain, finetune, distill
    found = only_result(workspace, "*-compression-skeleton*.json")
    for name in ("teacher", "student-fp32"):
        before, again = (run["networks"][name]["scores"]["skeleton+wrist"] for run in (accuracy, found))
        assert again["per_class"] == before["per_class"]
    kinds = [(entry["network"], *entry["source"]) for entry in found["pruned"]]
    assert kinds == [("student", "means"), ("student", "inverted"), ("student", "recordings")]
    for entry in found["pruned"]:
        assert 0.3 < entry["macs"] / entry["macs_before"] <= 0.5
        assert entry["total"] == entry["removed"]["total"] == found["dataset"]["test_windows"]
    (packaged,) = (name for name in found["networks"] if name.startswith("pruned-student-50"))
    assert found["networks"][packaged]["bytes"] < accuracy["networks"]["student"]["bytes"]
    teachers = only_result(workspace, "*-compression-teacher-*.json")["pruned"]
    assert {entry["network"] for entry in teachers} == {"teacher"}
    alone = only_result(workspace, "*-distillation-*.json")["networks"]
    assert list(alone) == ["teacher", "student-fp32", "student-alone"]
    assert alone["student-alone"]["parameters"] == alone["student-fp32"]["parameters"]
    entries = only_result(workspace, "*-ablation-*.json")["pruned"]
    assert [(*entry["source"], entry["criterion"]) for entry in entries] == [
        ("noise", "l1"), ("noise", "random"), ("recordings", "l1"), ("recordings", "random"),
    ]  # fmt: skip


def test_excluded_activities_are_neither_trained_on_nor_counted(workspace: Path) -> None:
    suite(workspace, "unknown", "--seeds", "0", *SHORT, "--left-out", "1")
    result = only_result(workspace, "*-unknown-*.json")
    (left_out,) = result["unknown"]["activities"]
    assert left_out in LABELS
    assert left_out not in result["dataset"]["labels"]
    assert result["unknown"]["unknown_windows"] == 2 * 2
    assert result["unknown"]["known_windows"] == result["networks"]["student"]["scores"]["skeleton+wrist"]["total"]
    assert 0 <= result["unknown"]["auroc"] <= 1
    suite(workspace, "enrol", "--seeds", "0", *SHORT, "--left-out", "1")
    enrolled = only_result(workspace, "*-enrol-*.json")
    assert enrolled["enrol"]["activities"] == [left_out]
    assert enrolled["networks"]["student"]["scores"].keys() == {"skeleton+wrist"}
    assert "unknown" not in enrolled
    trained = [stage["seconds"] for stage in result["stages"] if stage["name"] in ("finetune", "distill")]
    assert trained == [stage["seconds"] for stage in enrolled["stages"] if stage["name"] in ("finetune", "distill")]


@pytest.mark.parametrize("name", ["loso", "folds"])
def test_every_subject_is_in_the_test_set_of_one_run_and_trains_in_the_others(name: str) -> None:
    dataset = simulated()
    runs = plan_runs(SuiteOptions((name,), folds=2), dataset)
    splits = [run.data.make_split(dataset) for run in runs]
    assert sorted(subject for split in splits for subject in split.test) == ["s1", "s2", "s3", "s4"]
    for run, split in zip(runs, splits, strict=True):
        assert set(split.train) | set(split.test) == set(dataset.subjects)
        assert run.stages[0].settings["split"] == split.name


def test_suite_has_default_seeds_and_unique_names() -> None:
    dataset = simulated()
    options = SuiteOptions(tuple(SEEDS), folds=4, left_out=2)
    names = [run.name for run in plan_runs(options, dataset)]
    assert len(set(names)) == len(names) == 5 + 5 * 3 + 4 + 4 + 1 + 5 + 5 + 5 + 5 + 5 + 3 + 5 + 4 * 8 + 1
    assert not {run.name for run in plan_runs(replace(options, recipe=Recipe("tiny")), dataset)} & set(names)


def test_networks_for_one_sensor_get_no_other() -> None:
    runs = plan_runs(SuiteOptions(("sensors",), seeds=(0,), only=("wrist",)), simulated())
    assert [run.name for run in runs] == ["simulated-sensors-wrist-seed0"]
    assert runs[0].stages[0].settings["modalities"] == ("wrist",)


def test_teacher_from_scratch_skips_pretraining_and_the_command_has_the_option() -> None:
    recipe = Recipe("tiny", pretraining=False)
    runs = plan_runs(SuiteOptions(("accuracy",), seeds=(0,), recipe=recipe), simulated())
    names = [stage.name for stage in runs[0].stages]
    assert names[:2] == ["finetune", "distill"]
    finetune = runs[0].stages[0].settings
    assert "pretrained" not in finetune
    assert finetune["data"] == "simulated"
    assert "--no-pretraining" in words_of(recipe.given())
    assert "--no-pretraining" not in words_of(Recipe("tiny").given())


def test_recipe_does_not_change_the_students_of_labels_alone() -> None:
    recipe = Recipe("tiny", distill="--pseudo-labels likely --contrastive 0.3")
    options = SuiteOptions(("labels",), student_shares=(0.1,), recipe=recipe, data=DataOptions("simulated"))
    stages = plan_runs(options, simulate(SimulatorConfig(subjects=2, trials=1)))[0].stages
    alone = [stage.settings for stage in stages if stage.name.endswith("-alone")]
    assert len(alone) == 5
    names = ("pseudo_labels", "contrastive", "soft", "hard")
    assert all([settings[name] for name in names] == ["none", 0, 0, 1] for settings in alone)


def test_command_of_a_stage_shows_further_options_as_typed() -> None:
    recipe = Recipe("tiny", 0.5, False, finetune="--updates 400 --learning-rate=1e-3 --no-compile")
    (stage,) = recipe.stages(Path("run"), DataOptions("simulated", modalities=("wrist", "thigh")), 3, "finetune")
    assert stage.command == (
        "edgehar finetune --preset tiny --update-share 0.5 --updates 400 --learning-rate 0.001 --no-compile --seed 3 "
        "--data simulated --modalities wrist,thigh --out run/teacher"
    )
    options = stage.options()
    assert (options.train.updates, options.train.update_share, options.train.learning_rate) == (400, 0.5, 0.001)
    assert type(options.train.learning_rate) is float


def test_further_options_take_precedence_over_the_recipe() -> None:
    recipe = Recipe("tiny", 0.5, distill="--preset base --update-share 0.1 --updates 30")
    assert recipe.settings("distill") == {"preset": "base", "update_share": 0.1, "updates": 30}


def test_draws_of_excluded_activities_differ_by_seed() -> None:
    labels = tuple(ACTIVITIES)
    drawn = [drawn_activities(labels, 3, seed) for seed in range(5)]
    assert len(set(drawn)) > 1
    assert all(len(set(activities)) == 3 for activities in drawn)
