"""Saliency-guided training: which tokens are masked, by what, and what it changes."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from edgehar.teacher.training.processes import ProcessGroup
from edgehar.teacher.training.saliency_guided import Guide, GuidedConfig, mask_least_important

ONE_PROCESS = ProcessGroup(0, 1, torch.device("cpu"))
STEPS, GROUPS = 4, 2
IMPORTANCE = torch.tensor([[8.0, 1], [7, 2], [6, 3], [5, 4]])  # of each group in each step


class Output(NamedTuple):
    logits: Tensor
    steps: dict[str, Tensor]


class WeightedSum(nn.Module):
    """Two classes: the sum of the features, weighted by the importance of their tokens, and 0."""

    def forward(self, features: dict[str, Tensor], valid: dict[str, Tensor]) -> Output:
        total = (features["watch"].sum((2, 4)) * IMPORTANCE).sum((1, 2))
        return Output(torch.stack([total, torch.zeros_like(total)], 1), {"watch": valid["watch"].float()})


def windows(count: int = 3) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
    """Windows whose features are 1, 2, 3, ... everywhere; class 0."""
    level = torch.arange(1.0, count + 1)[:, None, None, None, None]
    target = torch.zeros(count, 2)
    target[:, 0] = 1
    return (
        {"watch": level.expand(count, STEPS, 5, GROUPS, 6)},
        {"watch": torch.ones(count, STEPS, dtype=torch.bool)},
        target,
    )


def changed(features: dict[str, Tensor], masked: dict[str, Tensor]) -> Tensor:
    """(B, S, G): tokens with another value, which must be that of another window in all frames and channels."""
    tokens, found = features["watch"], masked["watch"]
    assert torch.equal(found, found[:, :, :1, :, :1].expand_as(found))
    return (found != tokens).any(4).any(2)


def seed(count: int, fixed: int = 0) -> torch.Generator:
    """A generator whose permutation of `count` leaves `fixed` windows at their place."""
    for number in range(1000):
        generator = torch.Generator().manual_seed(number)
        if int((torch.randperm(count, generator=generator) == torch.arange(count)).sum()) == fixed:
            return torch.Generator().manual_seed(number)
    raise AssertionError("no such permutation")


@pytest.mark.parametrize(("share", "expected"), [(0.25, [1.0, 2.0]), (0.5, [1.0, 2.0, 3.0, 4.0])])
def test_tokens_of_lowest_gradient_take_those_of_another_window(share: float, expected: list[float]):
    features, valid, target = windows()
    config = GuidedConfig(guided=1.0, guided_share=share)
    masked = mask_least_important(WeightedSum(), features, valid, target, config, seed(3))
    for tokens in changed(features, masked):
        assert sorted(IMPORTANCE[tokens].tolist()) == expected
    assert set(masked["watch"].unique().tolist()) == {1.0, 2.0, 3.0}


def test_invalid_steps_are_left_alone():
    features, valid, target = windows(2)
    valid["watch"][0, 0] = valid["watch"][1, 1] = False
    masked = mask_least_important(
        WeightedSum(), features, valid, target, GuidedConfig(guided=1.0, guided_share=0.75), seed(2)
    )
    tokens = changed(features, masked)
    assert not tokens[:, :2].any()  # step 0 is invalid in one window, step 1 in the other
    assert tokens[:, 2:].sum((1, 2)).tolist() == [3, 3]  # of four usable tokens
    assert not tokens[:, 2, 0].any()  # the most important one


def test_adaptive_share_follows_the_probability_of_the_label():
    features, valid, target = windows()
    features["watch"] = features["watch"] * torch.tensor([1.0, -1.0, 0.0])[:, None, None, None, None]
    target[2] = 0.5  # certain of class 0, certain of class 1, undecided about a window with half of each label
    config = GuidedConfig(guided=1.0, guided_share=0.5, guided_adaptive=True)
    counts = changed(features, mask_least_important(WeightedSum(), features, valid, target, config, seed(3)))
    assert counts.sum((1, 2)).tolist() == [4, 0, 2]
    unlabelled = mask_least_important(WeightedSum(), features, valid, torch.zeros(3, 2), config, seed(3))
    assert torch.equal(unlabelled["watch"], features["watch"])


def test_divergence_is_weighted_and_the_whole_windows_are_what_is_returned():
    features, valid, target = windows()
    features["watch"] = 0.001 * features["watch"]
    network = WeightedSum()
    plain, nothing = Guide(network, GuidedConfig(), ONE_PROCESS)(network, features, valid, target, seed(3))
    assert nothing == 0

    def guided(weight: float) -> tuple[tuple[Tensor, dict[str, Tensor]], Tensor]:
        guide = Guide(network, GuidedConfig(guided=weight), ONE_PROCESS)
        return guide(network, features, valid, target, seed(3))  # type: ignore[return-value]

    (logits, steps), once = guided(1.0)
    torch.testing.assert_close(logits, plain[0])
    assert torch.equal(steps["watch"], plain[1]["watch"])
    masked = mask_least_important(network, features, valid, target, GuidedConfig(guided=1.0), seed(3))
    whole, kept = plain[0].softmax(1), network(masked, valid).logits.softmax(1)
    torch.testing.assert_close(once, (whole * (whole / kept).log()).sum(1).mean())
    torch.testing.assert_close(guided(3.0)[1], 3 * once)
