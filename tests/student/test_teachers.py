"""Teachers who name one activity too often, as those of few labels do, can be told how often to expect it."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from edgehar import recordings
from edgehar.datasets import DataOptions
from edgehar.errors import ConfigError
from edgehar.simulated import SimulatorConfig, simulate
from student.distill import DistillConfig
from student.teachers import Teachers, equal_shares
from teacher.checkpoint import load_checkpoint
from teacher.finetune import main as finetune
from teacher.stage import load_stage_data, predict


def shares_of(logits: Tensor) -> Tensor:
    return logits.softmax(1).mean(0)


def test_a_leaning_towards_some_activities_goes_and_the_answers_become_right():
    draw = torch.Generator().manual_seed(0)
    truth = torch.arange(30) % 3
    sound = 4 * torch.nn.functional.one_hot(truth, 3) + 0.3 * torch.randn(30, 3, generator=draw, dtype=torch.float64)
    leaning = sound + torch.tensor([3.0, -3.0, 0.0])
    assert (leaning.argmax(1) == truth).float().mean() < 0.7
    corrected = leaning + equal_shares(leaning)
    torch.testing.assert_close(shares_of(corrected), torch.full((3,), 1 / 3, dtype=torch.float64), atol=1e-5, rtol=0)
    assert torch.equal(corrected.argmax(1), truth)


def test_teachers_that_are_even_already_stay_as_they_are():
    logits = torch.eye(4, dtype=torch.float64).repeat(5, 1)
    torch.testing.assert_close(equal_shares(logits), torch.zeros(4, dtype=torch.float64))


def test_all_that_changes_is_how_often_each_activity_is_expected(tmp_path: Path):
    dataset = simulate(SimulatorConfig(subjects=3, trials=5, activities=("walk", "wave", "squat")))
    recordings.write(dataset, tmp_path / "data")
    own = ("--data", str(tmp_path / "data"), "--split", "list:s1,s3:s2", "--out", str(tmp_path / "one"))
    assert finetune([*own, "--preset", "tiny", "--updates", "4", "--batch", "8"]) == 0
    train = load_stage_data(DataOptions(str(tmp_path / "data"), split="list:s1,s3:s2")).train
    teachers = Teachers([load_checkpoint(tmp_path / "one", ("teacher",))])
    before = torch.as_tensor(predict(teachers, train, torch.device("cpu")))
    teachers.expect_equal_shares(train)
    after = torch.as_tensor(predict(teachers, train, torch.device("cpu")))
    torch.testing.assert_close(after - before, (after - before)[:1].expand_as(after), atol=1e-5, rtol=0)
    torch.testing.assert_close(shares_of(after), torch.full((3,), 1 / 3), atol=1e-5, rtol=0)
    assert (shares_of(before) - 1 / 3).abs().max() > 0.01


@pytest.mark.parametrize("weights", [{}, {"feature": 0.5}], ids=["labels alone", "features"])
def test_without_the_teachers_predictions_there_is_nothing_to_correct(weights: dict[str, float]):
    with pytest.raises(ConfigError, match=r"--equal-shares: .*give --soft or --decoupled a weight"):
        DistillConfig(**({"soft": 0.0, "feature": 0.0, "hard": 1.0} | weights), equal_shares=True)  # type: ignore[arg-type]
