"""Short trainings inside the training people choose the augmentation; test people have no say."""

import json
from pathlib import Path

import pytest

from edgehar.data import recordings
from edgehar.experiments.pipeline import PipelineOptions, plan, settings_of
from edgehar.experiments.trials import DEFAULT, LIGHT, MARGIN, MIRRORED, TURNED, candidates, choice_of
from edgehar.signals.modality import KINECT_JOINTS, KINECT_PARENTS, ModalitySpec
from edgehar.simulation.dataset import SimulatorConfig, simulate
from tests.edgehar.experiments.in_process import edgehar

WATCH = ModalitySpec("watch", 3, "m/s2", 10.0, 1)
SKELETON = ModalitySpec("skeleton", 60, "m", 30.0, 4, joints=KINECT_JOINTS, parents=KINECT_PARENTS)
TRIED = candidates([WATCH], "sliding", 12.0)


@pytest.mark.parametrize(("lead", "chosen"), [(MARGIN / 2, DEFAULT), (2 * MARGIN, LIGHT)])
def test_a_candidate_must_be_clearly_better_than_the_default(lead: float, chosen: str):
    scores = {DEFAULT: [0.5, 0.7], LIGHT: [0.5 + lead, 0.7 + lead], MIRRORED: [0.4, 0.7]}
    choice = choice_of(TRIED, scores)
    assert choice.value == chosen
    assert "default 60.0" in choice.reason
    assert "mirrored 55.0" in choice.reason
    settings = settings_of(PipelineOptions(), [choice])
    assert settings["finetune"].get("mounting_deg") == settings["distill"].get("mounting_deg")
    assert ("mounting_deg" in settings["finetune"]) == (chosen == LIGHT)
    assert "mounting_deg" not in settings["prune"]


def test_without_a_round_the_default_stays():
    assert choice_of(TRIED, {name: [] for name in TRIED}).value == DEFAULT


def test_a_trial_calibrates_the_package_and_no_trial_does_not():
    names = [stage.name for stage in plan(PipelineOptions("run"), [])]
    stages = {stage.name: stage for stage in plan(PipelineOptions("run"), [], Path("run/trials/default-0of3"))}
    assert [name for name in stages if name not in names] == ["trial-student", "logits-trial-student", "calibrate"]
    student = stages["trial-student"].settings
    assert student["teacher"] == ("run/trials/default-0of3",)
    assert student | {"teacher": (), "out": ""} == stages["distill"].settings | {"teacher": (), "out": ""}
    assert stages["calibrate"].settings == {"out_of_fold": str(stages["logits-trial-student"].products[0])}


def test_a_skeleton_is_not_mirrored_because_labels_may_name_a_side():
    assert MIRRORED in TRIED
    assert MIRRORED not in candidates([SKELETON, WATCH], "clip", None)


def test_large_rotations_are_tried_where_people_wear_a_sensor_in_any_way():
    assert TURNED not in TRIED
    assert candidates([WATCH], "sliding", 70.0)[TURNED]["mounting_deg"] == 60


def test_clips_keep_their_crops_which_vary_the_tempo():
    assert candidates([WATCH], "clip", None)[LIGHT].get("crop") is None
    assert TRIED[LIGHT]["crop"] == 0


@pytest.fixture(scope="module")
def own_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own") / "data"
    config = SimulatorConfig(subjects=4, trials=1, activities=("walk", "wave", "squat"))
    recordings.write(simulate(config), folder)
    return folder


def pipeline(data: Path, out: Path, split: str, *more: str) -> str:
    words = ["--preset", "tiny", "--update-share", "0.05", "--split", split, "--until", "finetune", "--out", str(out)]
    done = edgehar("pipeline", "--data", str(data), *words, *more)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_each_round_leaves_out_other_training_people(own_data: Path, tmp_path: Path):
    said = pipeline(own_data, tmp_path / "run", "list:s1,s2,s3:s4")
    assert "augmentation: " in said
    folders = sorted((tmp_path / "run" / "trials").glob("[!.]*"))
    assert [folder.name for folder in folders] == [
        f"{name}-{fold}of3" for name in (DEFAULT, LIGHT) for fold in range(3)
    ]
    tested: set[str] = set()
    for folder in folders:
        about = json.loads((folder / "checkpoint.json").read_text())["data"]
        assert "s4" not in [*about["train_subjects"], *about["test_subjects"]]
        tested |= set(about["test_subjects"])
    assert tested == {"s1", "s2", "s3"}
    again = pipeline(own_data, tmp_path / "run", "list:s1,s2,s3:s4")
    assert again.count("(done before)") == len(folders) + 2  # the trials, the baseline and the teacher


@pytest.mark.parametrize(("split", "more"), [("list:s1,s2:s4", ()), ("list:s1,s2,s3:s4", ("--budget-minutes", "0"))])
def test_no_trials_with_few_people_or_without_time(own_data: Path, tmp_path: Path, split: str, more: tuple[str, ...]):
    said = pipeline(own_data, tmp_path / "run", split, *more)
    assert "augmentation: default" in said
    assert not (tmp_path / "run" / "trials").exists()
